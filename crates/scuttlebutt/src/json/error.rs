//! What can be wrong with a JSON text, and where.

use thiserror::Error;

use super::NumberError;

/// Why a text is not the JSON we can take, and where that shows.
///
/// The fault is always the text's: nothing has changed on our side, and the same text will fail
/// again.
///
/// ```
/// use scuttlebutt::json::{JsonErrorKind, TextLimits, canonicalize};
///
/// let error = canonicalize(b"[1,]", TextLimits { nesting_depth_max: 128 }).unwrap_err();
/// assert_eq!(error.kind, JsonErrorKind::ExpectedValue);
/// assert_eq!(error.to_string(), "expected a JSON value at byte 3");
/// ```
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What was expected, or what is not allowed.
    pub kind: JsonErrorKind,
    /// Where, in bytes from the start of the input. When the input was not valid UTF-8, this
    /// counts in the input as repaired with U+FFFD.
    pub offset: usize,
}

impl JsonError {
    /// Keeps the error's construction out of the parsing loops.
    #[cold]
    pub(super) fn new(kind: JsonErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }
}

/// The kinds of fault a JSON text can have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Nothing but white space. Readers of lines may want to treat this as a blank line.
    #[error("expected a JSON value, found nothing but white space")]
    Empty,
    /// Arrays and objects nest deeper than the caller allows.
    #[error("expected at most {max} nested arrays and objects")]
    TooDeep {
        /// The limit that was passed: [`TextLimits::nesting_depth_max`](super::TextLimits).
        max: usize,
    },
    /// A value should start here.
    #[error("expected a JSON value")]
    ExpectedValue,
    /// An object's key should start here.
    #[error("expected a key in double quotes")]
    ExpectedKey,
    /// A key should be followed by its colon.
    #[error("expected `:` after a key")]
    ExpectedColon,
    /// An array should go on or end.
    #[error("expected `,` or `]`")]
    ExpectedCommaOrBracket,
    /// An object should go on or end.
    #[error("expected `,` or `}}`")]
    ExpectedCommaOrBrace,
    /// A number lacks a digit.
    #[error("expected a digit")]
    ExpectedDigit,
    /// The text goes on after its one value.
    #[error("expected the end after one JSON value")]
    ExpectedEnd,
    /// A string is not closed.
    #[error("expected `\"` to close a string")]
    ExpectedQuote,
    /// A backslash is followed by something JSON does not define.
    #[error("expected a JSON escape after `\\`")]
    InvalidEscape,
    /// A string contains a raw control character.
    #[error("expected an escape, found a raw control character")]
    ControlCharacter,
}

/// Why a Rust value, or a text, could not be turned into canonical text.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToCanonicalError {
    /// The value's own `Serialize` refused, or it has keys that JSON cannot have.
    #[error("this value has no JSON form: {0}")]
    Serialize(#[from] serde_json::Error),
    /// The value's JSON is not acceptable, in practice: nests too deep.
    #[error("this value's JSON is not acceptable: {0}")]
    Json(#[from] JsonError),
    /// A number in it would not be read back as it is.
    #[error(transparent)]
    Number(#[from] NumberError),
}
