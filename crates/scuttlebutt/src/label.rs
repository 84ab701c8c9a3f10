//! The names by which replicas tell what they belong to: of their model, and of their cluster.

use std::fmt;
use std::str::FromStr;

use crate::json::JsString;

/// The name of a model or of a cluster, as it stands in a digest.
///
/// Two are equal if their texts are. Printed, it is quoted, with whatever is not harmless escaped: a
/// peer may have written it.
///
/// ```
/// use scuttlebutt::Label;
///
/// let label = Label::new("staging")?;
/// assert_eq!(label.to_string(), "\"staging\"");
/// assert!(Label::new("").is_err() && Label::new("two\nlines").is_err());
/// # Ok::<(), scuttlebutt::InvalidLabel>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its canonical JSON literal.
    literal: Box<str>,
}

/// A label of one's own is no longer than this, in bytes. As JSON it is then well below what any peer
/// takes ([`Limits::label_bytes_max`](crate::Limits::label_bytes_max)).
const OWN_BYTES_MAX: usize = 64;

impl Label {
    /// Takes 1 to 64 bytes of text without control characters.
    ///
    /// # Errors
    /// [`InvalidLabel`] when it is anything else.
    pub fn new(text: &str) -> Result<Self, InvalidLabel> {
        match text.len() {
            0 => return Err(InvalidLabel::Empty),
            1..=OWN_BYTES_MAX => {}
            _ => return Err(InvalidLabel::TooLong { max: OWN_BYTES_MAX }),
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidLabel::Control);
        }
        Ok(Self { literal: JsString::from(text).to_json_literal().into() })
    }

    /// What a peer wrote, from its canonical JSON literal; nothing where that is empty.
    pub(crate) fn of_peer(literal: &str) -> Option<Self> {
        (literal != "\"\"").then(|| Self { literal: literal.into() })
    }

    /// As JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.literal
    }

    /// The text itself. Half of a surrogate pair, which a peer may send, reads as U+FFFD.
    #[must_use]
    pub fn text(&self) -> String {
        JsString::from_json_literal(&self.literal)
            .map_or_else(|_| String::new(), |text| text.to_string())
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        Self::new(text)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

/// What cannot be a [`Label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLabel {
    /// It says nothing.
    #[error("a name must not be empty")]
    Empty,
    /// It is too long.
    #[error("a name must not be longer than {max} bytes")]
    TooLong {
        /// The bound.
        max: usize,
    },
    /// There is a control character in it.
    #[error("a name must not have control characters in it")]
    Control,
}
