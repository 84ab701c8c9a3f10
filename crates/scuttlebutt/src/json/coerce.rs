//! JavaScript's coercions, for values that are used where a string or a number is wanted.
//!
//! Peers may send any JSON in such places, and the original then does what JavaScript does.

use super::text::{kind, value_at};
use super::{JsString, Kind, parse_number};

/// `String(value)` of a canonical text's value: what it is called as a property key.
///
/// An object with a `toString` of its own, for which JavaScript would throw, is treated like any
/// other object.
///
/// ```
/// use scuttlebutt::json::to_js_string;
///
/// assert_eq!(to_js_string(r#""text""#), "text");
/// assert_eq!(to_js_string("5"), "5");
/// assert_eq!(to_js_string("null"), "null");
/// assert_eq!(to_js_string(r#"[1,[null,"a"],{"b":2}]"#), "1,,a,[object Object]");
/// ```
pub fn to_js_string(text: &str) -> JsString {
    match kind(text) {
        Kind::String => read_literal(text),
        Kind::Object => OBJECT.into(),
        Kind::Array => array_to_js_string(text),
        Kind::Null | Kind::Bool | Kind::Number => text.into(),
    }
}

/// The number a canonical text's value is taken for when it is compared with one, as by `<`.
///
/// An object with a `valueOf` or `toString` of its own, for which JavaScript would throw, is
/// treated like any other object.
///
/// ```
/// use scuttlebutt::json::to_js_number;
///
/// assert_eq!(to_js_number(r#"" 150 ""#), 150.0);
/// assert_eq!(to_js_number("true"), 1.0);
/// assert_eq!(to_js_number("null"), 0.0);
/// assert_eq!(to_js_number("[]"), 0.0);
/// assert!(to_js_number(r#""soon""#).is_nan());
/// assert!(to_js_number("{}").is_nan());
/// ```
pub fn to_js_number(text: &str) -> f64 {
    match kind(text) {
        Kind::Number => parse_number(text),
        Kind::String | Kind::Array => match to_js_string(text).as_str() {
            Some(string) => string_to_number(string),
            None => f64::NAN,
        },
        Kind::Bool => f64::from(u8::from(text == "true")),
        Kind::Null => 0.0,
        Kind::Object => f64::NAN,
    }
}

const OBJECT: &str = "[object Object]";

/// `Array.prototype.join`, which calls itself on arrays inside. The commas of all of them come
/// out as they stand, so the nesting can be ignored.
fn array_to_js_string(text: &str) -> JsString {
    // As a literal, to be read in one go: the strings inside are literals already.
    let mut literal = String::with_capacity(text.len());
    literal.push('"');
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        if matches!(byte, b'[' | b']' | b',') {
            if byte == b',' {
                literal.push(',');
            }
            at += 1;
            continue;
        }
        let Some(value) = value_at(text, at).filter(|value| !value.is_empty()) else {
            break;
        };
        match kind(value) {
            Kind::String => literal.push_str(value.get(1..value.len() - 1).unwrap_or_default()),
            Kind::Object => literal.push_str(OBJECT),
            Kind::Null => {}
            Kind::Bool | Kind::Number | Kind::Array => literal.push_str(value),
        }
        at += value.len();
    }
    literal.push('"');
    read_literal(&literal)
}

/// Reads a literal from a canonical text. Other text is taken as it stands.
fn read_literal(literal: &str) -> JsString {
    JsString::from_json_literal(literal).unwrap_or_else(|_| literal.into())
}

/// `Number(string)`.
fn string_to_number(string: &str) -> f64 {
    let string = string.trim_matches(is_js_space);
    match string.as_bytes() {
        [] => return 0.0,
        [b'0', b'x' | b'X', digits @ ..] => return radix_to_number(digits, 4),
        [b'0', b'o' | b'O', digits @ ..] => return radix_to_number(digits, 3),
        [b'0', b'b' | b'B', digits @ ..] => return radix_to_number(digits, 1),
        _ => {}
    }
    match string {
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    // What is left is the grammar of `f64::from_str`, but for its words for infinity and NaN.
    if string.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        string.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

/// An integer in digits of a few bits each, rounded to the nearest double once, at the end.
fn radix_to_number(digits: &[u8], bits: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    let mut significand = 0u128;
    let mut exponent = 0i32;
    for &digit in digits {
        let Some(digit) = char::from(digit).to_digit(1 << bits) else {
            return f64::NAN;
        };
        if significand < 1 << 120 {
            significand = significand << bits | u128::from(digit);
        } else {
            // Far below the last bit that counts: it matters only whether there is anything.
            significand |= u128::from(digit != 0);
            exponent = exponent.saturating_add(bits as i32);
        }
    }
    significand as f64 * 2f64.powi(exponent)
}

/// White space and line ends as ECMAScript defines them: Unicode's, less U+0085, plus U+FEFF.
fn is_js_space(character: char) -> bool {
    character == '\u{feff}' || character.is_whitespace() && character != '\u{85}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_what_node_makes_of_them() {
        for (text, expected) in [
            (r#""""#, ""),
            (r#""a\nb""#, "a\nb"),
            ("true", "true"),
            ("1e+21", "1e+21"),
            ("{}", "[object Object]"),
            ("[]", ""),
            ("[[]]", ""),
            ("[[],[]]", ","),
            ("[null]", ""),
            ("[null,null]", ","),
            ("[[[1],2],[3,[]],false]", "1,2,3,,false"),
            (r#"[{"a":[1,2]},"]","a,b","\"","\\"]"#, "[object Object],],a,b,\",\\"),
            (r#"["\"","\"\"",""]"#, "\",\"\","),
        ] {
            assert_eq!(to_js_string(text), expected, "{text}");
        }
        assert_eq!(to_js_string(r#"["\ud83d"]"#).to_json_literal(), r#""\ud83d""#);
    }

    #[test]
    fn numbers_are_what_node_makes_of_them() {
        for (text, expected) in [
            ("false", 0.0),
            ("1.5", 1.5),
            (r#""""#, 0.0),
            (r#"" \t\n\u000b\f\r\u00a0\u1680\u2028\u2029\u3000\ufeff""#, 0.0),
            (r#""\ufeff5\u2003""#, 5.0),
            (r#""+5""#, 5.0),
            (r#""-.5""#, -0.5),
            (r#""5.""#, 5.0),
            (r#""5.e1""#, 50.0),
            (r#""007""#, 7.0),
            (r#""1e999""#, f64::INFINITY),
            (r#""-Infinity""#, f64::NEG_INFINITY),
            (r#""0x1F""#, 31.0),
            (r#""0b101""#, 5.0),
            (r#""0O17""#, 15.0),
            (r#""0x20000000000001""#, 9007199254740992.0),
            (r#""0x20000000000003""#, 9007199254740996.0),
            (r#""0x20000000000001000000000000000000000000000000""#, 2f64.powi(173)),
            (
                r#""0x20000000000001000000000000000000000000000001""#,
                2f64.powi(173) + 2f64.powi(121),
            ),
            ("[7]", 7.0),
            (r#"[[" 0x10 "]]"#, 16.0),
            ("[null]", 0.0),
        ] {
            assert_eq!(to_js_number(text), expected, "{text}");
        }
        for text in [
            "{}",
            "[1,2]",
            "[{}]",
            "[true]",
            r#""a""#,
            r#""1 2""#,
            r#""0x""#,
            r#""-0x1""#,
            r#""0b2""#,
            r#""inf""#,
            r#""NaN""#,
            r#""infinity""#,
            r#"".""#,
            r#""e5""#,
            r#""1_0""#,
            r#""\u00855""#,
            r#""\ud800""#,
            r#""+-1""#,
            r#""5n""#,
        ] {
            assert!(to_js_number(text).is_nan(), "{text}");
        }
    }

    #[test]
    fn depth_is_no_matter() {
        let text = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        assert_eq!(to_js_string(&text), "");
        assert_eq!(to_js_number(&text), 0.0);
    }

    proptest! {
        #[test]
        fn text_that_is_not_canonical_does_no_harm(text in r#"[\["{][\[\]{},:"\\1nté ]{0,40}"#) {
            to_js_string(&text);
            to_js_number(&text);
        }
    }
}
