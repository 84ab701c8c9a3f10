//! The identity that writes updates.
//!
//! A [`SourceId`] is any string but `__proto__`, compared by UTF-16 code units as the original
//! compares it. It is cheap to clone, and carries its JSON literal so that sending an update never
//! encodes its source again.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::json::JsString;

/// The id of a source: who wrote an update.
///
/// ```
/// use scuttlebutt::SourceId;
///
/// // The astral character sorts before U+FF5E, as in JavaScript, where its first code unit is 0xD83D.
/// assert!(SourceId::new("\u{1F600}")? < SourceId::new("\u{FF5E}")?);
/// # Ok::<(), scuttlebutt::InvalidSource>(())
/// ```
#[derive(Clone)]
pub struct SourceId(Arc<Inner>);

struct Inner {
    text: JsString,
    literal: Box<str>,
}

impl SourceId {
    /// Takes an id that is unique among all that write into the same network.
    ///
    /// An id must never be used again by a replica that forgot what it wrote under it: others hold
    /// those updates and are never asked for them. Draw a fresh one with
    /// [`SourceId::from_random`] unless a store keeps both.
    ///
    /// # Errors
    /// [`InvalidSource`] for `__proto__`, which replicas of the original drop without a word.
    pub fn new(id: impl Into<JsString>) -> Result<Self, InvalidSource> {
        let text = id.into();
        if text.as_str() == Some("__proto__") {
            return Err(InvalidSource);
        }
        let literal = text.to_json_literal().into_boxed_str();
        Ok(Self(Arc::new(Inner { text, literal })))
    }

    /// An id of the original's shape, 39 upper-case hexadecimal digits, from 156 of the 192 random
    /// bits handed in. The randomness is the caller's: this crate has none.
    #[must_use]
    #[doc(alias = "createId")]
    #[doc(alias = "createID")]
    pub fn from_random(random: [u64; 3]) -> Self {
        let [a, b, c] = random.map(|word| word >> 12);
        let literal = format!("\"{a:013X}{b:013X}{c:013X}\"").into_boxed_str();
        let text = JsString::from(literal.trim_matches('"'));
        Self(Arc::new(Inner { text, literal }))
    }

    /// The id itself.
    #[must_use]
    pub fn as_js_string(&self) -> &JsString {
        &self.0.text
    }

    /// The id as the JSON string literal that stands on the wire.
    #[must_use]
    pub fn json_literal(&self) -> &str {
        &self.0.literal
    }

    /// Whether both are one copy in memory.
    pub(crate) fn shares_memory_with(&self, other: &SourceId) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where this copy lies in memory, for as long as anybody holds it: a number to recognise it by.
    pub(crate) fn place(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// Bytes that one copy of this id occupies.
    pub(crate) fn heap_bytes(&self) -> usize {
        2 * self.0.literal.len() + 64
    }
}

impl PartialEq for SourceId {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.literal == other.0.literal
    }
}

impl Eq for SourceId {}

impl Ord for SourceId {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.text.cmp(&other.0.text)
    }
}

impl PartialOrd for SourceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for SourceId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.literal.hash(state);
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text.to_string_lossy())
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.literal)
    }
}

/// `__proto__` was offered as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`__proto__` cannot be a source id: JavaScript replicas drop its updates")]
pub struct InvalidSource;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_has_the_shape_of_the_originals() {
        let id = SourceId::from_random([u64::MAX, 0, 0x1234_5678_9abc_def0]).to_string();
        assert_eq!(id, "FFFFFFFFFFFFF0000000000000123456789ABCD");
        assert_eq!(id.len(), 39);
    }
}
