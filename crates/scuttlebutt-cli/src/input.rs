//! JSON that a user typed, and the quotes that a shell ate.

use scuttlebutt::Change;
use scuttlebutt::json::{JsString, NumberError, ToCanonicalError};

use crate::exit::Failure;

/// How much of an argument an error shows.
const SHOWN_CHARS_MAX: usize = 60;

/// How an argument is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As JSON whose numbers are kept as they are.
    Json,
    /// As JSON whose numbers become what JavaScript makes of them.
    Lossy,
    /// As a string.
    String,
}

/// The JSON text of an argument.
pub(crate) fn json(text: &str, reading: Reading) -> Result<String, Failure> {
    let value = match reading {
        Reading::String => return Ok(literal(text)),
        Reading::Lossy => Change::from_json_lossy(text).map_err(ToCanonicalError::from),
        Reading::Json => Change::from_json(text),
    };
    match value {
        Ok(value) => Ok(value.as_json().to_owned()),
        Err(ToCanonicalError::Number(lost)) => Err(inexact(text, &lost)),
        Err(ToCanonicalError::Json(error)) => Err(no_json(text, &error.to_string())),
        Err(error) => Err(no_json(text, &error.to_string())),
    }
}

fn no_json(text: &str, error: &str) -> Failure {
    let hint = match text.chars().count() {
        0..=SHOWN_CHARS_MAX => {
            format!("did you mean {}? (Or use --string.)", quoted(&literal(text)))
        }
        _ => "'\"like this\"'. (Or use --string.)".to_owned(),
    };
    Failure::usage(format!(
        "{} is not JSON: {error}\n\
         A string needs quotes of its own, which the shell must not take: {hint}",
        brief(text)
    ))
}

fn inexact(text: &str, lost: &NumberError) -> Failure {
    let hint = "--lossy stores it all the same";
    let whole = Change::from_json_lossy(text).ok();
    let whole = whole.filter(|change| change.as_json().chars().count() <= SHOWN_CHARS_MAX);
    Failure::usage(match whole {
        Some(change) => format!("{lost}\nWhat would be stored is {}; {hint}", change.as_json()),
        None => format!("{lost}\n{hint}"),
    })
}

/// An argument as an error shows it: in quotes, and of a long one the beginning.
pub(crate) fn brief(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}

/// The change that is this JSON text, which was read already.
pub(crate) fn change(text: &str) -> Result<Change, Failure> {
    // Here it can fail only for nesting one deeper as part of an array.
    Change::from_json(text).map_err(|error| Failure::usage(error.to_string()))
}

/// The change with these elements, each JSON text.
pub(crate) fn array(elements: &[String]) -> Result<Change, Failure> {
    change(&format!("[{}]", elements.join(",")))
}

/// A string as JSON.
pub(crate) fn literal(text: &str) -> String {
    JsString::from(text).to_json_literal()
}

/// A word as a shell takes it.
pub(crate) fn for_shell(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        json(text, Reading::Json).expect_err("no JSON").to_string()
    }

    #[test]
    fn a_bare_word_is_answered_with_its_quoted_form() {
        assert!(message("hello").contains(r#"did you mean '"hello"'?"#));
        assert!(message("don't").contains(r#"'"don'\''t"'"#));
        assert_eq!(json("hello", Reading::String).ok().as_deref(), Some("\"hello\""));
        assert_eq!(json(" [1.0] ", Reading::Json).ok().as_deref(), Some("[1]"));
    }

    #[test]
    fn a_long_argument_is_answered_with_its_beginning() {
        let long = message(&"é".repeat(100_000));
        assert!(long.len() < 400 && long.contains("(200000 bytes) is not JSON"), "{long}");
        let long = message(&format!("[{}1e400]", "1,".repeat(100_000)));
        assert!(long.len() < 600 && long.contains("1e400 would be stored as null"), "{long}");
    }

    #[test]
    fn a_number_that_would_change_is_told_and_taken_only_when_asked() {
        let told = message("{\"a\":9007199254740993}");
        assert!(told.contains("the number 9007199254740993 would be stored as 9007199254740992"));
        assert!(
            told.contains("What would be stored is {\"a\":9007199254740992}; --lossy"),
            "{told}"
        );
        assert_eq!(json("1e400", Reading::Lossy).ok().as_deref(), Some("null"));
    }
}
