//! How a run went, for pictures: how things stood at regular moments, and what happened when.

/// What a picture of a run is drawn from. Empty unless the account of the run was asked for.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// How things stood, every [`Timeline::STEP_MS`].
    pub samples: Vec<Sample>,
    /// What happened: virtual milliseconds, and a kind of fault, or `"calm"` for the end of faults.
    pub marks: Vec<(f64, &'static str)>,
}

impl Timeline {
    /// Virtual milliseconds between two samples.
    pub const STEP_MS: u64 = 10;
}

/// How things stood at a moment of the run.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Virtual milliseconds.
    pub at_ms: f64,
    /// For each node, how many of the updates that somebody announces it does not announce; `None`
    /// while it is down, and for hostile nodes.
    pub behind: Vec<Option<u64>>,
    /// Bytes on the way.
    pub in_flight: u64,
    /// Bytes sent so far.
    pub sent: u64,
}
