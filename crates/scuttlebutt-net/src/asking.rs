//! Asks a node's verifier about what peers send, away from the event loop and from the replica's lock.
//!
//! The replica's own verifier says "later" to everything; the questions are taken from the replica in
//! batches, put to the real verifier on threads for blocking work, and the verdicts brought back. What
//! the verifier cannot say yet is asked again, after a delay that doubles. Nothing here decides about
//! updates: order, duplicates and bounds are the replica's.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, Question, Trust, Update, Verifier};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::peer_log::{Begun, Topic};

/// Has everything asked later.
pub(crate) struct AskLater;

impl Verifier for AskLater {
    fn verify(&self, _: &Update) -> Trust {
        Trust::Later
    }
}

/// Questions that are put to the verifier together.
struct Batch {
    questions: Vec<Question>,
    /// How often they have been asked already.
    attempts: u32,
}

/// The task.
pub(crate) struct Asking<M> {
    engine: Arc<Engine<M>>,
    verifier: Arc<dyn Verifier>,
    /// What is being asked, with the verdicts.
    running: JoinSet<(Batch, Vec<Trust>)>,
    /// What is to be asked again, by when.
    again: BTreeMap<(Instant, u64), Batch>,
    postponed: u64,
}

impl<M: Model + Send + 'static> Asking<M> {
    pub(crate) fn start(engine: &Arc<Engine<M>>, verifier: Arc<dyn Verifier>) {
        let asking = Self {
            engine: engine.clone(),
            verifier,
            running: JoinSet::new(),
            again: BTreeMap::new(),
            postponed: 0,
        };
        tokio::spawn(asking.run());
    }

    async fn run(mut self) {
        let mut unasked = self.engine.shared.unasked();
        let quiet = self.engine.clone().quiet();
        tokio::pin!(quiet);
        loop {
            unasked.mark_unchanged();
            self.ask();
            let has_room = self.has_room();
            let due = self.again.keys().next().map(|(due, _)| *due).filter(|_| has_room);
            tokio::select! {
                Some(answered) = self.running.join_next() => match answered {
                    Ok((batch, verdicts)) => self.answer(batch, &verdicts),
                    // The runtime is going down, and this task with it.
                    Err(_) => return,
                },
                _ = unasked.changed(), if has_room => {}
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = &mut quiet => return,
            }
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.engine.limits.verify_batches_max.max(1)
    }

    /// Begins to ask, as far as there is something to ask and room for it.
    fn ask(&mut self) {
        while self.has_room() {
            let Some(batch) = self.next_batch() else { return };
            let verifier = self.verifier.clone();
            self.running.spawn_blocking(move || {
                let updates: Vec<Update> =
                    batch.questions.iter().map(|question| question.update.clone()).collect();
                let verdicts = catch_unwind(AssertUnwindSafe(|| verifier.verify_all(&updates)));
                (batch, verdicts.unwrap_or_default())
            });
        }
    }

    fn next_batch(&mut self) -> Option<Batch> {
        if let Some(first) = self.again.first_entry()
            && first.key().0 <= Instant::now()
        {
            return Some(first.remove());
        }
        let count = self.engine.limits.verify_batch_updates_max.max(1);
        if *self.engine.shared.unasked().borrow() == 0 {
            return None;
        }
        let questions = self.engine.shared.write(|replica| replica.take_questions(count));
        (!questions.is_empty()).then_some(Batch { questions, attempts: 0 })
    }

    /// Brings the verdicts back, and keeps what is to be asked again.
    fn answer(&mut self, batch: Batch, verdicts: &[Trust]) {
        let mut verdicts = verdicts.iter().copied();
        let mut later = Vec::new();
        self.engine.shared.write(|replica| {
            for question in batch.questions {
                match verdicts.next().unwrap_or(Trust::Later) {
                    Trust::Later => later.push(question),
                    known => replica.answer(question.ticket, known),
                }
            }
        });
        if later.is_empty() {
            return;
        }
        let limits = &self.engine.limits;
        let (least, most) = (limits.verify_delay_ms_min, limits.verify_delay_ms_max);
        let delay_ms = least.saturating_mul(1 << batch.attempts.min(32)).min(most);
        if batch.attempts == 0 && self.engine.log.allows(Begun::There, Topic::NoVerdict) {
            tracing::info!(
                updates = later.len(),
                "the verifier cannot say yet who wrote these updates; it is asked again"
            );
        }
        self.postponed += 1;
        let due = Instant::now() + Duration::from_millis(delay_ms);
        let batch = Batch { questions: later, attempts: batch.attempts + 1 };
        self.again.insert((due, self.postponed), batch);
    }
}
