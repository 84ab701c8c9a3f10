//! A test bench: replicas joined by sessions over pipes in memory, in virtual time.
//!
//! Everything that happens is an [`Op`], drawn by proptest, so that a failing case shrinks to a
//! short list of operations. Proptest prints that list, and writes its seed beside the test into a
//! file `*.proptest-regressions`, from which every later run replays it first. `PROPTEST_CASES=5000
//! cargo test -p scuttlebutt --release --test invariants` looks for longer.
//!
//! After each operation the bench compares the replicas that it touched with a [`Twin`], which
//! keeps every update ever made and sorts. It never looks into a session or a replica: it uses what
//! an application can use.

pub(crate) mod op;
mod twin;

use std::collections::{BTreeMap, VecDeque};

use scuttlebutt::{
    CloseReason, DecodeError, Limits, Replica, Session, SessionConfig, SessionError, SessionEvent,
    SourceId, Tap, Timestamp, Update, UpdateId, VersionVector,
};

pub(crate) use op::{LinkKind, Op, Ops, Setup};
pub(crate) use twin::{Subject, Twin};

/// Far enough from zero that clocks can lag, in milliseconds since the epoch.
const START_MS: f64 = 1_000_000.0;

pub(crate) struct Cluster<M> {
    pub(crate) now_ms: f64,
    pub(crate) nodes: Vec<Node<M>>,
    pub(crate) joints: Vec<Joint>,
    pub(crate) twin: Twin,
    setup: Setup,
    writes: u32,
}

pub(crate) struct Node<M> {
    pub(crate) replica: Replica<M>,
    pub(crate) is_gone: bool,
    offset_ms: f64,
    has_store: bool,
    /// What a crash leaves.
    disk: BTreeMap<UpdateId, Update>,
    /// What is being written to disk, and up to which position.
    writing: Option<(u64, Vec<Update>)>,
    announced: VersionVector,
}

/// Two sessions and the pipes between them.
pub(crate) struct Joint {
    pub(crate) ends: [End; 2],
}

pub(crate) struct End {
    pub(crate) node: usize,
    pub(crate) session: Session,
    /// Bytes under way to the other end.
    pipe: VecDeque<u8>,
    /// A listener on the wire.
    tap: Tap,
    has_heard_end: bool,
}

impl<M: Subject> Cluster<M> {
    pub(crate) fn new(setup: &Setup) -> Self {
        let nodes = setup.offsets_ms.iter().zip(&setup.stores).enumerate();
        let nodes = nodes.map(|(number, (offset_ms, has_store))| Node {
            replica: new_replica(number, *has_store),
            is_gone: false,
            offset_ms: *offset_ms,
            has_store: *has_store,
            disk: BTreeMap::new(),
            writing: None,
            announced: VersionVector::new(),
        });
        Self {
            now_ms: START_MS,
            nodes: nodes.collect(),
            joints: Vec::new(),
            twin: Twin::default(),
            setup: setup.clone(),
            writes: 0,
        }
    }

    /// Does one thing and looks at everybody concerned.
    pub(crate) fn step(&mut self, op: &Op) {
        match *op {
            Op::Write { at, key } => self.write(at, key),
            Op::Foreign { writer, key } => self.write_foreign(writer, key),
            Op::Stray { from, to, pick } => self.stray(from, to, pick),
            Op::Link { a, b, kind } => self.link(a, b, kind),
            Op::Cut { joint, is_heard } => self.cut(joint, is_heard),
            Op::Leave { joint, side } => {
                if let Some(joint) = pick(joint, self.joints.len()) {
                    self.joints[joint].ends[usize::from(side)].session.leave();
                }
            }
            Op::Carry { joint, side, room, take } => {
                if let Some(joint) = pick(joint, self.joints.len()) {
                    self.carry(joint, usize::from(side), room, take);
                    self.sweep();
                }
            }
            Op::Tick { ms } => self.tick(ms),
            Op::Store { at } => self.store(at),
            Op::Crash { at } => self.crash(at),
            Op::Kill { at } => self.kill(at),
        }
    }

    fn alive(&self, at: u8) -> Option<usize> {
        let alive: Vec<_> = (0..self.nodes.len()).filter(|n| !self.nodes[*n].is_gone).collect();
        Some(alive[pick(at, alive.len())?])
    }

    fn wall_ms(&self, node: usize) -> f64 {
        self.now_ms + self.nodes[node].offset_ms
    }

    fn write(&mut self, at: u8, key: u8) {
        let Some(at) = self.alive(at) else { return };
        self.writes += 1;
        let wall_ms = self.wall_ms(at);
        let change = M::change(key, self.writes);
        let replica = &mut self.nodes[at].replica;
        let update = replica.local_update(wall_ms, change).expect("is accepted");
        // I4: a local write takes effect, also where the clock lags.
        assert!(replica.is_live(&update.id()), "{update:?} had no effect");
        self.twin.add::<M>(update);
        self.check(at);
    }

    /// A source without a replica of its own writes through its home, who gets all it writes.
    fn write_foreign(&mut self, writer: u8, key: u8) {
        let writer = usize::from(writer) % 3;
        let home = writer % self.nodes.len();
        if self.nodes[home].is_gone {
            return;
        }
        self.writes += 1;
        let source = SourceId::new(["F", "a\u{1F600}", "\u{FF5E}"][writer]).unwrap();
        let wall = Timestamp::new(self.wall_ms(home)).unwrap();
        let timestamp = match self.twin.newest_ever(&source) {
            Some(newest) if newest >= wall => newest.next().unwrap(),
            _ => wall,
        };
        let update = Update::new(&M::change(key, self.writes), timestamp, source.clone());
        self.twin.add::<M>(update.clone());
        let wall_ms = self.wall_ms(home);
        let replica = &mut self.nodes[home].replica;
        replica.remote_update(wall_ms, update);
        replica.promise(&[(source, timestamp)].into_iter().collect());
        self.check(home);
    }

    /// One update comes by itself, by whatever way, and possibly again.
    fn stray(&mut self, from: u8, to: u8, which: u8) {
        let (Some(from), Some(to)) = (self.alive(from), self.alive(to)) else {
            return;
        };
        let held: Vec<_> = self.nodes[from].sendable().cloned().collect();
        if let Some(which) = pick(which, held.len()) {
            let wall_ms = self.wall_ms(to);
            let replica = &mut self.nodes[to].replica;
            replica.remote_update(wall_ms, held[which].clone());
            self.check(to);
        }
    }

    fn link(&mut self, a: u8, b: u8, kind: LinkKind) {
        if let (Some(a), Some(b)) = (self.alive(a), self.alive(b))
            && a != b
        {
            self.connect(a, b, kind);
        }
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize, kind: LinkKind) {
        let ends = [a, b];
        let mut configs = kind.configs().into_iter();
        let ends = ends.map(|node| {
            let now_ms = self.wall_ms(node);
            let config = configs.next().expect("two");
            let replica = &mut self.nodes[node].replica;
            End {
                node,
                session: Session::new(replica, now_ms, config),
                pipe: VecDeque::new(),
                tap: Tap::default(),
                has_heard_end: false,
            }
        });
        self.joints.push(Joint { ends });
    }

    /// The connection is gone with all that was under way; both sides may hear of it, or not.
    fn cut(&mut self, joint: u8, is_heard: bool) {
        let Some(joint) = pick(joint, self.joints.len()) else {
            return;
        };
        let mut joint = self.joints.swap_remove(joint);
        for end in &mut joint.ends {
            let wall_ms = self.now_ms + self.nodes[end.node].offset_ms;
            if is_heard && !end.has_heard_end {
                let replica = &mut self.nodes[end.node].replica;
                match end.session.receive_end(replica, wall_ms) {
                    Ok(()) | Err(SessionError::Decode(DecodeError::BrokenOff { .. })) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            self.check(end.node);
        }
    }

    /// Lets one side say up to `room` bytes, and up to `take` bytes of what is under way arrive.
    pub(crate) fn carry(&mut self, joint: usize, side: usize, room: usize, take: usize) -> usize {
        let [a, b] = &mut self.joints[joint].ends;
        let (from, to) = if side == 0 { (a, b) } else { (b, a) };
        let mut out = Vec::new();
        let sender = &self.nodes[from.node];
        let said = from.session.transmit(&sender.replica, &mut out, room);
        assert!(said == out.len() && said <= room, "{said} bytes for {room}");
        sender.listen(&self.twin, self.setup.has_promises, &mut from.tap, &out);
        from.pipe.extend(out);
        let taken: Vec<u8> = from.pipe.drain(..take.min(from.pipe.len())).collect();
        let node = to.node;
        let wall_ms = self.now_ms + self.nodes[node].offset_ms;
        let receiver = &mut self.nodes[node].replica;
        if let Err(error) = to.session.receive(receiver, wall_ms, &taken) {
            panic!("{error}");
        }
        if from.session.is_output_finished() && from.pipe.is_empty() && !to.has_heard_end {
            to.has_heard_end = true;
            to.session.receive_end(receiver, wall_ms).expect("whole");
        }
        if !taken.is_empty() {
            self.check(node);
        }
        said + taken.len()
    }

    fn sweep(&mut self) {
        self.joints.retain(|joint| !joint.ends.iter().all(|end| end.session.is_closed()));
    }

    fn tick(&mut self, ms: f64) {
        self.now_ms += ms;
        let now_ms = self.now_ms;
        let offsets: Vec<f64> = self.nodes.iter().map(|node| node.offset_ms).collect();
        self.joints.retain_mut(|joint| {
            joint.ends.iter_mut().all(|end| {
                let wall_ms = now_ms + offsets[end.node];
                match end.session.next_timeout() {
                    // Who waited in vain for a digest closes the connection.
                    Some(due) if due <= wall_ms => end.session.handle_timeout(wall_ms).is_ok(),
                    _ => true,
                }
            })
        });
    }

    /// Begins to write to disk, or is told that what was begun is there.
    fn store(&mut self, at: u8) {
        if let Some(at) = self.alive(at)
            && self.nodes[at].has_store
        {
            self.nodes[at].store();
            self.check(at);
        }
    }

    /// A replica with a store dies and comes back with what is on disk.
    fn crash(&mut self, at: u8) {
        let Some(at) = self.alive(at).filter(|at| self.nodes[*at].has_store) else {
            return;
        };
        self.joints.retain(|joint| joint.ends.iter().all(|end| end.node != at));
        // What only ever was in this memory never was.
        let (nodes, disk) = (&self.nodes, &self.nodes[at].disk);
        self.twin.retain(|id| home(nodes, id) != Some(at) || disk.contains_key(id));
        let mut replica = new_replica(at, true);
        let announced = self.nodes[at].replica.version_vector();
        replica.restore(self.nodes[at].disk.values().cloned(), &announced);
        assert!(!replica.is_identity_contested());
        // Evidence that was superseded before it was written to disk is gone: those entries may be
        // lower than before, which only costs being told again.
        self.nodes[at].announced = replica.version_vector();
        self.nodes[at].replica = replica;
        self.nodes[at].writing = None;
        self.check(at);
    }

    /// A replica is gone for good, at whatever moment.
    fn kill(&mut self, at: u8) {
        if self.nodes.iter().filter(|node| !node.is_gone).count() < 3 {
            return;
        }
        let Some(at) = self.alive(at) else { return };
        self.joints.retain(|joint| joint.ends.iter().all(|end| end.node != at));
        self.nodes[at].is_gone = true;
    }

    /// Links everybody who is left, and lets them talk until all is said.
    pub(crate) fn settle(&mut self) {
        let alive: Vec<_> = (0..self.nodes.len()).filter(|n| !self.nodes[*n].is_gone).collect();
        for (nth, pair) in alive.windows(2).enumerate() {
            self.connect(pair[0], pair[1], self.setup.last_links(nth));
        }
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 2_000, "they never come to rest");
            let mut moved = 0;
            for joint in 0..self.joints.len() {
                for side in 0..2 {
                    moved += self.carry(joint, side, 512, 512);
                }
            }
            self.sweep();
            for node in alive.iter().copied() {
                let node = &mut self.nodes[node];
                if node.has_store && node.replica.durable() < node.replica.head() {
                    moved += 1;
                    node.store();
                }
            }
            if moved == 0 {
                let due = self.joints.iter().flat_map(|joint| &joint.ends);
                let due = due.filter_map(|end| {
                    Some(end.session.next_timeout()? - self.nodes[end.node].offset_ms)
                });
                match due.min_by(f64::total_cmp) {
                    Some(due) => self.tick((due - self.now_ms).max(0.0)),
                    None => break,
                }
            }
        }
        for node in alive {
            self.check(node);
        }
        for joint in &mut self.joints {
            for end in &mut joint.ends {
                check_events(&mut end.session);
            }
        }
    }

    /// What must hold at any moment.
    fn check(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let vector = node.replica.version_vector();
        for (source, timestamp) in node.announced.iter() {
            assert!(vector.includes(source, timestamp), "{source} went back");
        }
        if self.setup.has_promises {
            self.twin.check_no_gaps::<M>(&node.replica);
        }
        node.announced = vector;
    }
}

impl<M: Subject> Node<M> {
    /// Updates that may have left this replica.
    fn sendable(&self) -> impl Iterator<Item = &Update> {
        let all = VersionVector::new();
        let live = self.replica.updates_since(&all).collect::<Vec<_>>();
        live.into_iter().filter(|update| !self.has_store || self.disk.contains_key(&update.id()))
    }

    fn store(&mut self) {
        match self.writing.take() {
            None => {
                let unstored = self.replica.unstored().cloned().collect();
                self.writing = Some((self.replica.head(), unstored));
            }
            Some((position, updates)) => {
                let updates = updates.into_iter();
                self.disk.extend(updates.map(|update| (update.id(), update)));
                self.replica.stored(position);
            }
        }
    }

    /// I3: nothing is said that a crash could make this replica forget.
    fn listen(&self, twin: &Twin, has_promises: bool, tap: &mut Tap, bytes: &[u8]) {
        let hear = |text: &str| {
            if !self.has_store {
                return;
            }
            if text.starts_with('[') {
                let id = Update::from_json(text).expect("an update").id();
                assert!(self.disk.contains_key(&id), "I3: {id} is not on disk");
            } else if text.starts_with('{') && has_promises {
                let object: serde_json::Value = serde_json::from_str(text).expect("JSON");
                let vector = object.get("clock").or(object.get("mark"));
                let Some(vector) = vector.and_then(|vector| vector.as_object()) else { return };
                let entries = vector.iter().map(|(source, millis)| {
                    let millis = millis.as_f64().expect("a number");
                    let source = SourceId::new(source.as_str()).expect("a source");
                    (source, Timestamp::new(millis).expect("a timestamp"))
                });
                let gap = twin.gap::<M>(&entries.collect(), self.disk.values());
                assert_eq!(gap, None, "I3: {text} promises more than is on disk");
            }
        };
        tap.read(bytes, &Limits::default(), hear).expect("what was said can be read");
    }
}

/// The end of a session is told once, and last.
fn check_events(session: &mut Session) {
    let mut is_closed = false;
    while let Some(event) = session.next_event() {
        assert!(!is_closed, "{event:?} after the end");
        if let SessionEvent::Closed { reason } = event {
            is_closed = true;
            assert!(!matches!(reason, CloseReason::Failed(_)), "{reason:?}");
        }
    }
    assert_eq!(is_closed, session.is_closed());
}

fn new_replica<M: Subject>(number: usize, has_store: bool) -> Replica<M> {
    let limits = Limits {
        clock_skew_ms_max: 1_000.0,
        // Nothing is ever quiet with them; the simulator has them.
        heartbeat_ms_max: 0.0,
        ..Limits::default()
    };
    let mut replica = Replica::with_limits(node_id(number), M::default(), limits);
    if has_store {
        replica.wait_for_store();
    }
    replica
}

fn node_id(number: usize) -> SourceId {
    SourceId::new(format!("n{number}")).unwrap()
}

/// Where the updates of a source enter.
fn home<M>(nodes: &[Node<M>], id: &UpdateId) -> Option<usize> {
    let foreign = ["F", "a\u{1F600}", "\u{FF5E}"];
    let source = id.source.to_string();
    let writer = foreign.iter().position(|name| **name == source);
    (0..nodes.len()).find(|number| match writer {
        Some(writer) => writer % nodes.len() == *number,
        None => node_id(*number) == id.source,
    })
}

fn pick(draw: u8, among: usize) -> Option<usize> {
    (among > 0).then(|| usize::from(draw) % among)
}

/// The sessions of this crate that stand in for a peer of the original's kind.
pub(crate) fn plain() -> SessionConfig {
    SessionConfig { announce_extensions: false, ..SessionConfig::default() }
}
