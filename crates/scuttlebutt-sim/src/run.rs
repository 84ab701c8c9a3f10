//! One run from beginning to end, and making a failing one smaller.

use crate::coverage::Coverage;
use crate::scenario::{ModelKind, Scenario, Topology};
use crate::subject::{EventsSubject, MapSubject, RetainedSubject, Subject, ValueSubject};
use crate::timeline::Timeline;
use crate::world::{Violation, World};

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What was run.
    pub scenario: Scenario,
    /// The rule that was broken, if one was.
    pub violation: Option<Violation>,
    /// The same for the same scenario, whenever and wherever it is run.
    pub trace_hash: u64,
    /// Events of the world: deliveries, writes, faults.
    pub events: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// How often each thing happened.
    pub coverage: Coverage,
    /// An account of who sent what to whom, if it was asked for.
    pub account: Vec<String>,
    /// What a picture is drawn from, if the account was asked for.
    pub timeline: Timeline,
}

/// Runs a scenario with one of the crate's models.
#[must_use]
pub fn run(scenario: Scenario, keeps_account: bool) -> Report {
    match scenario.model {
        ModelKind::Map => run_subject(&MapSubject, scenario, keeps_account),
        ModelKind::Events => run_subject(&EventsSubject, scenario, keeps_account),
        ModelKind::RetainedEvents(count) => {
            run_subject(&RetainedSubject { count }, scenario, keeps_account)
        }
        ModelKind::Value => run_subject(&ValueSubject, scenario, keeps_account),
    }
}

/// Runs a scenario with any model.
#[must_use]
pub fn run_subject<S: Subject>(subject: &S, scenario: Scenario, keeps_account: bool) -> Report {
    let mut world = World::new(subject, scenario, keeps_account);
    let mut events = 0;
    let mut violation = None;
    let mut survivors = None;
    while let Some(checked) = world.step() {
        events += 1;
        if let Err(found) = checked {
            violation = Some(found);
            break;
        }
        if world.is_calm && survivors.is_none() {
            survivors = Some(world.survivors());
        }
    }
    if violation.is_none() {
        let survivors = survivors.unwrap_or_default();
        violation = world.check_convergence(&survivors).and_then(|()| world.check_progress()).err();
    }
    Report {
        violation,
        trace_hash: world.trace.hash(),
        events,
        virtual_ms: world.at_ms(),
        coverage: world.coverage,
        account: world.trace.into_lines(),
        timeline: world.timeline,
        scenario: world.scenario,
    }
}

/// Looks for a smaller scenario that fails too: fewer nodes, fewer kinds of faults, a shorter run.
/// Answers the smallest it found in `tries` runs.
pub fn shrink(
    failing: Scenario,
    mut tries: u32,
    mut fails: impl FnMut(&Scenario) -> bool,
) -> Scenario {
    let mut smallest = failing;
    loop {
        let mut is_smaller = false;
        for candidate in smaller(&smallest) {
            if tries == 0 {
                return smallest;
            }
            tries -= 1;
            if fails(&candidate) {
                smallest = candidate;
                is_smaller = true;
                break;
            }
        }
        if !is_smaller {
            return smallest;
        }
    }
}

fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut offer = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        let special = candidate.hostiles + candidate.originals + candidate.one_way;
        if candidate != *scenario && candidate.nodes >= 2 && special < candidate.nodes {
            candidates.push(candidate);
        }
    };
    offer(&|s| {
        s.hostiles = 0;
        s.liars = false;
    });
    offer(&|s| s.originals = 0);
    offer(&|s| {
        s.verdicts = None;
        s.faults.revoked = None;
    });
    offer(&|s| s.one_way = 0);
    offer(&|s| s.nodes = s.nodes / 2 + 1);
    offer(&|s| s.nodes -= 1);
    offer(&|s| s.storm_ms = s.storm_ms * 2 / 3);
    offer(&|s| s.storm_ms = s.storm_ms * 9 / 10);
    offer(&|s| s.faults.clock_jump = None);
    offer(&|s| s.faults.leave = None);
    offer(&|s| s.faults.set_back = None);
    offer(&|s| s.faults.copied = None);
    offer(&|s| s.faults.loss = None);
    offer(&|s| s.faults.revoked = None);
    offer(&|s| s.faults.restart = None);
    offer(&|s| s.faults.half_open = None);
    offer(&|s| s.faults.stall = None);
    offer(&|s| s.faults.cut = None);
    offer(&|s| s.write_every_ms *= 2.0);
    offer(&|s| s.burst_max = 1);
    offer(&|s| s.disks = 0.0);
    offer(&|s| s.buffer_bytes = 65_536);
    offer(&|s| s.bytes_per_ms = 100_000);
    offer(&|s| s.topology = Topology::Line);
    offer(&|s| s.seed = s.seed.wrapping_add(1 << 32));
    candidates
}
