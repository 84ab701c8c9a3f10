//! One conversation with one peer, as a state machine: bytes in, bytes out, events out.
//!
//! A [`Session`] never touches a socket and never waits. Its driver feeds it what arrives, pulls
//! what it has to say in portions of the driver's choosing, and closes the stream when it says so.

mod config;
mod event;
mod receiving;
mod sending;
mod tally;

use std::collections::VecDeque;

use crate::model::Model;
use crate::replica::{Link, Outcome, Replica};
use crate::timestamp::Timestamp;
use crate::update::Update;
use crate::version_vector::VersionVector;
use crate::wire::json_lines::{self, Decoder};
use crate::wire::{Digest, Extensions, Frame};

pub use config::{Direction, Metadata, Mode, SessionConfig};
pub use event::{CloseReason, Refusal, SessionError, SessionEvent};
use receiving::Receiving;
use sending::{CatchUp, Sending};
pub use tally::Tally;

/// One conversation with one peer.
///
/// Its methods, in the order in which a driver uses them:
///
/// 1. *in:* [`receive`](Self::receive) with bytes, [`receive_end`](Self::receive_end) at their end,
///    [`handle_timeout`](Self::handle_timeout) when [`next_timeout`](Self::next_timeout) has come,
///    [`leave`](Self::leave) to end it;
/// 2. *out:* [`transmit`](Self::transmit) while [`has_output`](Self::has_output), which may become
///    true whenever the replica changes; [`is_output_finished`](Self::is_output_finished) tells to
///    close the writing half;
/// 3. *what happened:* [`next_event`](Self::next_event).
///
/// Forgetting to pull only delays: nothing is queued in the session but the rest of one line, so a
/// slow peer costs a position in the replica's log, whatever its backlog.
///
/// ```
/// use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId};
///
/// let mut a = Replica::new(SourceId::new("A")?, LwwMap::new());
/// let mut b = Replica::new(SourceId::new("B")?, LwwMap::new());
/// a.local_update(100.0, LwwMap::set("k", "from A")?)?;
///
/// let now_ms = 200.0;
/// let mut to_b = Session::new(&mut a, now_ms, SessionConfig::default());
/// let mut to_a = Session::new(&mut b, now_ms, SessionConfig::default());
/// let mut wire = Vec::new();
/// while to_b.has_output(&a) || to_a.has_output(&b) {
///     to_b.transmit(&a, &mut wire, 1024);
///     to_a.receive(&mut b, now_ms, &wire)?;
///     wire.clear();
///     to_a.transmit(&b, &mut wire, 1024);
///     to_b.receive(&mut a, now_ms, &wire)?;
///     wire.clear();
/// }
/// assert_eq!(b.model().to_json(), r#"{"k":"from A"}"#);
/// assert_eq!(a.version_vector(), b.version_vector());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    config: SessionConfig,
    link: Link,
    decoder: Decoder,
    receiving: Receiving,
    sending: Sending,
    /// Bytes of lines that did not fit into what was asked for: the rest of a line, or of a few
    /// short ones.
    carry: Vec<u8>,
    carried: usize,
    is_digest_due: bool,
    /// A digest of the peer that has not been answered yet.
    unanswered: Option<VersionVector>,
    histories_owed: u64,
    /// A history is sent without being asked, and no digest of the peer has come yet.
    is_ahead_of_digest: bool,
    histories_sent: u64,
    /// What the peer announced that we do not hold ourselves: third parties may bring it, and the
    /// peer does not need it.
    ahead: VersionVector,
    /// Set once the peer has announced that it understands marks.
    understands_marks: bool,
    /// Up to which change of the announced vector the peer has been told.
    told: u64,
    /// The position in the order of arrival from which live updates are sent.
    cursor: u64,
    /// Whether something was superseded before the cursor came to it.
    has_passed_over: bool,
    confirmed: Option<Timestamp>,
    is_leaving: bool,
    peer_has_ended: bool,
    is_closed: bool,
    was_synced: bool,
    digest_deadline_ms: Option<f64>,
    digest_wait_ms: f64,
    ask_again_at_ms: Option<f64>,
    asked_again_ms: Option<f64>,
    events: VecDeque<SessionEvent>,
    events_max: usize,
    tally: Tally,
}

impl Session {
    /// A session of `replica` that begins at `now_ms`, milliseconds since the epoch.
    pub fn new<M: Model>(replica: &mut Replica<M>, now_ms: f64, config: SessionConfig) -> Self {
        let limits = replica.limits();
        let (digest_wait_ms, events_max) = (limits.digest_wait_ms_max, limits.session_events_max);
        let sends_unasked = config.direction == Direction::SendOnly && !config.await_digest;
        let awaits_digest = config.announces() && !sends_unasked;
        Self {
            link: replica.new_link(),
            decoder: Decoder::default(),
            receiving: Receiving::default(),
            sending: Sending::AwaitingDigest,
            carry: Vec::new(),
            carried: 0,
            is_digest_due: config.announces(),
            unanswered: sends_unasked.then(VersionVector::new),
            histories_owed: u64::from(sends_unasked),
            is_ahead_of_digest: sends_unasked,
            histories_sent: 0,
            ahead: VersionVector::new(),
            understands_marks: false,
            told: 0,
            cursor: 0,
            has_passed_over: false,
            confirmed: None,
            is_leaving: false,
            peer_has_ended: false,
            is_closed: false,
            was_synced: false,
            digest_deadline_ms: awaits_digest.then_some(now_ms + digest_wait_ms),
            digest_wait_ms,
            ask_again_at_ms: None,
            asked_again_ms: None,
            events: VecDeque::new(),
            events_max,
            tally: Tally::default(),
            config,
        }
    }

    /// The options it was made with.
    #[must_use]
    pub fn config(&self) -> &SessionConfig {
        &self.config
    }

    // In.

    /// Takes bytes that arrived from the peer, cut anywhere. `now_ms` is the wall clock.
    ///
    /// # Errors
    /// [`SessionError`] when the peer is at fault or a bound is reached. The session is closed then,
    /// with an event that says the same; everything that came before the offending line is applied.
    /// A closed session ignores what it is given.
    pub fn receive<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        mut bytes: &[u8],
    ) -> Result<(), SessionError> {
        while !self.is_closed {
            match self.decoder.decode(&mut bytes, replica.limits()) {
                Ok(Some(frame)) => self.handle(replica, now_ms, frame)?,
                Ok(None) => break,
                Err(error) => return Err(self.fail(error.into())),
            }
        }
        Ok(())
    }

    /// Takes note that the peer will send nothing more. What was accepted is still sent to it.
    ///
    /// # Errors
    /// As [`receive`](Self::receive): the last line may lack its newline, but must be whole.
    pub fn receive_end<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
    ) -> Result<(), SessionError> {
        if self.is_closed || self.peer_has_ended {
            return Ok(());
        }
        match self.decoder.finish(replica.limits()) {
            Ok(Some(frame)) => self.handle(replica, now_ms, frame)?,
            Ok(None) => {}
            Err(error) => return Err(self.fail(error.into())),
        }
        self.peer_has_ended = true;
        self.digest_deadline_ms = None;
        self.ask_again_at_ms = None;
        self.leave();
        self.close_if_over();
        Ok(())
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, in milliseconds since the epoch.
    #[must_use]
    pub fn next_timeout(&self) -> Option<f64> {
        if self.is_closed {
            return None;
        }
        let ask_again = self.ask_again_at_ms.filter(|_| !self.receiving.is_answer_due());
        match (self.digest_deadline_ms, ask_again) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Does what is due at `now_ms`.
    ///
    /// # Errors
    /// [`SessionError::NoDigest`] when the peer has kept silent for too long.
    pub fn handle_timeout(&mut self, now_ms: f64) -> Result<(), SessionError> {
        if self.is_closed {
            return Ok(());
        }
        if self.digest_deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
            return Err(self.fail(SessionError::NoDigest { waited_ms: self.digest_wait_ms }));
        }
        if self.ask_again_at_ms.is_some_and(|due| due <= now_ms) && !self.receiving.is_answer_due()
        {
            self.ask_again_at_ms = None;
            self.asked_again_ms = Some(now_ms);
            self.is_digest_due = true;
        }
        Ok(())
    }

    /// Ends the conversation once everything accepted so far was sent. A peer that has not said yet
    /// what it holds is not waited for.
    #[doc(alias = "end")]
    #[doc(alias = "dispose")]
    pub fn leave(&mut self) {
        self.is_leaving = true;
        if self.unanswered.is_none() && matches!(self.sending, Sending::AwaitingDigest) {
            self.sending = Sending::Finished;
        }
    }

    // Out.

    /// Whether [`transmit`](Self::transmit) would do anything.
    #[must_use]
    pub fn has_output<M: Model>(&self, replica: &Replica<M>) -> bool {
        if self.is_closed {
            return false;
        }
        self.carried < self.carry.len()
            || match &self.sending {
                Sending::Finished => false,
                Sending::AwaitingDigest => self.is_digest_due || self.unanswered.is_some(),
                Sending::CatchingUp(_) => true,
                Sending::Live => {
                    self.is_digest_due
                        || self.unanswered.is_some()
                        || self.is_leaving
                        || self.config.direction.sends()
                            && (self.cursor < replica.durable() || self.owes_mark(replica))
                }
            }
    }

    /// Appends to `out` what is to be sent next, at most `room` bytes, and answers how many. Bytes
    /// appended count as sent: a driver whose stream breaks starts a new session.
    pub fn transmit<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        room: usize,
    ) -> usize {
        let start = out.len();
        while !self.is_closed {
            let left = room - (out.len() - start);
            if self.carried < self.carry.len() {
                let end = self.carry.len().min(self.carried + left);
                out.extend_from_slice(&self.carry[self.carried..end]);
                self.carried = end;
                if end < self.carry.len() {
                    self.tally.lines_split += 1;
                    break;
                }
                self.carry = Vec::new();
                self.carried = 0;
            } else if left == 0 || !self.produce(replica, out, left) {
                break;
            }
        }
        if matches!(self.sending, Sending::Finished) {
            self.close_if_over();
        }
        out.len() - start
    }

    /// Whether everything was sent and the writing half of the stream is to be closed.
    #[must_use]
    pub fn is_output_finished(&self) -> bool {
        self.is_closed
            || matches!(self.sending, Sending::Finished) && self.carried == self.carry.len()
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    // What happened.

    /// The next event, in order.
    pub fn next_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    /// Whether both sides have what the other held when they announced.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.was_synced
    }

    /// Bytes that are waiting in the session itself: the rest of a line that was begun, or a few short
    /// ones. Never more than the longest line there is.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.carry.len() - self.carried
    }

    /// Writes everything inside that decides what is sent and what becomes of what arrives: two
    /// sessions of one configuration that print alike do so alike. For whoever visits every state
    /// there is; what it prints may change at any time.
    #[doc(hidden)]
    pub fn internals(&self, out: &mut dyn std::fmt::Write) -> std::fmt::Result {
        // By name, so that a new field has to be thought of here.
        let Self {
            config: _,
            link,
            decoder,
            receiving,
            sending,
            carry,
            carried,
            is_digest_due,
            unanswered,
            histories_owed,
            is_ahead_of_digest,
            histories_sent,
            ahead,
            understands_marks,
            told,
            cursor,
            has_passed_over,
            // Spares the driver an event that tells nothing new.
            confirmed: _,
            is_leaving,
            peer_has_ended,
            is_closed,
            was_synced,
            digest_deadline_ms,
            digest_wait_ms: _,
            ask_again_at_ms,
            asked_again_ms,
            events,
            events_max: _,
            tally: _,
        } = self;
        let bytes = (decoder, carry, carried);
        let owed = (is_digest_due, unanswered, histories_owed, histories_sent, is_ahead_of_digest);
        let position = (ahead, understands_marks, told, cursor, has_passed_over);
        let end = (is_leaving, peer_has_ended, is_closed, was_synced);
        let times = (digest_deadline_ms, ask_again_at_ms, asked_again_ms);
        let state = (receiving, sending, owed, position, end);
        write!(out, "{:?}", (link, bytes, state, times, events))
    }

    /// How often each thing happened so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether everything accepted so far is in the output, and the peer's history has arrived.
    #[must_use]
    pub fn is_idle<M: Model>(&self, replica: &Replica<M>) -> bool {
        self.was_synced && !self.has_output(replica)
    }

    fn handle<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        frame: Frame,
    ) -> Result<(), SessionError> {
        if !matches!(frame, Frame::Unknown | Frame::Update(Err(_))) {
            // It speaks. One that only receives may never announce what it holds.
            self.digest_deadline_ms = None;
        }
        match frame {
            Frame::Update(Ok(update)) => self.handle_update(replica, now_ms, update),
            Frame::Update(Err(invalid)) => {
                self.tally.updates_malformed += 1;
                self.refused(Refusal::Malformed(invalid));
                Ok(())
            }
            Frame::Digest(digest) => {
                self.handle_digest(replica, digest);
                Ok(())
            }
            Frame::HistorySent => {
                self.tally.histories_received += 1;
                let promise = self.receiving.history_received();
                if self.config.direction.receives() {
                    replica.promise(&promise);
                }
                self.emit(SessionEvent::HistoryReceived);
                self.sync_if_done();
                Ok(())
            }
            Frame::Mark(vector) => {
                if self.receiving.makes_promises() {
                    self.confirm_up_to(replica, &vector);
                }
                if self.config.direction.receives() && self.receiving.accepts_marks() {
                    self.tally.marks_received += 1;
                    if self.receiving.has_history() {
                        replica.promise(&vector);
                    } else {
                        // Within a history nothing is marked that something was left out of.
                        replica.credit(vector.iter());
                    }
                } else {
                    self.tally.marks_ignored += 1;
                }
                Ok(())
            }
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
        let (source, timestamp) = (update.source().clone(), update.timestamp());
        let outcome = replica.receive_update(now_ms, update, self.link);
        if outcome == Outcome::Stale && source == *replica.id() {
            // Ours, come back: the peer holds it.
            self.confirm(timestamp);
        }
        self.count(&outcome);
        match outcome {
            Outcome::Applied | Outcome::Superseded | Outcome::Stale => {
                if self.receiving.update_received(&source, timestamp) {
                    replica.promise_entries(std::iter::once((&source, timestamp)));
                }
            }
            Outcome::Invalid(reason) => self.refused(Refusal::Invalid(reason.into_owned())),
            Outcome::Unverified => {
                self.receiving.update_put_off();
                self.refused(Refusal::Unverified);
            }
            Outcome::ClockSkew { accept_at_ms } => {
                self.receiving.update_put_off();
                if self.config.announces() {
                    let due =
                        self.ask_again_at_ms.map_or(accept_at_ms, |due| due.min(accept_at_ms));
                    let earliest = self
                        .asked_again_ms
                        .map_or(due, |at| at + replica.limits().ask_again_ms_min);
                    self.ask_again_at_ms = Some(due.max(earliest));
                }
                self.refused(Refusal::ClockSkew { accept_at_ms });
            }
            Outcome::Full(exceeded) => return Err(self.fail(SessionError::Full(exceeded))),
        }
        Ok(())
    }

    fn count(&mut self, outcome: &Outcome) {
        let tally = &mut self.tally;
        match outcome {
            Outcome::Applied => tally.updates_applied += 1,
            Outcome::Superseded => tally.updates_superseded += 1,
            Outcome::Stale => tally.updates_stale += 1,
            Outcome::Invalid(_) => tally.updates_invalid += 1,
            Outcome::Unverified => tally.updates_unverified += 1,
            Outcome::ClockSkew { .. } => tally.updates_early += 1,
            // The session ends with it, and says so.
            Outcome::Full(_) => {}
        }
    }

    fn handle_digest<M: Model>(&mut self, replica: &Replica<M>, digest: Digest) {
        self.tally.digests_received += 1;
        // Nothing is agreed on by one side alone.
        let agrees = self.config.announce_extensions && self.config.announces();
        let promises = digest.extensions.filter(|_| agrees).map(|extensions| extensions.promises);
        self.receiving.digest_received(digest.vector.clone(), promises);
        self.understands_marks = promises.is_some() && self.config.direction.sends();
        if self.receiving.makes_promises() {
            self.confirm_up_to(replica, &digest.vector);
        }
        self.emit(SessionEvent::DigestReceived {
            peer: digest.id,
            vector: digest.vector.clone(),
            metadata: digest.metadata,
            has_extensions: digest.extensions.is_some(),
        });
        if self.config.announces() {
            let owed_max = self.histories_sent + replica.limits().unanswered_digests_max;
            // Ours count answers, to know which one answers a digest that asks again: the unasked
            // "SYNC" is that of the first digest. The original gets one for each.
            let is_ahead = std::mem::take(&mut self.is_ahead_of_digest) && promises.is_some();
            if !is_ahead {
                self.histories_owed = owed_max.min(self.histories_owed + 1);
            }
            if !matches!(self.sending, Sending::Finished) {
                self.unanswered = Some(digest.vector);
            }
        } else {
            self.sync_if_done();
        }
    }

    /// Puts the next thing to be said into `out` if it fits into `left` bytes, else into the carry;
    /// answers whether there was any.
    fn produce<M: Model>(&mut self, replica: &Replica<M>, out: &mut Vec<u8>, left: usize) -> bool {
        if matches!(self.sending, Sending::Finished) {
            return false;
        }
        if self.is_digest_due {
            self.is_digest_due = false;
            self.announce(replica);
            return true;
        }
        if let Some(vector) = self.unanswered.take() {
            self.answer(replica, vector);
            return true;
        }
        match &mut self.sending {
            Sending::AwaitingDigest | Sending::Finished => false,
            Sending::CatchingUp(catch_up) => {
                if catch_up.is_mark_due() {
                    let mark = catch_up.take_mark(replica);
                    let mut line = String::new();
                    if !mark.is_empty() {
                        self.tally.marks_sent += 1;
                        json_lines::encode_mark(mark.into_iter(), &mut line);
                    }
                    catch_up.mark_sent(line.len());
                    self.carry = line.into_bytes();
                } else if let Some(update) = catch_up.next(replica) {
                    self.tally.updates_sent_catching_up += 1;
                    write_update(update, &mut self.carry, out, left);
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
                let mut line = String::new();
                json_lines::encode_mark(replica.announced_since(self.told), &mut line);
                self.told = replica.vector_changes();
                self.carry = line.into_bytes();
                return true;
            }
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
            self.has_passed_over |= position > self.cursor;
            self.cursor = position + 1;
            let update = &entry.update;
            let is_known = entry.via == self.link || self.is_ahead(update);
            let is_needed = self.understands_marks || replica.is_needed(entry);
            self.tally.updates_known_to_peer += u64::from(is_known);
            if is_needed && !is_known {
                match self.sending {
                    Sending::Live => self.tally.updates_sent_live += 1,
                    _ => self.tally.updates_sent_catching_up += 1,
                }
                write_update(update, &mut self.carry, out, left);
                return true;
            }
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
    fn owes_mark<M: Model>(&self, replica: &Replica<M>) -> bool {
        self.understands_marks && self.told < replica.vector_changes()
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
        let extensions = self
            .config
            .announce_extensions
            .then_some(Extensions { promises: self.config.direction.sends() });
        let mut line = String::new();
        json_lines::encode_digest(replica.id(), vector, metadata, extensions, &mut line);
        self.carry = line.into_bytes();
    }

    fn answer<M: Model>(&mut self, replica: &Replica<M>, vector: VersionVector) {
        if self.histories_sent > 0 {
            // The peer may have dropped marks since; it gets the whole vector again. And what was
            // sent before: it may have put that off.
            self.told = 0;
        }
        if !self.config.direction.sends() {
            self.history_sent();
            return;
        }
        self.cursor = replica.durable();
        self.sending = Sending::CatchingUp(CatchUp::new(replica, &vector, self.understands_marks));
        self.ahead = vector;
        self.ahead.retain(|source, timestamp| replica.newest_held(source) < Some(timestamp));
    }

    fn history_sent(&mut self) {
        self.sending = Sending::Live;
        // One for each digest answered, as the original does.
        while self.histories_sent < self.histories_owed {
            self.histories_sent += 1;
            self.tally.histories_sent += 1;
            self.carry.extend_from_slice(json_lines::HISTORY_SENT.as_bytes());
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

    fn sync_if_done(&mut self) {
        let is_sent = self.histories_sent > 0 || !self.config.announces();
        let is_received = self.receiving.has_history() || !self.config.direction.receives();
        if is_sent && is_received {
            self.was_synced = true;
            self.emit(SessionEvent::Synced);
            if self.config.mode == Mode::CatchUp {
                self.leave();
            }
        }
    }

    /// The peer says what it holds; of what we wrote that is no more than there is.
    fn confirm_up_to<M: Model>(&mut self, replica: &Replica<M>, vector: &VersionVector) {
        let held = vector.timestamp(replica.id()).min(replica.newest_held(replica.id()));
        if let Some(timestamp) = held {
            self.confirm(timestamp);
        }
    }

    fn confirm(&mut self, timestamp: Timestamp) {
        if self.confirmed < Some(timestamp) {
            self.confirmed = Some(timestamp);
            self.emit(SessionEvent::Confirmed { timestamp });
        }
    }

    fn refused(&mut self, refusal: Refusal) {
        if let Some(SessionEvent::Refused { refusal: last, count }) = self.events.back_mut()
            && std::mem::discriminant(last) == std::mem::discriminant(&refusal)
        {
            *last = refusal;
            *count += 1;
        } else {
            self.emit(SessionEvent::Refused { refusal, count: 1 });
        }
    }

    fn fail(&mut self, error: SessionError) -> SessionError {
        self.is_closed = true;
        self.emit(SessionEvent::Closed { reason: CloseReason::Failed(error.clone()) });
        error
    }

    fn close_if_over(&mut self) {
        if self.peer_has_ended && !self.is_closed && self.is_output_finished() {
            self.is_closed = true;
            let reason =
                if self.was_synced { CloseReason::Finished } else { CloseReason::PeerLeft };
            self.emit(SessionEvent::Closed { reason });
        }
    }

    /// Queues an event, or drops it at [`Limits::session_events_max`](crate::Limits): a driver that
    /// has left so many is not reading them. The end of a session is told in any case.
    fn emit(&mut self, event: SessionEvent) {
        if self.events.len() < self.events_max || matches!(event, SessionEvent::Closed { .. }) {
            self.events.push_back(event);
        }
    }
}

fn write_update(update: &Update, carry: &mut Vec<u8>, out: &mut Vec<u8>, left: usize) {
    let target = if update.line_len() <= left { out } else { carry };
    update.write_line(target);
}

#[cfg(test)]
mod tests;
