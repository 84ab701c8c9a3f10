//! The inside of string literals: finding, reading and writing escapes.

use super::{JsonError, JsonErrorKind};

/// The first position from `at` on whose byte a JSON string cannot hold raw: a quote, a
/// backslash or a control character. The length when there is none.
///
/// Looks at eight bytes a time, which for the short strings of ordinary lines beats a vector
/// search with its start-up cost.
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * b'"' as u64);
        let backslash = word ^ (ONES * b'\\' as u64);
        // `x - 1 & !x` sets the high bit of a zero byte, `x - 0x20 & !x` that of a byte below
        // 0x20. A borrow can spoil bytes after the first hit, never before it.
        let hits = (quote.wrapping_sub(ONES) & !quote
            | backslash.wrapping_sub(ONES) & !backslash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// One escape as read: the code point it stands for and where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Escape {
    /// A code point; a surrogate only if it has no partner.
    pub(super) code: u32,
    /// The position after the escape, or after both escapes of a surrogate pair.
    pub(super) end: usize,
}

/// Reads the escape whose backslash is at `at`.
pub(super) fn read_escape(bytes: &[u8], at: usize) -> Result<Escape, JsonError> {
    let short = |code: u8| {
        let code = u32::from(code);
        Ok(Escape { code, end: at + 2 })
    };
    match bytes.get(at + 1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => short(byte),
        Some(b'b') => short(0x08),
        Some(b't') => short(0x09),
        Some(b'n') => short(0x0a),
        Some(b'f') => short(0x0c),
        Some(b'r') => short(0x0d),
        Some(b'u') => {
            let unit = read_unit(bytes, at)?;
            if let 0xd800..0xdc00 = unit
                && bytes.get(at + 6..at + 8) == Some(b"\\u")
                && let low @ 0xdc00..0xe000 = read_unit(bytes, at + 6)?
            {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(Escape { code, end: at + 12 });
            }
            Ok(Escape { code: unit, end: at + 6 })
        }
        Some(_) => Err(JsonError::new(JsonErrorKind::InvalidEscape, at)),
        None => Err(JsonError::new(JsonErrorKind::ExpectedQuote, bytes.len())),
    }
}

/// Reads the four hexadecimal digits of the `\u` escape whose backslash is at `at`.
fn read_unit(bytes: &[u8], at: usize) -> Result<u32, JsonError> {
    let mut unit = 0;
    for position in at + 2..at + 6 {
        let Some(&byte) = bytes.get(position) else {
            return Err(JsonError::new(JsonErrorKind::ExpectedQuote, bytes.len()));
        };
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Err(JsonError::new(JsonErrorKind::InvalidEscape, at));
        };
        unit = unit << 4 | digit;
    }
    Ok(unit)
}

/// Writes one code point as `JSON.stringify` writes it inside a string.
pub(super) fn write_code(code: u32, out: &mut String) {
    match code {
        0x08 => out.push_str("\\b"),
        0x09 => out.push_str("\\t"),
        0x0a => out.push_str("\\n"),
        0x0c => out.push_str("\\f"),
        0x0d => out.push_str("\\r"),
        0x22 => out.push_str("\\\""),
        0x5c => out.push_str("\\\\"),
        _ => match char::from_u32(code) {
            Some(character) if code >= 0x20 => out.push(character),
            // A control character or a lone surrogate.
            _ => {
                out.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    out.extend(char::from_digit(code >> shift & 0xf, 16));
                }
            }
        },
    }
}

/// Writes text as the inside of a string literal.
pub(super) fn write_text(text: &str, out: &mut String) {
    let mut run = 0;
    loop {
        let special = next_special(text.as_bytes(), run);
        out.push_str(&text[run..special]);
        let Some(&byte) = text.as_bytes().get(special) else {
            return;
        };
        write_code(u32::from(byte), out);
        run = special + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn next_special_agrees_with_a_plain_search(bytes: Vec<u8>, at in 0usize..40) {
            let at = at.min(bytes.len());
            let expected = bytes[at..]
                .iter()
                .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
                .map_or(bytes.len(), |distance| at + distance);
            prop_assert_eq!(next_special(&bytes, at), expected);
        }
    }

    #[test]
    fn a_high_surrogate_takes_only_a_low_one_as_its_partner() {
        let read = |text: &str| read_escape(text.as_bytes(), 0).map(|read| (read.code, read.end));
        assert_eq!(read(r"\ud83d\ude00"), Ok((0x1f600, 12)));
        assert_eq!(read(r"\ud83d\ud83d"), Ok((0xd83d, 6)));
        assert_eq!(read(r"\ude00\ud83d"), Ok((0xde00, 6)));
        assert_eq!(read(r"\ud83d\n"), Ok((0xd83d, 6)));
    }
}
