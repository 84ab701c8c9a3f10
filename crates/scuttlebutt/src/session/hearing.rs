//! What becomes of each frame that the peer sends.

use super::{Refusal, Session, SessionError, SessionEvent};
use crate::limits::LimitExceeded;
use crate::model::Model;
use crate::place::Place;
use crate::replica::{Outcome, Replica};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};
use crate::version_vector::VersionVector;
use crate::wire::{Digest, Frame, NoRoom};

use super::sending::Sending;
use super::settling::{Promise, Worth};

impl Session {
    pub(super) fn handle<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        frame: Frame,
    ) -> Result<(), SessionError> {
        if !matches!(frame, Frame::Unknown | Frame::Switch | Frame::Update(Err(_))) {
            // It speaks. One that only receives may never announce what it holds.
            self.digest_deadline_ms = None;
        }
        if matches!(frame, Frame::Update(_) | Frame::Oversized(_)) && self.decoder.has_switched() {
            self.received.updates += 1;
        }
        match frame {
            Frame::Update(Ok(update)) => self.handle_update(replica, now_ms, update),
            Frame::Update(Err(invalid)) => {
                self.tally.updates_malformed += 1;
                self.refused(Refusal::Malformed(invalid));
                Ok(())
            }
            Frame::Oversized(exceeded) => {
                self.tally.updates_full += 1;
                match self.config.direction.receives() {
                    true => self.no_room(replica, None, exceeded),
                    false => self.refused(Refusal::ReadOnly),
                }
                Ok(())
            }
            Frame::NoRoom(NoRoom { update, bound, limit }) => {
                self.emit(SessionEvent::RefusedByPeer { update, bound, limit });
                Ok(())
            }
            Frame::Digest(digest) => {
                if let Some(error) = self.stranger(replica, digest.extensions.as_ref()) {
                    return self.part(error);
                }
                self.handle_digest(replica, now_ms, digest);
                Ok(())
            }
            Frame::HistorySent => {
                self.tally.histories_received += 1;
                let vector = self.receiving.history_received();
                if !self.receiving.is_answer_due() {
                    self.patience.answered();
                }
                let worth = self.worth(Worth::WithGaps);
                self.promised(replica, Promise { vector, worth, ends_history: true, place: None });
                Ok(())
            }
            Frame::Mark(vector) => {
                if self.receiving.makes_promises() {
                    self.confirm_up_to(replica, &vector);
                }
                if self.config.direction.receives() && self.receiving.accepts_marks() {
                    self.tally.marks_received += 1;
                    // Within a history nothing is marked that something was left out of.
                    let worth = match self.receiving.has_history() {
                        true => Worth::WithGaps,
                        false => Worth::Gapless,
                    };
                    self.promised(replica, Promise { vector, worth, ..Promise::default() });
                } else {
                    self.tally.marks_ignored += 1;
                }
                Ok(())
            }
            Frame::Acknowledgement { handled, durable } => {
                self.acknowledged(handled, durable);
                Ok(())
            }
            Frame::Place { at, since } => {
                if let Some(life) = self.peer_life
                    && self.config.direction.receives()
                    && self.receiving.accepts_marks()
                {
                    self.tally.places_received += 1;
                    let place = Some(Place { life, at, since });
                    self.promised(replica, Promise { place, ..Promise::default() });
                }
                Ok(())
            }
            Frame::Switch => self.peer_switches(),
            Frame::Unknown => Ok(()),
        }
    }

    fn handle_update<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        update: Update,
    ) -> Result<(), SessionError> {
        if !self.config.direction.receives() {
            self.tally.updates_unwanted += 1;
            self.refused(Refusal::ReadOnly);
            return Ok(());
        }
        self.look_at(replica, &update);
        let (source, timestamp) = (update.source().clone(), update.timestamp());
        let outcome = replica.receive_update(now_ms, update, self.link);
        if outcome == Outcome::Stale && source == *replica.id() {
            // Ours, come back: the peer holds it.
            self.confirm(replica, timestamp);
        }
        if outcome == Outcome::Stale
            && let Some(position) = replica.relayed_at(&source, timestamp, self.link)
        {
            self.note_repeated(position);
        }
        self.count(&outcome);
        match outcome {
            Outcome::Applied | Outcome::Superseded | Outcome::Stale => {
                self.accepted(replica, source, timestamp);
            }
            Outcome::Forked { proof, is_kept } => {
                self.emit(SessionEvent::Forked { proof, is_kept });
                self.accepted(replica, source, timestamp);
            }
            Outcome::Waiting(ticket) => {
                self.unsettled.update_waits(ticket, self.received.updates);
                self.accepted(replica, source, timestamp);
            }
            Outcome::Invalid(reason) => self.refused(Refusal::Invalid(reason.into_owned())),
            Outcome::Unverified => {
                self.receiving.update_put_off();
                self.refused(Refusal::Unverified);
            }
            Outcome::ClockSkew { accept_at_ms } => {
                self.receiving.update_put_off();
                self.ask_again(replica, accept_at_ms);
                self.refused(Refusal::ClockSkew { accept_at_ms });
            }
            Outcome::Crowded(exceeded) => {
                self.receiving.update_put_off();
                self.ask_again(replica, now_ms + replica.limits().ask_again_ms_min);
                self.refused(Refusal::Crowded(exceeded));
            }
            Outcome::Full(exceeded) => {
                self.no_room(replica, Some(UpdateId { timestamp, source }), exceeded);
            }
        }
        Ok(())
    }

    /// There is no room for an update: it is put off, and asked for again at a growing distance.
    pub(super) fn no_room<M: Model>(
        &mut self,
        replica: &Replica<M>,
        update: Option<UpdateId>,
        exceeded: LimitExceeded,
    ) {
        self.receiving.update_put_off();
        let (wait_ms, is_first) = self.patience.refused(replica.limits());
        self.ask_again(replica, self.now_ms + wait_ms);
        if is_first && self.tells_refusals {
            let bound = exceeded.bound.field().to_owned();
            let limit = exceeded.limit as f64;
            self.no_room_due = Some(NoRoom { update: update.clone(), bound, limit });
        }
        self.refused(Refusal::Full { update, exceeded });
    }

    /// An update is held, or superseded by one that is, or will be if it is trusted.
    fn accepted<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        source: SourceId,
        timestamp: Timestamp,
    ) {
        if !self.receiving.update_received(&source, timestamp) {
            return;
        }
        if !self.awaits_verdicts() {
            replica.promise_entry_of_original(&source, timestamp, self.receiving.peer());
        } else {
            let vector = std::iter::once((source, timestamp)).collect();
            self.promised(replica, Promise { vector, ..Promise::default() });
        }
    }

    /// What a promise is worth that would be worth so much if the peer makes promises.
    fn worth(&self, of_promiser: Worth) -> Worth {
        if self.receiving.makes_promises() { of_promiser } else { Worth::Clock }
    }

    /// Asks again for what was put off, not before `due_ms`.
    pub(super) fn ask_again<M: Model>(&mut self, replica: &Replica<M>, due_ms: f64) {
        if self.config.announces() {
            let due = self.ask_again_at_ms.map_or(due_ms, |due| due.min(due_ms));
            let earliest =
                self.asked_again_ms.map_or(due, |at| at + replica.limits().ask_again_ms_min);
            self.ask_again_at_ms = Some(due.max(earliest));
        }
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        let tally = &mut self.tally;
        match outcome {
            Outcome::Applied => tally.updates_applied += 1,
            Outcome::Superseded => tally.updates_superseded += 1,
            Outcome::Stale => tally.updates_stale += 1,
            Outcome::Forked { .. } => tally.updates_forked += 1,
            Outcome::Invalid(_) => tally.updates_invalid += 1,
            Outcome::Unverified => tally.updates_unverified += 1,
            Outcome::ClockSkew { .. } => tally.updates_early += 1,
            Outcome::Waiting(_) => tally.updates_waited += 1,
            Outcome::Crowded(_) => tally.updates_crowded += 1,
            Outcome::Full(_) => tally.updates_full += 1,
        }
    }

    fn handle_digest<M: Model>(&mut self, replica: &mut Replica<M>, now_ms: f64, digest: Digest) {
        if self.config.direction.receives() {
            replica.history_announced(self.link, now_ms, &digest.vector);
        }
        self.old_below = replica.old_below(now_ms);
        self.tally.digests_received += 1;
        if self.tally.digests_received > 1 && self.receiving.is_to_ask() {
            // It may hold no more what was refused: its rules may have changed, as ours had.
            self.ask_again(replica, now_ms);
        }
        self.is_model_unsure &= digest.extensions.as_ref().is_none_or(|peer| peer.model.is_none());
        self.agree_on_binary(digest.extensions.as_ref());
        // Nothing is agreed on by one side alone.
        let agreed = digest.extensions.as_ref().filter(|_| self.config.announces_extensions());
        let promises = agreed.map(|extensions| extensions.promises);
        self.note_names(&digest.vector);
        let peer_asks_ms = agreed.and_then(|extensions| extensions.heartbeat_ms);
        if let (Some(_), Some(peer_asks_ms)) = (self.heartbeat.asked_ms(), peer_asks_ms) {
            self.heartbeat.agree(now_ms, peer_asks_ms);
        }
        let peer = digest.id.as_ref().and_then(|id| SourceId::new(id.clone()).ok());
        self.deferring.peer_goes_first = promises.is_some()
            && !self.is_leaving
            && peer.as_ref().is_some_and(|peer| peer < replica.id());
        // What is announced here already, no promise adds to.
        let beyond = replica.beyond_own_vector(&digest.vector);
        self.receiving.digest_received(peer, beyond, promises);
        self.link = self.link.whose_peer_promises(promises.is_some());
        self.understands_marks = promises.is_some() && self.config.direction.sends();
        self.peer_life = agreed.and_then(|extensions| extensions.life);
        self.resumed = agreed.and_then(|extensions| {
            let mut places = extensions.places.iter();
            places.find(|place| Some(place.life) == replica.life()).cloned()
        });
        self.tells_refusals = agreed.is_some_and(|extensions| extensions.refusals);
        self.wants_evidence = agreed.is_some_and(|extensions| !extensions.without_evidence);
        if let Some(exceeded) = digest.exceeded {
            self.refused(Refusal::Digest(exceeded));
        }
        if self.receiving.makes_promises() {
            self.confirm_up_to(replica, &digest.vector);
        }
        self.emit(SessionEvent::DigestReceived {
            peer: digest.id,
            vector: digest.vector.clone(),
            metadata: digest.metadata,
            has_extensions: digest.extensions.is_some(),
            model: digest.extensions.as_ref().and_then(|extensions| extensions.model.clone()),
            cluster: digest.extensions.and_then(|extensions| extensions.cluster),
        });
        if self.config.announces() {
            // Ours count answers, to know which one answers a digest that asks again: the unasked
            // "SYNC" is that of the first digest. The original gets one for each.
            let is_ahead = std::mem::take(&mut self.is_ahead_of_digest) && promises.is_some();
            if !matches!(self.sending, Sending::Finished) {
                let (sources, limits) = (replica.sources_known(), replica.limits());
                self.await_turn(digest.vector, u64::from(!is_ahead), sources, limits);
                self.answer_if_due(now_ms);
                self.tally.digests_put_off += u64::from(self.answers.due_ms().is_some());
            }
        } else {
            self.sync_if_done();
        }
    }

    /// The peer says what it holds. Where it claims more of what we wrote than there is, it may have been
    /// lied to, and proves nothing by it until that is here. Who was asked for what we wrote has to show it.
    fn confirm_up_to<M: Model>(&mut self, replica: &Replica<M>, vector: &VersionVector) {
        let claimed = vector.timestamp(replica.id());
        if claimed > replica.newest_held(replica.id()) {
            self.overclaimed = self.overclaimed.max(claimed);
        }
        let is_missing = |at: &Timestamp| {
            replica.position(&UpdateId { timestamp: *at, source: replica.id().clone() }).is_none()
        };
        self.overclaimed = self.overclaimed.filter(is_missing);
        if let Some(timestamp) = claimed.filter(|_| !self.config.ask_for_own)
            && self.overclaimed.is_none()
        {
            self.confirm(replica, timestamp);
        }
    }

    /// Something of ours has reached the peer, if it is one: an echo calls itself by our name, or by none.
    fn confirm<M: Model>(&mut self, replica: &Replica<M>, timestamp: Timestamp) {
        let is_another = self.receiving.peer().is_some_and(|peer| peer != replica.id());
        if is_another && self.confirmed < Some(timestamp) {
            self.confirmed = Some(timestamp);
            self.emit(SessionEvent::Confirmed { timestamp });
        }
    }

    pub(super) fn refused(&mut self, refusal: Refusal) {
        if let Some(SessionEvent::Refused { refusal: last, count }) = self.events.back_mut()
            && std::mem::discriminant(last) == std::mem::discriminant(&refusal)
        {
            *last = refusal;
            *count += 1;
        } else {
            self.emit(SessionEvent::Refused { refusal, count: 1 });
        }
    }
}
