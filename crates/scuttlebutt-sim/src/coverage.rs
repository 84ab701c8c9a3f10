//! How often each thing happened, so that a run in which something never happened is not taken for
//! evidence.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

/// Everything that must happen at least once over many seeds.
pub const EXPECTED: &[&str] = &[
    "fault: cut",
    "fault: cut with bytes on the way",
    "fault: stall",
    "fault: half-open link",
    "fault: restart with disk",
    "fault: restart without disk",
    "fault: disk lost what was not synced",
    "fault: node lost for good",
    "fault: node lost while sending history",
    "fault: clock jumped ahead",
    "fault: clock stepped back",
    "fault: clock years ahead",
    "fault: link moved",
    "fault: session left",
    "hostile: garbage",
    "hostile: forged digest",
    "hostile: flood",
    "hostile: replay",
    "hostile: far future",
    "hostile: duplicate source id",
    "hostile: false promise",
    "hostile: broken line",
    "peer: original",
    "peer: only sends",
    "peer: only receives",
    "outcome: applied",
    "outcome: refused, malformed",
    "outcome: refused, invalid",
    "outcome: refused, clock skew",
    "outcome: refused, read-only",
    "session: digest received",
    "session: history sent",
    "session: history received",
    "session: synced",
    "session: confirmed",
    "session: closed, finished",
    "session: closed, failed",
    "session: asked again",
    "state: overwritten",
    "state: unannounced update held",
    "state: identity contested",
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

    /// Adds another run's counts.
    pub fn join(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            self.add(what, *count);
        }
    }

    /// What never happened of [`EXPECTED`].
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        EXPECTED.iter().copied().filter(|what| !self.0.contains_key(what)).collect()
    }

    /// All counts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}
