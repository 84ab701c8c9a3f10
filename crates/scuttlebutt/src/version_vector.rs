//! What a replica holds, in one timestamp for each source.
//!
//! An entry `vector[source] = t` is a promise (invariant I2): of every update of that source up to
//! `t`, its owner holds it or one that supersedes it. This module only stores and compares; who may
//! move an entry, and when, is decided in [`crate::Replica`].

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::source::SourceId;
use crate::timestamp::Timestamp;

/// For each source, the newest timestamp up to which everything is held. Iterates in the order of
/// the sources (UTF-16 code units). Clones share their entries until one of them changes.
///
/// ```
/// use scuttlebutt::{SourceId, Timestamp, VersionVector};
///
/// let a = SourceId::new("A")?;
/// let mut vector = VersionVector::new();
/// vector.advance(&a, Timestamp::new(100.0)?);
/// vector.advance(&a, Timestamp::new(50.0)?);
/// assert!(vector.includes(&a, Timestamp::new(100.0)?));
/// assert!(!vector.includes(&a, Timestamp::new(100.5)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[doc(alias = "sources")]
#[doc(alias = "clock")]
pub struct VersionVector(Arc<BTreeMap<SourceId, Timestamp>>);

impl VersionVector {
    /// The vector of one who holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry of `source`, if there is one.
    #[must_use]
    pub fn timestamp(&self, source: &SourceId) -> Option<Timestamp> {
        self.0.get(source).copied()
    }

    /// Whether an update of `source` at `timestamp` is covered.
    #[must_use]
    #[doc(alias = "filter")]
    #[doc(alias = "updateIsRecent")]
    pub fn includes(&self, source: &SourceId, timestamp: Timestamp) -> bool {
        self.timestamp(source) >= Some(timestamp)
    }

    /// Raises the entry of `source` to `timestamp`; never lowers it.
    pub fn advance(&mut self, source: &SourceId, timestamp: Timestamp) {
        let entries = Arc::make_mut(&mut self.0);
        match entries.get_mut(source) {
            Some(entry) => *entry = timestamp.max(*entry),
            None => {
                entries.insert(source.clone(), timestamp);
            }
        }
    }

    /// Raises every entry to what `other` holds.
    pub fn join(&mut self, other: &VersionVector) {
        for (source, timestamp) in other.iter() {
            self.advance(source, timestamp);
        }
    }

    /// Forgets the entry of `source`.
    pub fn remove(&mut self, source: &SourceId) -> Option<Timestamp> {
        Arc::make_mut(&mut self.0).remove(source)
    }

    /// Number of sources.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no source is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries, by source.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&SourceId, Timestamp)> {
        self.0.iter().map(|(source, timestamp)| (source, *timestamp))
    }

    /// Keeps the entries for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&SourceId, Timestamp) -> bool) {
        Arc::make_mut(&mut self.0).retain(|source, timestamp| keep(source, *timestamp));
    }
}

impl FromIterator<(SourceId, Timestamp)> for VersionVector {
    /// Where a source occurs twice, its later timestamp counts.
    fn from_iter<I: IntoIterator<Item = (SourceId, Timestamp)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        // Of several entries of one source the greatest comes last, and stays.
        entries.sort();
        Self(Arc::new(entries.into_iter().collect()))
    }
}
