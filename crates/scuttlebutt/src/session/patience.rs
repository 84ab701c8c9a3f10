//! How long a session waits before it asks again for what there was no room for: ever longer while there
//! is none.
//!
//! It counts and answers times. When something is asked for is decided elsewhere.

use crate::limits::Limits;

/// Since when, and how often, there was no room.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    wait_ms: f64,
    /// Something was refused since the peer was last asked.
    is_awaited: bool,
}

impl Patience {
    /// There was no room. Answers how long to wait, and whether that is the first time since the peer was
    /// asked: whatever comes until then is refused for the same reason.
    pub(super) fn refused(&mut self, limits: &Limits) -> (f64, bool) {
        let is_first = !std::mem::replace(&mut self.is_awaited, true);
        if is_first {
            let wait_ms = (2.0 * self.wait_ms).max(limits.ask_again_ms_min);
            self.wait_ms = wait_ms.min(limits.ask_again_ms_max);
        }
        (self.wait_ms, is_first)
    }

    /// The peer is asked.
    pub(super) fn asked(&mut self) {
        self.is_awaited = false;
    }

    /// It has answered; if there was room for everything, the next time begins with a short wait.
    pub(super) fn answered(&mut self) {
        if !self.is_awaited {
            self.wait_ms = 0.0;
        }
    }
}
