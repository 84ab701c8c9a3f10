//! How fast a peer's digests are answered.
//!
//! To answer one is to look at every source there is, whatever the peer's few bytes say. The first is answered
//! at once; a further one when the peer has waited for as long as the one before was worth. Of those that wait
//! only the last counts, as of all that are not answered yet.

use super::Session;
use crate::limits::Limits;
use crate::version_vector::VersionVector;

#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// When the next digest may be answered, in milliseconds since the epoch.
    from_ms: f64,
    waiting: Option<Waiting>,
}

/// A digest that waits.
#[derive(Clone, Debug, Default)]
struct Waiting {
    vector: VersionVector,
    /// Histories that are owed for it, and for those whose place it took.
    histories: u64,
    histories_max: u64,
    /// How long the next one waits after it.
    cost_ms: f64,
}

/// A shorter wait is not worth a timer.
const WAIT_MS_MIN: f64 = 1.0;

impl Answers {
    /// Entries of the vector that waits.
    pub(super) fn entries(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.vector.len())
    }

    pub(super) fn due_ms(&self) -> Option<f64> {
        self.waiting.as_ref().map(|_| self.from_ms)
    }
}

impl Session {
    /// Takes a digest to be answered, by a replica that knows so many sources, and for which so many histories
    /// are owed.
    pub(super) fn await_turn(
        &mut self,
        vector: VersionVector,
        histories: u64,
        sources: usize,
        limits: &Limits,
    ) {
        let cost_ms = sources as f64 * 1_000.0 / f64::from(limits.sources_compared_per_second_max);
        let cost_ms = if cost_ms < WAIT_MS_MIN { 0.0 } else { cost_ms };
        let owed = self.answers.waiting.take().map_or(0, |waiting| waiting.histories);
        let histories_max = limits.unanswered_digests_max;
        let histories = (owed + histories).min(histories_max);
        self.answers.waiting = Some(Waiting { vector, histories, histories_max, cost_ms });
    }

    /// Answers the digest that waits, if its time has come.
    pub(super) fn answer_if_due(&mut self, now_ms: f64) {
        if self.answers.due_ms().is_some_and(|due| due <= now_ms) {
            let cost_ms = self.answer_now();
            self.answers.from_ms = now_ms + cost_ms;
        }
    }

    /// Answers the digest that waits, and tells what that costs.
    pub(super) fn answer_now(&mut self) -> f64 {
        let Some(waiting) = self.answers.waiting.take() else { return 0.0 };
        let owed_max = self.histories_sent + waiting.histories_max;
        self.histories_owed = owed_max.min(self.histories_owed + waiting.histories);
        self.unanswered = Some(waiting.vector);
        waiting.cost_ms
    }
}
