//! Small worlds, exhaustively: three replicas, a few writes, a fault, and every order in which all
//! of it can happen.
//!
//! Where a seed draws one run of a large cluster, this visits every state that a tiny one can get
//! into, breadth first, so that the first violation found is also one of the shortest. The replicas
//! and sessions are the production ones. They cannot be copied, so a state is kept as the actions
//! that lead to it, and made again when it is its turn.
//!
//! There is no time here and no chance: an update is never too far in the future, a line arrives
//! whole or not at all.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;

use scuttlebutt::{
    ChangeCursor, LwwMap, Replica, Session, SessionConfig, SourceId, Update, UpdateId,
    VersionVector,
};

use crate::subject::{MapSubject, Subject};

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

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Write(usize),
    Sync(usize),
    Connect(usize),
    Send { link: usize, from: usize },
    Deliver { link: usize, from: usize },
    Cut(usize),
    Restart { keeps_unsynced: bool },
    Lose,
}

/// What came of visiting every state of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// States visited.
    pub states: usize,
    /// Steps from one state to another, or to the same.
    pub transitions: usize,
    /// States in which nothing moves by itself any more.
    pub at_rest: usize,
    /// The longest of the shortest ways to a state.
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
    SmallWorld { name: "line, tie, cut", writes: TIE, cuts: 1, ..PLAIN },
    SmallWorld { name: "line, crosswise", writes: CROSSWISE, ..PLAIN },
    SmallWorld { name: "line, crosswise, loss", writes: CROSSWISE, loss: Some(1), ..PLAIN },
    SmallWorld { name: "line, tie, restart empty", writes: TIE, restart: EMPTY, ..PLAIN },
    SmallWorld { name: "line, tie, restart from store", writes: TIE, restart: STORE, ..PLAIN },
    SmallWorld { name: "triangle, tie", links: TRIANGLE, writes: TIE, ..PLAIN },
    SmallWorld {
        name: "triangle, tie, loss",
        links: TRIANGLE,
        writes: TIE,
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
    let mut search = Search::default();
    let violation = search.run(world);
    Census {
        states: search.reached.len(),
        transitions: search.edges.len(),
        at_rest: search.at_rest,
        depth: search.depth,
        violation: violation.map(|(what, path)| {
            (what, path.into_iter().map(|action| describe(world, action)).collect())
        }),
    }
}

/// A breadth-first search.
#[derive(Default)]
struct Search {
    /// Each state by its fingerprint.
    numbers: HashMap<u128, u32>,
    /// How each state was first reached: from which, and by what.
    reached: Vec<Option<(u32, Action)>>,
    edges: Vec<(u32, u32)>,
    at_rest: usize,
    depth: usize,
}

type Found = Option<(String, Vec<Action>)>;

impl Search {
    fn run(&mut self, world: &SmallWorld) -> Found {
        let start = State::new(world);
        self.numbers.insert(join(&start.fingerprint(None)), 0);
        self.reached.push(None);
        let mut next = 0;
        while next < self.reached.len() {
            let path = self.path(next);
            self.depth = self.depth.max(path.len());
            if let Some(found) = self.expand(world, next as u32, &path) {
                return Some(found);
            }
            next += 1;
        }
        // Nothing may go on for ever: with writes and faults numbered, that would be two replicas that
        // never stop talking.
        (!self.is_acyclic()).then(|| ("it never comes to rest".to_owned(), Vec::new()))
    }

    fn expand(&mut self, world: &SmallWorld, number: u32, path: &[Action]) -> Found {
        let mut state = State::replay(world, path);
        let actions = state.actions();
        if !actions.iter().any(|action| action.happens_by_itself()) {
            self.at_rest += 1;
            if let Err(what) = state.check_at_rest() {
                return Some((what, path.to_vec()));
            }
        }
        let parts = state.fingerprint(None);
        for (nth, action) in actions.iter().enumerate() {
            // The last one may have the state itself.
            let mut after = if nth + 1 == actions.len() {
                std::mem::replace(&mut state, State::new(world))
            } else {
                State::replay(world, path)
            };
            if let Err(what) = after.act(*action).and_then(|()| after.check()) {
                return Some((what, [path, &[*action]].concat()));
            }
            let after_parts = after.fingerprint(Some((&parts, *action)));
            debug_assert_eq!(after_parts, after.fingerprint(None), "{action:?}");
            let new = self.reached.len() as u32;
            let reached = *self.numbers.entry(join(&after_parts)).or_insert(new);
            if reached == new {
                self.reached.push(Some((number, *action)));
            }
            self.edges.push((number, reached));
        }
        None
    }

    fn path(&self, number: usize) -> Vec<Action> {
        let mut path = Vec::new();
        let mut at = number;
        while let Some((before, action)) = self.reached[at] {
            path.push(action);
            at = before as usize;
        }
        path.reverse();
        path
    }

    /// Takes away again and again what nothing leads to; a circle would remain.
    fn is_acyclic(&mut self) -> bool {
        self.edges.sort_unstable();
        let mut arrivals = vec![0_u32; self.reached.len()];
        for (_, to) in &self.edges {
            arrivals[*to as usize] += 1;
        }
        let mut free = vec![0_u32];
        let mut taken = 0;
        while let Some(state) = free.pop() {
            taken += 1;
            let first = self.edges.partition_point(|(from, _)| *from < state);
            for (_, to) in self.edges[first..].iter().take_while(|(from, _)| *from == state) {
                arrivals[*to as usize] -= 1;
                if arrivals[*to as usize] == 0 {
                    free.push(*to);
                }
            }
        }
        taken == self.reached.len()
    }
}

impl Action {
    /// Whether it needs neither a user nor a fault.
    fn happens_by_itself(self) -> bool {
        matches!(
            self,
            Action::Sync(_) | Action::Connect(_) | Action::Send { .. } | Action::Deliver { .. }
        )
    }
}

fn describe(world: &SmallWorld, action: Action) -> String {
    let name = |replica: usize| ["A", "B", "C"][replica];
    let pair = |link: usize, from: usize| {
        let nodes = world.links[link];
        format!("{} to {}", name(nodes[from]), name(nodes[1 - from]))
    };
    match action {
        Action::Write(nth) => {
            let write = &world.writes[nth];
            format!("{} writes {} at {}", name(write.by), write.key, write.at_ms)
        }
        Action::Sync(replica) => format!("{} syncs", name(replica)),
        Action::Connect(link) => format!("{} comes up", pair(link, 0)),
        Action::Send { link, from } => format!("{} is asked for a line", pair(link, from)),
        Action::Deliver { link, from } => format!("{} delivers", pair(link, from)),
        Action::Cut(link) => format!("{} is cut", pair(link, 0)),
        Action::Restart { keeps_unsynced } => {
            let replica = world.restart.map_or(0, Restart::replica);
            let kept = if keeps_unsynced { ", its last writes kept" } else { "" };
            format!("{} restarts{kept}", name(replica))
        }
        Action::Lose => format!("{} is lost", name(world.loss.unwrap_or_default())),
    }
}

/// The wall clock of whoever receives: after every write.
const NOW_MS: f64 = 1_000.0;

type Checked = Result<(), String>;

struct State<'w> {
    world: &'w SmallWorld,
    nodes: Vec<Node>,
    links: Vec<Link>,
    /// Every update ever made that was not forgotten before anybody heard of it.
    truth: Vec<(UpdateId, &'static str)>,
    is_written: Vec<bool>,
    cuts_left: usize,
    may_restart: bool,
}

struct Node {
    /// Absent when it is lost.
    replica: Option<Replica<LwwMap>>,
    store: Option<Store>,
    cursor: ChangeCursor,
    shown: BTreeSet<UpdateId>,
}

#[derive(Debug, Default)]
struct Store {
    updates: Vec<Update>,
    vector: VersionVector,
}

#[derive(Default)]
struct Link {
    /// Absent while it is down.
    ends: Option<[Session; 2]>,
    /// Whole lines on the way from each end.
    pipes: [VecDeque<Vec<u8>>; 2],
}

impl<'w> State<'w> {
    fn new(world: &'w SmallWorld) -> Self {
        let mut state = Self {
            world,
            nodes: Vec::new(),
            links: Vec::new(),
            truth: Vec::new(),
            is_written: vec![false; world.writes.len()],
            cuts_left: world.cuts,
            may_restart: world.restart.is_some(),
        };
        for (index, id) in ["A", "B", "C"].into_iter().enumerate() {
            let mut replica = new_replica(id);
            let store = (world.restart == Some(Restart::FromStore(index))).then(|| {
                replica.wait_for_store();
                Store::default()
            });
            state.nodes.push(Node {
                replica: Some(replica),
                store,
                cursor: ChangeCursor::default(),
                shown: BTreeSet::new(),
            });
        }
        state.links.resize_with(world.links.len(), Link::default);
        if world.is_settled {
            while let Some(action) =
                state.actions().into_iter().find(|action| action.happens_by_itself())
            {
                // Nobody has anything yet.
                let _ = state.act(action);
            }
        }
        state
    }

    fn replay(world: &'w SmallWorld, path: &[Action]) -> Self {
        let mut state = Self::new(world);
        for action in path {
            // It went well the first time.
            let _ = state.act(*action);
        }
        state
    }

    /// Everything that can happen now.
    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut has_turn = vec![true; self.nodes.len()];
        for (nth, write) in self.world.writes.iter().enumerate() {
            if !self.is_written[nth]
                && std::mem::take(&mut has_turn[write.by])
                && self.nodes[write.by].replica.is_some()
            {
                actions.push(Action::Write(nth));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if node.replica.as_ref().is_some_and(|replica| replica.durable() < replica.head()) {
                actions.push(Action::Sync(index));
            }
        }
        for (link, state) in self.links.iter().enumerate() {
            let replicas = self.world.links[link].map(|node| self.nodes[node].replica.as_ref());
            let [Some(_), Some(_)] = replicas else { continue };
            let Some(ends) = &state.ends else {
                actions.push(Action::Connect(link));
                continue;
            };
            for from in 0..2 {
                if !state.pipes[from].is_empty() {
                    actions.push(Action::Deliver { link, from });
                }
                if self.world.pace == Pace::Any
                    && state.pipes[from].len() < self.world.room
                    && replicas[from].is_some_and(|replica| ends[from].has_output(replica))
                {
                    actions.push(Action::Send { link, from });
                }
            }
            if self.cuts_left > 0 {
                actions.push(Action::Cut(link));
            }
        }
        if self.may_restart {
            actions.push(Action::Restart { keeps_unsynced: false });
            let restarting = self.world.restart.map(|restart| &self.nodes[restart.replica()]);
            let has_unsynced = restarting.is_some_and(|node| {
                let replica = node.replica.as_ref().filter(|_| node.store.is_some());
                replica.is_some_and(|replica| replica.durable() < replica.head())
            });
            if has_unsynced {
                actions.push(Action::Restart { keeps_unsynced: true });
            }
        }
        if self.world.loss.is_some_and(|lost| self.nodes[lost].replica.is_some()) {
            actions.push(Action::Lose);
        }
        actions
    }

    fn act(&mut self, action: Action) -> Checked {
        match action {
            Action::Write(nth) => self.write(nth)?,
            Action::Sync(index) => self.nodes[index].sync(true),
            Action::Connect(link) => {
                let [left, right] = self.world.links[link];
                let mut session = |node: usize| {
                    let replica = self.nodes[node].replica.as_mut();
                    replica.map(|replica| Session::new(replica, NOW_MS, SessionConfig::default()))
                };
                if let (Some(left), Some(right)) = (session(left), session(right)) {
                    self.links[link].ends = Some([left, right]);
                }
            }
            Action::Send { link, from } => self.send(link, from),
            Action::Deliver { link, from } => self.deliver(link, from)?,
            Action::Cut(link) => {
                self.cuts_left -= 1;
                self.links[link] = Link::default();
            }
            Action::Restart { keeps_unsynced } => self.restart(keeps_unsynced),
            Action::Lose => {
                if let Some(lost) = self.world.loss {
                    self.cut_all(lost);
                    self.nodes[lost].replica = None;
                }
            }
        }
        for link in 0..self.links.len() {
            for from in 0..2 {
                self.drain_events(link, from);
                if self.world.pace == Pace::Prompt {
                    self.fill(link, from);
                }
            }
        }
        self.show()
    }

    fn write(&mut self, nth: usize) -> Checked {
        let write = self.world.writes[nth];
        self.is_written[nth] = true;
        let Some(replica) = &mut self.nodes[write.by].replica else { return Ok(()) };
        let change = LwwMap::set(write.key, &nth).expect("a number is JSON");
        let update = replica
            .local_update(write.at_ms, change)
            .map_err(|error| format!("a local write was refused: {error}"))?;
        if !replica.is_live(&update.id()) {
            return Err(format!("I4: {update:?} was written to no effect"));
        }
        self.truth.push((update.id(), write.key));
        Ok(())
    }

    fn restart(&mut self, keeps_unsynced: bool) {
        self.may_restart = false;
        let Some(restart) = self.world.restart else { return };
        let index = restart.replica();
        if self.nodes[index].replica.is_none() {
            return;
        }
        self.cut_all(index);
        let node = &mut self.nodes[index];
        let mut replica;
        match restart {
            Restart::Empty(_) => replica = new_replica("fresh"),
            Restart::FromStore(_) => {
                if keeps_unsynced {
                    node.sync(false);
                }
                replica = new_replica(["A", "B", "C"][index]);
                replica.wait_for_store();
                if let Some(store) = &node.store {
                    replica.restore(store.updates.iter().cloned(), &store.vector);
                    // What it forgot it never sent: if somebody holds it, that is found as shown
                    // without having been written.
                    self.truth.retain(|(id, _)| {
                        id.source != *replica.id()
                            || store.updates.iter().any(|update| update.id() == *id)
                    });
                }
            }
        }
        node.cursor = replica.change_cursor();
        node.shown = replica.updates_since(&VersionVector::new()).map(Update::id).collect();
        node.replica = Some(replica);
    }

    fn cut_all(&mut self, node: usize) {
        for (link, nodes) in self.world.links.iter().enumerate() {
            if nodes.contains(&node) {
                self.links[link] = Link::default();
            }
        }
    }

    // Lines.

    /// Asks for lines while there is room for them.
    fn fill(&mut self, link: usize, from: usize) {
        let node = self.world.links[link][from];
        while let (Some(replica), Some(ends)) = (&self.nodes[node].replica, &self.links[link].ends)
            && self.links[link].pipes[from].len() < self.world.room
            && ends[from].has_output(replica)
        {
            self.send(link, from);
        }
    }

    fn send(&mut self, link: usize, from: usize) {
        let node = self.world.links[link][from];
        let Link { ends: Some(ends), pipes } = &mut self.links[link] else { return };
        let Some(replica) = &self.nodes[node].replica else { return };
        let mut bytes = Vec::new();
        // One byte, so that no more than one line is begun; then the rest of it.
        ends[from].transmit(replica, &mut bytes, 1);
        let rest = ends[from].buffered_bytes();
        if rest > 0 {
            ends[from].transmit(replica, &mut bytes, rest);
        }
        pipes[from].extend(bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec));
        self.drain_events(link, from);
    }

    fn deliver(&mut self, link: usize, from: usize) -> Checked {
        let node = self.world.links[link][1 - from];
        let Link { ends: Some(ends), pipes } = &mut self.links[link] else { return Ok(()) };
        let Some(line) = pipes[from].pop_front() else { return Ok(()) };
        let Some(replica) = &mut self.nodes[node].replica else { return Ok(()) };
        ends[1 - from]
            .receive(replica, NOW_MS, &line)
            .map_err(|error| format!("{}: {error}", String::from_utf8_lossy(&line)))
    }

    fn drain_events(&mut self, link: usize, end: usize) {
        if let Some(ends) = &mut self.links[link].ends {
            while ends[end].next_event().is_some() {}
        }
    }

    // The rules.

    /// Nothing is invented or shown twice.
    fn show(&mut self) -> Checked {
        for node in &mut self.nodes {
            let Some(replica) = &node.replica else { continue };
            for changed in replica.changes(&mut node.cursor) {
                let id = changed.update.id();
                if !self.truth.iter().any(|(true_id, _)| *true_id == id) {
                    return Err(format!("{} shows {id:?}, which nobody wrote", replica.id()));
                }
                if !node.shown.insert(id.clone()) {
                    return Err(format!("{} shows {id:?} twice", replica.id()));
                }
            }
            node.cursor.take_missed();
        }
        Ok(())
    }

    /// What must hold in every state.
    fn check(&self) -> Checked {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            let vector = replica.version_vector();
            for (id, key) in &self.truth {
                let is_covered = self.covers(replica, id, key);
                if vector.includes(&id.source, id.timestamp) && !is_covered {
                    return Err(format!(
                        "I2: {} announces {vector:?} but holds neither {id:?} nor what supersedes it",
                        replica.id()
                    ));
                }
                if node.shown.contains(id) && !is_covered {
                    return Err(format!("{} has lost {id:?}, which it showed", replica.id()));
                }
            }
        }
        Ok(())
    }

    /// Whether a replica holds an update or one that supersedes it, in the log as in the model.
    fn covers(&self, replica: &Replica<LwwMap>, id: &UpdateId, key: &str) -> bool {
        let is_held = self
            .truth
            .iter()
            .any(|(other, other_key)| *other_key == key && other >= id && replica.is_live(other));
        is_held && replica.model().entry(key).is_some_and(|entry| entry.update.id() >= *id)
    }

    /// I1: those who are linked show and announce the same, and all of what they have.
    fn check_at_rest(&self) -> Checked {
        for [left, right] in self.world.links {
            let (Some(left), Some(right)) =
                (&self.nodes[*left].replica, &self.nodes[*right].replica)
            else {
                continue;
            };
            let nothing = VersionVector::new();
            let held = left.updates_since(&nothing).chain(right.updates_since(&nothing));
            let mut held: Vec<&Update> = held.collect();
            held.sort_by_key(|update| update.id());
            let expected = MapSubject.expected(&held);
            for replica in [left, right] {
                let shown = replica.model().to_json();
                if shown != expected {
                    return Err(format!("I1: {} shows {shown}, not {expected}", replica.id()));
                }
            }
            let vectors = [left.version_vector(), right.version_vector()];
            if vectors[0] != vectors[1] {
                return Err(format!(
                    "I1: {} announces {:?}, {} announces {:?}",
                    left.id(),
                    vectors[0],
                    right.id(),
                    vectors[1]
                ));
            }
        }
        Ok(())
    }

    /// Everything that decides what can happen next and whether it is right, in parts: of most of
    /// them an action changes nothing, so they are taken from the state `before` it.
    fn fingerprint(&self, before: Option<(&Parts, Action)>) -> Parts {
        let mut parts = Parts::default();
        let keep = |part: usize, is_touched: &dyn Fn(Action) -> bool| {
            before.filter(|(_, action)| !is_touched(*action)).map(|(parts, _)| parts[part])
        };
        for (index, node) in self.nodes.iter().enumerate() {
            let is_touched = |action| self.touched(action).0.is_none_or(|node| node == index);
            parts[index] = keep(index, &is_touched).unwrap_or_else(|| {
                let internals = node.replica.as_ref().map(Replica::internals);
                hash(format_args!("{internals:?}{:?}{:?}", node.store, node.shown))
            });
        }
        for (index, link) in self.links.iter().enumerate() {
            for end in 0..2 {
                let part = self.nodes.len() + 2 * index + end;
                let is_touched = |action| {
                    let (node, link) = self.touched(action);
                    node.is_none_or(|node| node == self.world.links[index][end])
                        || link == Some(index)
                };
                parts[part] = keep(part, &is_touched).unwrap_or_else(|| {
                    let session = link.ends.as_ref().map(|ends| &ends[end]);
                    hash(format_args!("{session:?}{:?}", link.pipes[end]))
                });
            }
        }
        let left = (self.cuts_left, self.may_restart);
        parts[PARTS - 1] = hash(format_args!("{:?}{:?}{left:?}", self.is_written, self.truth));
        parts
    }

    /// The replica whose state an action may change, and the link; no replica means all of them.
    fn touched(&self, action: Action) -> (Option<usize>, Option<usize>) {
        match action {
            Action::Write(nth) => (Some(self.world.writes[nth].by), None),
            Action::Sync(node) => (Some(node), None),
            Action::Send { link, from } => (Some(self.world.links[link][from]), Some(link)),
            Action::Deliver { link, from } => (Some(self.world.links[link][1 - from]), Some(link)),
            Action::Connect(_) | Action::Cut(_) | Action::Restart { .. } | Action::Lose => {
                (None, None)
            }
        }
    }
}

impl Node {
    /// Everything accepted so far becomes durable, as far as the store goes; `is_told` says whether
    /// the replica lives to hear of it.
    fn sync(&mut self, is_told: bool) {
        let (Some(replica), Some(store)) = (&mut self.replica, &mut self.store) else { return };
        store.updates.extend(replica.unstored().cloned());
        store.vector = replica.version_vector();
        if is_told {
            replica.stored(replica.head());
        }
    }
}

fn new_replica(id: &str) -> Replica<LwwMap> {
    Replica::new(SourceId::new(id).expect("an id"), LwwMap::new())
}

/// Three replicas, up to six ends of links, and the rest.
const PARTS: usize = 10;

type Parts = [u128; PARTS];

fn hash(text: fmt::Arguments<'_>) -> u128 {
    let mut hasher = Hasher(0);
    // Writing into a number cannot fail.
    let _ = fmt::Write::write_fmt(&mut hasher, text);
    hasher.0
}

fn join(parts: &Parts) -> u128 {
    parts.iter().fold(0, |joined, part| mix(joined ^ part))
}

fn mix(bits: u128) -> u128 {
    bits.wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9).rotate_left(61)
}

/// 128 bits of what is written to it: of a hundred million states two look alike by one chance in
/// 10^22.
struct Hasher(u128);

impl fmt::Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = mix(self.0 ^ text.len() as u128);
        for chunk in text.as_bytes().chunks(15) {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ u128::from_le_bytes(word));
        }
        Ok(())
    }
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
