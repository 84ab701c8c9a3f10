//! Numbers: JSON's grammar on the way in, ECMAScript's `Number::toString` on the way out.

use super::{JsonError, JsonErrorKind};

/// Writes a number as `JSON.stringify` does: the shortest digits that read back as the same
/// double, laid out as ECMAScript lays them out, and `null` for what JSON cannot say.
///
/// ```
/// use scuttlebutt::json::write_number;
///
/// let mut out = String::new();
/// for number in [-0.0, 1e20, 1e21, 1e-6, 1e-7, f64::NAN] {
///     write_number(number, &mut out);
///     out.push(' ');
/// }
/// assert_eq!(out, "0 100000000000000000000 1e+21 0.000001 1e-7 null ");
/// ```
pub fn write_number(number: f64, out: &mut String) {
    out.push_str(printed(number, &mut ryu_js::Buffer::new()));
}

/// The text [`write_number`] writes.
pub(super) fn printed(number: f64, buffer: &mut ryu_js::Buffer) -> &str {
    if number.is_finite() { buffer.format_finite(number) } else { "null" }
}

/// Reads the text of a JSON number as the nearest double, which for too large a number is an
/// infinity. NaN when the text is no number.
///
/// ```
/// use scuttlebutt::json::parse_number;
///
/// assert_eq!(parse_number("1700000000000.001"), 1700000000000.001);
/// assert_eq!(parse_number("9007199254740993"), 9007199254740992.0);
/// assert_eq!(parse_number("-1e999"), f64::NEG_INFINITY);
/// assert!(parse_number("null").is_nan());
/// ```
pub fn parse_number(text: &str) -> f64 {
    // Rust also reads "inf", "+1", "1." and ".5"; JSON has none of them.
    match scan(text.as_bytes(), 0) {
        Ok(scan) if scan.end == text.len() => parse_checked(text),
        _ => f64::NAN,
    }
}

/// Reads a number that follows JSON's grammar.
///
/// Rust's own reading stops counting in exponents of more than 65,535, which shows only if as many
/// digits stand against them. Such a text is brought into a shorter form first.
pub(super) fn parse_checked(text: &str) -> f64 {
    const LENGTH_MAX: usize = 60_000;
    const EXPONENT_MAX: i64 = 1_000_000_000_000_000;
    /// No double and no middle between two has more significant digits.
    const DIGITS_MAX: usize = 800;

    if text.len() <= LENGTH_MAX {
        return text.parse().unwrap_or(f64::NAN);
    }
    let unsigned = text.trim_start_matches('-');
    let sign = if unsigned.len() < text.len() { "-" } else { "" };
    let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    // What an i64 cannot hold is beyond all digits there can be.
    let exponent = exponent.parse().unwrap_or(match exponent.starts_with('-') {
        true => -EXPONENT_MAX,
        false => EXPONENT_MAX,
    });
    let zeros = whole.bytes().chain(fraction.bytes()).take_while(|&byte| byte == b'0').count();
    let mut digits = whole.chars().chain(fraction.chars()).skip(zeros);
    let leading: String = digits.by_ref().take(DIGITS_MAX).collect();
    // Of the digits after those it matters only whether there is anything.
    let trailing = u8::from(digits.any(|digit| digit != '0'));
    let point = whole.len() as i64 - zeros as i64 + exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    format!("{sign}0.{leading}{trailing}e{point}").parse().unwrap_or(f64::NAN)
}

/// A number as found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// The position after it.
    pub(super) end: usize,
    /// Whether it certainly is printed as it was written. If not, printing it will tell.
    pub(super) surely_canonical: bool,
}

/// Checks the number at `at`, which starts with a minus or a digit.
///
/// To convert every number to a double and back would be the greater part of the work on an
/// ordinary line, so the usual ones are settled here, by this argument. Take a number written
/// without exponent, and let *n* be its digits read as one integer, *k* how many of them follow
/// the point. Rounding moves it by half a unit in the last place at most, and that unit is at
/// most n·10⁻ᵏ·2⁻⁵² near it. Two such numbers differ by 10⁻ᵏ or more, so as long as n < 2⁵² no
/// two of them round to the same double: if the last digit of a fraction is not zero, these are
/// the shortest digits for their double, and no others of that length will do. What is printed
/// then has the same digits, and without an exponent if it is in [10⁻⁶, 10²¹). The bound below
/// stays clear of 2⁵² ≈ 4.5·10¹⁵.
pub(super) fn scan(bytes: &[u8], at: usize) -> Result<Scan, JsonError> {
    const SURE_BELOW: u64 = 4_000_000_000_000_000;
    const SURE_DIGITS_MAX: usize = 16;

    let start = at + usize::from(bytes.get(at) == Some(&b'-'));
    let (whole, mut end) = digits(bytes, start, 0)?;
    let mut significand = whole;
    let mut count = end - start;
    // A leading zero stands alone: whatever digit follows is not part of this number.
    if bytes[start] == b'0' && count > 1 {
        end = start + 1;
        return Ok(Scan { end, surely_canonical: false });
    }
    let mut surely_canonical = start == at || significand != 0;
    if bytes.get(end) == Some(&b'.') {
        let fraction = end + 1;
        (significand, end) = digits(bytes, fraction, significand)?;
        count += end - fraction;
        surely_canonical =
            bytes[end - 1] != b'0' && (whole != 0 || !bytes[fraction..end].starts_with(b"000000"));
    }
    surely_canonical &= count <= SURE_DIGITS_MAX && significand < SURE_BELOW;
    if let Some(b'e' | b'E') = bytes.get(end) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        (_, end) = digits(bytes, end + 1 + sign, 0)?;
        surely_canonical = false;
    }
    Ok(Scan { end, surely_canonical })
}

/// Reads one digit or more on top of `value`, wrapping around when there are many. Answers the
/// value and the position after the digits.
fn digits(bytes: &[u8], at: usize, mut value: u64) -> Result<(u64, usize), JsonError> {
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    if end == at {
        return Err(JsonError::new(JsonErrorKind::ExpectedDigit, at));
    }
    Ok((value, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn print(number: f64) -> String {
        let mut out = String::new();
        write_number(number, &mut out);
        out
    }

    fn is_surely_canonical(text: &str) -> bool {
        scan(text.as_bytes(), 0).is_ok_and(|scan| scan.end == text.len() && scan.surely_canonical)
    }

    #[test]
    fn ordinary_numbers_need_no_conversion() {
        for text in [
            "0",
            "5",
            "-5",
            "0.5",
            "-0.5",
            "1700000000000",
            "1700000000000.001",
            "0.000001",
            "3999999999999999",
        ] {
            assert!(is_surely_canonical(text), "{text}");
        }
    }

    #[test]
    fn everything_doubtful_is_converted() {
        for text in [
            "-0",
            "-0.0",
            "0.0",
            "1.0",
            "1.50",
            "0.0000001",
            "1e5",
            "1E5",
            "4000000000000000",
            "9007199254740993",
            "0.00000000000000001",
            "18446744073709551617",
            "01",
        ] {
            assert!(!is_surely_canonical(text), "{text}");
        }
    }

    #[test]
    fn digits_without_end_and_exponents_cancel() {
        for zeros in [10, 70_000, 700_000] {
            let run = "0".repeat(zeros);
            assert_eq!(parse_number(&format!("0.{run}1e{}", zeros + 1)), 1.0);
            assert_eq!(parse_number(&format!("-1{run}.0E-{zeros}")), -1.0);
            assert_eq!(parse_number(&format!("0.{run}e99999999999999999999")), 0.0);
            assert_eq!(parse_number(&format!("1.{run}e99999999999999999999")), f64::INFINITY);
            assert_eq!(parse_number(&format!("1.{run}e-99999999999999999999")), 0.0);
            // Just above the middle between two doubles, and just on it.
            assert_eq!(parse_number(&format!("9007199254740993.{run}1")), 9007199254740994.0);
            assert_eq!(parse_number(&format!("9007199254740993.{run}")), 9007199254740992.0);
        }
    }

    proptest! {
        #[test]
        fn surely_canonical_is_never_wrong(text in "-?(0|[1-9][0-9]{0,16})(\\.[0-9]{1,16})?") {
            if is_surely_canonical(&text) {
                prop_assert_eq!(print(parse_number(&text)), text);
            }
        }

        #[test]
        fn surely_canonical_is_never_wrong_near_its_bound(
            significand in 3_000_000_000_000_000u64..4_000_000_000_000_000,
            whole_digits in 1usize..16,
        ) {
            let digits = significand.to_string();
            let text = format!("{}.{}", &digits[..whole_digits], &digits[whole_digits..]);
            prop_assert_eq!(is_surely_canonical(&text), !text.ends_with('0'));
            if is_surely_canonical(&text) {
                prop_assert_eq!(print(parse_number(&text)), text);
            }
        }

        #[test]
        fn every_double_reads_back_as_itself(bits: u64) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                prop_assert_eq!(parse_number(&print(number)), number);
            } else {
                prop_assert_eq!(print(number), "null");
            }
        }
    }
}
