//! The oracle: every update that was ever made, whatever became of it.
//!
//! It is naive on purpose. It keeps everything, sorts, and shares nothing with the replica's log.

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{SourceId, Timestamp, Update, UpdateId};

/// Updates, each side of a fork by itself.
pub(crate) type Sides = BTreeMap<(UpdateId, String), Update>;

pub(crate) fn side(update: Update) -> ((UpdateId, String), Update) {
    ((update.id(), update.change().to_owned()), update)
}

/// All updates of a run.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    by_source: BTreeMap<SourceId, BTreeMap<Timestamp, Update>>,
    /// Sources under whose id somebody else wrote as well.
    forged: BTreeSet<SourceId>,
    /// Ids under which more than one honest node wrote: clones that had not heard of each other yet.
    shared: BTreeSet<SourceId>,
    two_of_one_name: BTreeSet<UpdateId>,
    /// Updates whose writer forgot them and, before it heard of it, announced later ones; and what it
    /// wrote then with a clock behind them.
    hidden: BTreeMap<UpdateId, Vec<Update>>,
    /// What was written under one name: by a source that shows what it likes, or by clones.
    forks: Vec<[Update; 2]>,
    /// Updates that the clock of one of the original's kind went past before it had what superseded them.
    skipped_by_originals: BTreeSet<UpdateId>,
    /// Sources of which one of the original's kind was sent something that nobody had promised: it drops
    /// what comes late of them.
    released: BTreeSet<SourceId>,
    newest: Option<Timestamp>,
}

impl Truth {
    /// An update was made. Answers false when another one has the same name.
    pub(crate) fn add(&mut self, update: &Update) -> bool {
        self.newest = self.newest.max(Some(update.timestamp()));
        let updates = self.by_source.entry(update.source().clone()).or_default();
        let earlier = updates.insert(update.timestamp(), update.clone());
        let Some(earlier) = earlier.filter(|earlier| earlier != update) else { return true };
        self.two_of_one_name.insert(update.id());
        if earlier.change() != update.change() {
            self.forks.push([earlier, update.clone()]);
        }
        false
    }

    /// Whether two updates were made under this name.
    pub(crate) fn has_two(&self, id: &UpdateId) -> bool {
        self.two_of_one_name.contains(id)
    }

    /// The greatest timestamp that ever was.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// How many were made.
    pub(crate) fn len(&self) -> usize {
        self.by_source.values().map(BTreeMap::len).sum()
    }

    /// Its writer forgot it before it was stored, so nobody else has it: it never was. Another one of
    /// the same name may still be somewhere.
    pub(crate) fn remove(&mut self, id: &UpdateId) {
        if !self.has_two(id)
            && let Some(updates) = self.by_source.get_mut(&id.source)
        {
            updates.remove(&id.timestamp);
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

    pub(crate) fn all(&self) -> impl Iterator<Item = &Update> {
        self.by_source.values().flat_map(BTreeMap::values)
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

    /// Two honest nodes write under this id. What its entry in a vector says is then true of the one or of
    /// the other; nothing that they write may be lost by it.
    pub(crate) fn mark_shared(&mut self, source: &SourceId) {
        self.shared.insert(source.clone());
    }

    pub(crate) fn is_shared(&self, source: &SourceId) -> bool {
        self.shared.contains(source)
    }

    /// Whether what a vector says of this source says something of what is held.
    pub(crate) fn is_told_by_vectors(&self, source: &SourceId) -> bool {
        !self.is_forged(source) && !self.is_shared(source)
    }

    /// The writer of this update was set back, and a later one of it is announced as if there was none
    /// between. Nobody who believes that asks for it.
    pub(crate) fn hide(&mut self, id: &UpdateId) {
        if let Some(update) = self.get(id).cloned() {
            self.hidden.insert(id.clone(), vec![update]);
        }
    }

    /// A source signed both. Nobody asks for a side whose name he covers, so until somebody meets both
    /// sides nobody may be held to have either.
    pub(crate) fn add_fork(&mut self, sides: &[Update; 2]) {
        for side in sides {
            self.add(side);
        }
        self.hidden.insert(sides[0].id(), sides.to_vec());
    }

    pub(crate) fn forks(&self) -> &[[Update; 2]] {
        &self.forks
    }

    pub(crate) fn note_released(&mut self, source: &SourceId) {
        self.released.insert(source.clone());
    }

    pub(crate) fn was_released(&self, source: &SourceId) -> bool {
        self.released.contains(source)
    }

    pub(crate) fn note_skipped(&mut self, ids: BTreeSet<UpdateId>) {
        self.skipped_by_originals.extend(ids);
    }

    pub(crate) fn was_skipped_by_originals(&self, id: &UpdateId) -> bool {
        self.skipped_by_originals.contains(id)
    }

    /// The updates that nobody may be held to have.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &Update> {
        self.hidden.values().flatten()
    }

    /// The updates that somebody may not be told of, for now or for good, though vectors say so; and with
    /// them what they superseded.
    pub(crate) fn doubtful(&self) -> impl Iterator<Item = &Update> {
        self.hidden().chain(self.shared.iter().flat_map(|source| self.of(source)))
    }

    pub(crate) fn is_hidden(&self, id: &UpdateId) -> bool {
        self.hidden.contains_key(id)
    }
}
