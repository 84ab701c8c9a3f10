//! Who speaks second where both would say the same.
//!
//! In a mesh most updates reach two neighbours at about the same time, and each would pass them on to the
//! other. So where a peer has sent what had come from elsewhere already, the one of the two with the
//! greater id waits a moment with what others wrote, and then passes over what the peer has sent
//! meanwhile. What is written here never waits, nor does anything where no peer repeats what is known.
//!
//! This is a few positions and one time, however much is held back. It decides nothing about promises:
//! while something is held back, there is something left to say, and nothing is promised.

use std::collections::BTreeSet;

use super::Session;
use crate::limits::Limits;

/// After so many rounds everything is released, also what came just now: what is promised once nothing is
/// held back is not put off for ever by updates that never pause.
const ROUNDS_MAX: u32 = 8;

/// What is held back, and until when.
#[derive(Clone, Debug)]
pub(super) struct Deferring {
    /// How long a round takes; 0 holds nothing back.
    wait_ms: f64,
    repeated_max: usize,
    /// Of the two of us the peer speaks first.
    pub(super) peer_goes_first: bool,
    /// The peer has repeated what was known, and no waiting has been in vain since.
    is_worthwhile: bool,
    /// The first position that is held back.
    held_from: Option<u64>,
    /// From here on it came since the last round.
    young_from: u64,
    rounds: u32,
    due_ms: Option<f64>,
    going_back: Option<GoingBack>,
    /// The positions among what is held back, or yet to be come to, that the peer has sent.
    repeated: BTreeSet<u64>,
}

/// The cursor is among what was held back.
#[derive(Clone, Copy, Debug)]
struct GoingBack {
    /// It goes from here on...
    end: u64,
    /// ...to where it was before.
    resume_at: u64,
    has_sent: bool,
    has_spared: bool,
}

impl Deferring {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            wait_ms: limits.relay_wait_ms_max,
            repeated_max: limits.relay_repeated_max,
            peer_goes_first: false,
            is_worthwhile: false,
            held_from: None,
            young_from: 0,
            rounds: 0,
            due_ms: None,
            going_back: None,
            repeated: BTreeSet::new(),
        }
    }

    /// Something is held back, or was and is not sent yet.
    pub(super) fn has_held(&self) -> bool {
        self.held_from.is_some() || self.going_back.is_some()
    }

    /// Whether updates of others are held back as they arrive.
    pub(super) fn is_active(&self) -> bool {
        self.peer_goes_first && self.is_worthwhile
    }

    /// Whether the update at `position`, which somebody else brought, is held back.
    pub(super) fn holds_back(&mut self, position: u64) -> bool {
        let does = self.is_active() && self.going_back.is_none();
        if does && self.held_from.is_none() {
            (self.held_from, self.young_from) = (Some(position), position);
            (self.rounds, self.due_ms) = (0, None);
        }
        does
    }

    /// Whether the peer has sent what is at `position`, which is come to now.
    pub(super) fn was_repeated(&mut self, position: u64) -> bool {
        !self.repeated.is_empty() && self.repeated.remove(&position)
    }

    pub(super) fn is_going_back(&self) -> bool {
        self.going_back.is_some()
    }

    /// An update of others was come to on the way back: sent, or spared.
    pub(super) fn passed(&mut self, is_spared: bool) {
        if let Some(back) = &mut self.going_back {
            back.has_spared |= is_spared;
            back.has_sent |= !is_spared;
        }
    }

    /// Where the cursor belongs that would come to `position` next: at the end of what was held back, where
    /// it was before.
    pub(super) fn resume(&mut self, position: u64) -> Option<u64> {
        let back = self.going_back.as_mut().filter(|back| position >= back.end)?;
        if back.has_sent && !back.has_spared {
            // The peer had none of it: waiting was in vain.
            self.is_worthwhile = false;
        }
        if !self.is_worthwhile && self.held_from.take().is_some() {
            // Nothing waits any more, so what still does goes before all that comes next.
            back.end = back.resume_at;
            return None;
        }
        let back = self.going_back.take()?;
        // What has been superseded meanwhile was not come to.
        self.repeated = self.repeated.split_off(&back.end);
        Some(back.resume_at)
    }

    /// When the next round is due; at once, if the clock has yet to be looked at.
    pub(super) fn due_ms(&self) -> Option<f64> {
        self.held_from.map(|_| self.due_ms.unwrap_or(0.0))
    }

    /// A round: what was held back before the last one is released. Answers where the cursor goes back to.
    fn round(&mut self, cursor: u64, now_ms: f64) -> Option<u64> {
        let held_from = self.held_from?;
        let is_first = self.due_ms.replace(now_ms + self.wait_ms).is_none();
        if is_first || self.going_back.is_some() {
            return None;
        }
        self.rounds += 1;
        let end = if self.rounds >= ROUNDS_MAX { cursor } else { self.young_from };
        self.young_from = cursor;
        self.release(held_from, end, cursor)
    }

    fn release(&mut self, from: u64, end: u64, cursor: u64) -> Option<u64> {
        if end <= from {
            return None;
        }
        self.held_from = (end < cursor).then_some(end);
        let back = GoingBack { end, resume_at: cursor, has_sent: false, has_spared: false };
        self.going_back = Some(back);
        Some(from)
    }

    /// Everything is sent another way.
    pub(super) fn forget(&mut self) {
        (self.held_from, self.going_back) = (None, None);
        self.repeated.clear();
    }
}

impl Session {
    /// The peer has sent what is held at `position`, and had come from elsewhere: both of us would pass it
    /// on.
    pub(super) fn note_repeated(&mut self, position: u64) {
        let deferring = &mut self.deferring;
        if !self.receiving.makes_promises() || deferring.wait_ms <= 0.0 {
            return;
        }
        deferring.is_worthwhile = true;
        let from = deferring.held_from.unwrap_or(self.cursor).min(self.cursor);
        if deferring.is_active()
            && position >= from
            && deferring.repeated.len() < deferring.repeated_max
        {
            deferring.repeated.insert(position);
        }
    }

    /// Releases what has waited long enough.
    pub(super) fn release_due(&mut self, now_ms: f64) {
        if let Some(due) = &mut self.deferring.due_ms {
            // A clock that was set back does not hold anything back for longer.
            *due = due.min(now_ms + self.deferring.wait_ms);
        }
        if self.deferring.due_ms().is_some_and(|due| due <= now_ms)
            && let Some(back_to) = self.deferring.round(self.cursor, now_ms)
        {
            self.cursor = back_to;
        }
    }

    /// From now on nothing is held back: the session is to end.
    pub(super) fn release_all(&mut self) {
        self.deferring.peer_goes_first = false;
        let held_from = self.deferring.held_from.take();
        if let Some(back) = &mut self.deferring.going_back {
            back.end = back.resume_at;
        } else if let Some(from) = held_from
            && let Some(back_to) = self.deferring.release(from, self.cursor, self.cursor)
        {
            self.cursor = back_to;
        }
    }
}
