//! The simulator itself: it repeats, it finds what is broken, and it makes failing runs smaller.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use scuttlebutt::{Change, Merge, Model, Update};
use scuttlebutt_sim::{Chance, ModelKind, Scenario, Verdicts, check_model, run, shrink};

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 1..6 {
        let (one, other) =
            (run(Scenario::from_seed(seed), true), run(Scenario::from_seed(seed), true));
        assert_eq!(one.violation, None, "seed {seed}");
        assert_eq!(one.account, other.account, "seed {seed}");
        assert_eq!(one.trace_hash, other.trace_hash, "seed {seed}");
    }
    let hashes = [7, 8].map(|seed| run(Scenario::from_seed(seed), false).trace_hash);
    assert_ne!(hashes[0], hashes[1]);
}

/// Events are never superseded, so what is reported in the end is known exactly.
#[test]
fn a_fork_of_which_anybody_holds_both_sides_is_reported_by_all() {
    let small = (1..).map(Scenario::from_seed).filter(|scenario| (4..9).contains(&scenario.nodes));
    let mut runs_with_forks = 0;
    for mut scenario in small.take(18) {
        let seed = scenario.seed;
        scenario.model = ModelKind::Events;
        scenario.verdicts = Some(Verdicts { delay_ms: (1, 50), out_of_reach: 0.0 });
        (scenario.hostiles, scenario.originals, scenario.one_way) = (2, 0, 0);
        // One that is full cannot take both sides.
        scenario.tight = 0.0;
        scenario.liars = false;
        let report = run(scenario, false);
        assert_eq!(report.violation, None, "seed {seed}");
        let mut counts = report.coverage.iter();
        runs_with_forks += u32::from(counts.any(|(what, _)| what == "state: fork known to all"));
    }
    assert!(runs_with_forks > 4, "{runs_with_forks} of 18");
}

/// Decides ties and all else by arrival.
#[derive(Default)]
struct LastToArrive(Option<Update>);

impl Model for LastToArrive {
    fn apply(&mut self, update: &Update) -> Merge {
        let earlier = self.0.replace(update.clone());
        Merge::superseding(earlier.map(|earlier| earlier.id()))
    }

    fn view(&self) -> String {
        self.0.as_ref().map_or("null", Update::change).to_owned()
    }
}

fn number(chance: &mut Chance) -> Change {
    Change::new(&chance.below(1_000)).unwrap()
}

#[test]
#[should_panic(expected = "seed ")]
fn a_model_that_breaks_the_laws_is_found() {
    check_model(LastToArrive::default, number, 0..20);
}

#[test]
fn a_failing_run_is_made_smaller() {
    // "Fails" whenever there are at least three nodes and a cut.
    let fails = |scenario: &Scenario| scenario.nodes >= 3 && scenario.faults.cut.is_some();
    let large = (0..)
        .map(Scenario::from_seed)
        .find(|scenario| scenario.nodes > 20 && fails(scenario))
        .unwrap();
    let small = shrink(large, 500, fails);
    assert_eq!(small.nodes, 3);
    assert!(small.faults.cut.is_some() && small.faults.loss.is_none());
}
