//! The updates that someone lacks, in the order of (timestamp, source).
//!
//! It walks, for each source, what lies after a version vector. It holds one timestamp for each
//! source that still has something, never an update, so it may be kept for as long as a slow peer
//! needs while the log changes underneath (invariants I6 and I7).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::arrival::{Arrival, Entry};
use super::forks::{Forks, Name};
use super::sources::{SourceIndex, Sources};
use crate::limits::LimitExceeded;
use crate::timestamp::Timestamp;
use crate::update::UpdateId;
use crate::version_vector::VersionVector;

/// A walk over what a version vector does not cover.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delta {
    /// The next timestamp of each source, and whether something was passed over before it.
    next: BinaryHeap<Reverse<(UpdateId, SourceIndex, bool)>>,
    bound: u64,
    /// Forks that the vector covers and that come first all the same, the last one first.
    covered: Vec<Name>,
    /// The sides that are left of the fork that the walk is at, the last one first.
    sides: Vec<u64>,
    is_at_covered: bool,
}

/// One step of the walk.
pub(crate) struct Step<'r> {
    pub(crate) entry: &'r Entry,
    /// An update of this source between the previous step and this one was passed over.
    pub(crate) passed_over: bool,
    /// With this step the walk is through with the name of the update, and with all before it.
    pub(crate) completes: bool,
}

impl Delta {
    /// The walk over what is held below position `bound` and not covered by `vector`, and comes after
    /// `after` in the order of the walk.
    pub(crate) fn since(
        sources: &Sources,
        vector: &VersionVector,
        bound: u64,
        after: Option<&UpdateId>,
    ) -> Self {
        let mut delta = Self { bound, ..Self::default() };
        let mut covered = vec![None; sources.len()];
        for (_, timestamp, index) in sources.numbered(vector) {
            if let Some(index) = index {
                covered[index.0 as usize] = Some(timestamp);
            }
        }
        for ((index, source), covered) in sources.iter().zip(covered) {
            let walked = after.and_then(|after| match source.id <= after.source {
                true => Some(after.timestamp),
                false => after.timestamp.previous(),
            });
            let covered = covered.max(walked);
            if source.newest().is_some_and(|newest| Some(newest.timestamp) > covered)
                && let Some(next) = source.after(covered).next()
            {
                delta.push(sources, index, next.timestamp, false);
            }
        }
        delta
    }

    /// What its positions take.
    pub(crate) fn held_bytes(&self) -> usize {
        self.next.capacity() * size_of::<Reverse<(UpdateId, SourceIndex, bool)>>()
            + (self.covered.capacity() + self.sides.capacity()) * size_of::<Name>()
    }

    /// The same walk, after all sides of these forks.
    pub(crate) fn beginning_with(mut self, mut covered: Vec<Name>) -> Self {
        covered.reverse();
        self.covered = covered;
        self
    }

    /// The next side of the fork that the walk is at, or of the next one that the vector covers.
    fn next_side<'r>(
        &mut self,
        sources: &Sources,
        forks: &Forks,
        log: &'r Arrival,
    ) -> Option<(u64, Step<'r>)> {
        loop {
            if let Some(position) = self.sides.pop() {
                let Some(entry) = log.get(position) else { continue };
                let completes = self.sides.is_empty() && !self.is_at_covered;
                return Some((position, Step { entry, passed_over: false, completes }));
            }
            let (index, timestamp) = self.covered.pop()?;
            self.is_at_covered = true;
            self.come_to(forks, (index, timestamp));
            let first = sources.get(index).slot(timestamp).map(|slot| slot.position());
            self.sides.extend(first.filter(|position| *position < self.bound));
        }
    }

    /// The sides but the first are next. What came since the walk began is left to whoever sends what
    /// arrives.
    fn come_to(&mut self, forks: &Forks, name: Name) {
        let later = forks.later(name).iter().rev();
        self.sides.extend(later.filter(|position| **position < self.bound));
    }

    fn push(
        &mut self,
        sources: &Sources,
        index: SourceIndex,
        timestamp: Timestamp,
        passed_over: bool,
    ) {
        let source = sources.get(index).id.clone();
        self.next.push(Reverse((UpdateId { timestamp, source }, index, passed_over)));
    }

    /// The next update, or `None` at the end. What stands at a position of `unsendable` is passed over.
    pub(crate) fn next<'r>(
        &mut self,
        sources: &Sources,
        forks: &Forks,
        log: &'r Arrival,
        unsendable: &BTreeMap<u64, LimitExceeded>,
    ) -> Option<Step<'r>> {
        while let Some((position, side)) = self.next_side(sources, forks, log) {
            if unsendable.contains_key(&position) {
                continue;
            }
            return Some(side);
        }
        self.is_at_covered = false;
        loop {
            let Reverse((due, index, passed_over)) = self.next.pop()?;
            let source = sources.get(index);
            // Gone since it was looked up, or accepted since the walk began and left to whoever sends
            // what arrives: either way the walk passes over it.
            let may_be_sent = |at| at < self.bound && !unsendable.contains_key(&at);
            let mut step = source.slot(due.timestamp).and_then(|slot| {
                Some(Step {
                    entry: log.get(slot.position()).filter(|_| may_be_sent(slot.position()))?,
                    passed_over: passed_over || slot.gap_before(),
                    completes: true,
                })
            });
            if let Some(next) = source.after(Some(due.timestamp)).next() {
                self.push(sources, index, next.timestamp, passed_over || step.is_none());
            }
            if let Some(step) = &mut step {
                self.come_to(forks, (index, due.timestamp));
                step.completes = self.sides.is_empty();
            }
            if step.is_some() {
                return step;
            }
        }
    }
}
