//! What is said to the peer next, one line at a time: digests, history, what is new, marks.
//!
//! How far each of these has come is in `sending.rs`; nothing is chosen before there is room for it.

use super::in_order::InOrder;
use super::sending::{CatchUp, Sending};
use super::{Metadata, Mode, Session, SessionEvent};
use crate::model::Model;
use crate::replica::Replica;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;
use crate::version_vector::VersionVector;
use crate::wire::{Extensions, LONG_UPDATE_BYTES_MIN, PACK_BYTES_MAX};

impl Session {
    /// Puts the next thing to be said into `out` if it fits into `left` bytes, else into the carry;
    /// answers whether there was any.
    pub(super) fn produce<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        if matches!(self.sending, Sending::Finished)
            || self.parting.is_some() && self.receiving.has_asked()
        {
            return false;
        }
        if self.is_switch_due() {
            self.encoder.switch(&mut self.carry);
            return true;
        }
        if self.is_digest_due {
            self.is_digest_due = false;
            self.announce(replica);
            return true;
        }
        if self.heartbeat.take_due() {
            self.tally.heartbeats_sent += 1;
            self.encoder.heartbeat(&mut self.carry);
            return true;
        }
        if let Some(vector) = self.unanswered.take() {
            self.answer(replica, vector);
            return true;
        }
        if let Some(no_room) = self.no_room_due.take() {
            self.encoder.no_room(&no_room, &mut self.carry);
            return true;
        }
        match &mut self.sending {
            Sending::AwaitingDigest | Sending::Finished => false,
            Sending::CatchingUp(catch_up) => {
                if catch_up.is_mark_due() {
                    let mark = catch_up.take_mark(replica);
                    if !mark.is_empty() {
                        self.tally.marks_sent += 1;
                        self.encoder.mark(mark.into_iter(), &mut self.carry);
                    }
                    if self.peer_life.is_some()
                        && replica.life().is_some()
                        && let Some((at, since)) = catch_up.place(replica)
                    {
                        self.tally.places_sent += 1;
                        self.encoder.place(&at, since, &mut self.carry);
                    }
                    catch_up.mark_sent(self.carry.len(), replica.limits());
                } else if let Some((update, source)) = catch_up.next(replica) {
                    self.tally.updates_sent_catching_up += 1;
                    self.write_update(update, source, out, left);
                } else {
                    // What was superseded on the way was passed over. "SYNC" promises it, so what
                    // superseded it goes first: it is among what has arrived meanwhile.
                    let end = catch_up.ended(replica.durable());
                    if !self.produce_update(replica, end, out, left)
                        && !self.has_more_to_end(replica.durable())
                    {
                        self.history_sent();
                    }
                }
                true
            }
            Sending::Live => self.produce_live(replica, out, left),
            Sending::InOrder(_) => self.produce_in_order(replica, out, left),
        }
    }

    fn produce_live<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        if self.config.direction.sends() {
            if self.produce_update(replica, replica.durable(), out, left) {
                return true;
            }
            if self.owes_mark(replica) {
                self.tally.marks_sent += 1;
                self.encoder.mark(replica.announced_since(self.told), &mut self.carry);
                self.told = replica.vector_changes();
                return true;
            }
        }
        if self.owes_acknowledgement(replica) {
            self.acknowledge(replica);
            return true;
        }
        if self.is_leaving {
            self.sending = Sending::Finished;
        }
        false
    }

    /// Follows the order of arrival up to the position `end`; answers whether there was an update for
    /// the peer.
    fn produce_update<M: Model>(
        &mut self,
        replica: &Replica<M>,
        end: u64,
        out: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        while let Some((position, entry)) = replica.next_from(self.cursor)
            && position < end
        {
            if let Some(resume_at) = self.deferring.resume(position) {
                self.cursor = resume_at;
                continue;
            }
            self.has_passed_over |= position > self.cursor;
            self.cursor = position + 1;
            let source = &replica.source(entry.source).id;
            // What came back of this replica's own never waits: what it writes itself does not either.
            let is_relayed = entry.via.is_session()
                && entry.via != self.link
                && !replica.source(entry.source).is_own;
            let is_going_back = self.deferring.is_going_back();
            if is_going_back && !is_relayed {
                // That was never held back.
                continue;
            }
            let update = &entry.update;
            // Neither a vector nor a name says which sides of a fork the peer has.
            let is_known = entry.via == self.link
                || (self.deferring.was_repeated(position) | self.is_ahead(update))
                    && !replica.is_side_of_fork(entry);
            let first_side = replica.first_side(position).filter(|_| self.understands_marks);
            let is_needed = self.wants_evidence || replica.is_needed(entry);
            let may_wait = is_relayed && !is_known && matches!(self.sending, Sending::Live);
            if may_wait && !replica.is_side_of_fork(entry) && self.deferring.holds_back(position) {
                self.tally.updates_held_back += 1;
                continue;
            }
            if is_going_back {
                self.deferring.passed(is_known);
            }
            self.tally.updates_known_to_peer += u64::from(is_known);
            if let Some(first) = first_side {
                // Who holds the other side alone, as who brought it may, asks for neither.
                self.tally.updates_sent_live += 1;
                self.write_update(first, source, out, 0);
                if !is_known {
                    self.tally.updates_sent_live += 1;
                    self.write_update(update, source, out, 0);
                }
                return true;
            }
            if is_needed && !is_known {
                match self.sending {
                    Sending::Live => self.tally.updates_sent_live += 1,
                    _ => self.tally.updates_sent_catching_up += 1,
                }
                self.write_update(update, source, out, left);
                return true;
            }
        }
        if let Some(resume_at) = self.deferring.resume(end) {
            self.cursor = resume_at;
        }
        self.has_passed_over |= self.cursor < end;
        self.cursor = self.cursor.max(end);
        false
    }

    /// At the end of a history: whether something was passed over since its end was set. What
    /// superseded it may come later than that, so the end moves there. A peer that knows no promises
    /// is not kept waiting for this.
    fn has_more_to_end(&mut self, durable: u64) -> bool {
        let has_passed_over = std::mem::take(&mut self.has_passed_over);
        match &mut self.sending {
            Sending::CatchingUp(catch_up) if self.understands_marks && has_passed_over => {
                let has_moved = catch_up.move_end(durable);
                self.tally.ends_moved += u64::from(has_moved);
                has_moved
            }
            _ => false,
        }
    }

    /// A live mark is owed when the announced vector has moved since the peer was last told. It may
    /// be sent only when nothing else is owed (invariant I2).
    pub(super) fn owes_mark<M: Model>(&self, replica: &Replica<M>) -> bool {
        self.understands_marks && self.told < replica.vector_changes() && !self.deferring.has_held()
    }

    fn announce<M: Model>(&mut self, replica: &Replica<M>) {
        if !self.receiving.has_asked() {
            // The first digest is a promise, once our history is complete; what it leaves out has
            // yet to be told. A later one only asks.
            self.told = if self.config.ask_for_own { 0 } else { replica.vector_changes() };
        }
        self.receiving.digest_sent();
        self.tally.digests_sent += 1;
        let own = self.config.ask_for_own.then(|| replica.id());
        let vector = replica.announced().filter(|(source, _)| Some(*source) != own);
        let metadata = self.config.metadata.as_ref().and_then(Metadata::sent);
        let extensions = self.config.announce_extensions.then(|| Extensions {
            promises: self.config.direction.sends(),
            binary: self.config.offers_binary(),
            zstd: self.config.offers_packs(),
            model: replica.model_label(),
            cluster: self.config.cluster.clone(),
            heartbeat_ms: self.heartbeat.asked_ms(),
            life: replica.life(),
            places: replica.places().cloned().collect(),
            refusals: true,
            without_evidence: !self.config.wants_evidence,
        });
        self.encoder.digest(replica.id(), vector, metadata, extensions.as_ref(), &mut self.carry);
    }

    fn answer<M: Model>(&mut self, replica: &Replica<M>, mut vector: VersionVector) {
        let claimed = vector.timestamp(replica.id());
        if claimed > replica.newest_held(replica.id()) && claimed != Some(Timestamp::MAX) {
            // Of what was written here it claims more than there is: of that nothing can be relied on.
            // (The greatest of all is no claim: it says to send nothing.)
            vector.remove(replica.id());
        }
        // The forks that it was told of already it is not told again.
        let forks_from = if self.histories_sent == 0 { 0 } else { self.cursor };
        if self.histories_sent > 0 {
            // The peer may have dropped marks since; it gets the whole vector again. And what was
            // sent before: it may have put that off.
            self.told = 0;
        }
        if !self.config.direction.sends() {
            self.history_sent();
            return;
        }
        self.tally.histories_begun += 1;
        self.cursor = replica.durable();
        self.deferring.forget();
        if !self.understands_marks && !self.writes_file() {
            let walk = InOrder::new(replica, self.link, &vector, self.old_below);
            self.sending = Sending::InOrder(Box::new(walk));
            return;
        }
        let (marks, evidence) = (self.understands_marks, self.wants_evidence);
        let place = self.resumed.take().filter(|place| marks && place.since <= replica.durable());
        if let Some(place) = &place {
            // What arrived since the walk began goes last, as it would have without the break.
            self.cursor = place.since;
            self.tally.histories_resumed += 1;
        }
        let walk = CatchUp::new(replica, &vector, marks, evidence, place, forks_from);
        self.sending = Sending::CatchingUp(walk);
        self.ahead = replica.beyond_held(&vector);
    }

    /// What goes into a file is all that is held: nothing follows later.
    fn writes_file(&self) -> bool {
        self.config.sends_unasked() && self.config.mode == Mode::CatchUp
    }

    pub(super) fn history_sent(&mut self) {
        if !matches!(self.sending, Sending::InOrder(_)) {
            self.sending = Sending::Live;
        }
        // One for each digest answered, as the original does.
        while self.histories_sent < self.histories_owed {
            self.histories_sent += 1;
            self.tally.histories_sent += 1;
            self.encoder.history_sent(&mut self.carry);
        }
        self.emit(SessionEvent::HistorySent);
        self.sync_if_done();
    }

    /// Whether the peer said that it holds this update, which a third party brought.
    fn is_ahead(&mut self, update: &Update) -> bool {
        if self.ahead.is_empty() {
            return false;
        }
        let is_ahead = self.ahead.includes(update.source(), update.timestamp());
        if self.ahead.timestamp(update.source()) <= Some(update.timestamp()) {
            // Reached: it says nothing about what comes later.
            self.ahead.remove(update.source());
        }
        is_ahead
    }

    /// What may be compressed as a whole is not long.
    fn long_update_bytes_min(&self) -> usize {
        match self.is_compressed() {
            true => LONG_UPDATE_BYTES_MIN.max(PACK_BYTES_MAX),
            false => LONG_UPDATE_BYTES_MIN,
        }
    }

    /// Appends an update to `out` if it certainly fits into `left` bytes, else to the carry.
    pub(super) fn write_update(
        &mut self,
        update: &Update,
        source: &SourceId,
        out: &mut Vec<u8>,
        left: usize,
    ) {
        self.sent.updates += u64::from(self.encoder.has_switched());
        let len_max = self.encoder.update_len_max(update, source);
        if len_max <= left {
            self.encoder.update(update, source, out);
        } else if !self.rest.is_empty() {
            // The second side of a fork, after a long first one.
            let mut whole = Vec::new();
            self.encoder.update(update, source, &mut whole);
            self.rest.push_bytes(whole);
        } else if len_max < self.long_update_bytes_min() {
            self.encoder.update(update, source, &mut self.carry);
        } else {
            self.encoder.long_update(update, source, &mut self.carry, &mut self.rest);
        }
    }
}
