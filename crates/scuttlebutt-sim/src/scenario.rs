//! What a run is made of: everything that a seed draws before anything happens.
//!
//! A plain struct, so that a failing run can be made smaller by changing a field and running again.

use crate::chance::Chance;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Draws everything that happens within the run.
    pub seed: u64,
    /// Which of the crate's models is run; users bring their own.
    pub model: ModelKind,
    /// Number of nodes, hostile ones included.
    pub nodes: usize,
    /// How they are linked.
    pub topology: Topology,
    /// Virtual milliseconds of storm.
    pub storm_ms: u64,
    /// Mean milliseconds between two writes of one node.
    pub write_every_ms: f64,
    /// Writes come in bursts of up to this many.
    pub burst_max: u64,
    /// How keys are drawn.
    pub keys: Keys,
    /// Latency of links, in milliseconds: each draws its own from this range.
    pub latency_ms: (u64, u64),
    /// Bandwidth of links, in bytes per millisecond.
    pub bytes_per_ms: u64,
    /// Bytes that a link takes before it pushes back: so small at times that every message is split.
    pub buffer_bytes: usize,
    /// Which faults happen, and how often.
    pub faults: Faults,
    /// Share of the nodes that keep a disk.
    pub disks: f64,
    /// Milliseconds that a sync of a disk takes.
    pub sync_ms: u64,
    /// Number of nodes that speak only the original's protocol.
    pub originals: usize,
    /// Share of the other nodes that speak binary with each other; the rest know JSON only.
    pub binary: f64,
    /// Number of hostile peers.
    pub hostiles: usize,
    /// Whether hostile peers make promises that they do not keep, and write as others. Without
    /// signatures nobody can tell.
    pub liars: bool,
    /// Number of nodes that only send or only receive.
    pub one_way: usize,
    /// Whether nodes verify who wrote what comes to them, and how long that takes.
    pub verdicts: Option<Verdicts>,
}

/// How verdicts come.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdicts {
    /// Milliseconds from the question to the answer: each draws its own from this range.
    pub delay_ms: (u64, u64),
    /// Share of the questions after which the key of their source is out of reach for a while.
    pub out_of_reach: f64,
}

/// A model of the crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelKind {
    /// `LwwMap`.
    Map,
    /// `EventLog`.
    Events,
    /// `EventLog` that keeps so many events of each name.
    RetainedEvents(usize),
    /// `Register`.
    Value,
}

/// How nodes are linked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// A row.
    Line,
    /// A row whose ends meet.
    Ring,
    /// All to the first.
    Star,
    /// Each to one before it.
    Tree,
    /// All to all, up to a dozen nodes; else each to a few.
    Mesh,
    /// A tree and as many links again.
    Random,
    /// A tree at first; links go for good and others come.
    Changing,
}

/// How keys are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keys {
    /// Evenly from this many.
    Uniform(u64),
    /// From this many, the n-th in proportion to 1/n.
    Zipf(u64),
    /// One key, nearly always.
    Hot,
}

impl Keys {
    /// Draws a key.
    pub fn draw(self, chance: &mut Chance) -> u64 {
        match self {
            Keys::Uniform(count) => chance.below(count),
            Keys::Zipf(count) => ((count as f64).powf(chance.unit()) - 1.0) as u64,
            Keys::Hot => {
                if chance.happens(0.9) {
                    0
                } else {
                    chance.below(8)
                }
            }
        }
    }
}

/// Mean milliseconds between two faults of each kind, over the whole world; `None` for never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    /// A link is cut, with whatever was on the way.
    pub cut: Option<f64>,
    /// One direction of a link stops for a while.
    pub stall: Option<f64>,
    /// A link is cut and one end does not hear of it for a while.
    pub half_open: Option<f64>,
    /// A node stops and returns with what its disk kept, or without anything under a new id.
    pub restart: Option<f64>,
    /// A node stops for good, at the worst moment: while it is sending history, if one is.
    pub loss: Option<f64>,
    /// A wall clock jumps, up to years, in either direction.
    pub clock_jump: Option<f64>,
    /// One end of a link takes its leave, and dials again later.
    pub leave: Option<f64>,
    /// A node with a disk stops and returns with an earlier state of it.
    pub set_back: Option<f64>,
    /// A node stops and returns with a copy of another's disk, now or at an earlier time.
    pub copied: Option<f64>,
    /// A source is believed no more, or not from some time on; each node hears of it in its own time.
    pub revoked: Option<f64>,
}

impl Scenario {
    /// Draws a run.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut chance = Chance::from_seed(seed);
        let chance = &mut chance;
        let nodes = match chance.below(100) {
            0..70 => chance.between(2, 7),
            70..92 => chance.between(8, 20),
            92..99 => chance.between(21, 60),
            _ => chance.between(61, 200),
        } as usize;
        let model =
            *chance.pick(&[ModelKind::Map, ModelKind::Map, ModelKind::Events, ModelKind::Value]);
        let topology = *chance.pick(&[
            Topology::Line,
            Topology::Ring,
            Topology::Star,
            Topology::Tree,
            Topology::Mesh,
            Topology::Random,
            Topology::Changing,
        ]);
        let keys = match chance.below(3) {
            0 => Keys::Uniform(chance.between(1, 100)),
            1 => Keys::Zipf(chance.between(2, 1_000)),
            _ => Keys::Hot,
        };
        // What happens in the whole world, whatever its size: large worlds are long enough as it is.
        let storm_ms = chance.between(500, 8_000);
        let writes = if nodes > 60 { chance.between(50, 300) } else { chance.between(10, 400) };
        let write_every_ms = storm_ms as f64 * nodes as f64 / writes as f64;
        let low = chance.between(0, 20);
        let latency_ms = (low, low + chance.below(100));
        let rate = |chance: &mut Chance, share: f64| {
            let every = chance.between(50, storm_ms) as f64;
            chance.happens(share).then_some(every)
        };
        let faults = Faults {
            cut: rate(chance, 0.7),
            stall: rate(chance, 0.3),
            half_open: rate(chance, 0.3),
            restart: rate(chance, 0.4),
            loss: rate(chance, 0.25),
            clock_jump: rate(chance, 0.25),
            leave: rate(chance, 0.3),
            set_back: None,
            copied: None,
            revoked: None,
        };
        let some = |chance: &mut Chance, share: f64| {
            if chance.happens(share) { chance.between(1, 1 + nodes as u64 / 4) as usize } else { 0 }
        };
        let hostiles = some(chance, 0.2).min(nodes.saturating_sub(2));
        let originals = some(chance, 0.2).min((nodes - hostiles).saturating_sub(2));
        let one_way = some(chance, 0.15).min((nodes - hostiles - originals).saturating_sub(2));
        let mut scenario = Self {
            seed,
            model,
            nodes,
            topology,
            storm_ms,
            write_every_ms,
            burst_max: *chance.pick(&[1, 1, 4, 30]),
            keys,
            latency_ms,
            bytes_per_ms: *chance.pick(&[2, 50, 1_000, 100_000]),
            buffer_bytes: *chance.pick(&[1, 7, 64, 1_000, 65_536]),
            faults,
            disks: *chance.pick(&[0.0, 0.5, 1.0]),
            sync_ms: chance.between(1, 200),
            originals,
            // From a stream of its own: what was drawn before there was a choice stays as it was.
            binary: *Chance::from_seed(seed ^ 0xB1B1_B1B1).pick(&[0.0, 0.5, 1.0, 1.0]),
            hostiles,
            liars: hostiles > 0 && chance.happens(0.25),
            one_way,
            verdicts: None,
        };
        if model == ModelKind::Events && chance.happens(0.5) {
            scenario.model = ModelKind::RetainedEvents(chance.between(1, 20) as usize);
        }
        if scenario.disks > 0.0 {
            scenario.faults.set_back = rate(chance, 0.4);
            scenario.faults.copied = rate(chance, 0.25);
        }
        if chance.happens(0.3) {
            let low = chance.between(0, 50);
            let delay_ms = (low, low + chance.below(300));
            let out_of_reach = *chance.pick(&[0.0, 0.01, 0.1]);
            scenario.verdicts = Some(Verdicts { delay_ms, out_of_reach });
            // Nobody writes as another then, though hostile peers try; and who breaks promises is no
            // better known than before.
            scenario.liars = false;
            // Those of the original's kind believe anybody for ever. From a stream of its own again.
            let mut chance = Chance::from_seed(seed ^ 0x4B4B_4B4B);
            if scenario.originals == 0 && chance.happens(0.5) {
                scenario.faults.revoked = Some(chance.between(200, 4_000) as f64);
            }
        }
        scenario
    }
}
