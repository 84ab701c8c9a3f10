//! A cluster in virtual time: nodes that run the production replica and session code, links, disks,
//! clocks, faults, and one queue of events.
//!
//! Nothing here decides whether what happens is right; that is `checks`.

mod calm;
mod identity;
mod network;
mod nodes;
mod rules;
mod storm;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{
    ChangeCursor, Direction, Limits, Replica, SourceId, Ticket, Timestamp, Update, UpdateId,
    VersionVector,
};

pub(crate) use nodes::BATCH_UPDATES_MAX;
use rules::Revocation;
pub(crate) use verdicts::UNJUDGED_MAX;

use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::disk::SimulatedDisk;
use crate::link::{Link, Side};
use crate::original::Original;
use crate::scenario::{Scenario, Topology};
use crate::subject::Subject;
use crate::timeline::Timeline;
use crate::trace::Trace;
use crate::truth::Truth;

/// A rule was broken: what was found, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Virtual milliseconds since the beginning.
    pub at_ms: u64,
    /// Which rule, and how.
    pub what: String,
}

pub(crate) type Checked = Result<(), Violation>;

/// The wall clock's reading at virtual time zero.
const EPOCH_MS: f64 = 1_700_000_000_000.0;
const YEAR_MS: f64 = 365.0 * 24.0 * 3_600_000.0;
const TICK_US: u64 = 250_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Ours,
    /// Speaks only the original's protocol.
    Original,
    Hostile,
    OneWay(Direction),
}

pub(crate) struct Node<M> {
    pub(crate) kind: NodeKind,
    /// Whether it announces the binary protocol.
    speaks_binary: bool,
    /// Whether it announces that what it sends then may be compressed.
    compresses: bool,
    /// Absent while it is down, and at hostile nodes.
    pub(crate) replica: Option<Replica<M>>,
    /// What one of the original's kind has in its place.
    pub(crate) original: Option<Original<M>>,
    pub(crate) disk: Option<SimulatedDisk>,
    /// Changes of the announced vector that the disk has.
    vector_changes: u64,
    is_rest_planned: bool,
    /// Own updates that the disk does not have yet, by position.
    unstored: Vec<(u64, UpdateId)>,
    /// How often it has started: what was under way before a crash never ends.
    life: u64,
    clock_offset_ms: f64,
    pub(crate) is_lost: bool,
    /// Under which ids it has written, as far as its disk goes back.
    pub(crate) ids: BTreeSet<SourceId>,
    ids_drawn: u64,
    /// How often it may still take a fresh id in this life.
    renewals_left: usize,
    /// Under which ids it has written in this life.
    pub(crate) written_as: BTreeSet<SourceId>,
    /// Own updates that it forgot when its disk was set back.
    pub(crate) forgotten: BTreeSet<UpdateId>,
    pub(crate) cursor: ChangeCursor,
    pub(crate) emitted: BTreeSet<UpdateId>,
    /// Up to where the vector was checked against the truth.
    pub(crate) checked: VersionVector,
    /// The greatest timestamp accepted or made.
    pub(crate) greatest: Option<Timestamp>,
    /// Own updates that were durable when they were acknowledged.
    pub(crate) acknowledged: Vec<UpdateId>,
    /// The updates on which it waits for a verdict.
    pub(crate) asked: BTreeMap<Ticket, Update>,
    /// Everything that ever waited in this life.
    pub(crate) heard_of: BTreeMap<UpdateId, Update>,
    /// What it was told to trust in this life.
    pub(crate) trusted: BTreeSet<UpdateId>,
    /// Sources whose keys it cannot look up, until when.
    out_of_reach: BTreeMap<SourceId, u64>,
    /// Deliveries that wait until it has verified more.
    unread: Vec<(usize, u64, Side)>,
    /// How many of the revocations it has heard of.
    pub(crate) rules: usize,
    /// It has dropped something for one: what that had superseded may be gone.
    pub(crate) has_dropped: bool,
    /// What a hostile node has heard, to say again.
    heard: Vec<u8>,
}

impl<M> Node<M> {
    /// Whether it is up, and has something to say that is true.
    pub(crate) fn is_running(&self) -> bool {
        self.replica.is_some() || self.original.is_some()
    }
}

enum Event {
    Write(usize),
    /// The first bytes on the way to an end arrive.
    Deliver {
        link: usize,
        epoch: u64,
        to: Side,
    },
    End {
        link: usize,
        epoch: u64,
        to: Side,
    },
    Connect {
        link: usize,
        epoch: u64,
    },
    /// The end that had not heard of a cut hears of it.
    Notice {
        link: usize,
        epoch: u64,
    },
    Synced {
        node: usize,
        life: u64,
    },
    WriteRest {
        node: usize,
        life: u64,
    },
    Verdict {
        node: usize,
        life: u64,
        ticket: Ticket,
    },
    /// Something may be due in a session.
    Due {
        link: usize,
        epoch: u64,
        side: Side,
    },
    Restart(usize),
    Reload(usize),
    Fault(Fault),
    Trick {
        link: usize,
        epoch: u64,
        from: Side,
    },
    Tick,
    Calm,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut,
    Stall,
    HalfOpen,
    Restart,
    Loss,
    ClockJump,
    Leave,
    Move,
    SetBack,
    Copy,
    Revoke,
}

/// The cluster.
pub(crate) struct World<'s, S: Subject> {
    pub(crate) subject: &'s S,
    pub(crate) scenario: Scenario,
    pub(crate) chance: Chance,
    /// What hostile peers say in frames, drawn apart from all else.
    pub(crate) tongue: Chance,
    pub(crate) now_us: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(crate) nodes: Vec<Node<S::Model>>,
    pub(crate) links: Vec<Link>,
    pub(crate) truth: Truth,
    /// The sources that were struck off, in the order in which that happened.
    revocations: Vec<Revocation>,
    pub(crate) coverage: Coverage,
    pub(crate) trace: Trace,
    keeps_account: bool,
    pub(crate) is_calm: bool,
    pub(crate) calm_since_us: u64,
    pub(crate) last_change_us: u64,
    /// A transfer of a peer without promises broke off, or somebody lied: what vectors say is no
    /// longer what this implementation alone answers for.
    pub(crate) is_tainted: bool,
    /// What left out of order, until it is told.
    pub(crate) out_of_order: Option<String>,
    pub(crate) timeline: Timeline,
    next_sample_us: u64,
    pub(crate) bytes_sent: u64,
}

/// A pack can bring more at once than may wait elsewhere; nodes of the network then take no more until there
/// is room, and here there is.
fn limits_of(compresses: bool) -> Limits {
    match compresses {
        true => Limits {
            waiting_updates_max: 20_000,
            waiting_updates_per_source_max: 10_000,
            verdicts_remembered_max: 20_000,
            ..limits()
        },
        false => limits(),
    }
}

pub(crate) fn limits() -> Limits {
    Limits {
        line_bytes_max: 1 << 16,
        sources_max: 5_000,
        digest_wait_ms_max: 5_000.0,
        // So little that histories are marked, and say how far they got.
        mark_bytes_min: 300,
        // So few that they are used up.
        identity_renewals_max: 3,
        // So few that they are reached.
        waiting_updates_max: 120,
        waiting_updates_per_source_max: 40,
        verdicts_remembered_max: 20,
        ..Limits::default()
    }
}

impl<'s, S: Subject> World<'s, S> {
    pub(crate) fn new(subject: &'s S, scenario: Scenario, keeps_account: bool) -> Self {
        let mut chance = Chance::from_seed(scenario.seed ^ 0xA5A5_A5A5);
        let mut tongue = Chance::from_seed(scenario.seed ^ 0x5A5A_5A5A);
        let mut packer = Chance::from_seed(scenario.seed ^ 0x7A7A_7A7A);
        let mut nodes = Vec::new();
        for index in 0..scenario.nodes {
            // The first is always an ordinary one.
            let from_end = scenario.nodes - 1 - index;
            let kind = if from_end < scenario.hostiles {
                NodeKind::Hostile
            } else if from_end < scenario.hostiles + scenario.originals {
                NodeKind::Original
            } else if from_end < scenario.hostiles + scenario.originals + scenario.one_way {
                let directions = [Direction::SendOnly, Direction::ReceiveOnly];
                NodeKind::OneWay(*chance.pick(&directions))
            } else {
                NodeKind::Ours
            };
            nodes.push(Node {
                kind,
                speaks_binary: tongue.happens(scenario.binary),
                compresses: packer.happens(0.5),
                replica: None,
                original: None,
                disk: None,
                vector_changes: 0,
                is_rest_planned: false,
                unstored: Vec::new(),
                life: 0,
                clock_offset_ms: EPOCH_MS + (chance.unit() - 0.5) * 2_000.0,
                is_lost: false,
                ids: BTreeSet::new(),
                ids_drawn: 0,
                renewals_left: 0,
                written_as: BTreeSet::new(),
                forgotten: BTreeSet::new(),
                cursor: ChangeCursor::default(),
                emitted: BTreeSet::new(),
                checked: VersionVector::new(),
                greatest: None,
                acknowledged: Vec::new(),
                asked: BTreeMap::new(),
                heard_of: BTreeMap::new(),
                trusted: BTreeSet::new(),
                out_of_reach: BTreeMap::new(),
                unread: Vec::new(),
                rules: 0,
                has_dropped: false,
                heard: Vec::new(),
            });
        }
        let mut world = Self {
            subject,
            now_us: 0,
            events: BTreeMap::new(),
            next_event: 0,
            nodes,
            links: Vec::new(),
            truth: Truth::default(),
            revocations: Vec::new(),
            coverage: Coverage::default(),
            trace: Trace::new(keeps_account),
            keeps_account,
            is_calm: false,
            calm_since_us: 0,
            last_change_us: 0,
            // Who passes the original's protocol on vouches for each line by passing it on, also for
            // those of a source that keeps no order.
            is_tainted: scenario.liars || scenario.hostiles > 0 && scenario.originals > 0,
            out_of_order: None,
            timeline: Timeline::default(),
            next_sample_us: 0,
            bytes_sent: 0,
            chance,
            tongue,
            scenario,
        };
        for node in 0..world.nodes.len() {
            if world.nodes[node].kind != NodeKind::Hostile {
                let has_disk = world.chance.happens(world.scenario.disks);
                if has_disk && world.nodes[node].kind != NodeKind::Original {
                    let id = world.fresh_id(node);
                    world.nodes[node].disk = Some(SimulatedDisk::new(id));
                }
                world.start(node);
                world.plan_write(node);
            }
        }
        for pair in world.pairs() {
            world.add_link(pair);
        }
        let faults = world.scenario.faults.clone();
        let is_changing = world.scenario.topology == Topology::Changing;
        for (fault, every) in [
            (Fault::Cut, faults.cut),
            (Fault::Stall, faults.stall),
            (Fault::HalfOpen, faults.half_open),
            (Fault::Restart, faults.restart),
            (Fault::Loss, faults.loss),
            (Fault::ClockJump, faults.clock_jump),
            (Fault::Leave, faults.leave),
            (Fault::Move, is_changing.then_some(300.0)),
            (Fault::SetBack, faults.set_back),
            (Fault::Copy, faults.copied),
            (Fault::Revoke, faults.revoked),
        ] {
            if let Some(every) = every {
                world.plan_fault(fault, every);
            }
        }
        let storm_us = world.scenario.storm_ms * 1_000;
        world.schedule(storm_us, Event::Calm);
        world.schedule(TICK_US, Event::Tick);
        world
    }

    /// Does the next thing; `None` when the run is over.
    pub(crate) fn step(&mut self) -> Option<Checked> {
        let ((at, _), event) = self.events.pop_first()?;
        self.sample_until(at);
        self.now_us = at;
        let checked = match event {
            Event::Write(node) => self.write(node),
            Event::Deliver { link, epoch, to } => self.deliver(link, epoch, to),
            Event::End { link, epoch, to } => self.deliver_end(link, epoch, to),
            Event::Connect { link, epoch } => self.connect(link, epoch),
            Event::Notice { link, epoch } => {
                if self.links[link].epoch == epoch {
                    self.cut(link);
                }
                Ok(())
            }
            Event::Synced { node, life } => self.disk_synced(node, life),
            Event::WriteRest { node, life } => {
                self.write_rest(node, life);
                Ok(())
            }
            Event::Verdict { node, life, ticket } => self.verdict(node, life, ticket),
            Event::Due { link, epoch, side } => {
                if self.links[link].epoch == epoch {
                    self.links[link].ends[side].due_us = None;
                    self.do_due(link, side);
                    self.plan_due(link, side);
                }
                Ok(())
            }
            Event::Restart(node) => self.restart(node),
            Event::Reload(node) => self.reload(node),
            Event::Fault(fault) => self.fault(fault),
            Event::Trick { link, epoch, from } => self.trick(link, epoch, from),
            Event::Tick => return self.tick(),
            Event::Calm => self.calm(),
        };
        Some(
            checked.and_then(|()| {
                self.out_of_order.take().map_or(Ok(()), |what| self.violation(what))
            }),
        )
    }

    // Time.

    pub(crate) fn at_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    /// A node's wall clock.
    pub(crate) fn wall_ms(&self, node: usize) -> f64 {
        (self.nodes[node].clock_offset_ms + self.now_us as f64 / 1_000.0).floor()
    }

    fn schedule(&mut self, at_us: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((at_us.max(self.now_us), self.next_event), event);
    }

    fn plan_write(&mut self, node: usize) {
        let wait_us = self.chance.around(self.scenario.write_every_ms * 1_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Write(node));
    }

    fn plan_fault(&mut self, fault: Fault, every_ms: f64) {
        let wait_us = self.chance.around(every_ms * 1_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Fault(fault));
    }

    /// Something happened that a picture shows as well.
    fn mark(&mut self, kind: &'static str, what: std::fmt::Arguments<'_>) {
        if self.keeps_account {
            self.timeline.marks.push((self.now_us as f64 / 1_000.0, kind));
        }
        self.note(what);
    }

    pub(crate) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now_us, what);
    }

    pub(crate) fn violation(&self, what: String) -> Checked {
        Err(Violation { at_ms: self.at_ms(), what })
    }
}
