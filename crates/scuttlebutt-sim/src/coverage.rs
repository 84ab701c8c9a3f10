//! How often each thing happened, so that a run in which something never happened is not taken for
//! evidence.

use std::collections::BTreeMap;

use scuttlebutt::Tally;

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
    "outcome: superseded",
    "outcome: stale",
    "outcome: malformed",
    "outcome: invalid",
    "outcome: clock skew",
    "outcome: read-only",
    "session: digest sent",
    "session: digest received",
    "session: history sent",
    "session: history received",
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
            ("session: digest sent", tally.digests_sent),
            ("session: digest received", tally.digests_received),
            ("session: history sent", tally.histories_sent),
            ("session: history received", tally.histories_received),
            ("session: end of history put off", tally.ends_moved),
            ("session: mark sent", tally.marks_sent),
            ("session: mark received", tally.marks_received),
            ("session: mark ignored", tally.marks_ignored),
            ("session: update sent catching up", tally.updates_sent_catching_up),
            ("session: update sent live", tally.updates_sent_live),
            ("session: update known to the peer", tally.updates_known_to_peer),
            ("session: portion ended within a line", tally.lines_split),
        ] {
            self.add(what, count);
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
