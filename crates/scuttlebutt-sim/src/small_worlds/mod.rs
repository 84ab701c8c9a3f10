//! Small worlds, exhaustively: three replicas, a few writes, a fault, and every order in which all
//! of it can happen.
//!
//! Where a seed draws one run of a large cluster, this visits every state that a tiny one can get
//! into. The replicas and sessions are the production ones.
//!
//! There is no time here and no chance: an update is never too far in the future, a line arrives
//! whole or not at all.

mod action;
mod circles;
mod likeness;
mod memo;
mod moves;
mod numbers;
mod rules;
mod search;
mod site;
mod state;
mod way;
mod worlds;

use std::fmt;

pub use worlds::SMALL_WORLDS;

/// A world: who is linked to whom, who writes what, and what may go wrong.
#[derive(Clone, Copy, Debug)]
pub struct SmallWorld {
    /// What it is called.
    pub name: &'static str,
    /// Pairs of replicas.
    pub links: &'static [[usize; 2]],
    /// The writes. Those of one replica happen in this order.
    pub writes: &'static [Write],
    /// When lines are sent.
    pub pace: Pace,
    /// Whether the links are up from the beginning, with nothing left to say.
    pub is_settled: bool,
    /// How many lines fit onto each direction of a link at a time.
    pub room: usize,
    /// How often a link may be cut.
    pub cuts: u8,
    /// A replica that may stop once and come back.
    pub restart: Option<Restart>,
    /// A replica that may go for good.
    pub loss: Option<usize>,
}

/// A write.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// The replica.
    pub by: usize,
    /// Its wall clock then.
    pub at_ms: f64,
    /// What is written to.
    pub key: &'static str,
    /// Whether the key is removed instead.
    pub is_removal: bool,
}

/// When a session is asked for its next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As soon as there is room for it.
    Prompt,
    /// At any time that there is room, or much later.
    Any,
}

/// How a replica comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Empty, under a fresh id.
    Empty(usize),
    /// With what its store kept: everything that was synced, or everything.
    FromStore(usize),
}

impl Restart {
    fn replica(self) -> usize {
        match self {
            Restart::Empty(replica) | Restart::FromStore(replica) => replica,
        }
    }
}

/// What came of visiting every state of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// States visited.
    pub states: usize,
    /// Steps from one state to another, or to the same.
    pub transitions: usize,
    /// States in which nothing moves by itself any more.
    pub at_rest: usize,
    /// The most steps that it takes at least to come to a state.
    pub depth: usize,
    /// How often the production code was run: once for each thing done to each distinct site, which
    /// is a replica with its sessions and its store.
    pub operations: usize,
    /// Whether there are more states than are visited of one world, so that nothing is proved.
    pub is_cut_short: bool,
    /// What was broken, and the actions that lead to it: as few as can.
    pub violation: Option<(String, Vec<String>)>,
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9} states {:>9} transitions {:>8} operations {:>6} at rest, depth {:>2}",
            self.states, self.transitions, self.operations, self.at_rest, self.depth
        )?;
        if self.is_cut_short {
            write!(f, "\nNOT COMPLETE: there are more states")?;
        }
        if let Some((what, path)) = &self.violation {
            write!(f, "\nFAILED: {what}\n  {}", path.join("\n  "))?;
        }
        Ok(())
    }
}

/// Visits every state of a world, as long as there are no more than fit into about 6 GB.
///
/// # Panics
///
/// If the world has more than three links or four writes.
///
/// ```
/// use scuttlebutt_sim::small_worlds::{SMALL_WORLDS, SmallWorld, explore};
///
/// let world = SmallWorld { writes: &SMALL_WORLDS[0].writes[..1], ..SMALL_WORLDS[1] };
/// let census = explore(&world);
/// assert_eq!(census.violation, None);
/// assert!(census.at_rest > 0);
/// ```
#[must_use]
pub fn explore(world: &SmallWorld) -> Census {
    search::search(world)
}

#[cfg(test)]
mod tests;
