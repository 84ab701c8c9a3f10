//! Acknowledgements: how many of the updates that came in frames were dealt with, and how many of
//! these are durable.
//!
//! Counts and one position in the log, whatever is on its way; said when there is nothing else to
//! say, so that a stream of updates is acknowledged by the portion. They are for observing how far a peer
//! is behind. What proves that a write was delivered is what the peer promises (`hearing.rs`): dealing
//! with an update may be to refuse it.

use super::Session;
use crate::model::Model;
use crate::replica::Replica;

/// What became of the updates that the peer sent in frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    /// How many there were.
    pub(super) updates: u64,
    /// How many of the first are durable.
    durable: u64,
    /// So many were dealt with when the log ended there. The next such pair is noted when this one is
    /// durable.
    outstanding: Option<(u64, u64)>,
    /// What the peer was told last, as it is told: dealt with, durable.
    told: (u64, u64),
}

/// What was sent to the peer in frames, and what it said of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) updates: u64,
    handled: u64,
    durable: u64,
}

/// How far a peer is behind with what this session sent: see [`Session::peer_lag`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerLag {
    /// Updates that were sent and that the peer has not said it has dealt with.
    pub unhandled: u64,
    /// Updates that were sent and that the peer has not said are in its store; never fewer than
    /// `unhandled`. A peer without a store counts what it holds in memory.
    pub not_durable: u64,
}

impl Received {
    /// What can be told: how many were dealt with, and how many of these are durable.
    fn now(&self, handled: u64, log_durable: u64) -> (u64, u64) {
        let reached = self.outstanding.filter(|(_, position)| *position <= log_durable);
        (handled, reached.map_or(self.durable, |(count, _)| count))
    }

    /// Takes note that `handled` were dealt with, with the log's ends as they are.
    fn note(&mut self, handled: u64, log_head: u64, log_durable: u64) {
        self.durable = self.now(handled, log_durable).1;
        self.outstanding = self.outstanding.filter(|(_, position)| *position > log_durable);
        if self.outstanding.is_none() && self.durable < handled {
            if log_head <= log_durable {
                self.durable = handled;
            } else {
                self.outstanding = Some((handled, log_head));
            }
        }
    }
}

impl Session {
    /// How far the peer is behind with what was sent to it; `None` where nothing was agreed on by which
    /// it could say so ([`is_binary`](Self::is_binary)).
    ///
    /// What is waiting to be sent is not in it.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, PeerLag, Replica, Session, SessionConfig, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// let mut session = Session::new(&mut replica, 100.0, SessionConfig::default());
    /// let digest = b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n";
    /// session.receive(&mut replica, 100.0, digest)?;
    /// session.transmit(&replica, &mut Vec::new(), 1024);
    /// assert_eq!(session.peer_lag(), Some(PeerLag { unhandled: 1, not_durable: 1 }));
    ///
    /// // "I have dealt with one, and that is durable."
    /// session.receive(&mut replica, 100.0, b"\"BINARY\"\n\x03\x06\x01\x01")?;
    /// assert_eq!(session.peer_lag(), Some(PeerLag::default()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn peer_lag(&self) -> Option<PeerLag> {
        let Sent { updates, handled, durable } = self.sent;
        let lag = PeerLag { unhandled: updates - handled, not_durable: updates - durable };
        self.is_binary().then_some(lag)
    }

    /// The peer says how far it has come; of what was sent that is no more than there is, and it never
    /// falls.
    pub(super) fn acknowledged(&mut self, handled: u64, durable: u64) {
        let Sent { updates, handled: handled_before, durable: durable_before } = self.sent;
        let handled = handled.clamp(handled_before, updates);
        let durable = durable.min(handled).max(durable_before);
        self.sent = Sent { updates, handled, durable };
        self.tally.acknowledgements_received += 1;
    }

    /// Whether the peer is to be told how far this side has come.
    pub(super) fn owes_acknowledgement<M: Model>(&self, replica: &Replica<M>) -> bool {
        self.encoder.has_switched()
            && self.received.now(self.updates_handled(), replica.durable()) != self.received.told
    }

    /// Tells it.
    pub(super) fn acknowledge<M: Model>(&mut self, replica: &Replica<M>) {
        self.note_handled(replica);
        let (handled, durable) = self.received.now(self.updates_handled(), replica.durable());
        self.received.told = (handled, durable);
        self.tally.acknowledgements_sent += 1;
        self.encoder.acknowledgement(handled, durable, &mut self.carry);
    }

    /// Takes note of where the log ends, after something was dealt with.
    pub(super) fn note_handled<M: Model>(&mut self, replica: &Replica<M>) {
        if self.decoder.has_switched() {
            self.received.note(self.updates_handled(), replica.head(), replica.durable());
        }
    }

    /// Everything before the first update that waits for a verdict is dealt with.
    fn updates_handled(&self) -> u64 {
        // What waits since before the peer switched is counted by nobody.
        self.unsettled.first_waiting().map_or(self.received.updates, |nth| nth.saturating_sub(1))
    }
}
