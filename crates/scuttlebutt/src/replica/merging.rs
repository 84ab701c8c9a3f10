//! How an update becomes part of a replica: asked about, given room, merged by the model, and let go
//! once it is superseded.
//!
//! This is the only place where the log, the sources and the model change together. What is announced
//! of it is decided in `promises.rs`, what waits for a verdict is kept in `waiting.rs`.

use std::borrow::Cow;

use super::arrival::Entry;
use super::fork_proof::ForkProof;
use super::forks::Known;
use super::outcome::{Outcome, Trust};
use super::{Link, Replica, SourceIndex};
use crate::model::{Model, Verdict};
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};

/// What a model made of an update.
pub(super) enum Merged {
    Kept,
    Superseded,
    Invalid(Cow<'static, str>),
}

impl<M: Model> Replica<M> {
    /// [`remote_update`](Self::remote_update), remembering which session brought it.
    pub(crate) fn receive_update(&mut self, now_ms: f64, update: Update, via: Link) -> Outcome {
        self.tell_time(now_ms);
        let number = self.sources.find(update.source());
        let is_fork = match self.known_by(number, &update) {
            Known::No => false,
            Known::OtherChange(_) if self.verifier.is_some() => true,
            Known::Same | Known::OtherChange(_) => return Outcome::Stale,
        };
        self.ages.note(self.log.head(), now_ms, self.limits.unpromised_wait_ms_max);
        let accept_at_ms = update.timestamp().as_millis() - self.limits.clock_skew_ms_max;
        if accept_at_ms > now_ms {
            return Outcome::ClockSkew { accept_at_ms };
        }
        if let Err(exceeded) = self.check_room(&update, number) {
            return Outcome::Full(exceeded);
        }
        let Some(verifier) = &self.verifier else { return self.take_in(update, number, None, via) };
        if let Some(ticket) = self.waiting.find(&update) {
            return Outcome::Waiting(ticket);
        }
        let verdict = match verifier.verify(&update) {
            // Nothing is missing without it: its name is held.
            Trust::Untrusted if is_fork => return Outcome::Stale,
            Trust::Untrusted => return Outcome::Unverified,
            Trust::Trusted if !self.waiting.has(update.source()) => {
                return self.accept(update, via);
            }
            Trust::Trusted => Some(Trust::Trusted),
            Trust::Later => None,
        };
        match self.waiting.push(update, via, verdict, &self.limits) {
            Ok(ticket) => Outcome::Waiting(ticket),
            Err(exceeded) => Outcome::Crowded(exceeded),
        }
    }

    /// Merges an update for which there is nothing left to ask. What was asked when it came is asked
    /// again, since it may have waited.
    pub(super) fn accept(&mut self, update: Update, via: Link) -> Outcome {
        let number = self.sources.find(update.source());
        let proof = match self.known_by(number, &update) {
            Known::No => None,
            Known::Same => return Outcome::Stale,
            Known::OtherChange(first) => ForkProof::new(first, update.clone()).ok().map(Box::new),
        };
        if !self.forks.have_room_for(&update, &self.limits)
            && let Some(proof) = proof
        {
            return Outcome::Forked { proof, is_kept: false };
        }
        if let Err(exceeded) = self.check_room(&update, number) {
            return Outcome::Full(exceeded);
        }
        self.take_in(update, number, proof, via)
    }

    /// Merges an update that is new, and for which there is room. `known` is the number of its source,
    /// if it has one already; `proof` shows that it is a side of a fork.
    fn take_in(
        &mut self,
        update: Update,
        known: Option<SourceIndex>,
        proof: Option<Box<ForkProof>>,
        via: Link,
    ) -> Outcome {
        let update = self.sharing_source(known, update);
        let outcome = match self.merge(update.clone(), known, via) {
            Merged::Invalid(reason) => return Outcome::Invalid(reason),
            Merged::Kept => Outcome::Applied,
            Merged::Superseded => Outcome::Superseded,
        };
        self.clock.observe(update.timestamp());
        // What the announced entry covers was written here and is superseded: a peer that is behind
        // sent it round.
        if *update.source() == self.id
            && !known.is_some_and(|index| {
                self.sources.get(index).announced() >= Some(update.timestamp())
            })
        {
            if self.returned.is_none() {
                self.withhold_own();
            }
            self.returned = self.returned.max(Some(update.timestamp()));
        }
        self.follow_head();
        proof.map_or(outcome, |proof| Outcome::Forked { proof, is_kept: true })
    }

    /// The update with the memory of its source's id that is here already.
    pub(super) fn sharing_source(&self, known: Option<SourceIndex>, update: Update) -> Update {
        match known {
            Some(index) => update.with_source(&self.sources.get(index).id),
            None => update,
        }
    }

    /// Asks the model and keeps the log in step with its answer. `known` is the number of the update's
    /// source, if it has one already.
    pub(super) fn merge(
        &mut self,
        update: Update,
        known: Option<SourceIndex>,
        via: Link,
    ) -> Merged {
        let (superseding, is_superseded) = match self.model.apply(&update).0 {
            Verdict::Invalid(reason) => return Merged::Invalid(reason),
            Verdict::Kept { superseding } => (superseding, false),
            Verdict::Superseded => (Default::default(), true),
        };
        let timestamp = update.timestamp();
        let index = known.unwrap_or_else(|| self.sources.find_or_add(update.source()));
        if via.makes_promises() {
            self.sources.get_mut(index).brought_by_promiser(timestamp);
        }
        let newest = self.sources.get(index).newest();
        let is_fork = self.sources.get(index).slot(timestamp).is_some();
        if is_superseded && !is_fork && newest.is_some_and(|newest| newest.timestamp > timestamp) {
            self.sources.get_mut(index).note_gap(timestamp);
            return Merged::Superseded;
        }
        let entry = Entry {
            update,
            source: index,
            via,
            // What superseded it on arrival is durable before it is.
            superseded_by: if is_superseded { self.log.head() } else { Entry::LIVE },
        };
        let position = self.log.push(entry);
        if is_fork {
            if let Some(entry) = self.log.get(position) {
                self.forks.push((index, timestamp), position, &entry.update);
            }
        } else {
            self.sources.get_mut(index).insert(timestamp, position);
        }
        if let Some(older) = newest
            && older.timestamp < timestamp
            && !self.model.never_supersedes()
            && self.log.get(older.position()).is_some_and(|entry| !entry.is_live())
        {
            // The newcomer is the evidence now.
            self.outlived.push_back((position, index, older.timestamp));
        }
        for earlier in &superseding {
            self.supersede(earlier, position, Some(position));
        }
        if is_superseded { Merged::Superseded } else { Merged::Kept }
    }

    /// Tells what the wall clock shows, for models in which an update counts only once its time has come.
    /// What comes in is told by itself; call it when [`next_time`](Self::next_time) has come.
    pub fn tell_time(&mut self, now_ms: f64) {
        let superseded = self.model.time_passes(now_ms);
        if let Some(last) = self.log.head().checked_sub(1) {
            for id in &superseded {
                // What outlived it is among what is held.
                self.supersede(id, last, None);
            }
            if !superseded.is_empty() {
                self.follow_head();
            }
        }
    }

    /// When [`tell_time`](Self::tell_time) would change something, in milliseconds since the epoch.
    pub fn next_time(&self) -> Option<f64> {
        self.model.next_time()
    }

    /// Remembers that the model no longer needs an update, because of another, at position `by` or before.
    /// With a fork nobody knows which side is meant, and all of them stay. Nothing supersedes `itself`.
    fn supersede(&mut self, id: &UpdateId, by: u64, itself: Option<u64>) {
        if let Some(index) = self.sources.find(&id.source)
            && let Some(slot) = self.sources.get(index).slot(id.timestamp)
            && Some(slot.position()) != itself
            && !self.forks.has((index, id.timestamp))
            && self.log.supersede(slot.position(), by)
        {
            self.outlived.push_back((by, index, id.timestamp));
        }
    }

    /// Lets go of an update that is superseded, unless it is the newest of its source that may be sent,
    /// the evidence for what is announced, or shows that the source forked.
    pub(super) fn let_go(&mut self, index: SourceIndex, timestamp: Timestamp) {
        let durable = self.durable;
        let source = self.sources.get_mut(index);
        if let Some(slot) = source.slot(timestamp)
            && (source.after(Some(timestamp)).any(|later| later.position() < durable)
                || self.unsendable.contains_key(&slot.position()))
            && !self.forks.has((index, timestamp))
        {
            source.remove(timestamp);
            self.log.remove(slot.position());
            self.unsendable.remove(&slot.position());
            if let Some(released) = &mut self.released {
                released.push(slot.position());
            }
        }
    }
}
