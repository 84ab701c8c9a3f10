//! Small worlds, exhaustively: three replicas, a few writes, a fault, and every order in which all
//! of it can happen.
//!
//! Where a seed draws one run of a large cluster, this visits every state that a tiny one can get
//! into. The replicas and sessions are the production ones.
//!
//! There is no time here and no chance: an update is never too far in the future, a line arrives
//! whole or not at all.

mod fingerprint;
mod rules;
mod search;
mod state;

use std::fmt;

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
    pub cuts: usize,
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
    /// The longest way that was gone.
    pub depth: usize,
    /// What was broken, and the actions that lead to it.
    pub violation: Option<(String, Vec<String>)>,
}

impl fmt::Display for Census {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9} states {:>9} transitions {:>7} at rest, depth {:>2}",
            self.states, self.transitions, self.at_rest, self.depth
        )?;
        if let Some((what, path)) = &self.violation {
            write!(f, "\nFAILED: {what}\n  {}", path.join("\n  "))?;
        }
        Ok(())
    }
}

const LINE: &[[usize; 2]] = &[[0, 1], [1, 2]];
const TRIANGLE: &[[usize; 2]] = &[[0, 1], [1, 2], [2, 0]];

const fn write(by: usize, at_ms: f64, key: &'static str) -> Write {
    Write { by, at_ms, key }
}

/// Two replicas contend for k at the same moment; one of them writes j before or after.
const CONTENDED: &[Write] = &[write(0, 10.0, "k"), write(1, 10.0, "k"), write(0, 20.0, "j")];
/// The shortest contention.
const TIE: &[Write] = &[write(0, 10.0, "k"), write(1, 10.0, "k")];
/// Each supersedes what the other wrote first: no order of sending can keep a cut from leaving a gap.
const CROSSWISE: &[Write] =
    &[write(0, 10.0, "k"), write(1, 10.0, "j"), write(0, 20.0, "j"), write(1, 20.0, "k")];

const PLAIN: SmallWorld = SmallWorld {
    name: "",
    links: LINE,
    writes: CONTENDED,
    pace: Pace::Prompt,
    is_settled: true,
    room: 1,
    cuts: 0,
    restart: None,
    loss: None,
};

/// The worlds that are visited.
pub const SMALL_WORLDS: &[SmallWorld] = &[
    SmallWorld { name: "line, tie, any pace", writes: TIE, pace: Pace::Any, ..PLAIN },
    SmallWorld { name: "line, contended", ..PLAIN },
    SmallWorld { name: "line, contended, cut", cuts: 1, ..PLAIN },
    SmallWorld { name: "line, contended, loss", loss: Some(1), ..PLAIN },
    SmallWorld { name: "line, contended, restart empty", restart: EMPTY, ..PLAIN },
    SmallWorld { name: "line, contended, restart from store", restart: STORE, ..PLAIN },
    SmallWorld { name: "line, crosswise", writes: CROSSWISE, ..PLAIN },
    SmallWorld { name: "line, crosswise, loss", writes: CROSSWISE, loss: Some(1), ..PLAIN },
    SmallWorld {
        name: "line, tie, cut, restart from store, loss",
        writes: TIE,
        cuts: 1,
        restart: STORE,
        loss: Some(0),
        ..PLAIN
    },
    SmallWorld { name: "triangle, tie", links: TRIANGLE, writes: TIE, ..PLAIN },
    SmallWorld {
        name: "triangle, tie, loss",
        links: TRIANGLE,
        writes: TIE,
        loss: Some(0),
        ..PLAIN
    },
    SmallWorld {
        name: "line, contended, cut, restart from store, loss",
        cuts: 1,
        restart: STORE,
        loss: Some(0),
        ..PLAIN
    },
];

const EMPTY: Option<Restart> = Some(Restart::Empty(1));
const STORE: Option<Restart> = Some(Restart::FromStore(1));

/// Visits every state of a world.
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
mod tests {
    use super::*;

    #[test]
    fn i1_and_i2_hold_in_every_state_of_the_smallest_worlds() {
        let one = &CONTENDED[..1];
        let worlds = [
            SmallWorld { writes: one, cuts: 1, ..PLAIN },
            SmallWorld { writes: one, links: TRIANGLE, ..PLAIN },
            SmallWorld { writes: TIE, ..PLAIN },
        ];
        for world in worlds {
            let census = explore(&world);
            assert_eq!(census.violation, None, "{world:?}");
            assert!(census.at_rest > 0);
        }
    }
}
