//! A data model of your own, in an afternoon: a counter that several writers may increment at once.
//!
//! ```text
//! cargo run --example custom_model
//! ```
//!
//! A model answers one question: what becomes of an update? Everything else is done for you: the
//! log, timestamps, what a peer lacks, sending it, never applying it twice.
//!
//! # How to count without losing a count
//!
//! If each replica wrote "the counter is 5", of two concurrent increments one would be lost: the
//! last writer would win. So nobody writes the sum. There are two ways that work:
//!
//! - *Keep every increment*: an update says `+1`, none supersedes another, the sum is shown. Simple,
//!   but the log grows with every increment, for ever, and a newcomer receives all of it.
//! - *Keep each writer's total*: an update says "I have counted 5 so far" and supersedes what the
//!   same writer said before. The sum of the totals is shown. The log holds one update for each
//!   writer, however often it counts.
//!
//! This is the second. It works because a writer's totals only grow and only it writes them.

use std::collections::BTreeMap;

use scuttlebutt::{
    Change, Merge, Model, Replica, Session, SessionConfig, SourceId, Update, UpdateId,
    VersionVector,
};

/// How often something happened, anywhere.
///
/// *Under concurrency:* no increment is lost, and none counts twice.
///
/// *On the wire* a change is the writer's own total so far, a number.
#[derive(Clone, Debug, Default)]
struct Counter {
    /// For each writer its newest total, and the update that told it.
    totals: BTreeMap<SourceId, (UpdateId, u64)>,
}

impl Counter {
    /// The sum over all writers.
    fn value(&self) -> u64 {
        self.totals.values().fold(0, |sum, (_, total)| sum.saturating_add(*total))
    }

    /// The change by which `writer` adds `amount`.
    fn increment(&self, writer: &SourceId, amount: u64) -> Change {
        let total = self.totals.get(writer).map_or(0, |(_, total)| *total);
        Change::new(&total.saturating_add(amount)).expect("a number is JSON")
    }
}

impl Model for Counter {
    fn apply(&mut self, update: &Update) -> Merge {
        // Peers write changes, so anything may stand there. What is refused here is refused
        // everywhere, since only its text decides.
        let Ok(total) = serde_json::from_str::<u64>(update.change()) else {
            return Merge::invalid("a count is a whole number that is not negative");
        };
        match self.totals.get(update.source()) {
            // Compare ids, never what came first: updates arrive in any order.
            Some((newest, _)) if *newest > update.id() => Merge::superseded(),
            _ => {
                let told = (update.id(), total);
                let before = self.totals.insert(update.source().clone(), told);
                // The log may let go of what the same writer said before.
                Merge::superseding(before.map(|(earlier, _)| earlier))
            }
        }
    }

    fn view(&self) -> String {
        self.value().to_string()
    }
}

/// Lets two replicas talk, as two ends of a connection would, until nothing is left to say.
fn sync(a: &mut Replica<Counter>, b: &mut Replica<Counter>, now_ms: f64) {
    let mut to_b = Session::new(a, now_ms, SessionConfig::default());
    let mut to_a = Session::new(b, now_ms, SessionConfig::default());
    let mut wire = Vec::new();
    while to_b.has_output(a) || to_a.has_output(b) {
        to_b.transmit(a, &mut wire, 4096);
        print!("{}", String::from_utf8_lossy(&wire));
        to_a.receive(b, now_ms, &wire).expect("both speak the same protocol");
        wire.clear();
        to_a.transmit(b, &mut wire, 4096);
        print!("{}", String::from_utf8_lossy(&wire));
        to_b.receive(a, now_ms, &wire).expect("both speak the same protocol");
        wire.clear();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut front = Replica::new(SourceId::new("front door")?, Counter::default());
    let mut back = Replica::new(SourceId::new("back door")?, Counter::default());

    // Visitors come through both doors, and neither door knows of the other's.
    let mut now_ms = 1_700_000_000_000.0;
    for (door, visitors) in [(&mut front, 3), (&mut back, 2)] {
        for _ in 0..visitors {
            now_ms += 1.0;
            let change = door.model().increment(door.id(), 1);
            door.local_update(now_ms, change)?;
        }
    }
    println!("before: front {}, back {}", front.model().value(), back.model().value());

    sync(&mut front, &mut back, now_ms);
    println!("after:  front {}, back {}", front.model().value(), back.model().value());
    assert_eq!((front.model().value(), back.model().value()), (5, 5));

    // Five increments, but one update for each door: that is all a newcomer has to be sent.
    assert_eq!(front.updates_since(&VersionVector::new()).count(), 2);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use scuttlebutt::laws;

    /// What every model owes: the same updates, in whatever order, repeated, interrupted, lead to the
    /// same state. This check comes with the crate; a failure prints the updates and a seed.
    #[test]
    fn the_counter_keeps_the_laws() {
        let changes = [0_u32, 1, 2, 3, 7, 1_000].map(|total| Change::new(&total).expect("JSON"));
        let strange = ["-1", "0.5", "null", "\"5\"", "[1]", "1e300"];
        let strange = strange.map(|text| Change::from_json(text).expect("JSON"));
        let changes: Vec<_> = changes.into_iter().chain(strange).collect();
        laws::check(Counter::default, &changes, 300, 1)
            .unwrap_or_else(|violation| panic!("{violation}"));
    }

    #[test]
    fn no_increment_is_lost_and_none_counts_twice() {
        main().expect("runs");
    }
}
