//! What is known of each source: where its updates are, and how far its entry in the version
//! vector reaches.
//!
//! Sources are numbered once, in the order in which they were first seen; everything hot holds the
//! number. This module never decides that an entry may move; it only moves it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::sorted::Sorted;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::version_vector::VersionVector;

/// Stepping over so many sources costs about as much as looking one up.
const WALKED_PER_SEARCH: usize = 16;

/// The number of a source within one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceIndex(pub(crate) u32);

/// When an update was written, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) timestamp: Timestamp,
    /// The position, and in the lowest bit whether there is a gap before it: a third less memory for
    /// each update than with a field for that.
    packed: u64,
}

impl Slot {
    fn new(timestamp: Timestamp, position: u64, gap_before: bool) -> Self {
        Self { timestamp, packed: position << 1 | u64::from(gap_before) }
    }

    /// Where it is in the order of arrival.
    pub(crate) fn position(self) -> u64 {
        self.packed >> 1
    }

    /// Something of this source between the previous slot and this one was superseded and is gone.
    /// Whoever walks over it has not sent everything until the superseders are sent too.
    pub(crate) fn gap_before(self) -> bool {
        self.packed & 1 == 1
    }

    fn note_gap(&mut self) {
        self.packed |= 1;
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.timestamp, self.position(), self.gap_before()).fmt(f)
    }
}

/// How a slot stands to `timestamp`.
fn at(timestamp: Timestamp) -> impl Fn(&Slot) -> Ordering {
    move |slot| slot.timestamp.cmp(&timestamp)
}

/// How a slot stands to what comes next after `timestamp`; all do after nothing.
fn behind(timestamp: Option<Timestamp>) -> impl Fn(&Slot) -> Ordering {
    move |slot| {
        if Some(slot.timestamp) <= timestamp { Ordering::Less } else { Ordering::Greater }
    }
}

/// One source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    slots: Sorted<Slot>,
    announced: Option<Timestamp>,
    /// When the announced entry changed, counted in changes of the whole vector.
    changed: u64,
    /// The newest that was brought by somebody who makes promises.
    brought: Option<Timestamp>,
    /// Up to here others have left out what was superseded when they sent it, as far as we know.
    gaps_up_to: Option<Timestamp>,
    /// The timestamps of updates that can be sent to nobody: nothing is announced from the first on.
    unsendable: BTreeSet<Timestamp>,
}

impl Source {
    /// The timestamp up to which everything is held (invariant I2).
    pub(crate) fn announced(&self) -> Option<Timestamp> {
        self.announced
    }

    /// The furthest that may be announced.
    pub(crate) fn announceable(&self) -> Timestamp {
        self.unsendable.first().map_or(Timestamp::MAX, |at| at.previous().unwrap_or(*at))
    }

    /// An update that is held can be sent to nobody: whoever was promised it would never get it.
    pub(crate) fn withhold(&mut self, timestamp: Timestamp) {
        self.unsendable.insert(timestamp);
    }

    /// Somebody who makes promises has brought what was written at `timestamp`.
    pub(crate) fn brought_by_promiser(&mut self, timestamp: Timestamp) {
        self.brought = self.brought.max(Some(timestamp));
    }

    /// Whether all that makers of promises brought of it is promised.
    pub(crate) fn has_what_was_brought(&self) -> bool {
        self.brought <= self.announced
    }

    pub(crate) fn slot(&self, timestamp: Timestamp) -> Option<Slot> {
        self.slots.get(at(timestamp)).copied()
    }

    pub(crate) fn newest(&self) -> Option<Slot> {
        self.slots.last().copied()
    }

    /// The newest that has a position below.
    pub(crate) fn newest_before(&self, position: u64) -> Option<Slot> {
        self.slots.iter().rev().find(|slot| slot.position() < position).copied()
    }

    /// The updates later than `after`, in order.
    pub(crate) fn after(&self, after: Option<Timestamp>) -> impl Iterator<Item = Slot> + '_ {
        self.slots.since(behind(after)).copied()
    }

    pub(crate) fn insert(&mut self, timestamp: Timestamp, position: u64) {
        // What lies between the neighbours may have been on either side of the newcomer.
        let is_newest = self.newest().is_none_or(|newest| newest.timestamp < timestamp);
        let gap_before =
            !is_newest && self.after(Some(timestamp)).next().is_some_and(Slot::gap_before);
        self.slots.insert(Slot::new(timestamp, position, gap_before), at(timestamp));
    }

    pub(crate) fn remove(&mut self, timestamp: Timestamp) {
        self.slots.remove(at(timestamp));
        self.unsendable.remove(&timestamp);
        self.note_gap(timestamp);
    }

    /// Remembers that an update at `timestamp` is superseded and not held.
    pub(crate) fn note_gap(&mut self, timestamp: Timestamp) {
        if let Some(next) = self.slots.since_mut(behind(Some(timestamp))).next() {
            next.note_gap();
        }
    }

    /// Remembers that before anything held something may be superseded and gone.
    fn note_gaps(&mut self) {
        self.slots.iter_mut().for_each(Slot::note_gap);
    }

    /// Remembers that whoever promised everything up to `timestamp` may have left out what was
    /// superseded: between what is announced and there, and before what follows. Each slot is looked
    /// at once.
    fn note_gaps_up_to(&mut self, timestamp: Timestamp) {
        let from = self.announced.max(self.gaps_up_to);
        if from >= Some(timestamp) {
            return;
        }
        self.gaps_up_to = Some(timestamp);
        for slot in self.slots.since_mut(behind(from)) {
            slot.note_gap();
            if slot.timestamp > timestamp {
                break;
            }
        }
    }
}

/// All sources and the version vector over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    list: Vec<Source>,
    by_id: BTreeMap<SourceId, SourceIndex>,
    /// The sources whose announced entry has ever changed, by when it last did.
    by_change: BTreeMap<u64, SourceIndex>,
    changes: u64,
    bytes: usize,
    literal_bytes: usize,
}

impl Sources {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Bytes of the ids.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the ids as they are written in a digest.
    pub(crate) fn literal_bytes(&self) -> usize {
        self.literal_bytes
    }

    pub(crate) fn find(&self, id: &SourceId) -> Option<SourceIndex> {
        self.by_id.get(id).copied()
    }

    /// The entries of a vector, in its order, with the numbers of those sources that are known. Both are
    /// in the order of ids: a long vector is walked along with them, and nothing is searched for.
    pub(crate) fn numbered<'a>(
        &'a self,
        vector: &'a VersionVector,
    ) -> impl Iterator<Item = (&'a SourceId, Timestamp, Option<SourceIndex>)> {
        let is_long = vector.len() > self.by_id.len() / WALKED_PER_SEARCH;
        let mut known = self.by_id.iter().peekable();
        vector.iter().map(move |(id, timestamp)| {
            let mut index = None;
            if !is_long {
                index = self.find(id);
            } else {
                while let Some((other, number)) = known.peek()
                    && let order = other.cmp(&id)
                    && order.is_le()
                {
                    if order.is_eq() {
                        index = Some(**number);
                        break;
                    }
                    known.next();
                }
            }
            (id, timestamp, index)
        })
    }

    pub(crate) fn find_or_add(&mut self, id: &SourceId) -> SourceIndex {
        if let Some(index) = self.find(id) {
            return index;
        }
        // `Limits::sources_max` is far below; at 2^32 sources memory has run out long before.
        let index = SourceIndex(self.list.len() as u32);
        self.bytes += id.heap_bytes();
        self.literal_bytes += id.json_literal().len();
        self.list.push(Source {
            id: id.clone(),
            slots: Sorted::default(),
            announced: None,
            changed: 0,
            brought: None,
            gaps_up_to: None,
            unsendable: BTreeSet::new(),
        });
        self.by_id.insert(id.clone(), index);
        index
    }

    pub(crate) fn get(&self, index: SourceIndex) -> &Source {
        &self.list[index.0 as usize]
    }

    pub(crate) fn get_mut(&mut self, index: SourceIndex) -> &mut Source {
        &mut self.list[index.0 as usize]
    }

    /// Remembers that of any source, before anything held, something may be superseded and gone.
    pub(crate) fn note_gaps(&mut self) {
        self.list.iter_mut().for_each(Source::note_gaps);
    }

    /// Remembers that whoever promised everything of a source up to `timestamp` may have left out what
    /// was superseded.
    pub(crate) fn note_gaps_up_to(&mut self, index: SourceIndex, timestamp: Timestamp) {
        self.get_mut(index).note_gaps_up_to(timestamp);
    }

    /// In the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SourceIndex, &Source)> {
        self.list.iter().enumerate().map(|(index, source)| (SourceIndex(index as u32), source))
    }

    /// Moves the announced entry of a source up to `timestamp`; never down.
    pub(crate) fn announce(&mut self, index: SourceIndex, timestamp: Timestamp) {
        if self.get(index).announced < Some(timestamp) {
            self.set_announced(index, Some(timestamp));
        }
    }

    /// Moves the announced entry of a source down, to `timestamp` or to nothing.
    pub(crate) fn fall_back(&mut self, index: SourceIndex, timestamp: Option<Timestamp>) {
        self.set_announced(index, timestamp);
    }

    fn set_announced(&mut self, index: SourceIndex, announced: Option<Timestamp>) {
        let source = &mut self.list[index.0 as usize];
        self.by_change.remove(&source.changed);
        self.changes += 1;
        source.announced = announced;
        source.changed = self.changes;
        self.by_change.insert(self.changes, index);
    }

    /// Forgets which updates are held, and not the sources nor what is announced of them.
    pub(crate) fn clear_slots(&mut self) {
        for source in &mut self.list {
            source.slots = Sorted::default();
            source.unsendable.clear();
            source.brought = None;
        }
    }

    /// How often the announced vector has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// The sources whose announced entry changed after the `changes`-th change.
    pub(crate) fn changed_since(&self, changes: u64) -> impl Iterator<Item = SourceIndex> {
        self.by_change.range(changes + 1..).map(|(_, index)| *index)
    }
}
