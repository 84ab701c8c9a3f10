//! A site: one replica with its session ends and its store, and all that can be done to it.
//!
//! The production code runs here and nowhere else. A site never sees another one: what comes out
//! are lines, and what an operation does depends on nothing but the site and the operation.

use std::fmt;
use std::rc::Rc;

use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId, Update, VersionVector};

use super::memo::Outlook;
use super::state::{LINKS_MAX, NODES};
use super::{Restart, SmallWorld, rules};

/// The wall clock of whoever receives: after every write.
const NOW_MS: f64 = 1_000.0;

/// What replicas are called.
pub(super) const NAMES: [&str; NODES] = ["A", "B", "C"];

/// Most operations leave most parts alone, so parts are shared.
#[derive(Clone)]
pub(super) struct Site {
    node: usize,
    replica: Rc<Replica<LwwMap>>,
    /// By link; absent while it is down.
    ends: [Option<Rc<Session>>; LINKS_MAX],
    store: Option<Rc<Store>>,
}

#[derive(Clone, Debug, Default)]
struct Store {
    updates: Vec<Update>,
    vector: VersionVector,
}

/// What is done to a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Write(usize),
    Sync,
    Connect(usize),
    HangUp(usize),
    /// Ask the session on a link for its next line.
    Transmit(usize),
    /// Give the session on a link a line, by its number.
    Receive {
        link: usize,
        line: u32,
    },
    Restart {
        keeps_unsynced: bool,
    },
}

/// What comes of it beside the site's new state.
#[derive(Default)]
pub(super) struct Effect {
    pub(super) lines: Vec<Vec<u8>>,
    pub(super) written: Option<Update>,
}

impl Site {
    pub(super) fn new(world: &SmallWorld, node: usize) -> Self {
        let mut replica = new_replica(NAMES[node]);
        let store = (world.restart == Some(Restart::FromStore(node))).then(|| {
            replica.wait_for_store();
            Rc::default()
        });
        Self { node, replica: Rc::new(replica), ends: [const { None }; LINKS_MAX], store }
    }

    pub(super) fn replica(&self) -> &Replica<LwwMap> {
        &self.replica
    }

    /// Whether an update would survive a crash.
    pub(super) fn is_stored(&self, update: &Update) -> bool {
        self.store.as_ref().is_some_and(|store| store.updates.contains(update))
    }

    pub(super) fn outlook(&self) -> Outlook {
        let end = |link: usize| self.ends[link].as_ref();
        Outlook {
            has_unsynced: self.replica.durable() < self.replica.head(),
            is_up: std::array::from_fn(|link| end(link).is_some()),
            has_output: std::array::from_fn(|link| {
                end(link).is_some_and(|end| end.has_output(&self.replica))
            }),
        }
    }

    /// Does it, and checks what can be seen from here. `line` is the one received.
    pub(super) fn apply(
        &mut self,
        world: &SmallWorld,
        operation: Operation,
        line: &[u8],
    ) -> Result<Effect, String> {
        let before = Rc::clone(&self.replica);
        let mut effect = Effect::default();
        match operation {
            Operation::Write(nth) => effect.written = Some(self.write(world, nth)?),
            Operation::Sync => self.sync(true),
            Operation::Connect(link) => {
                let replica = Rc::make_mut(&mut self.replica);
                // In JSON, which has no counts that would make every state a new one. What is said, and
                // when, is the same.
                let config = SessionConfig { announce_binary: false, ..SessionConfig::default() };
                let end = Session::new(replica, NOW_MS, config);
                self.ends[link] = Some(Rc::new(end));
            }
            Operation::HangUp(link) => self.ends[link] = None,
            Operation::Transmit(link) => effect.lines = self.transmit(link)?,
            Operation::Receive { link, .. } => self.receive(link, line)?,
            Operation::Restart { keeps_unsynced } => self.restart(world, keeps_unsynced),
        }
        if !Rc::ptr_eq(&before, &self.replica) {
            rules::check_site(&self.replica)?;
            if !matches!(operation, Operation::Restart { .. }) {
                rules::check_step(&before, &self.replica)?;
            }
        }
        Ok(effect)
    }

    fn write(&mut self, world: &SmallWorld, nth: usize) -> Result<Update, String> {
        let write = &world.writes[nth];
        let change = match write.is_removal {
            true => LwwMap::remove(write.key),
            false => LwwMap::set(write.key, &nth).expect("a number is JSON"),
        };
        let update = Rc::make_mut(&mut self.replica)
            .local_update(write.at_ms, change)
            .map_err(|error| format!("a local write was refused: {error}"))?;
        match self.replica.is_live(&update.id()) {
            true => Ok(update),
            false => Err(format!("I4: {update:?} was written to no effect")),
        }
    }

    /// Everything accepted so far becomes durable, as far as the store goes; `is_told` says whether
    /// the replica lives to hear of it.
    fn sync(&mut self, is_told: bool) {
        let Some(store) = self.store.as_mut().map(Rc::make_mut) else { return };
        store.updates.extend(self.replica.unstored().cloned());
        store.vector = self.replica.version_vector();
        if is_told {
            let replica = Rc::make_mut(&mut self.replica);
            replica.stored(replica.head());
        }
    }

    fn transmit(&mut self, link: usize) -> Result<Vec<Vec<u8>>, String> {
        let Some(end) = self.ends[link].as_mut().map(Rc::make_mut) else { return Ok(Vec::new()) };
        let mut bytes = Vec::new();
        // One byte, so that no more than one line is begun; then the rest of it.
        end.transmit(&self.replica, &mut bytes, 1);
        let rest = end.buffered_bytes();
        if rest > 0 {
            end.transmit(&self.replica, &mut bytes, rest);
        }
        if bytes.is_empty() && end.has_output(&self.replica) {
            return Err(format!("{} has output and sends nothing", self.replica.id()));
        }
        drain_events(end);
        Ok(bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect())
    }

    fn receive(&mut self, link: usize, line: &[u8]) -> Result<(), String> {
        let Some(end) = self.ends[link].as_mut().map(Rc::make_mut) else { return Ok(()) };
        let received = end.receive(Rc::make_mut(&mut self.replica), NOW_MS, line);
        drain_events(end);
        received.map_err(|error| format!("{}: {error}", String::from_utf8_lossy(line)))
    }

    fn restart(&mut self, world: &SmallWorld, keeps_unsynced: bool) {
        self.ends = [const { None }; LINKS_MAX];
        if world.restart == Some(Restart::Empty(self.node)) {
            self.replica = Rc::new(new_replica("fresh"));
            return;
        }
        if keeps_unsynced {
            self.sync(false);
        }
        let mut replica = new_replica(NAMES[self.node]);
        replica.wait_for_store();
        if let Some(store) = &self.store {
            replica.restore(store.updates.iter().cloned(), &store.vector);
        }
        self.replica = Rc::new(replica);
    }
}

/// Everything that decides what can happen next: two sites that print alike act alike. Each session
/// end has a line, then come the replica and the store.
impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for end in &self.ends {
            if let Some(end) = end {
                end.internals(f)?;
            }
            f.write_str("\n")?;
        }
        self.replica.internals(f)?;
        write!(f, "\n{:?}", self.store)
    }
}

fn new_replica(id: &str) -> Replica<LwwMap> {
    Replica::new(SourceId::new(id).expect("an id"), LwwMap::new())
}

fn drain_events(end: &mut Session) {
    while end.next_event().is_some() {}
}
