//! What can happen to a cluster, and how proptest draws it.

use std::fmt;

use proptest::prelude::*;
use scuttlebutt::{Direction, Mode, SessionConfig};

use super::plain;

/// How a cluster is made.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// One for each replica: how far its wall clock is off.
    pub(crate) offsets_ms: Vec<f64>,
    /// One for each replica: whether it has a store.
    pub(crate) stores: Vec<bool>,
    /// Whether every session makes promises, so that no vector may ever have a gap.
    pub(crate) has_promises: bool,
    /// Whether the last links, which bring everybody together, mix in sessions of the original's kind.
    pub(crate) is_mixed: bool,
}

impl Setup {
    pub(crate) fn last_links(&self, nth: usize) -> LinkKind {
        match (self.is_mixed, nth % 3) {
            (true, 0) => LinkKind::PlainFirst,
            (true, 1) => LinkKind::Plain,
            _ => LinkKind::Both,
        }
    }
}

/// Between 2 and 6 replicas, some with lagging clocks, some with stores.
pub(crate) fn setup(fast_clock_ms: f64) -> impl Strategy<Value = Setup> {
    let offset =
        prop_oneof![4 => Just(0.0), 1 => Just(-50.0), 1 => Just(3.0), 1 => Just(fast_clock_ms)];
    prop::collection::vec((offset, any::<bool>()), 2..=6).prop_map(|nodes| {
        let (offsets_ms, stores) = nodes.into_iter().unzip();
        Setup { offsets_ms, stores, has_promises: true, is_mixed: false }
    })
}

/// Something that happens. Numbers count modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write { at: u8, key: u8 },
    Foreign { writer: u8, key: u8 },
    Stray { from: u8, to: u8, pick: u8 },
    Link { a: u8, b: u8, kind: LinkKind },
    Cut { joint: u8, is_heard: bool },
    Leave { joint: u8, side: bool },
    Carry { joint: u8, side: bool, room: usize, take: usize },
    Tick { ms: f64 },
    Store { at: u8 },
    Crash { at: u8 },
    Kill { at: u8 },
}

/// What happens to a cluster, printed an operation a line.
#[derive(Clone)]
pub(crate) struct Ops(pub(crate) Vec<Op>);

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|op| write!(f, "\n{op:?}"))
    }
}

/// How the two sessions of a link are configured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LinkKind {
    Both,
    /// The first end is one of ours that speaks JSON only.
    JsonFirst,
    /// Both ends compress, where the crate can.
    Packed,
    FirstSendsOnly,
    FirstReceivesOnly,
    /// The first end sends everything before it is asked.
    FirstSendsUnasked,
    /// A file, or peers that never announce.
    Unasked,
    FirstLeaves,
    /// The first end speaks the original's protocol only, the other is one of ours.
    PlainFirst,
    Plain,
}

impl LinkKind {
    pub(crate) fn configs(self) -> [SessionConfig; 2] {
        let direction = |direction| SessionConfig { direction, ..SessionConfig::default() };
        let both = SessionConfig::default();
        match self {
            Self::Both => [both.clone(), both],
            Self::JsonFirst => [SessionConfig { announce_binary: false, ..both.clone() }, both],
            Self::Packed => [(); 2].map(|()| SessionConfig { compress: true, ..both.clone() }),
            Self::FirstSendsOnly => [direction(Direction::SendOnly), both],
            Self::FirstReceivesOnly => [direction(Direction::ReceiveOnly), both],
            Self::FirstSendsUnasked => {
                [SessionConfig { await_digest: false, ..direction(Direction::SendOnly) }, both]
            }
            Self::Unasked => [SessionConfig::send_only(), SessionConfig::receive_only()],
            Self::FirstLeaves => [SessionConfig { mode: Mode::CatchUp, ..both.clone() }, both],
            Self::PlainFirst => [plain(), both],
            Self::Plain => [plain(), plain()],
        }
    }
}

/// Links that all make promises.
pub(crate) fn promising() -> impl Strategy<Value = LinkKind> + Clone {
    prop_oneof![
        3 => Just(LinkKind::Both),
        2 => Just(LinkKind::JsonFirst),
        2 => Just(LinkKind::Packed),
        1 => Just(LinkKind::FirstSendsOnly),
        1 => Just(LinkKind::FirstReceivesOnly),
        1 => Just(LinkKind::FirstSendsUnasked),
        1 => Just(LinkKind::FirstLeaves),
    ]
}

/// Links of which some behave as the original does.
pub(crate) fn mixed() -> impl Strategy<Value = LinkKind> + Clone {
    prop_oneof![
        1 => Just(LinkKind::Both),
        1 => Just(LinkKind::JsonFirst),
        2 => Just(LinkKind::PlainFirst),
        2 => Just(LinkKind::Plain),
        1 => Just(LinkKind::Unasked),
    ]
}

/// What happens in a cluster whose links are drawn from `kind`.
pub(crate) fn ops(kind: impl Strategy<Value = LinkKind> + Clone) -> impl Strategy<Value = Ops> {
    let bytes = prop_oneof![1 => Just(1_usize), 2 => 2..60_usize, 2 => 60..2_000_usize];
    let op = prop_oneof![
        6 => (any::<u8>(), 0..5_u8).prop_map(|(at, key)| Op::Write { at, key }),
        2 => (any::<u8>(), 0..5_u8).prop_map(|(writer, key)| Op::Foreign { writer, key }),
        4 => (any::<u8>(), any::<u8>(), kind).prop_map(|(a, b, kind)| Op::Link { a, b, kind }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(joint, is_heard)| Op::Cut { joint, is_heard }),
        18 => (any::<u8>(), any::<bool>(), bytes.clone(), bytes)
            .prop_map(|(joint, side, room, take)| Op::Carry { joint, side, room, take }),
        3 => (0..3_u8).prop_map(|ms| Op::Tick { ms: f64::from(ms) }),
        1 => Just(Op::Tick { ms: 700.0 }),
        4 => any::<u8>().prop_map(|at| Op::Store { at }),
    ];
    prop::collection::vec(op, 0..150).prop_map(Ops)
}

/// The same, with what only replicas that make promises can bear.
pub(crate) fn harder_ops() -> impl Strategy<Value = Ops> {
    let hard = prop_oneof![
        3 => (any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(from, to, pick)| Op::Stray { from, to, pick }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(joint, side)| Op::Leave { joint, side }),
        1 => Just(Op::Tick { ms: 40_000.0 }),
        1 => any::<u8>().prop_map(|at| Op::Crash { at }),
    ];
    (ops(promising()), prop::collection::vec((any::<prop::sample::Index>(), hard), 0..12)).prop_map(
        |(mut ops, hard)| {
            for (index, op) in hard {
                ops.0.insert(index.index(ops.0.len() + 1), op);
            }
            ops
        },
    )
}

/// The same, and up to three replicas are lost for good.
pub(crate) fn deadly_ops() -> impl Strategy<Value = Ops> {
    let kill = (any::<prop::sample::Index>(), any::<u8>());
    (harder_ops(), prop::collection::vec(kill, 1..4)).prop_map(|(mut ops, kills)| {
        for (index, at) in kills {
            ops.0.insert(index.index(ops.0.len() + 1), Op::Kill { at });
        }
        ops
    })
}
