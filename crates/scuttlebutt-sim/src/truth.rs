//! The oracle: every update that was ever made, whatever became of it.
//!
//! It is naive on purpose. It keeps everything, sorts, and shares nothing with the replica's log.

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{SourceId, Timestamp, Update, UpdateId};

/// All updates of a run.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    by_source: BTreeMap<SourceId, BTreeMap<Timestamp, Update>>,
    /// Sources under whose id somebody else wrote as well.
    forged: BTreeSet<SourceId>,
}

impl Truth {
    /// An update was made. Answers false when another one has the same name.
    pub(crate) fn add(&mut self, update: &Update) -> bool {
        let updates = self.by_source.entry(update.source().clone()).or_default();
        updates.insert(update.timestamp(), update.clone()).is_none()
    }

    /// The source forgot what it had not stored, and nobody else has it: it never was.
    pub(crate) fn forget_unstored(&mut self, source: &SourceId, stored: &[Update]) {
        if !self.is_forged(source)
            && let Some(updates) = self.by_source.get_mut(source)
        {
            updates.retain(|_, update| stored.contains(update));
        }
    }

    pub(crate) fn get(&self, id: &UpdateId) -> Option<&Update> {
        self.by_source.get(&id.source)?.get(&id.timestamp)
    }

    /// The updates of a source after one timestamp and up to another.
    pub(crate) fn between(
        &self,
        source: &SourceId,
        after: Option<Timestamp>,
        up_to: Timestamp,
    ) -> impl Iterator<Item = &Update> {
        let updates = self.by_source.get(source);
        updates
            .into_iter()
            .flat_map(move |updates| updates.range(..=up_to))
            .filter(move |(timestamp, _)| Some(**timestamp) > after)
            .map(|(_, update)| update)
    }

    pub(crate) fn of(&self, source: &SourceId) -> impl Iterator<Item = &Update> {
        self.between(source, None, Timestamp::MAX)
    }

    pub(crate) fn sources(&self) -> impl Iterator<Item = &SourceId> {
        self.by_source.keys()
    }

    pub(crate) fn mark_forged(&mut self, source: &SourceId) {
        self.forged.insert(source.clone());
    }

    pub(crate) fn is_forged(&self, source: &SourceId) -> bool {
        self.forged.contains(source)
    }
}
