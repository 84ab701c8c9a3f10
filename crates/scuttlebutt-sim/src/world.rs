//! A cluster in virtual time: nodes that run the production replica and session code, links, disks,
//! clocks, faults, and one queue of events.
//!
//! Nothing here decides whether what happens is right; that is `checks`.

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{
    ChangeCursor, CloseReason, Direction, Limits, Refusal, Replica, Session, SessionConfig,
    SessionEvent, SourceId, Timestamp, Update, UpdateId, VersionVector,
};

use crate::chance::Chance;
use crate::coverage::Coverage;
use crate::disk::{Disk, SimulatedDisk};
use crate::hostile::{self, Trick};
use crate::link::{Link, Side, other};
use crate::scenario::{Scenario, Topology};
use crate::subject::Subject;
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
    /// Absent while it is down, and at hostile nodes.
    pub(crate) replica: Option<Replica<M>>,
    pub(crate) disk: Option<SimulatedDisk>,
    is_syncing: bool,
    /// How often it has started: what was under way before a crash never ends.
    life: u64,
    clock_offset_ms: f64,
    pub(crate) is_lost: bool,
    pub(crate) cursor: ChangeCursor,
    pub(crate) emitted: BTreeSet<UpdateId>,
    /// Up to where the vector was checked against the truth.
    pub(crate) checked: VersionVector,
    /// The greatest timestamp accepted or made.
    pub(crate) greatest: Option<Timestamp>,
    /// Own updates that were durable when they were acknowledged.
    pub(crate) acknowledged: Vec<UpdateId>,
    /// What a hostile node has heard, to say again.
    heard: Vec<u8>,
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
        position: u64,
    },
    Restart(usize),
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
    Move,
}

/// The cluster.
pub(crate) struct World<'s, S: Subject> {
    pub(crate) subject: &'s S,
    pub(crate) scenario: Scenario,
    pub(crate) chance: Chance,
    pub(crate) now_us: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    pub(crate) nodes: Vec<Node<S::Model>>,
    pub(crate) links: Vec<Link>,
    pub(crate) truth: Truth,
    pub(crate) coverage: Coverage,
    pub(crate) trace: Trace,
    keeps_account: bool,
    pub(crate) is_calm: bool,
    pub(crate) calm_since_us: u64,
    pub(crate) last_change_us: u64,
    /// A transfer of a peer without promises broke off, or somebody lied: what vectors say is no
    /// longer what this implementation alone answers for.
    pub(crate) is_tainted: bool,
    pub(crate) samples: Vec<Sample>,
    pub(crate) marks: Vec<(u64, String)>,
    pub(crate) bytes_sent: u64,
}

/// How things stood at a moment of the run, for pictures.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Virtual milliseconds.
    pub at_ms: u64,
    /// For each node, how many of the updates that exist it neither holds nor has announced.
    pub behind: Vec<u64>,
    /// Bytes on the way.
    pub in_flight: u64,
    /// Bytes sent so far.
    pub sent: u64,
}

pub(crate) fn limits() -> Limits {
    Limits {
        line_bytes_max: 1 << 16,
        sources_max: 5_000,
        digest_wait_ms_max: 5_000.0,
        ..Limits::default()
    }
}

impl<'s, S: Subject> World<'s, S> {
    pub(crate) fn new(subject: &'s S, scenario: Scenario, keeps_account: bool) -> Self {
        let mut chance = Chance::from_seed(scenario.seed ^ 0xA5A5_A5A5);
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
            let has_disk = kind != NodeKind::Hostile && chance.happens(scenario.disks);
            nodes.push(Node {
                kind,
                replica: None,
                disk: has_disk.then(SimulatedDisk::default),
                is_syncing: false,
                life: 0,
                clock_offset_ms: EPOCH_MS + (chance.unit() - 0.5) * 2_000.0,
                is_lost: false,
                cursor: ChangeCursor::default(),
                emitted: BTreeSet::new(),
                checked: VersionVector::new(),
                greatest: None,
                acknowledged: Vec::new(),
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
            coverage: Coverage::default(),
            trace: Trace::new(keeps_account),
            keeps_account,
            is_calm: false,
            calm_since_us: 0,
            last_change_us: 0,
            // Who passes the original's protocol on vouches for each line by passing it on, also for
            // those of a source that keeps no order.
            is_tainted: scenario.liars || scenario.hostiles > 0 && scenario.originals > 0,
            samples: Vec::new(),
            marks: Vec::new(),
            bytes_sent: 0,
            chance,
            scenario,
        };
        for node in 0..world.nodes.len() {
            if world.nodes[node].kind != NodeKind::Hostile {
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
            (Fault::Move, is_changing.then_some(300.0)),
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
        self.now_us = at;
        Some(match event {
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
            Event::Synced { node, life, position } => self.disk_synced(node, life, position),
            Event::Restart(node) => self.restart(node),
            Event::Fault(fault) => self.fault(fault),
            Event::Trick { link, epoch, from } => self.trick(link, epoch, from),
            Event::Tick => return self.tick(),
            Event::Calm => self.calm(),
        })
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

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now_us, what);
    }

    // Nodes.

    /// A new life: with what the disk kept, or empty under a new id.
    fn start(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let is_new = node.disk.is_none() || node.life == 0;
        node.life += 1;
        let generation = if node.disk.is_some() { 1 } else { node.life };
        let id = SourceId::new(format!("n{index}.{generation}")).expect("an id");
        let mut replica = Replica::with_limits(id, self.subject.new_model(), limits());
        node.is_syncing = false;
        node.checked = VersionVector::new();
        node.emitted.clear();
        node.greatest = None;
        if let Some(disk) = &node.disk {
            replica.wait_for_store();
            if !is_new {
                let (updates, vector) = disk.read();
                node.greatest = updates.iter().map(Update::timestamp).max();
                replica.restore(updates, &vector);
            }
        }
        node.emitted.extend(replica.updates_since(&VersionVector::new()).map(Update::id));
        node.cursor = replica.change_cursor();
        node.replica = Some(replica);
        let life = self.nodes[index].life;
        self.note(format_args!("node {index} starts, life {life}"));
    }

    fn restart(&mut self, index: usize) -> Checked {
        if self.nodes[index].is_lost || self.nodes[index].replica.is_some() {
            return Ok(());
        }
        self.start(index);
        if let Some(disk) = &self.nodes[index].disk {
            let (stored, _) = disk.read();
            self.check_memory_kept(index)?;
            if let Some(replica) = &self.nodes[index].replica {
                self.truth.forget_unstored(replica.id(), &stored);
            }
        }
        for link in 0..self.links.len() {
            if self.links[link].nodes.contains(&index) {
                self.plan_connect(link);
            }
        }
        self.after_change(index)
    }

    /// A node stops where it stands.
    fn stop(&mut self, index: usize) {
        for link in 0..self.links.len() {
            if self.links[link].nodes.contains(&index) && self.links[link].is_up {
                self.cut(link);
            }
        }
        let node = &mut self.nodes[index];
        node.replica = None;
        if let Some(disk) = &mut node.disk {
            let before = disk.clone();
            disk.crash(&mut self.chance);
            if disk.read().0.len() < before.read().0.len() {
                self.coverage.hit("fault: disk lost what was not synced");
            }
        }
    }

    fn write(&mut self, index: usize) -> Checked {
        if self.is_calm || self.nodes[index].is_lost {
            return Ok(());
        }
        self.plan_write(index);
        // One that never sends would keep its writes for itself.
        if self.nodes[index].kind == NodeKind::OneWay(Direction::ReceiveOnly) {
            return Ok(());
        }
        let count = self.chance.between(1, self.scenario.burst_max);
        for _ in 0..count {
            let now_ms = self.wall_ms(index);
            let change = self.subject.change(&mut self.chance, self.scenario.keys);
            let Some(replica) = &mut self.nodes[index].replica else { return Ok(()) };
            match replica.local_update(now_ms, change) {
                Ok(update) => {
                    self.note(format_args!("node {index} writes {update:?}"));
                    self.check_local_write(index, &update)?;
                    self.truth.add(&update);
                }
                Err(error) => return self.violation(format!("a local write was refused: {error}")),
            }
        }
        self.after_change(index)
    }

    /// What follows from a change of a node's replica.
    fn after_change(&mut self, index: usize) -> Checked {
        self.check_node(index)?;
        self.write_to_disk(index);
        for link in 0..self.links.len() {
            for side in 0..2 {
                if self.links[link].nodes[side] == index {
                    self.pump(link, side);
                }
            }
        }
        Ok(())
    }

    fn write_to_disk(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&mut node.disk, &node.replica) else { return };
        if node.is_syncing || replica.durable() == replica.head() {
            return;
        }
        for update in replica.unstored() {
            disk.append(update);
        }
        disk.append_vector(&replica.version_vector());
        node.is_syncing = true;
        let (life, position) = (node.life, replica.head());
        let wait_us = self.chance.around(self.scenario.sync_ms as f64 * 1_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Synced { node: index, life, position });
    }

    fn disk_synced(&mut self, index: usize, life: u64, position: u64) -> Checked {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&mut node.disk, &mut node.replica) else {
            return Ok(());
        };
        if node.life != life {
            return Ok(());
        }
        disk.sync();
        node.is_syncing = false;
        replica.stored(position);
        let id = replica.id().clone();
        let durable = replica.version_vector().timestamp(&id);
        let last = node.acknowledged.last().map(|id| id.timestamp);
        if let Some(durable) = durable {
            let news = self.truth.between(&id, last, durable).map(Update::id).collect::<Vec<_>>();
            self.nodes[index].acknowledged.extend(news);
        }
        self.after_change(index)
    }

    // Links.

    fn pairs(&mut self) -> Vec<[usize; 2]> {
        let count = self.scenario.nodes;
        let parents = |chance: &mut Chance| {
            (1..count).map(|node| [chance.index(node), node]).collect::<Vec<_>>()
        };
        match self.scenario.topology {
            Topology::Line => (1..count).map(|node| [node - 1, node]).collect(),
            Topology::Ring => (0..count).map(|node| [node, (node + 1) % count]).collect(),
            Topology::Star => (1..count).map(|node| [0, node]).collect(),
            Topology::Tree | Topology::Changing => parents(&mut self.chance),
            Topology::Mesh if count <= 12 => (0..count)
                .flat_map(|left| (left + 1..count).map(move |right| [left, right]))
                .collect(),
            Topology::Mesh | Topology::Random => {
                let mut pairs = parents(&mut self.chance);
                pairs.extend(parents(&mut self.chance));
                pairs
            }
        }
    }

    fn add_link(&mut self, nodes: [usize; 2]) {
        if nodes[0] == nodes[1] {
            return;
        }
        let mut link = Link::new(nodes);
        let (low, high) = self.scenario.latency_ms;
        link.latency_us = 100 + self.chance.between(low * 1_000, high * 1_000);
        link.bytes_per_ms = if self.is_calm { 100_000 } else { self.scenario.bytes_per_ms };
        link.buffer_bytes = self.scenario.buffer_bytes;
        self.links.push(link);
        self.plan_connect(self.links.len() - 1);
    }

    fn plan_connect(&mut self, link: usize) {
        let wait_us = self.chance.between(1_000, if self.is_calm { 50_000 } else { 500_000 });
        let epoch = self.links[link].epoch;
        self.schedule(self.now_us + wait_us, Event::Connect { link, epoch });
    }

    fn connect(&mut self, link: usize, epoch: u64) -> Checked {
        let nodes = self.links[link].nodes;
        let is_present = |node: &Node<S::Model>| {
            !node.is_lost && (node.replica.is_some() || node.kind == NodeKind::Hostile)
        };
        if self.links[link].epoch != epoch
            || self.links[link].is_up
            || self.links[link].is_gone
            || !nodes.iter().all(|node| is_present(&self.nodes[*node]))
        {
            return Ok(());
        }
        self.note(format_args!("link {link} {}-{} comes up", nodes[0], nodes[1]));
        self.links[link].is_up = true;
        for (side, index) in nodes.into_iter().enumerate() {
            let now_ms = self.wall_ms(index);
            if self.nodes[index].kind == NodeKind::Hostile {
                self.schedule(self.now_us, Event::Trick { link, epoch, from: side });
                continue;
            }
            let config = self.config(index);
            let Some(replica) = &mut self.nodes[index].replica else { continue };
            self.links[link].ends[side].session = Some(Session::new(replica, now_ms, config));
        }
        for side in 0..2 {
            self.pump(link, side);
        }
        Ok(())
    }

    fn config(&mut self, index: usize) -> SessionConfig {
        let mut config = SessionConfig::default();
        match self.nodes[index].kind {
            NodeKind::Original => {
                self.coverage.hit("peer: original");
                config.announce_extensions = false;
            }
            NodeKind::OneWay(direction) => {
                self.coverage.hit(match direction {
                    Direction::SendOnly => "peer: only sends",
                    _ => "peer: only receives",
                });
                config.direction = direction;
            }
            _ => {}
        }
        config
    }

    /// The connection is gone, with what was on the way.
    fn cut(&mut self, link: usize) {
        let nodes = self.links[link].nodes;
        self.note(format_args!("link {link} {}-{} is cut", nodes[0], nodes[1]));
        let is_weak = nodes.iter().any(|node| self.nodes[*node].kind == NodeKind::Original);
        if is_weak && !self.is_quiet(link) {
            self.is_tainted = true;
        }
        if self.links[link].ends.iter().any(|end| end.in_flight > 0) {
            self.coverage.hit("fault: cut with bytes on the way");
        }
        self.links[link].reset();
        self.plan_connect(link);
    }

    /// Whether both ends have said everything, and it has arrived.
    pub(crate) fn is_quiet(&self, link: usize) -> bool {
        let link = &self.links[link];
        link.ends.iter().zip(link.nodes).all(|(end, node)| {
            end.in_flight == 0
                && match (&end.session, &self.nodes[node].replica) {
                    (Some(session), Some(replica)) => {
                        session.is_synced()
                            && !session.has_output(replica)
                            && replica.durable() == replica.head()
                    }
                    _ => true,
                }
        })
    }

    /// Moves what a session has to say onto the link, as far as the link takes it.
    fn pump(&mut self, link: usize, side: Side) {
        let index = self.links[link].nodes[side];
        loop {
            let (Some(replica), end) =
                (&self.nodes[index].replica, &mut self.links[link].ends[side])
            else {
                return;
            };
            let buffer = if self.is_calm { 1 << 16 } else { self.scenario.buffer_bytes };
            let Some(session) = &mut end.session else { return };
            let room = buffer.saturating_sub(end.in_flight);
            if room == 0 || !session.has_output(replica) {
                break;
            }
            let mut bytes = Vec::new();
            session.transmit(replica, &mut bytes, room);
            assert!(bytes.len() <= room, "a session sent more than there was room for");
            if bytes.is_empty() {
                break;
            }
            self.send(link, side, bytes);
        }
        let end = &mut self.links[link].ends[side];
        if let Some(session) = &mut end.session
            && session.is_output_finished()
            && !session.is_closed()
            && !end.has_ended
        {
            end.has_ended = true;
            let epoch = self.links[link].epoch;
            let at = self.links[link].arrival_us(side, self.now_us, 0);
            self.schedule(at, Event::End { link, epoch, to: other(side) });
        }
        self.take_events(link, side);
    }

    fn send(&mut self, link: usize, side: Side, bytes: Vec<u8>) {
        self.bytes_sent += bytes.len() as u64;
        let epoch = self.links[link].epoch;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // Cut anywhere, so that lines arrive in pieces.
            let length = if self.chance.happens(0.5) {
                rest.len()
            } else {
                1 + self.chance.index(rest.len())
            };
            let (piece, remaining) = rest.split_at(length);
            rest = remaining;
            self.links[link].ends[side].in_flight += length;
            let at = self.links[link].arrival_us(side, self.now_us, length);
            self.links[link].ends[side].pipe.push_back(piece.to_vec());
            self.schedule(at, Event::Deliver { link, epoch, to: other(side) });
        }
    }

    fn deliver(&mut self, link: usize, epoch: u64, to: Side) -> Checked {
        if self.links[link].epoch != epoch {
            return Ok(());
        }
        let from = other(to);
        let stalled_until_us = self.links[link].ends[from].stalled_until_us;
        if stalled_until_us > self.now_us && !self.is_calm {
            self.schedule(stalled_until_us, Event::Deliver { link, epoch, to });
            return Ok(());
        }
        let Some(bytes) = self.links[link].ends[from].pipe.pop_front() else { return Ok(()) };
        let index = self.links[link].nodes[to];
        let sender = self.links[link].nodes[from];
        self.links[link].ends[from].in_flight -= bytes.len();
        self.note(format_args!("node {sender} > node {index}: {}", bytes.escape_ascii()));
        if self.nodes[index].kind == NodeKind::Hostile {
            let heard = &mut self.nodes[index].heard;
            heard.extend_from_slice(&bytes);
            let excess = heard.len().saturating_sub(4_096);
            heard.drain(..excess);
            self.pump(link, from);
            return Ok(());
        }
        let now_ms = self.wall_ms(index);
        let (Some(replica), Some(session)) =
            (&mut self.nodes[index].replica, &mut self.links[link].ends[to].session)
        else {
            // A half-open link: the bytes vanish.
            self.pump(link, from);
            return Ok(());
        };
        let was = replica.revision();
        let received = session.receive(replica, now_ms, &bytes);
        let has_changed = replica.revision() != was;
        self.take_events(link, to);
        if let Err(error) = received {
            self.note(format_args!("node {index} hangs up on node {sender}: {error}"));
            if self.nodes[sender].kind != NodeKind::Hostile {
                return self.violation(format!("an honest peer was at fault: {error}"));
            }
            if has_changed {
                self.after_change(index)?;
            }
            self.cut(link);
            return Ok(());
        }
        self.pump(link, from);
        if has_changed {
            self.last_change_us = self.now_us;
            self.after_change(index)
        } else {
            self.pump(link, to);
            Ok(())
        }
    }

    fn deliver_end(&mut self, link: usize, epoch: u64, to: Side) -> Checked {
        if self.links[link].epoch != epoch {
            return Ok(());
        }
        let index = self.links[link].nodes[to];
        let now_ms = self.wall_ms(index);
        if let (Some(replica), Some(session)) =
            (&mut self.nodes[index].replica, &mut self.links[link].ends[to].session)
        {
            let ended = session.receive_end(replica, now_ms);
            self.take_events(link, to);
            if let Err(error) = ended {
                return self.violation(format!("an honest peer broke off: {error}"));
            }
            self.pump(link, to);
        }
        let is_over = self.links[link]
            .ends
            .iter()
            .all(|end| end.session.as_ref().is_none_or(Session::is_closed));
        if is_over {
            self.cut(link);
        }
        Ok(())
    }

    fn take_events(&mut self, link: usize, side: Side) {
        let Some(session) = &mut self.links[link].ends[side].session else { return };
        let buffered = session.buffered_bytes();
        assert!(buffered <= limits().line_bytes_max, "a session holds {buffered} bytes");
        while let Some(event) = session.next_event() {
            let name = match &event {
                SessionEvent::DigestReceived { .. } => "session: digest received",
                SessionEvent::HistorySent => "session: history sent",
                SessionEvent::HistoryReceived => "session: history received",
                SessionEvent::Synced => "session: synced",
                SessionEvent::Confirmed { .. } => "session: confirmed",
                SessionEvent::Refused { refusal: Refusal::Malformed(_), .. } => {
                    "outcome: refused, malformed"
                }
                SessionEvent::Refused { refusal: Refusal::Invalid(_), .. } => {
                    "outcome: refused, invalid"
                }
                SessionEvent::Refused { refusal: Refusal::ClockSkew { .. }, .. } => {
                    "outcome: refused, clock skew"
                }
                SessionEvent::Refused { refusal: Refusal::ReadOnly, .. } => {
                    "outcome: refused, read-only"
                }
                SessionEvent::Closed { reason: CloseReason::Failed(_) } => {
                    "session: closed, failed"
                }
                SessionEvent::Closed { .. } => "session: closed, finished",
                _ => "session: other",
            };
            self.coverage.hit(name);
        }
    }

    // Faults.

    fn fault(&mut self, fault: Fault) -> Checked {
        if self.is_calm {
            return Ok(());
        }
        let faults = &self.scenario.faults;
        let every = match fault {
            Fault::Cut => faults.cut,
            Fault::Stall => faults.stall,
            Fault::HalfOpen => faults.half_open,
            Fault::Restart => faults.restart,
            Fault::Loss => faults.loss,
            Fault::ClockJump => faults.clock_jump,
            Fault::Move => Some(300.0),
        };
        self.plan_fault(fault, every.unwrap_or(f64::MAX / 4.0));
        let up: Vec<usize> = (0..self.links.len()).filter(|link| self.links[*link].is_up).collect();
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].replica.is_some()).collect();
        let at_ms = self.at_ms();
        self.marks.push((at_ms, format!("{fault:?}")));
        match fault {
            Fault::Cut if !up.is_empty() => {
                self.coverage.hit("fault: cut");
                let link = *self.chance.pick(&up);
                self.cut(link);
            }
            Fault::Stall if !up.is_empty() => {
                self.coverage.hit("fault: stall");
                let (link, side) = (*self.chance.pick(&up), self.chance.index(2));
                let until = self.now_us + self.chance.between(1_000, 3_000_000);
                self.links[link].ends[side].stalled_until_us = until;
                self.note(format_args!("link {link} stalls from end {side}"));
            }
            Fault::HalfOpen if !up.is_empty() => {
                let (link, side) = (*self.chance.pick(&up), self.chance.index(2));
                let nodes = self.links[link].nodes;
                let is_weak = nodes.iter().any(|node| self.nodes[*node].kind == NodeKind::Original);
                if is_weak && !self.is_quiet(link) {
                    self.is_tainted = true;
                }
                self.coverage.hit("fault: half-open link");
                self.note(format_args!("link {link} is half open: end {side} is gone"));
                self.links[link].ends[side].session = None;
                let (epoch, wait) = (self.links[link].epoch, self.chance.between(1_000, 2_000_000));
                self.schedule(self.now_us + wait, Event::Notice { link, epoch });
            }
            Fault::Restart if !running.is_empty() => {
                let node = *self.chance.pick(&running);
                let keeps_disk = self.nodes[node].disk.is_some();
                self.coverage.hit(match keeps_disk {
                    true => "fault: restart with disk",
                    false => "fault: restart without disk",
                });
                self.note(format_args!("node {node} stops"));
                self.stop(node);
                let wait = self.chance.between(1_000, 1_000_000);
                self.schedule(self.now_us + wait, Event::Restart(node));
            }
            Fault::Loss if running.len() > 2 => {
                // The worst moment: in the middle of sending history.
                let sending: Vec<usize> = up
                    .iter()
                    .flat_map(|link| (0..2).map(move |side| (*link, side)))
                    .filter(|(link, side)| {
                        let end = &self.links[*link].ends[*side];
                        end.in_flight > 0 && end.session.as_ref().is_some_and(|s| !s.is_synced())
                    })
                    .map(|(link, side)| self.links[link].nodes[side])
                    .filter(|node| *node != 0)
                    .collect();
                let node = if sending.is_empty() {
                    *self.chance.pick(&running)
                } else {
                    self.coverage.hit("fault: node lost while sending history");
                    *self.chance.pick(&sending)
                };
                self.coverage.hit("fault: node lost for good");
                self.note(format_args!("node {node} is lost"));
                self.stop(node);
                self.nodes[node].is_lost = true;
            }
            Fault::ClockJump if !running.is_empty() => {
                let node = *self.chance.pick(&running);
                let (name, by) = match self.chance.below(4) {
                    0 => ("fault: clock years ahead", YEAR_MS * (1.0 + self.chance.unit() * 20.0)),
                    1 => ("fault: clock jumped ahead", self.chance.unit() * 3_600_000.0),
                    2 => ("fault: clock stepped back", -self.chance.unit() * 3_600_000.0),
                    _ => ("fault: clock stepped back", -YEAR_MS * self.chance.unit()),
                };
                self.coverage.hit(name);
                self.nodes[node].clock_offset_ms += by;
                self.note(format_args!("node {node}: the clock jumps by {by} ms"));
            }
            Fault::Move if !up.is_empty() => {
                self.coverage.hit("fault: link moved");
                let link = *self.chance.pick(&up);
                self.cut(link);
                self.links[link].is_gone = true;
                let (a, b) =
                    (self.chance.index(self.nodes.len()), self.chance.index(self.nodes.len()));
                self.add_link([a, b]);
            }
            _ => {}
        }
        Ok(())
    }

    fn trick(&mut self, link: usize, epoch: u64, from: Side) -> Checked {
        if self.links[link].epoch != epoch || !self.links[link].is_up || self.is_calm {
            return Ok(());
        }
        let index = self.links[link].nodes[from];
        let own = SourceId::new(format!("h{index}")).expect("an id");
        let victims: Vec<SourceId> = self.truth.sources().cloned().collect();
        let now_ms = EPOCH_MS + self.now_us as f64 / 1_000.0;
        let trick = Trick::draw(&mut self.chance, self.scenario.liars);
        self.coverage.hit(trick.name());
        let mut bytes = Vec::new();
        if self.chance.happens(0.5) {
            bytes = hostile::digest(&[], false);
        }
        let say = |world: &mut Self, millis: f64, source: &SourceId, bytes: &mut Vec<u8>| {
            let change = world.subject.change(&mut world.chance, world.scenario.keys);
            let Some(update) = hostile::update(&change, millis, source) else { return };
            // Two updates of one name are another story: without signatures nobody can tell which
            // of them is the right one.
            if world.truth.get(&update.id()).is_none() {
                world.truth.add(&update);
                bytes.extend_from_slice(update.to_json().as_bytes());
                bytes.push(b'\n');
            }
        };
        match trick {
            Trick::Garbage => bytes.extend(hostile::garbage(&mut self.chance)),
            Trick::BrokenLine => bytes.extend(hostile::broken_line(&mut self.chance)),
            Trick::Malformed => {
                let line = hostile::malformed(&mut self.chance);
                // To some models even that means something.
                if let Ok(update) = Update::from_json(String::from_utf8_lossy(&line).trim_end()) {
                    self.truth.add(&update);
                }
                bytes.extend(line);
            }
            Trick::ForgedDigest => bytes.extend(hostile::digest(&victims, false)),
            Trick::FalsePromise => {
                bytes.extend(hostile::digest(&victims, true));
                bytes.extend_from_slice(b"\"SYNC\"\n");
            }
            Trick::Replay => bytes.extend(self.heard_updates(index)),
            Trick::Flood => {
                for _ in 0..self.chance.between(1, 50) {
                    let millis = now_ms + self.chance.unit() * 1_000.0;
                    say(self, millis, &own, &mut bytes);
                }
            }
            Trick::FarFuture => say(self, now_ms + 2.0 * YEAR_MS, &own, &mut bytes),
            Trick::DuplicateSource => {
                if !victims.is_empty() {
                    let victim = self.chance.pick(&victims).clone();
                    let millis = now_ms - self.chance.unit() * 10_000.0;
                    self.truth.mark_forged(&victim);
                    say(self, millis, &victim, &mut bytes);
                }
            }
        }
        self.send(link, from, bytes);
        let wait_us = self.chance.around(200_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Trick { link, epoch, from });
        Ok(())
    }

    /// The updates that a hostile node has heard. What it heard in pieces from several is no longer
    /// what they said, and their promises would not be kept if another said them.
    fn heard_updates(&self, index: usize) -> Vec<u8> {
        let is_true = |line: &&[u8]| {
            let update = Update::from_json(String::from_utf8_lossy(line).trim_end());
            update.is_ok_and(|update| self.truth.get(&update.id()) == Some(&update))
        };
        let lines = self.nodes[index].heard.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| line.ends_with(b"\n")).filter(is_true).flatten().copied().collect()
    }

    // The end of the storm.

    fn tick(&mut self) -> Option<Checked> {
        self.sample();
        for link in 0..self.links.len() {
            for side in 0..2 {
                let index = self.links[link].nodes[side];
                let now_ms = self.wall_ms(index);
                let Some(session) = &mut self.links[link].ends[side].session else { continue };
                if session.next_timeout().is_some_and(|due| due <= now_ms) {
                    self.coverage.hit("session: asked again");
                    if session.handle_timeout(now_ms).is_err() {
                        self.take_events(link, side);
                        self.cut(link);
                        break;
                    }
                    self.pump(link, side);
                }
            }
        }
        if self.is_calm && self.is_settled() {
            return None;
        }
        if self.is_calm && self.now_us > self.calm_since_us + 600_000_000 {
            return Some(self.violation("no rest within 600 s of calm".to_owned()));
        }
        self.schedule(self.now_us + TICK_US, Event::Tick);
        Some(Ok(()))
    }

    fn is_settled(&self) -> bool {
        let has_deliveries = self.events.values().any(|event| {
            matches!(event, Event::Deliver { .. } | Event::Synced { .. } | Event::Connect { .. })
        });
        let is_quiet = (0..self.links.len())
            .all(|link| self.links[link].is_gone || self.links[link].is_up && self.is_quiet(link));
        let is_stored = self.nodes.iter().all(|node| {
            node.replica.as_ref().is_none_or(|replica| replica.durable() == replica.head())
        });
        !has_deliveries && is_quiet && is_stored
    }

    /// Faults stop. Hostile peers are gone, everyone who can return does, the survivors are linked,
    /// and enough time passes for what was put off.
    fn calm(&mut self) -> Checked {
        self.is_calm = true;
        self.calm_since_us = self.now_us;
        self.last_change_us = self.now_us;
        self.note(format_args!("calm"));
        let at_ms = self.at_ms();
        self.marks.push((at_ms, "calm".to_owned()));
        for index in 0..self.nodes.len() {
            if self.nodes[index].kind == NodeKind::Hostile {
                self.nodes[index].is_lost = true;
            } else {
                self.restart(index)?;
            }
        }
        for link in 0..self.links.len() {
            if self.links[link].nodes.iter().any(|node| self.nodes[*node].is_lost) {
                if self.links[link].is_up {
                    self.cut(link);
                }
                self.links[link].is_gone = true;
            }
            self.links[link].bytes_per_ms = 100_000;
            for end in &mut self.links[link].ends {
                end.stalled_until_us = 0;
                // What was to trickle in comes at once.
                end.arrives_us = end.arrives_us.min(self.now_us + 1_000_000);
            }
        }
        let newest = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .flat_map(|replica| replica.updates_since(&VersionVector::new()).last())
            .map(|update| update.timestamp().as_millis())
            .fold(EPOCH_MS, f64::max);
        let base = newest - self.now_us as f64 / 1_000.0 + 1.0;
        for node in &mut self.nodes {
            node.clock_offset_ms = node.clock_offset_ms.max(base);
        }
        // A row through those that pass things on, and somebody for each of the others.
        let relays: Vec<usize> = self.relays().collect();
        for pair in relays.windows(2) {
            self.add_link([pair[0], pair[1]]);
        }
        for index in 0..self.nodes.len() {
            if matches!(self.nodes[index].kind, NodeKind::OneWay(_))
                && !self.nodes[index].is_lost
                && !relays.is_empty()
            {
                let relay = *self.chance.pick(&relays);
                self.add_link([index, relay]);
            }
        }
        for link in 0..self.links.len() {
            self.plan_connect(link);
            for side in 0..2 {
                self.pump(link, side);
            }
        }
        Ok(())
    }

    /// The nodes that receive and send, and are there.
    pub(crate) fn relays(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|index| {
            let node = &self.nodes[*index];
            node.replica.is_some() && matches!(node.kind, NodeKind::Ours | NodeKind::Original)
        })
    }

    fn sample(&mut self) {
        if !self.keeps_account {
            return;
        }
        let all = self.truth.len() as u64;
        let behind = self
            .nodes
            .iter()
            .map(|node| match &node.replica {
                Some(replica) => all.saturating_sub(self.known(replica)),
                None => all,
            })
            .collect();
        let in_flight =
            self.links.iter().flat_map(|link| &link.ends).map(|end| end.in_flight as u64).sum();
        let sample = Sample { at_ms: self.at_ms(), behind, in_flight, sent: self.bytes_sent };
        self.samples.push(sample);
    }

    /// How many of the updates there are a replica has announced.
    fn known(&self, replica: &Replica<S::Model>) -> u64 {
        let vector = replica.version_vector();
        vector.iter().map(|(source, at)| self.truth.between(source, None, at).count() as u64).sum()
    }

    pub(crate) fn violation(&self, what: String) -> Checked {
        Err(Violation { at_ms: self.at_ms(), what })
    }
}
