//! Whole clusters in virtual time, from one seed.
//!
//! The replicas and sessions are those of the [`scuttlebutt`] crate, not a model of them; links,
//! disks, clocks and peers are simulated. A seed draws everything: how many nodes, how they are
//! linked, how slow, what is written, and which faults happen. After a storm the faults stop and
//! everybody has to come to the same. Every rule is checked against an oracle that keeps every update
//! ever made: after every event what must always hold, at the end what must come about.
//!
//! A simulation never reads a clock and draws no randomness but the seed's, so a seed that fails
//! fails again.
//!
//! ```
//! use scuttlebutt_sim::{Scenario, run};
//!
//! let report = run(Scenario::from_seed(1), false);
//! assert_eq!(report.violation, None);
//! ```
//!
//! [`check_model`] puts a data model of your own through the same.

mod chance;
mod checks;
mod coverage;
mod disk;
mod hostile;
mod link;
mod order;
mod original;
mod run;
mod scenario;
pub mod small_worlds;
mod subject;
mod timeline;
mod trace;
mod truth;
mod world;

use scuttlebutt::{Change, Model};

pub use chance::Chance;
pub use coverage::{COVERING_RARE_RUNS, COVERING_RUNS, Coverage, EXPECTED, RARE, Totals};
pub use run::{Report, run, run_subject, shrink};
pub use scenario::{Faults, Keys, ModelKind, Scenario, Topology, Verdicts};
pub use subject::{EventsSubject, MapSubject, RetainedSubject, Subject, ValueSubject};
pub use timeline::{Sample, Timeline};
pub use trace::Trace;
pub use world::Violation;

/// Puts a model through the storms of `seeds`, in an ordinary `#[test]`. `change` draws a random
/// write.
///
/// ```
/// use scuttlebutt::LwwMap;
///
/// scuttlebutt_sim::check_model(
///     LwwMap::new,
///     |chance| LwwMap::set(format!("key-{}", chance.below(3)), &chance.below(100)).unwrap(),
///     0..5,
/// );
/// ```
///
/// # Panics
/// When a rule is broken, with the smallest scenario found that breaks it.
pub fn check_model<M: Model>(
    new_model: impl Fn() -> M,
    change: impl Fn(&mut Chance) -> Change,
    seeds: std::ops::Range<u64>,
) {
    let subject = subject::Custom { new_model, change };
    for seed in seeds {
        let report = run_subject(&subject, Scenario::from_seed(seed), false);
        if report.violation.is_some() {
            let fails = |scenario: &Scenario| {
                run_subject(&subject, scenario.clone(), false).violation.is_some()
            };
            let smallest = shrink(report.scenario, 300, fails);
            let report = run_subject(&subject, smallest, true);
            panic!(
                "seed {seed}: {}\nin {:#?}\n{}",
                report.violation.map_or_else(String::new, |violation| violation.what),
                report.scenario,
                report.account.join("\n")
            );
        }
    }
}
