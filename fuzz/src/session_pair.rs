//! Three replicas in a row and what the fuzzer does to them, against an oracle that keeps every
//! update: no gap in what is announced, ever, and the same everywhere once it is quiet.

use std::collections::{BTreeSet, VecDeque};

use arbitrary::{Arbitrary, Unstructured};
use scuttlebutt::{
    LwwMap, Replica, Session, SessionConfig, SourceId, Update, UpdateId, VersionVector,
};
use scuttlebutt_sim::{MapSubject, Subject};

/// Within the skew that replicas tolerate, so that nothing is put off for longer than the run.
const CLOCK_MS: f64 = 1_700_000_000_000.0;

/// A stranger that goes on in frames, in which slot 0 is A already.
const BINARY_DIGEST: &[u8] =
    b"{\"id\":\"x\",\"clock\":{},\"ext\":{\"marks\":0,\"binary\":1}}\n\"BINARY\"\n\x04\x02\"A\"";

#[derive(Arbitrary, Debug)]
enum Action {
    Write {
        node: u8,
        key: u8,
        removes: bool,
    },
    /// Asks a session for what it has to say.
    Transmit {
        link: u8,
        side: bool,
        room: u8,
    },
    /// Some bytes arrive.
    Deliver {
        link: u8,
        side: bool,
        bytes: u8,
    },
    Cut {
        link: u8,
    },
    Connect {
        link: u8,
    },
    Clock {
        node: u8,
        by_ms: i16,
    },
    Store {
        node: u8,
    },
    /// The middle one stops and comes back with what was stored.
    Restart,
    /// A stranger on a link of its own says something.
    Junk {
        node: u8,
        bytes: Vec<u8>,
    },
}

struct Node {
    replica: Replica<LwwMap>,
    clock_ms: f64,
    stored: Vec<Update>,
    vector: VersionVector,
}

struct Link {
    nodes: [usize; 2],
    ends: Option<[Session; 2]>,
    /// Bytes on the way from each end.
    pipes: [VecDeque<u8>; 2],
}

struct World {
    nodes: Vec<Node>,
    links: Vec<Link>,
    truth: Vec<Update>,
    written: u64,
    /// Somebody promised, or wrote as somebody else.
    has_liar: bool,
}

/// The bytes draw actions.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut world = World::new();
    for _ in 0..200 {
        let Ok(action) = Action::arbitrary(&mut input) else { break };
        if input.is_empty() {
            break;
        }
        world.act(&action);
        world.check_no_gaps();
    }
    world.calm();
}

impl World {
    fn new() -> Self {
        let node = |index: usize| Node {
            replica: new_replica(index),
            clock_ms: CLOCK_MS,
            stored: Vec::new(),
            vector: VersionVector::new(),
        };
        let link = |nodes| Link { nodes, ends: None, pipes: Default::default() };
        Self {
            nodes: (0..3).map(node).collect(),
            links: vec![link([0, 1]), link([1, 2])],
            truth: Vec::new(),
            written: 0,
            has_liar: false,
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Write { node, key, removes } => {
                let node = &mut self.nodes[usize::from(node) % 3];
                let key = format!("k{}", key % 3);
                self.written += 1;
                let change = match removes {
                    true => LwwMap::remove(key),
                    false => LwwMap::set(key, &self.written.to_string()).expect("JSON"),
                };
                let update = node.replica.local_update(node.clock_ms, change).expect("a write");
                assert!(node.replica.is_live(&update.id()), "I4");
                self.truth.push(update);
            }
            Action::Transmit { link, side, room } => {
                self.transmit(usize::from(link) % 2, usize::from(side), usize::from(room));
            }
            Action::Deliver { link, side, bytes } => {
                self.deliver(usize::from(link) % 2, usize::from(side), usize::from(bytes));
            }
            Action::Cut { link } => self.cut(usize::from(link) % 2),
            Action::Connect { link } => self.connect(usize::from(link) % 2),
            Action::Clock { node, by_ms } => {
                self.nodes[usize::from(node) % 3].clock_ms += f64::from(by_ms);
            }
            Action::Store { node } => {
                self.nodes[usize::from(node) % 3].store();
            }
            Action::Restart => {
                self.cut(0);
                self.cut(1);
                let node = &mut self.nodes[1];
                node.replica = new_replica(1);
                node.replica.restore(node.stored.iter().cloned(), &node.vector);
                // What it forgot, it never sent.
                let kept: BTreeSet<UpdateId> = node.stored.iter().map(Update::id).collect();
                let id = node.replica.id();
                self.truth.retain(|update| update.source() != id || kept.contains(&update.id()));
            }
            Action::Junk { node, ref bytes } => {
                let node = &mut self.nodes[usize::from(node) % 3];
                let mut session =
                    Session::new(&mut node.replica, node.clock_ms, SessionConfig::default());
                let digest: &[u8] = match bytes.first() {
                    Some(first) if first % 2 == 1 => BINARY_DIGEST,
                    _ => b"{\"id\":\"x\",\"clock\":{},\"ext\":{\"marks\":0}}\n",
                };
                let _ = session.receive(&mut node.replica, node.clock_ms, digest);
                let before: BTreeSet<UpdateId> = held(&node.replica).map(Update::id).collect();
                let _ = session.receive(&mut node.replica, node.clock_ms, bytes);
                let news = held(&node.replica).filter(|update| !before.contains(&update.id()));
                for update in news {
                    // Nobody can tell who wrote under whose id, nor whether a promise is kept.
                    let is_taken = ["A", "B", "C"].contains(&&*update.source().to_string())
                        || self.truth.iter().any(|known| known.id() == update.id());
                    self.has_liar |= is_taken;
                    self.truth.push(update.clone());
                }
                self.has_liar |= session.tally().digests_received > 1;
            }
        }
    }

    fn connect(&mut self, link: usize) {
        if self.links[link].ends.is_none() {
            let ends = self.links[link].nodes.map(|node| {
                // The last one speaks JSON only; the others compress, too.
                let (announce_binary, compress) = (node < 2, true);
                let config =
                    SessionConfig { announce_binary, compress, ..SessionConfig::default() };
                let Node { replica, clock_ms, .. } = &mut self.nodes[node];
                Session::new(replica, *clock_ms, config)
            });
            self.links[link].ends = Some(ends);
        }
    }

    fn cut(&mut self, link: usize) {
        self.links[link].ends = None;
        self.links[link].pipes = Default::default();
    }

    fn transmit(&mut self, link: usize, side: usize, room: usize) -> bool {
        let Link { nodes, ends: Some(ends), pipes } = &mut self.links[link] else { return false };
        let mut bytes = Vec::new();
        ends[side].transmit(&self.nodes[nodes[side]].replica, &mut bytes, room);
        assert!(bytes.len() <= room);
        while ends[side].next_event().is_some() {}
        pipes[side].extend(&bytes);
        !bytes.is_empty()
    }

    fn deliver(&mut self, link: usize, from: usize, count: usize) -> bool {
        let Link { nodes, ends: Some(ends), pipes } = &mut self.links[link] else { return false };
        let count = count.min(pipes[from].len());
        let bytes: Vec<u8> = pipes[from].drain(..count).collect();
        let node = &mut self.nodes[nodes[1 - from]];
        let session = &mut ends[1 - from];
        session.receive(&mut node.replica, node.clock_ms, &bytes).expect("an honest peer");
        let mut is_silent = false;
        if session.next_timeout().is_some_and(|due| due <= node.clock_ms) {
            // A clock may jump past the time that a digest is waited for.
            is_silent = session.handle_timeout(node.clock_ms).is_err();
        }
        while session.next_event().is_some() {}
        if is_silent {
            self.cut(link);
        }
        count > 0
    }

    /// Lets the time come for what is held back from a peer for a moment; answers whether anything was.
    fn pass_time(&mut self) -> bool {
        let mut was_due = false;
        for Link { nodes, ends, .. } in &mut self.links {
            for (session, node) in ends.iter_mut().flatten().zip(nodes) {
                let clock_ms = &mut self.nodes[*node].clock_ms;
                let soon = session.next_timeout().filter(|due| *due <= *clock_ms + 100.0);
                if let Some(due) = soon {
                    was_due = true;
                    *clock_ms = clock_ms.max(due);
                    session.handle_timeout(*clock_ms).expect("an honest peer");
                }
            }
        }
        was_due
    }

    /// Links up, stores on, clocks ahead of everything: all come to the same.
    fn calm(&mut self) {
        let newest = self.truth.iter().map(|update| update.timestamp().as_millis());
        let newest = newest.fold(CLOCK_MS, f64::max);
        for node in &mut self.nodes {
            node.clock_ms = node.clock_ms.max(newest);
            node.store();
        }
        for link in 0..2 {
            self.cut(link);
            self.connect(link);
        }
        for round in 0.. {
            assert!(round < 10_000, "it never comes to rest");
            let mut has_moved = false;
            for link in 0..2 {
                for side in 0..2 {
                    has_moved |= self.transmit(link, side, 1 << 16);
                    has_moved |= self.deliver(link, side, 1 << 16);
                }
            }
            for node in &mut self.nodes {
                has_moved |= node.store();
            }
            if !has_moved && !self.pass_time() {
                break;
            }
        }
        if self.has_liar {
            return;
        }
        self.check_no_gaps();
        self.truth.sort_by_key(Update::id);
        let survivors: BTreeSet<UpdateId> =
            self.nodes.iter().flat_map(|node| held(&node.replica)).map(Update::id).collect();
        let all: Vec<&Update> =
            self.truth.iter().filter(|update| survivors.contains(&update.id())).collect();
        let expected = MapSubject.expected(&all);
        for node in &self.nodes {
            assert_eq!(node.replica.model().to_json(), expected, "I1: {:?}", node.replica.id());
            assert_eq!(
                node.replica.version_vector(),
                self.nodes[0].replica.version_vector(),
                "I1: vectors"
            );
        }
    }

    /// I2: what a vector covers is held, or something that supersedes it.
    fn check_no_gaps(&self) {
        for node in self.nodes.iter().filter(|_| !self.has_liar) {
            let replica = &node.replica;
            let vector = replica.version_vector();
            let mut with: Vec<&Update> = held(replica).collect();
            let shown = MapSubject.expected(&with);
            let covered = self.truth.iter().filter(|update| {
                vector.includes(update.source(), update.timestamp())
                    && !replica.is_live(&update.id())
            });
            with.extend(covered);
            with.sort_by_key(|update| update.id());
            let all = MapSubject.expected(&with);
            assert_eq!(all, shown, "I2: {:?} announces {vector:?}", replica.id());
        }
    }
}

impl Node {
    fn store(&mut self) -> bool {
        let has_news = self.replica.durable() < self.replica.head();
        self.stored.extend(self.replica.unstored().cloned());
        self.vector = self.replica.version_vector();
        self.replica.stored(self.replica.head());
        has_news
    }
}

/// The middle one keeps a store.
fn new_replica(index: usize) -> Replica<LwwMap> {
    let id = SourceId::new(["A", "B", "C"][index]).expect("an id");
    let mut replica = Replica::new(id, LwwMap::new());
    if index == 1 {
        replica.wait_for_store();
    }
    replica
}

fn held(replica: &Replica<LwwMap>) -> impl Iterator<Item = &Update> {
    replica.updates_since(&VersionVector::new())
}
