//! How often each thing happened, so that a run in which something never happened is not taken for
//! evidence.

use std::collections::BTreeMap;
use std::fmt;

use scuttlebutt::Tally;

use crate::run::Report;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// In so many runs everything [`EXPECTED`] must happen at least once.
pub const COVERING_RUNS: u64 = 500;

/// In so many runs everything [`RARE`] must happen at least once.
pub const COVERING_RARE_RUNS: u64 = 10_000;

/// What happens in one run of thirty or more: that 500 have none of it is a chance of one in 10^7.
pub const EXPECTED: &[&str] = &[
    "fault: cut",
    "fault: cut with bytes on the way",
    "fault: stall",
    "fault: half-open link",
    "fault: restart with disk",
    "fault: restart without disk",
    "fault: disk lost what was not synced",
    "fault: disk set back",
    "fault: disk copied",
    "fault: node lost for good",
    "fault: node lost while sending history",
    "fault: clock jumped ahead",
    "fault: clock stepped back",
    "fault: clock years ahead",
    "fault: link moved",
    "fault: session left",
    "fault: source revoked",
    "fault: source revoked from some time on",
    "hostile: garbage",
    "hostile: forged digest",
    "hostile: forged claim",
    "hostile: flood",
    "hostile: replay",
    "hostile: far future",
    "hostile: duplicate source id",
    "hostile: false promise",
    "hostile: broken line",
    "hostile: forgery",
    "hostile: fork",
    "hostile: frames",
    "hostile: forged twin",
    "hostile: forged far ahead",
    "hostile: forged behind",
    "peer: original",
    "peer: original lost its own write",
    "peer: only sends",
    "peer: only receives",
    "outcome: applied",
    "outcome: superseded",
    "outcome: stale",
    "outcome: malformed",
    "outcome: invalid",
    "outcome: clock skew",
    "outcome: read-only",
    "outcome: waited",
    "outcome: forked",
    "outcome: unverified",
    "outcome: too many wait",
    "verdict: trusted",
    "verdict: untrusted",
    "verdict: out of order",
    "verdict: key out of reach",
    "session: digest sent",
    "session: digest received",
    "session: history sent",
    "session: history received",
    "session: history went on where it broke off",
    "session: end of history put off",
    "session: mark sent",
    "session: mark received",
    "session: mark ignored",
    "session: update sent catching up",
    "session: update sent live",
    "session: update known to the peer",
    "session: portion ended within a line",
    "session: synced",
    "session: confirmed",
    "session: closed, finished",
    "session: closed, peer left early",
    "session: closed, failed",
    "session: something was due",
    "session: update sent without a promise",
    "state: an original skipped what an original had left out",
    "state: an original skipped what we had left out",
    "session: spoke binary",
    "session: acknowledgement sent",
    "session: pack sent",
    "session: acknowledgement received",
    "state: overwritten",
    "state: unannounced update held",
    "state: identity contested",
    "state: identity renewed",
    "state: something dropped",
    "state: own updates may be elsewhere",
];

/// What happens in one run of four hundred or more.
pub const RARE: &[&str] = &[
    "state: no identity left",
    "state: forgotten update hidden",
    "state: written behind what was forgotten",
    "state: one name, two updates",
    "state: fork known to all",
];

impl Coverage {
    /// It happened once more.
    pub fn hit(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    /// It happened this often.
    pub fn add(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// What a session has counted.
    pub fn add_tally(&mut self, tally: &Tally) {
        for (what, count) in [
            ("outcome: applied", tally.updates_applied),
            ("outcome: superseded", tally.updates_superseded),
            ("outcome: stale", tally.updates_stale),
            ("outcome: malformed", tally.updates_malformed),
            ("outcome: invalid", tally.updates_invalid),
            ("outcome: clock skew", tally.updates_early),
            ("outcome: read-only", tally.updates_unwanted),
            ("outcome: forked", tally.updates_forked),
            ("outcome: waited", tally.updates_waited),
            ("outcome: unverified", tally.updates_unverified),
            ("outcome: too many wait", tally.updates_crowded),
            ("session: digest sent", tally.digests_sent),
            ("session: digest received", tally.digests_received),
            ("session: history sent", tally.histories_sent),
            ("session: history received", tally.histories_received),
            ("session: history went on where it broke off", tally.histories_resumed),
            ("session: end of history put off", tally.ends_moved),
            ("session: mark sent", tally.marks_sent),
            ("session: mark received", tally.marks_received),
            ("session: mark ignored", tally.marks_ignored),
            ("session: acknowledgement sent", tally.acknowledgements_sent),
            ("session: pack sent", tally.packs_sent),
            ("session: acknowledgement received", tally.acknowledgements_received),
            ("session: update sent catching up", tally.updates_sent_catching_up),
            ("session: update sent live", tally.updates_sent_live),
            ("session: update known to the peer", tally.updates_known_to_peer),
            ("session: update held back", tally.updates_held_back),
            ("session: portion ended within a line", tally.lines_split),
        ] {
            self.add(what, count);
        }
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// What many runs come to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// Events in them.
    pub events: u64,
    /// Their virtual time, in milliseconds.
    pub virtual_ms: u64,
    /// How often each thing happened, and in how many of the runs.
    counts: BTreeMap<&'static str, (u64, u64)>,
}

impl Totals {
    /// Adds a run.
    pub fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.events += report.events;
        self.virtual_ms += report.virtual_ms;
        for (what, times) in report.coverage.iter() {
            let count = self.counts.entry(what).or_default();
            count.0 += times;
            count.1 += 1;
        }
    }

    /// What should have happened in so many runs, and did not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let is_due = |what: &&str| {
            let least = if RARE.contains(what) { COVERING_RARE_RUNS } else { COVERING_RUNS };
            self.runs >= least && !self.counts.contains_key(what)
        };
        EXPECTED.iter().chain(RARE).copied().filter(is_due).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, (times, runs)) in &self.counts {
            writeln!(f, "{times:>12} in {runs:>6} runs  {what}")?;
        }
        write!(
            f,
            "{} runs, {} events, {} virtual minutes",
            self.runs,
            self.events,
            self.virtual_ms / 60_000
        )
    }
}
