//! A check that any model keeps the laws of [`Model`]: same updates, whatever the order, the
//! repetitions and the interruptions, same state.
//!
//! It draws its cases from a seed that the caller hands in, and says in its error which seed, which
//! law and which updates failed.

use crate::model::{Merge, Model, Verdict};
use crate::replica::Replica;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update};

/// Runs `rounds` random histories built from `changes` through replicas of the model that
/// `new_model` makes, and compares what they show.
///
/// Each round writes updates as several sources, with equal and crossing timestamps, and delivers
/// them: shuffled; repeated; without what a full replica named as superseded; and through replicas
/// that pass on only what they hold when a transfer breaks off at a random place and starts again.
///
/// ```
/// use scuttlebutt::laws;
/// use scuttlebutt::LwwMap;
///
/// let changes = [LwwMap::set("a", &1)?, LwwMap::set("b", &2)?, LwwMap::remove("a")];
/// laws::check(LwwMap::new, &changes, 50, 7)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`LawViolation`] for the first history on which two replicas differ.
pub fn check<M: Model>(
    new_model: impl Fn() -> M,
    changes: &[Change],
    rounds: u32,
    seed: u64,
) -> Result<(), LawViolation> {
    for round in 0..rounds {
        let round_seed = seed.wrapping_add(u64::from(round));
        let mut draw = Draw(round_seed);
        let history = history(changes, &mut draw);
        let fail = |law, updates: &[Update], expected: &str, found: String| LawViolation {
            law,
            seed: round_seed,
            updates: updates.to_vec(),
            expected: expected.to_owned(),
            found,
        };

        let reference = replica(&new_model, &history);
        let expected = reference.model().view();

        for _ in 0..4 {
            let mut shuffled = history.clone();
            draw.shuffle(&mut shuffled);
            let found = replica(&new_model, &shuffled).model().view();
            if found != expected {
                return Err(fail(Law::OrderDoesNotMatter, &shuffled, &expected, found));
            }
            let mut repeated: Vec<_> = shuffled.iter().chain(&history).cloned().collect();
            draw.shuffle(&mut repeated);
            // Past the log, which would recognise a repeated update: a superseded one is forgotten
            // by the log and can reach the model again.
            let mut model = new_model();
            for update in &repeated {
                model.time_passes(draw.below(history.len()) as f64);
                model.apply(update);
            }
            model.time_passes(f64::MAX);
            if model.view() != expected {
                return Err(fail(Law::OrderDoesNotMatter, &repeated, &expected, model.view()));
            }
        }

        let mut needed: Vec<_> = reference.updates_since(&Default::default()).cloned().collect();
        draw.shuffle(&mut needed);
        let found = replica(&new_model, &needed).model().view();
        if found != expected {
            return Err(fail(Law::SupersededIsNotNeeded, &needed, &expected, found));
        }

        // Interruptions: part of the history arrives, then all of what a full replica still has.
        let mut interrupted = history[..draw.below(history.len() + 1)].to_vec();
        draw.shuffle(&mut interrupted);
        interrupted.extend(needed);
        let found = replica(&new_model, &interrupted).model().view();
        if found != expected {
            return Err(fail(Law::SupersededIsNotNeeded, &interrupted, &expected, found));
        }

        let refused = |order: &[Update]| {
            let mut model = new_model();
            let mut refused: Vec<_> = order
                .iter()
                .filter(|update| matches!(model.apply(update), Merge(Verdict::Invalid(_))))
                .map(Update::id)
                .collect();
            refused.sort();
            refused
        };
        let mut reversed = history.clone();
        reversed.reverse();
        let (expected, found) = (refused(&history), refused(&reversed));
        if expected != found {
            return Err(fail(
                Law::OnlyContentDecides,
                &reversed,
                &format!("{expected:?}"),
                format!("{found:?}"),
            ));
        }
    }
    Ok(())
}

/// Which law a model broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Law {
    /// The same updates in another order, or repeated, lead to another state.
    #[error("order and repetition do not matter")]
    OrderDoesNotMatter,
    /// Leaving out what was named as superseded leads to another state.
    #[error("what was superseded is not needed")]
    SupersededIsNotNeeded,
    /// Which updates are invalid depends on what came before them.
    #[error("only its content decides whether an update is invalid")]
    OnlyContentDecides,
}

/// A history on which a model broke a law.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the model breaks the law \"{law}\" (replay with seed {seed})\nupdates: {updates:?}\nexpected: {expected}\n   found: {found}"
)]
pub struct LawViolation {
    /// The law.
    pub law: Law,
    /// The seed of the failing round: `check(…, 1, seed)` replays it.
    pub seed: u64,
    /// The updates, in the order that led to `found`.
    pub updates: Vec<Update>,
    /// The view of a replica that received all updates in the order in which they were written.
    pub expected: String,
    /// The view that differs from it.
    pub found: String,
}

/// Updates by up to four sources; timestamps tie between sources and ascend within each.
fn history(changes: &[Change], draw: &mut Draw) -> Vec<Update> {
    let names = ["A", "B", "a\u{1F600}", "\u{FF5E}"];
    let mut clocks = [1.0_f64; 4];
    let count = 2 + draw.below(3 * changes.len().max(2));
    let mut updates = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(change) = changes.get(draw.below(changes.len().max(1))) else {
            break;
        };
        let writer = draw.below(names.len());
        clocks[writer] += (1 + draw.below(2)) as f64;
        if let (Ok(timestamp), Ok(source)) =
            (Timestamp::new(clocks[writer]), SourceId::new(names[writer]))
        {
            updates.push(Update::new(change, timestamp, source));
        }
    }
    updates
}

fn replica<M: Model>(new_model: &impl Fn() -> M, updates: &[Update]) -> Replica<M> {
    let reader = SourceId::from_random([0; 3]);
    let mut replica = Replica::new(reader, new_model());
    for update in updates {
        replica.remote_update(update.timestamp().as_millis(), update.clone());
    }
    replica.tell_time(f64::MAX);
    replica
}

/// SplitMix64: the same cases for the same seed, on every platform.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventLog, LwwMap, Register};

    #[test]
    fn our_own_models_keep_the_laws() {
        let map = [
            LwwMap::set("a", &1).unwrap(),
            LwwMap::set("a", &2).unwrap(),
            LwwMap::set("b", "x").unwrap(),
            LwwMap::remove("a"),
            Change::from_json("null").unwrap(),
        ];
        check(LwwMap::new, &map, 300, 1).unwrap();
        let events = [EventLog::emit("e", &(1,)).unwrap(), EventLog::emit("f", &()).unwrap()];
        check(EventLog::new, &events, 300, 2).unwrap();
        let values = [Register::set(&1).unwrap(), Register::set(&2).unwrap()];
        check(Register::new, &values, 300, 3).unwrap();
    }

    /// Lets arrival decide ties, as the original's model does.
    #[derive(Default)]
    struct ArrivalWins(Option<Update>);

    impl Model for ArrivalWins {
        fn apply(&mut self, update: &Update) -> Merge {
            match &self.0 {
                Some(held) if held.timestamp() > update.timestamp() => Merge::superseded(),
                _ => {
                    let earlier = self.0.replace(update.clone());
                    Merge::superseding(earlier.map(|earlier| earlier.id()))
                }
            }
        }

        fn view(&self) -> String {
            self.0.as_ref().map_or("null", Update::change).to_owned()
        }
    }

    #[test]
    fn ties_decided_by_arrival_are_found() {
        let values = [Register::set(&1).unwrap(), Register::set(&2).unwrap()];
        let violation = check(ArrivalWins::default, &values, 300, 1).unwrap_err();
        assert_eq!(violation.law, Law::OrderDoesNotMatter);
    }

    /// Counts, but names everything before as superseded.
    #[derive(Default)]
    struct ForgetfulCounter(Vec<crate::UpdateId>);

    impl Model for ForgetfulCounter {
        fn apply(&mut self, update: &Update) -> Merge {
            if self.0.contains(&update.id()) {
                return Merge::superseded();
            }
            let earlier = self.0.clone();
            self.0.push(update.id());
            Merge::superseding(earlier)
        }

        fn view(&self) -> String {
            self.0.len().to_string()
        }
    }

    #[test]
    fn superseding_what_still_counts_is_found() {
        let violation =
            check(ForgetfulCounter::default, &[Change::from_json("1").unwrap()], 300, 1)
                .unwrap_err();
        assert_eq!(violation.law, Law::SupersededIsNotNeeded);
    }
}
