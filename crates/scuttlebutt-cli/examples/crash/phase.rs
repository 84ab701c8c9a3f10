//! What a node is doing when it is killed.

use std::fmt;

use rand::RngExt;
use rand::rngs::StdRng;

/// In the middle of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Opening,
    CatchingUp,
    ServingWriters,
    Writing,
    Importing,
    BackingUp,
    ShuttingDown,
    Compacting,
}

impl Phase {
    pub(crate) fn draw(chance: &mut StdRng) -> Self {
        match chance.random_range(0..14) {
            0 => Self::Opening,
            1 => Self::CatchingUp,
            2..6 => Self::ServingWriters,
            6..10 => Self::Writing,
            10 => Self::Importing,
            11 => Self::BackingUp,
            12 => Self::ShuttingDown,
            _ => Self::Compacting,
        }
    }
}

/// When a node was killed, for the count at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kill {
    pub(crate) phase: Phase,
    /// Whether the disk had refused to take more before.
    pub(crate) after_disk_fault: bool,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.phase {
            Phase::Opening => "opening its data",
            Phase::CatchingUp => "catching up with a peer",
            Phase::ServingWriters => "accepting what clients write",
            Phase::Writing => "writing by itself",
            Phase::Importing => "importing a file",
            Phase::BackingUp => "backing up",
            Phase::ShuttingDown => "shutting down",
            Phase::Compacting => "compacting",
        })?;
        f.write_str(if self.after_disk_fault { ", after the disk was full" } else { "" })
    }
}
