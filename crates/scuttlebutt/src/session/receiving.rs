//! Which of the peer's promises count: the receiving half of invariant I2.
//!
//! An update that was put off, because it is from the future or nobody vouches for it, may be the
//! superseder of something that the peer therefore never sent. So from then on nothing the peer
//! promises counts, until it has answered a fresh digest without such an update in between.

use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::version_vector::VersionVector;

/// What has been asked of the peer, what it answered, and what it promised so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Receiving {
    digests_sent: u64,
    histories_received: u64,
    /// Whether promises count.
    validity: Validity,
    /// What the peer promises when its history is complete.
    pending: VersionVector,
    /// Whether the peer announced that it makes promises (`Some(true)`), or that it makes none
    /// (`Some(false)`); `None` for a peer of the original's kind.
    promises: Option<bool>,
    /// What the peer calls itself.
    peer: Option<SourceId>,
}

#[derive(Clone, Debug, Default)]
enum Validity {
    #[default]
    Valid,
    /// Something was put off, and nothing asked for since.
    Void,
    /// It was asked for; promises count again with this many histories received.
    VoidUntil(u64),
}

impl Receiving {
    pub(super) fn digest_sent(&mut self) {
        // Answers to earlier digests come first.
        let answered_by = self.digests_sent.max(self.histories_received) + 1;
        if !matches!(self.validity, Validity::Valid) {
            self.validity = Validity::VoidUntil(answered_by);
        }
        self.digests_sent += 1;
    }

    pub(super) fn has_asked(&self) -> bool {
        self.digests_sent > 0
    }

    /// Whether the peer owes an answer to a digest.
    pub(super) fn is_answer_due(&self) -> bool {
        self.histories_received < self.digests_sent
    }

    pub(super) fn has_history(&self) -> bool {
        self.histories_received > 0
    }

    fn is_void(&self) -> bool {
        !matches!(self.validity, Validity::Valid)
    }

    /// The peer announced `vector`: its promise, once its history is complete.
    pub(super) fn digest_received(
        &mut self,
        peer: Option<SourceId>,
        vector: VersionVector,
        promises: Option<bool>,
    ) {
        self.peer = peer;
        self.promises = promises;
        if promises != Some(false) {
            self.pending = vector;
        }
    }

    /// An update arrived and is held, or superseded by one that is. Answers whether it is itself a
    /// promise for its source: each live update of a peer of the original's kind is.
    pub(super) fn update_received(&mut self, source: &SourceId, timestamp: Timestamp) -> bool {
        if self.promises.is_some() {
            return false;
        }
        if self.has_history() && !self.is_void() {
            return true;
        }
        // Part of a history: its end makes it a promise.
        self.pending.advance(source, timestamp);
        false
    }

    /// Promises count no more, and nothing was asked for since.
    pub(super) fn is_to_ask(&self) -> bool {
        matches!(self.validity, Validity::Void)
    }

    /// An update was put off: what is being received is incomplete, and so is everything that was
    /// asked for already. How many histories are yet to come of that is not known, since a peer may
    /// send one without being asked; so only a fresh digest helps.
    pub(super) fn update_put_off(&mut self) {
        self.validity = Validity::Void;
        self.pending = VersionVector::new();
    }

    /// The peer's history is complete. Answers what it promises thereby.
    pub(super) fn history_received(&mut self) -> VersionVector {
        self.histories_received += 1;
        if matches!(self.validity, Validity::VoidUntil(until) if self.histories_received >= until) {
            self.validity = Validity::Valid;
        }
        let promise = std::mem::take(&mut self.pending);
        if self.is_void() { VersionVector::new() } else { promise }
    }

    /// Entries of what the peer promises with the end of its history.
    pub(super) fn pending_entries(&self) -> usize {
        self.pending.len()
    }

    /// What the peer calls itself, which nothing proves.
    pub(super) fn peer(&self) -> Option<&SourceId> {
        self.peer.as_ref()
    }

    /// Whether what the peer announces are promises.
    pub(super) fn makes_promises(&self) -> bool {
        self.promises == Some(true)
    }

    /// Whether a mark of the peer counts.
    pub(super) fn accepts_marks(&self) -> bool {
        self.makes_promises() && !self.is_void()
    }
}
