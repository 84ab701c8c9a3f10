//! JSON that a user typed, and the quotes that a shell ate.

use scuttlebutt::Change;
use scuttlebutt::json::JsString;

use crate::exit::Failure;

/// The JSON text of an argument: of the string itself if `is_string`, else what it says.
pub(crate) fn json(text: &str, is_string: bool) -> Result<String, Failure> {
    if is_string {
        return Ok(literal(text));
    }
    match Change::from_json(text) {
        Ok(value) => Ok(value.as_json().to_owned()),
        Err(error) => Err(Failure::usage(format!(
            "{text:?} is not JSON: {error}\n\
             A string needs quotes of its own, which the shell must not take: \
             did you mean {}? (Or use --string.)",
            for_shell(&literal(text))
        ))),
    }
}

/// The change that is this JSON text.
pub(crate) fn change(text: &str) -> Result<Change, Failure> {
    // Text that was checked already fails here only for nesting one deeper as part of an array.
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

fn for_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_word_is_answered_with_its_quoted_form() {
        let message = |text| format!("{:?}", json(text, false));
        assert!(message("hello").contains(r#"did you mean '\"hello\"'?"#));
        assert!(message("don't").contains(r#"'\"don'\\''t\"'"#));
        assert_eq!(json("hello", true).ok().as_deref(), Some("\"hello\""));
        assert_eq!(json(" [1.0] ", false).ok().as_deref(), Some("[1]"));
    }
}
