//! The worlds that are visited. Each of them was seen to complete.

use super::{Pace, Restart, SmallWorld, Write};

const LINE: &[[usize; 2]] = &[[0, 1], [1, 2]];
const TRIANGLE: &[[usize; 2]] = &[[0, 1], [1, 2], [2, 0]];

const fn write(by: usize, at_ms: f64, key: &'static str) -> Write {
    Write { by, at_ms, key, is_removal: false }
}

const fn remove(by: usize, at_ms: f64, key: &'static str) -> Write {
    Write { by, at_ms, key, is_removal: true }
}

/// The shortest contention: two replicas write k at the same moment.
pub(super) const TIE: &[Write] = &[write(0, 10.0, "k"), write(1, 10.0, "k")];
/// The same, and one of them writes j too.
pub(super) const CONTENDED: &[Write] =
    &[write(0, 10.0, "k"), write(1, 10.0, "k"), write(0, 20.0, "j")];
/// Each supersedes what the other wrote first: no order of sending can keep a cut from leaving a gap.
pub(super) const CROSSWISE: &[Write] =
    &[write(0, 10.0, "k"), write(1, 10.0, "j"), write(0, 20.0, "j"), write(1, 20.0, "k")];
/// What the first write of a replica is superseded by comes from elsewhere, later than its second.
const OVERTAKEN: &[Write] = &[write(0, 10.0, "k"), write(0, 20.0, "j"), write(1, 30.0, "k")];
/// A key is removed where it was never seen, or after; and written once more.
pub(super) const REMOVED: &[Write] =
    &[write(0, 10.0, "k"), remove(1, 20.0, "k"), write(2, 20.0, "k")];

const EMPTY: Option<Restart> = Some(Restart::Empty(1));
const STORE: Option<Restart> = Some(Restart::FromStore(1));

pub(super) const PLAIN: SmallWorld = SmallWorld {
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

const ON_TRIANGLE: SmallWorld = SmallWorld { links: TRIANGLE, ..PLAIN };

/// The worlds that are visited.
pub const SMALL_WORLDS: &[SmallWorld] = &[
    SmallWorld { name: "line, tie, any pace", writes: TIE, pace: Pace::Any, ..PLAIN },
    SmallWorld { name: "line, contended", ..PLAIN },
    SmallWorld { name: "line, contended, cut", cuts: 1, ..PLAIN },
    SmallWorld { name: "line, contended, loss", loss: Some(1), ..PLAIN },
    SmallWorld { name: "line, contended, restart empty", restart: EMPTY, ..PLAIN },
    SmallWorld { name: "line, contended, restart from store", restart: STORE, ..PLAIN },
    SmallWorld { name: "line, contended, first connections", is_settled: false, ..PLAIN },
    SmallWorld { name: "line, contended, any pace", pace: Pace::Any, ..PLAIN },
    SmallWorld { name: "line, contended, room for two lines", room: 2, ..PLAIN },
    SmallWorld { name: "line, crosswise", writes: CROSSWISE, ..PLAIN },
    SmallWorld { name: "line, crosswise, cut", writes: CROSSWISE, cuts: 1, ..PLAIN },
    SmallWorld { name: "line, crosswise, loss", writes: CROSSWISE, loss: Some(1), ..PLAIN },
    SmallWorld { name: "line, overtaken, cut", writes: OVERTAKEN, cuts: 1, ..PLAIN },
    SmallWorld { name: "line, overtaken, two cuts", writes: OVERTAKEN, cuts: 2, ..PLAIN },
    SmallWorld { name: "line, removed, cut", writes: REMOVED, cuts: 1, ..PLAIN },
    SmallWorld {
        name: "line, tie, cut, restart from store, loss",
        writes: TIE,
        cuts: 1,
        restart: STORE,
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
    SmallWorld {
        name: "line, contended, cut, restart empty, loss",
        cuts: 1,
        restart: EMPTY,
        loss: Some(0),
        ..PLAIN
    },
    SmallWorld { name: "triangle, tie", writes: TIE, ..ON_TRIANGLE },
    SmallWorld { name: "triangle, tie, loss", writes: TIE, loss: Some(0), ..ON_TRIANGLE },
    SmallWorld { name: "triangle, tie, cut", writes: TIE, cuts: 1, ..ON_TRIANGLE },
    SmallWorld { name: "triangle, contended", ..ON_TRIANGLE },
];
