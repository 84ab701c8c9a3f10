//! Strings as JavaScript has them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;

use super::{JsonError, JsonErrorKind, escape};

/// A string as JavaScript has it: any sequence of UTF-16 code units, lone surrogates included.
///
/// Strings are ordered by code units, as JavaScript orders them, which is not the order of
/// Rust's `str` when characters beyond U+FFFF are involved.
///
/// ```
/// use scuttlebutt::json::JsString;
///
/// let lone = JsString::from_json_literal(r#""a\ud800""#)?;
/// assert_eq!(lone.as_str(), None);
/// assert_eq!(lone.to_json_literal(), r#""a\ud800""#);
/// assert_eq!(JsString::from("😀").len_utf16(), 2);
/// assert!(JsString::from("😀") < JsString::from("\u{ff5e}"));
/// # Ok::<(), scuttlebutt::json::JsonError>(())
/// ```
// WTF-8: UTF-8 that also encodes lone surrogates, in the three bytes their value would take. Two
// surrogates that make a pair are always stored as the one character they mean, so equal strings
// have equal bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct JsString(Box<[u8]>);

impl JsString {
    /// The string with these code units.
    ///
    /// ```
    /// use scuttlebutt::json::JsString;
    ///
    /// assert_eq!(JsString::from_utf16(&[0xd83d, 0xde00]), JsString::from("😀"));
    /// ```
    pub fn from_utf16(units: &[u16]) -> Self {
        let mut bytes = Vec::with_capacity(units.len());
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok(character) => push_code(u32::from(character), &mut bytes),
                Err(lone) => push_code(u32::from(lone.unpaired_surrogate()), &mut bytes),
            }
        }
        Self(bytes.into())
    }

    /// Reads a JSON string literal: quotes included, nothing around them.
    ///
    /// ```
    /// use scuttlebutt::json::JsString;
    ///
    /// let text = JsString::from_json_literal(r#""tab \t, snowman \u2603""#)?;
    /// assert_eq!(text.as_str(), Some("tab \t, snowman ☃"));
    /// # Ok::<(), scuttlebutt::json::JsonError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If this is not one JSON string literal.
    pub fn from_json_literal(literal: &str) -> Result<Self, JsonError> {
        let source = literal.as_bytes();
        if source.first() != Some(&b'"') {
            return Err(JsonError::new(JsonErrorKind::ExpectedValue, 0));
        }
        let mut bytes = Vec::with_capacity(source.len().saturating_sub(2));
        let mut at = 1;
        loop {
            let end = escape::next_special(source, at);
            bytes.extend_from_slice(&source[at..end]);
            match source.get(end) {
                Some(b'"') if end + 1 == source.len() => return Ok(Self(bytes.into())),
                Some(b'"') => return Err(JsonError::new(JsonErrorKind::ExpectedEnd, end + 1)),
                Some(b'\\') => {
                    let read = escape::read_escape(source, end)?;
                    push_code(read.code, &mut bytes);
                    at = read.end;
                }
                Some(_) => return Err(JsonError::new(JsonErrorKind::ControlCharacter, end)),
                None => return Err(JsonError::new(JsonErrorKind::ExpectedQuote, end)),
            }
        }
    }

    /// The string as Rust has it. `None` if it contains a lone surrogate.
    ///
    /// Looks at every byte: keep the answer rather than ask twice.
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(&self.0).ok()
    }

    /// The string with U+FFFD in place of each lone surrogate.
    ///
    /// ```
    /// use scuttlebutt::json::JsString;
    ///
    /// let lone = JsString::from_json_literal(r#""a\ud800b""#)?;
    /// assert_eq!(lone.to_string_lossy(), "a\u{fffd}b");
    /// # Ok::<(), scuttlebutt::json::JsonError>(())
    /// ```
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        match self.as_str() {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(self.pieces().map(Piece::lossy).collect()),
        }
    }

    /// Appends the string as `JSON.stringify` prints it, in quotes.
    pub fn write_json(&self, out: &mut String) {
        out.reserve(self.0.len() + 2);
        out.push('"');
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => escape::write_text(text, out),
                Piece::Surrogate(unit) => escape::write_code(u32::from(unit), out),
            }
        }
        out.push('"');
    }

    /// The string as `JSON.stringify` prints it, in quotes.
    ///
    /// ```
    /// use scuttlebutt::json::JsString;
    ///
    /// assert_eq!(JsString::from("a\"/\u{1}").to_json_literal(), r#""a\"/\u0001""#);
    /// ```
    pub fn to_json_literal(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    /// How many code units the string has: its `length` in JavaScript.
    pub fn len_utf16(&self) -> usize {
        self.0.iter().map(|&byte| leads_units(byte)).sum()
    }

    /// The code units, in order.
    ///
    /// ```
    /// use scuttlebutt::json::JsString;
    ///
    /// let units: Vec<u16> = JsString::from("a😀").utf16_units().collect();
    /// assert_eq!(units, [0x61, 0xd83d, 0xde00]);
    /// ```
    pub fn utf16_units(&self) -> Utf16Units<'_> {
        Utf16Units::new(&self.0)
    }

    /// Whether the string has no code unit at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes that a literal without escapes has between its quotes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The string of such bytes.
    pub(crate) fn from_bytes(bytes: Cow<'_, [u8]>) -> Self {
        Self(bytes.into_owned().into())
    }

    fn pieces(&self) -> Pieces<'_> {
        Pieces { rest: &self.0 }
    }
}

impl From<&str> for JsString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for JsString {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl PartialEq<str> for JsString {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other.as_bytes()
    }
}

impl PartialEq<&str> for JsString {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Ord for JsString {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// How two strings of the bytes that [`JsString`] keeps compare by code units.
pub(crate) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let same = same_bytes(one, other);
    match (&one[same..], &other[same..]) {
        ([], rest) => 0.cmp(&rest.len()),
        (rest, []) => rest.len().cmp(&0),
        (one, other) => compare_different(one, other),
    }
}

/// How many bytes both begin with.
pub(crate) fn same_bytes(one: &[u8], other: &[u8]) -> usize {
    // Eight bytes at a time: this is where searches by key and by id spend their time.
    let (words, _) = one.as_chunks::<8>();
    let (other_words, _) = other.as_chunks::<8>();
    let same = 8 * words.iter().zip(other_words).take_while(|(a, b)| a == b).count();
    same + one[same..].iter().zip(&other[same..]).take_while(|(a, b)| a == b).count()
}

/// [`compare`] from the first byte on that differs.
pub(crate) fn compare_different(a: &[u8], b: &[u8]) -> Ordering {
    // Bytes order as code units do, except that the characters of two units, whose first
    // byte is 0xF0 or above, belong among the surrogates, whose first byte is 0xED. Bytes
    // that large are always the first of a character, so the units can be compared from here.
    if a[0] < 0xed && b[0] < 0xed {
        a[0].cmp(&b[0])
    } else {
        Utf16Units::new(a).cmp(Utf16Units::new(b))
    }
}

impl PartialOrd for JsString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// With U+FFFD in place of lone surrogates.
impl fmt::Display for JsString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_string_lossy(), formatter)
    }
}

/// As a JSON literal.
impl fmt::Debug for JsString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_json_literal())
    }
}

/// The iterator [`JsString::utf16_units`] answers.
#[derive(Clone, Debug)]
pub struct Utf16Units<'a> {
    /// What is left, from the start of a character on.
    rest: &'a [u8],
    /// The second unit of a character whose first was given.
    low: Option<u16>,
}

impl<'a> Utf16Units<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest, low: None }
    }
}

impl Iterator for Utf16Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if let Some(low) = self.low.take() {
            return Some(low);
        }
        let tail = |byte: u8| u32::from(byte & 0x3f);
        let (code, rest) = match *self.rest {
            [] => return None,
            [a @ 0..0x80, ref rest @ ..] => (u32::from(a), rest),
            [a @ 0x80..0xe0, b, ref rest @ ..] => (u32::from(a & 0x1f) << 6 | tail(b), rest),
            [a @ 0xe0..0xf0, b, c, ref rest @ ..] => {
                (u32::from(a & 0x0f) << 12 | tail(b) << 6 | tail(c), rest)
            }
            [a, b, c, d, ref rest @ ..] => {
                let code = u32::from(a & 0x07) << 18 | tail(b) << 12 | tail(c) << 6 | tail(d);
                (code, rest)
            }
            _ => unreachable!("every way to make a JsString ends on a whole character"),
        };
        self.rest = rest;
        if code < 0x10000 {
            return Some(code as u16);
        }
        let offset = code - 0x10000;
        self.low = Some(0xdc00 | (offset & 0x3ff) as u16);
        Some(0xd800 | (offset >> 10) as u16)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A byte is at most one unit; three are at least one.
        let low = usize::from(self.low.is_some());
        (self.rest.len().div_ceil(3) + low, Some(self.rest.len() + low))
    }
}

impl FusedIterator for Utf16Units<'_> {}

/// How many code units the character has that starts with this byte; none if none does.
fn leads_units(byte: u8) -> usize {
    match byte {
        0x80..0xc0 => 0,
        0xf0.. => 2,
        _ => 1,
    }
}

/// A stretch of proper text, or one lone surrogate.
enum Piece<'a> {
    Text(&'a str),
    Surrogate(u16),
}

impl<'a> Piece<'a> {
    fn lossy(self) -> &'a str {
        match self {
            Self::Text(text) => text,
            Self::Surrogate(_) => "\u{fffd}",
        }
    }
}

struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let [0xed, b @ 0xa0..=0xbf, c, rest @ ..] = self.rest {
            self.rest = rest;
            let unit = 0xd000 | u16::from(b & 0x3f) << 6 | u16::from(c & 0x3f);
            return Some(Piece::Surrogate(unit));
        }
        let surrogate = memchr::memchr_iter(0xed, self.rest)
            .find(|&at| self.rest.get(at + 1).is_some_and(|&byte| byte >= 0xa0));
        let (text, rest) = self.rest.split_at(surrogate.unwrap_or(self.rest.len()));
        self.rest = rest;
        let text = str::from_utf8(text).expect("WTF-8 without surrogates is UTF-8");
        (!text.is_empty()).then_some(Piece::Text(text))
    }
}

/// Appends a code point in UTF-8, or in the same manner if it is a surrogate.
fn push_code(code: u32, bytes: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => {
            bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => bytes.extend([0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Units from everywhere, with a liking for those whose order is surprising.
    fn units() -> impl Strategy<Value = Vec<u16>> {
        let unit = prop_oneof![
            any::<u16>(),
            0u16..0x80,
            0xd7f0u16..=0xe010,
            Just(0xd83d),
            Just(0xde00),
            Just(0xdbff),
            Just(0xffff),
        ];
        prop::collection::vec(unit, 0..8)
    }

    proptest! {
        #[test]
        fn order_is_by_code_units(prefix in units(), a in units(), b in units()) {
            let a: Vec<u16> = prefix.iter().copied().chain(a).collect();
            let b: Vec<u16> = prefix.iter().copied().chain(b).collect();
            let (js_a, js_b) = (JsString::from_utf16(&a), JsString::from_utf16(&b));
            prop_assert_eq!(js_a.cmp(&js_b), a.cmp(&b));
            prop_assert_eq!(js_a == js_b, a == b);
        }

        #[test]
        fn units_come_back(units in units()) {
            let string = JsString::from_utf16(&units);
            prop_assert_eq!(string.utf16_units().collect::<Vec<u16>>(), &units[..]);
            prop_assert_eq!(string.len_utf16(), units.len());
            prop_assert_eq!(string.to_string_lossy(), String::from_utf16_lossy(&units));
            prop_assert_eq!(string.as_str().map(str::to_owned), String::from_utf16(&units).ok());
            let (low, high) = string.utf16_units().size_hint();
            prop_assert!(low <= units.len() && Some(units.len()) <= high);
        }

        #[test]
        fn literals_come_back(units in units()) {
            let string = JsString::from_utf16(&units);
            let literal = string.to_json_literal();
            prop_assert_eq!(JsString::from_json_literal(&literal), Ok(string));
        }

        #[test]
        fn any_way_to_escape_is_read(units in units()) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04X}")).collect();
            let read = JsString::from_json_literal(&format!("\"{escaped}\""));
            prop_assert_eq!(read, Ok(JsString::from_utf16(&units)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\"?[\"\\\\u0dé8n\t]{0,12}\"?") {
            if let Ok(string) = JsString::from_json_literal(&text) {
                prop_assert_eq!(JsString::from_json_literal(&string.to_json_literal()), Ok(string));
            }
        }
    }

    #[test]
    fn literals_that_are_none_are_refused() {
        use JsonErrorKind::*;
        for (literal, kind, offset) in [
            ("", ExpectedValue, 0),
            ("a", ExpectedValue, 0),
            (" \"a\"", ExpectedValue, 0),
            ("\"", ExpectedQuote, 1),
            ("\"a\" ", ExpectedEnd, 3),
            ("\"a\n\"", ControlCharacter, 2),
            ("\"\\'\"", InvalidEscape, 1),
            ("\"\\", ExpectedQuote, 2),
        ] {
            let error = JsonError::new(kind, offset);
            assert_eq!(JsString::from_json_literal(literal), Err(error), "{literal}");
        }
    }

    #[test]
    fn only_what_must_be_escaped_is() {
        let text = JsString::from("\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}\u{2028}/é😀");
        let literal = "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\u{2028}/é😀\"";
        assert_eq!(text.to_json_literal(), literal);
        assert_eq!(format!("{text:?}"), literal);
        assert_eq!(text, text.to_string().as_str());
    }
}
