//! Taking canonical text apart.
//!
//! These functions trust their input to come from [`canonicalize`](super::canonicalize): they
//! find where things end and check nothing. Other text makes no sense to them, but does not make
//! them panic or fail to end.

use std::iter::FusedIterator;

use super::escape;

/// The six kinds of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number, such as `1` or `1e+21`
    Number,
    /// A string in double quotes
    String,
    /// An array in brackets
    Array,
    /// An object in braces
    Object,
}

/// The kind of a canonical text's value, by its first byte.
///
/// ```
/// use scuttlebutt::json::{Kind, kind};
///
/// assert_eq!(kind("[1]"), Kind::Array);
/// assert_eq!(kind("-1"), Kind::Number);
/// ```
pub fn kind(text: &str) -> Kind {
    match text.as_bytes().first() {
        Some(b'"') => Kind::String,
        Some(b'[') => Kind::Array,
        Some(b'{') => Kind::Object,
        Some(b't' | b'f') => Kind::Bool,
        Some(b'-' | b'0'..=b'9') => Kind::Number,
        _ => Kind::Null,
    }
}

/// The elements of a canonical array, each as its own canonical text. None if the value is no
/// array.
///
/// ```
/// use scuttlebutt::json::elements;
///
/// let update = r#"[["key",{"a":[1,2]}],17.5,"A"]"#;
/// let parts: Vec<&str> = elements(update).collect();
/// assert_eq!(parts, [r#"["key",{"a":[1,2]}]"#, "17.5", r#""A""#]);
/// ```
pub fn elements(text: &str) -> Elements<'_> {
    let at = if text.starts_with('[') { 1 } else { text.len() };
    Elements { text, at }
}

/// The members of a canonical object: each key as a string literal with its quotes, and each
/// value as its own canonical text. None if the value is no object.
///
/// ```
/// use scuttlebutt::json::members;
///
/// let digest = r#"{"id":"A","clock":{"A":1}}"#;
/// let parts: Vec<(&str, &str)> = members(digest).collect();
/// assert_eq!(parts, [(r#""id""#, r#""A""#), (r#""clock""#, r#"{"A":1}"#)]);
/// ```
pub fn members(text: &str) -> Members<'_> {
    let at = if text.starts_with('{') { 1 } else { text.len() };
    Members { text, at }
}

/// The iterator [`elements`] answers.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a str,
    /// Where the next element starts, or the closing bracket is, or the text ends.
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if matches!(self.text.as_bytes().get(self.at), None | Some(b']')) {
            return None;
        }
        let element = value_at(self.text, self.at)?;
        self.at = after_comma(self.text, self.at + element.len());
        Some(element)
    }
}

impl FusedIterator for Elements<'_> {}

/// The iterator [`members`] answers.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a str,
    /// Where the next key starts, or the closing brace is, or the text ends.
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        let at = self.at;
        // Whatever is not a member ends the list.
        self.at = self.text.len();
        if self.text.as_bytes().get(at) != Some(&b'"') {
            return None;
        }
        let key = value_at(self.text, at)?;
        let colon = at + key.len();
        if self.text.as_bytes().get(colon) != Some(&b':') {
            return None;
        }
        let value = value_at(self.text, colon + 1)?;
        self.at = after_comma(self.text, colon + 1 + value.len());
        Some((key, value))
    }
}

impl FusedIterator for Members<'_> {}

/// The canonical text of the value that starts at `at`.
pub(super) fn value_at(text: &str, at: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let end = match bytes.get(at)? {
        b'"' => string_end(bytes, at),
        b'[' | b'{' => container_end(bytes, at),
        _ => bytes[at..]
            .iter()
            .position(|byte| matches!(byte, b',' | b']' | b'}'))
            .map_or(bytes.len(), |length| at + length),
    };
    text.get(at..end)
}

/// Past the comma at `at`. If there is none there is nothing more to read.
fn after_comma(text: &str, at: usize) -> usize {
    match text.as_bytes().get(at) {
        Some(b',') => at + 1,
        _ => text.len(),
    }
}

/// Where the string ends whose opening quote is at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    loop {
        end = escape::next_special(bytes, end);
        match bytes.get(end) {
            Some(b'"') => return end + 1,
            Some(b'\\') => end += 2,
            Some(_) => end += 1,
            None => return bytes.len(),
        }
    }
}

/// Where the array or object ends whose opening bracket or brace is at `at`.
fn container_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0usize;
    let mut end = at;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'"' => {
                end = string_end(bytes, end);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    return end + 1;
                }
            }
            _ => {}
        }
        end += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn empty_containers_and_other_kinds_have_no_parts() {
        for text in ["[]", "{}", "null", "1", r#""[1]""#, ""] {
            assert_eq!(elements(text).count(), 0, "{text}");
            assert_eq!(members(text).count(), 0, "{text}");
        }
    }

    #[test]
    fn brackets_and_escapes_in_strings_are_passed_over() {
        let text = r#"["]\"\\",{"}\\":"[\"{"},[[]],null]"#;
        let parts: Vec<&str> = elements(text).collect();
        assert_eq!(parts, [r#""]\"\\""#, r#"{"}\\":"[\"{"}"#, "[[]]", "null"]);
        let parts: Vec<(&str, &str)> = members(parts[1]).collect();
        assert_eq!(parts, [(r#""}\\""#, r#""[\"{""#)]);
    }

    proptest! {
        #[test]
        fn text_that_is_not_canonical_comes_to_an_end(text in r#"[\[{][\[\]{},:"\\1é ]{0,40}"#) {
            prop_assert!(elements(&text).count() <= text.len());
            prop_assert!(members(&text).count() <= text.len());
        }
    }
}
