//! One conversation with one peer, as a state machine: bytes in, bytes out, events out.
//!
//! A [`Session`] never touches a socket and never waits. Its driver feeds it what arrives, pulls
//! what it has to say in portions of the driver's choosing, and closes the stream when it says so.

mod acknowledging;
mod answering;
mod belonging;
mod config;
mod decoding;
mod deferring;
mod event;
mod hearing;
mod heartbeat;
mod holding;
mod in_order;
mod packing;
mod patience;
mod receiving;
mod saying;
mod sending;
mod settling;
mod switching;
mod tally;

use std::collections::VecDeque;

use crate::model::Model;
use crate::place::Place;
use crate::replica::{Link, Replica};
use crate::timestamp::Timestamp;
use crate::version_vector::VersionVector;
use crate::wire::{Decoder, Encoder, NoRoom, Rest};

pub use acknowledging::PeerLag;
use acknowledging::{Received, Sent};
use answering::Answers;
pub use config::{Direction, InvalidMetadata, Metadata, Mode, SessionConfig};
use decoding::Decoded;
use deferring::Deferring;
pub use event::{CloseReason, Refusal, SessionError, SessionEvent};
use heartbeat::Heartbeat;
use patience::Patience;
use receiving::Receiving;
use sending::Sending;
use settling::Unsettled;
use switching::Agreed;
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
/// 3. *verdicts:* [`settle`](Self::settle) when it [`has_verdicts`](Self::has_verdicts), if the
///    replica's verifier answers later;
/// 4. *what happened:* [`next_event`](Self::next_event).
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
    decoded: Decoded,
    encoder: Encoder,
    /// What both sides have announced that they speak, once the peer's digest has come.
    agreed: Option<Agreed>,
    received: Received,
    sent: Sent,
    receiving: Receiving,
    unsettled: Unsettled,
    /// A history of the peer has come, and all verdicts on it.
    has_heard_history: bool,
    sending: Sending,
    /// Bytes of lines that did not fit into what was asked for: the rest of a line, or of a few
    /// short ones.
    carry: Vec<u8>,
    carried: usize,
    /// What of long updates comes after that.
    rest: Rest,
    is_digest_due: bool,
    /// A digest of the peer that has not been answered yet.
    unanswered: Option<VersionVector>,
    answers: Answers,
    histories_owed: u64,
    /// A history is sent without being asked, and no digest of the peer has come yet.
    is_ahead_of_digest: bool,
    histories_sent: u64,
    /// What the peer announced that we do not hold ourselves: third parties may bring it, and the
    /// peer does not need it.
    ahead: VersionVector,
    /// Set once the peer has announced that it understands marks.
    understands_marks: bool,
    /// What an entry of a vector that the peer announces takes.
    entry_bytes: usize,
    /// In which life the peer is, if a history of it can go on where it broke off.
    peer_life: Option<u64>,
    /// Where the peer wants the next history to go on.
    resumed: Option<Place>,
    /// Up to which change of the announced vector the peer has been told.
    told: u64,
    /// The position in the order of arrival from which live updates are sent.
    cursor: u64,
    /// Whether something was superseded before the cursor came to it.
    has_passed_over: bool,
    /// What had been here for long when the peer's digest came.
    old_below: u64,
    deferring: Deferring,
    heartbeat: Heartbeat,
    confirmed: Option<Timestamp>,
    /// Up to where the peer claims to hold what was written here, if that is more than there is.
    overclaimed: Option<Timestamp>,
    /// The peer has not said which model it holds, nor shown that it may be another.
    is_model_unsure: bool,
    /// The peer does not belong here; our own digest is still to be sent, so that it knows, too.
    parting: Option<SessionError>,
    is_leaving: bool,
    peer_has_ended: bool,
    is_closed: bool,
    was_synced: bool,
    digest_deadline_ms: Option<f64>,
    digest_wait_ms: f64,
    ask_again_at_ms: Option<f64>,
    asked_again_ms: Option<f64>,
    /// What the wall clock showed last.
    now_ms: f64,
    patience: Patience,
    /// The peer wants to be told what there was no room for.
    tells_refusals: bool,
    no_room_due: Option<NoRoom>,
    /// The peer wants to be sent what is superseded, as evidence.
    wants_evidence: bool,
    /// The replica's rules as they were when the peer was last asked.
    rulings: u64,
    events: VecDeque<SessionEvent>,
    events_max: usize,
    tally: Tally,
}

impl Session {
    /// A session of `replica` that begins at `now_ms`, milliseconds since the epoch.
    pub fn new<M: Model>(replica: &mut Replica<M>, now_ms: f64, config: SessionConfig) -> Self {
        let limits = replica.limits();
        let (digest_wait_ms, events_max) = (limits.digest_wait_ms_max, limits.session_events_max);
        let (deferring, heartbeat) = (Deferring::new(limits), Heartbeat::new(limits));
        let sends_unasked = config.sends_unasked();
        let awaits_digest = config.announces() && !sends_unasked && !config.is_patient;
        Self {
            link: replica.new_link(),
            decoder: Decoder::default(),
            decoded: Decoded::default(),
            encoder: Encoder::default(),
            agreed: None,
            received: Received::default(),
            sent: Sent::default(),
            receiving: Receiving::default(),
            unsettled: Unsettled::default(),
            has_heard_history: false,
            sending: Sending::AwaitingDigest,
            carry: Vec::new(),
            carried: 0,
            rest: Rest::default(),
            is_digest_due: config.announces(),
            unanswered: sends_unasked.then(VersionVector::new),
            answers: Answers::default(),
            histories_owed: u64::from(sends_unasked),
            is_ahead_of_digest: sends_unasked,
            histories_sent: 0,
            ahead: VersionVector::new(),
            understands_marks: false,
            entry_bytes: 0,
            peer_life: None,
            resumed: None,
            told: 0,
            cursor: 0,
            has_passed_over: false,
            old_below: 0,
            deferring,
            heartbeat,
            confirmed: None,
            overclaimed: None,
            is_model_unsure: true,
            parting: None,
            is_leaving: false,
            peer_has_ended: false,
            is_closed: false,
            was_synced: false,
            digest_deadline_ms: awaits_digest.then_some(now_ms + digest_wait_ms),
            digest_wait_ms,
            ask_again_at_ms: None,
            asked_again_ms: None,
            now_ms,
            patience: Patience::default(),
            tells_refusals: false,
            no_room_due: None,
            wants_evidence: false,
            rulings: replica.rulings(),
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

    /// Takes bytes that arrived from the peer, cut anywhere. `now_ms` is the wall clock. Whoever shares the
    /// replica does the same in two halves: [`decode`](Self::decode) and [`apply`](Self::apply).
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
        loop {
            let has_more = self.decode(&mut bytes, replica.limits());
            self.apply(replica, now_ms)?;
            if !has_more {
                return Ok(());
            }
        }
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
        if let Some(error) = self.parting.take() {
            return Err(self.fail(error));
        }
        self.decode_end(replica.limits());
        self.apply_decoded(replica, now_ms)?;
        self.peer_has_ended = true;
        self.heartbeat.end();
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
        let unpromised = match &self.sending {
            Sending::InOrder(walk) => walk.due_ms(),
            _ => None,
        };
        let others = [self.deferring.due_ms(), self.answers.due_ms(), self.heartbeat.due_ms()];
        let due = [self.digest_deadline_ms, ask_again, unpromised].into_iter().chain(others);
        due.flatten().min_by(f64::total_cmp)
    }

    /// Does what is due at `now_ms`.
    ///
    /// # Errors
    /// [`SessionError::NoDigest`] or [`SessionError::Silent`] when the peer has kept silent for too long.
    pub fn handle_timeout(&mut self, now_ms: f64) -> Result<(), SessionError> {
        if self.is_closed {
            return Ok(());
        }
        self.now_ms = now_ms;
        if self.digest_deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
            return Err(self.fail(SessionError::NoDigest { waited_ms: self.digest_wait_ms }));
        }
        if self.ask_again_at_ms.is_some_and(|due| due <= now_ms) && !self.receiving.is_answer_due()
        {
            self.ask_again_at_ms = None;
            self.asked_again_ms = Some(now_ms);
            self.patience.asked();
            self.is_digest_due = true;
        }
        self.answer_if_due(now_ms);
        self.release_due(now_ms);
        if let Sending::InOrder(walk) = &mut self.sending {
            walk.release_due(now_ms);
        }
        self.check_heartbeat(now_ms)
    }

    /// Ends the conversation once everything accepted so far was sent. A peer that has not said yet
    /// what it holds is not waited for.
    #[doc(alias = "end")]
    #[doc(alias = "dispose")]
    pub fn leave(&mut self) {
        self.is_leaving = true;
        self.answer_now();
        self.release_all();
        if let Sending::InOrder(walk) = &mut self.sending {
            walk.release_all();
        }
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
        if self.parting.is_some() {
            return !self.has_parted();
        }
        self.carried < self.carry.len()
            || !self.rest.is_empty()
            || self.has_new_rules(replica) && !matches!(self.sending, Sending::Finished)
            || match &self.sending {
                Sending::Finished => false,
                Sending::AwaitingDigest => {
                    self.is_digest_due || self.unanswered.is_some() || self.heartbeat.is_due()
                }
                Sending::CatchingUp(_) => true,
                Sending::InOrder(walk) => {
                    self.is_digest_due
                        || self.unanswered.is_some()
                        || self.heartbeat.is_due()
                        || self.is_leaving
                        || walk.is_pending(replica)
                }
                Sending::Live => {
                    self.is_digest_due
                        || self.unanswered.is_some()
                        || self.no_room_due.is_some()
                        || self.heartbeat.is_due()
                        || self.is_leaving
                        || self.owes_acknowledgement(replica)
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
        self.follow_rules(replica);
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
            } else if !self.rest.is_empty() {
                self.rest.copy(out, left);
                if !self.rest.is_empty() {
                    self.tally.lines_split += 1;
                    break;
                }
            } else if left == 0 || !self.produce_next(replica, out, left) {
                break;
            }
        }
        self.end_parting();
        if matches!(self.sending, Sending::Finished) {
            self.close_if_over();
        }
        out.len() - start
    }

    /// Whether everything was sent and the writing half of the stream is to be closed.
    #[must_use]
    pub fn is_output_finished(&self) -> bool {
        self.is_closed || matches!(self.sending, Sending::Finished) && self.has_sent_carry()
    }

    /// Whether updates that came over this session wait for verdicts. One whose peer has left is over
    /// only when they have come.
    #[must_use]
    pub fn awaits_verdicts(&self) -> bool {
        !self.unsettled.is_empty()
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
    /// ones. Never more than the longest line there is, and a pack before it.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.carry.len() - self.carried + self.rest.len()
    }

    fn has_sent_carry(&self) -> bool {
        self.carried == self.carry.len() && self.rest.is_empty()
    }

    /// Bytes that the session holds of a line whose end has not arrived; 0 between lines. Never more
    /// than twice [`Limits::line_bytes_max`](crate::Limits::line_bytes_max).
    #[must_use]
    pub fn unfinished_bytes(&self) -> usize {
        self.decoder.held_bytes()
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
            decoded,
            encoder,
            agreed,
            received,
            // What the peer has said of it decides nothing.
            sent: _,
            receiving,
            unsettled,
            has_heard_history,
            sending,
            carry,
            carried,
            rest,
            is_digest_due,
            unanswered,
            answers,
            histories_owed,
            is_ahead_of_digest,
            histories_sent,
            ahead,
            understands_marks,
            // Counts what is held and decides nothing here.
            entry_bytes: _,
            peer_life,
            resumed,
            told,
            cursor,
            has_passed_over,
            old_below,
            deferring,
            heartbeat,
            // Spares the driver an event that tells nothing new.
            confirmed: _,
            overclaimed,
            is_model_unsure,
            parting,
            is_leaving,
            peer_has_ended,
            is_closed,
            was_synced,
            digest_deadline_ms,
            digest_wait_ms: _,
            ask_again_at_ms,
            asked_again_ms,
            // It shows something else with whatever comes next.
            now_ms: _,
            patience,
            tells_refusals,
            no_room_due,
            wants_evidence,
            rulings,
            events,
            events_max: _,
            tally: _,
        } = self;
        let bytes = (decoder, decoded, encoder, agreed, received, (carry, carried, rest));
        let owed = (
            is_digest_due,
            (unanswered, answers),
            histories_owed,
            histories_sent,
            is_ahead_of_digest,
        );
        let told = (told, peer_life, resumed, tells_refusals, no_room_due, wants_evidence);
        let position =
            (ahead, understands_marks, told, cursor, has_passed_over, old_below, deferring);
        let end = (
            overclaimed,
            is_model_unsure,
            parting,
            is_leaving,
            peer_has_ended,
            is_closed,
            was_synced,
            has_heard_history,
        );
        let times =
            (heartbeat, digest_deadline_ms, ask_again_at_ms, asked_again_ms, patience, rulings);
        let state = (receiving, unsettled, sending, owed, position, end);
        write!(out, "{:?}", (link, bytes, state, times, events))
    }

    /// What comes from here on may lack something: what the peer promises does not count.
    pub(crate) fn doubt_promises(&mut self) {
        self.receiving.update_put_off();
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

    fn sync_if_done(&mut self) {
        let is_sent = self.histories_sent > 0 || !self.config.announces();
        let is_received = self.has_heard_history || !self.config.direction.receives();
        if is_sent && is_received {
            self.was_synced = true;
            self.emit(SessionEvent::Synced);
            if self.config.mode == Mode::CatchUp {
                self.leave();
            }
        }
    }

    fn fail(&mut self, error: SessionError) -> SessionError {
        self.is_closed = true;
        self.emit(SessionEvent::Closed { reason: CloseReason::Failed(error.clone()) });
        error
    }

    fn close_if_over(&mut self) {
        if self.peer_has_ended
            && !self.is_closed
            && self.is_output_finished()
            && self.unsettled.is_empty()
        {
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

#[cfg(test)]
mod tests;
