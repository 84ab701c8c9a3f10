//! A state of a small world, and what can happen in it. What must hold is `rules`.

use std::collections::{BTreeSet, VecDeque};

use scuttlebutt::{
    ChangeCursor, LwwMap, Replica, Session, SessionConfig, SourceId, Update, UpdateId,
    VersionVector,
};

use super::{Pace, Restart, SmallWorld};

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write(usize),
    Sync(usize),
    Connect(usize),
    Send { link: usize, from: usize },
    Deliver { link: usize, from: usize },
    Cut(usize),
    Restart { keeps_unsynced: bool },
    Lose,
}

impl Action {
    /// Whether it needs neither a user nor a fault.
    pub(super) fn happens_by_itself(self) -> bool {
        matches!(
            self,
            Action::Sync(_) | Action::Connect(_) | Action::Send { .. } | Action::Deliver { .. }
        )
    }
}

impl Action {
    pub(super) fn describe(self, world: &SmallWorld) -> String {
        let name = |replica: usize| ["A", "B", "C"][replica];
        let pair = |link: usize, from: usize| {
            let nodes = world.links[link];
            format!("{} to {}", name(nodes[from]), name(nodes[1 - from]))
        };
        match self {
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
}

/// The wall clock of whoever receives: after every write.
const NOW_MS: f64 = 1_000.0;

pub(super) type Checked = Result<(), String>;

#[derive(Clone)]
pub(super) struct State<'w> {
    pub(super) world: &'w SmallWorld,
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<Link>,
    /// Every update ever made that was not forgotten before anybody heard of it.
    pub(super) truth: Vec<(UpdateId, &'static str)>,
    pub(super) is_written: Vec<bool>,
    pub(super) cuts_left: usize,
    pub(super) may_restart: bool,
}

#[derive(Clone)]
pub(super) struct Node {
    /// Absent when it is lost.
    pub(super) replica: Option<Replica<LwwMap>>,
    pub(super) store: Option<Store>,
    pub(super) cursor: ChangeCursor,
    pub(super) shown: BTreeSet<UpdateId>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    updates: Vec<Update>,
    vector: VersionVector,
}

#[derive(Clone, Default)]
pub(super) struct Link {
    /// Absent while it is down.
    pub(super) ends: Option<[Session; 2]>,
    /// Whole lines on the way from each end.
    pub(super) pipes: [VecDeque<Vec<u8>>; 2],
}

impl<'w> State<'w> {
    pub(super) fn new(world: &'w SmallWorld) -> Self {
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

    /// Everything that can happen now.
    pub(super) fn actions(&self) -> Vec<Action> {
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

    pub(super) fn act(&mut self, action: Action) -> Checked {
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
