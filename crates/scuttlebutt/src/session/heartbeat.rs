//! How each side knows that the other is still there: a word at least every so often, where both agreed
//! on that.
//!
//! What is counted is intervals in which nothing came, not time: a wall clock that is set, or a process
//! that stood still itself, makes for one interval at most. Anything that arrives is a word; the heartbeat
//! is for a side that has nothing to say.

use super::{Session, SessionError};
use crate::limits::Limits;

/// A peer that was silent for so many intervals in a row is gone.
const SILENCES_MAX: u32 = 3;

/// When to say something, and when something should have come.
#[derive(Clone, Debug)]
pub(super) struct Heartbeat {
    /// The longest silence that is asked of the peer; 0 asks for nothing.
    asked_ms: f64,
    /// The shortest that it may ask for.
    asked_ms_min: f64,
    agreed: Option<Agreed>,
}

#[derive(Clone, Debug)]
struct Agreed {
    say_every_ms: f64,
    say_at_ms: f64,
    is_due: bool,
    look_at_ms: f64,
    has_heard: bool,
    silences: u32,
}

impl Heartbeat {
    pub(super) fn new(limits: &Limits) -> Self {
        let asked_ms_min = limits.heartbeat_ms_min.max(1.0);
        let asked_ms = match limits.heartbeat_ms_max {
            asked if asked > 0.0 => asked.max(asked_ms_min),
            _ => 0.0,
        };
        Self { asked_ms, asked_ms_min, agreed: None }
    }

    /// What is announced.
    pub(super) fn asked_ms(&self) -> Option<f64> {
        (self.asked_ms > 0.0).then_some(self.asked_ms)
    }

    /// The peer asks for a word every so many milliseconds, and was asked for the same. The first time
    /// counts.
    pub(super) fn agree(&mut self, now_ms: f64, peer_asks_ms: f64) {
        let say_every_ms = peer_asks_ms.max(self.asked_ms_min);
        self.agreed.get_or_insert(Agreed {
            say_every_ms,
            say_at_ms: now_ms + say_every_ms,
            is_due: false,
            look_at_ms: now_ms + self.asked_ms,
            has_heard: true,
            silences: 0,
        });
    }

    /// Something came, or nobody listened.
    pub(super) fn heard(&mut self) {
        if let Some(agreed) = &mut self.agreed {
            agreed.has_heard = true;
        }
    }

    /// Nothing more will come, or is to be said: neither is missed.
    pub(super) fn end(&mut self) {
        self.agreed = None;
    }

    pub(super) fn due_ms(&self) -> Option<f64> {
        self.agreed.as_ref().map(|agreed| agreed.say_at_ms.min(agreed.look_at_ms))
    }

    /// Whether a word is to be said now.
    pub(super) fn is_due(&self) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.is_due)
    }

    /// It is, from here on.
    pub(super) fn take_due(&mut self) -> bool {
        self.agreed.as_mut().is_some_and(|agreed| std::mem::take(&mut agreed.is_due))
    }

    /// Does what is due; answers whether the peer has been silent for too long.
    fn tick(&mut self, now_ms: f64) -> bool {
        let Some(agreed) = &mut self.agreed else { return false };
        // A clock that was set back puts nothing off.
        agreed.say_at_ms = agreed.say_at_ms.min(now_ms + agreed.say_every_ms);
        agreed.look_at_ms = agreed.look_at_ms.min(now_ms + self.asked_ms);
        if agreed.say_at_ms <= now_ms {
            agreed.is_due = true;
            agreed.say_at_ms = now_ms + agreed.say_every_ms;
        }
        if agreed.look_at_ms <= now_ms {
            agreed.look_at_ms = now_ms + self.asked_ms;
            let has_heard = std::mem::take(&mut agreed.has_heard);
            agreed.silences = if has_heard { 0 } else { agreed.silences + 1 };
        }
        agreed.silences >= SILENCES_MAX
    }
}

impl Session {
    /// Whether both sides agreed on heartbeats: a peer that is gone, or hangs, ends the session with
    /// [`SessionError::Silent`].
    #[must_use]
    pub fn has_heartbeat(&self) -> bool {
        self.heartbeat.agreed.is_some()
    }

    /// For a driver that has not read from its stream for a while, though there may be something: the
    /// silence since is not the peer's.
    pub fn excuse_silence(&mut self) {
        self.heartbeat.heard();
    }

    pub(super) fn check_heartbeat(&mut self, now_ms: f64) -> Result<(), SessionError> {
        match self.heartbeat.tick(now_ms) {
            false => Ok(()),
            true => {
                let waited_ms = f64::from(SILENCES_MAX) * self.heartbeat.asked_ms;
                Err(self.fail(SessionError::Silent { waited_ms }))
            }
        }
    }
}
