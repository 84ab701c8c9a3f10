//! The replica that all sessions of a node share, how they hear that it changed, and under which id it
//! writes.
//!
//! One lock, held while bytes are applied or copied out and never across I/O.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use scuttlebutt::{Model, Replica, SourceId, Update, VersionVector};
use scuttlebutt_store::StoreError;
use tokio::sync::watch;

use crate::peer_log::{Begun, PeerLog, Topic};

/// A replica behind a lock, with a bell.
pub(crate) struct Shared<M> {
    held: Mutex<Held<M>>,
    bell: watch::Sender<()>,
    /// Everything below it is as durable as the store promises. Apart from the bell, which also rings for
    /// writes: hundreds of writers that wait for their own would wake one another each time.
    durable: watch::Sender<u64>,
    /// Why the store will get no further.
    failure: OnceLock<Arc<StoreError>>,
    /// How many updates wait that nobody has been asked about.
    unasked: watch::Sender<usize>,
    id: watch::Sender<SourceId>,
    own_id: OwnId,
    /// How often the id may still be changed.
    renewals_left: AtomicUsize,
    log: Arc<PeerLog>,
}

/// What the lock guards.
struct Held<M> {
    replica: Replica<M>,
    /// Somebody has looked since the bell rang last, and may wait for it. Ringing costs as much as a write,
    /// and during many writes in a row nobody waits most of the time.
    is_awaited: bool,
}

/// Whose choice the id of a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnId {
    /// The application gave it, and keeps it.
    Given,
    /// It belongs to the key that the node signs with.
    Signed,
    /// It was drawn, now or when the store was made, and can be drawn again.
    Drawn,
}

impl<M: Model> Shared<M> {
    pub(crate) fn new(replica: Replica<M>, own_id: OwnId, log: Arc<PeerLog>) -> Arc<Self> {
        Arc::new(Self {
            bell: watch::Sender::new(()),
            durable: watch::Sender::new(replica.durable()),
            failure: OnceLock::new(),
            unasked: watch::Sender::new(replica.questions()),
            id: watch::Sender::new(replica.id().clone()),
            own_id,
            log,
            renewals_left: AtomicUsize::new(replica.limits().identity_renewals_max),
            held: Mutex::new(Held { replica, is_awaited: true }),
        })
    }

    /// Whether what is written here is signed.
    pub(crate) fn signs(&self) -> bool {
        self.own_id == OwnId::Signed
    }

    /// Reads; whoever then waits for the bell hears of what comes after.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Replica<M>) -> T) -> T {
        let mut held = self.lock();
        held.is_awaited = true;
        read(&held.replica)
    }

    /// Reads, for whoever will not wait for the bell.
    pub(crate) fn peek<T>(&self, read: impl FnOnce(&Replica<M>) -> T) -> T {
        read(&self.lock().replica)
    }

    /// Writes, and rings if sessions or subscribers may have something new.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Replica<M>) -> T) -> T {
        let mut held = self.lock();
        let Held { replica, is_awaited } = &mut *held;
        let before = (replica.revision(), replica.lacks_own_history());
        let was_contested = replica.is_identity_contested();
        let is_store_behind = replica.durable() < replica.head();
        let (questions_before, durable_before) = (replica.questions(), replica.durable());
        let result = write(replica);
        if !was_contested && replica.is_identity_contested() {
            self.renew_id(replica);
        }
        let (questions, durable) = (replica.questions(), replica.durable());
        // Under the lock, so that the last to tell knows best.
        if questions != questions_before {
            self.unasked.send_replace(questions);
        }
        let has_news = (replica.revision(), replica.lacks_own_history()) != before;
        let rings = has_news && std::mem::take(is_awaited);
        drop(held);
        if rings {
            self.bell.send_replace(());
        }
        if is_store_behind && durable > durable_before {
            // Otherwise nobody waited; without a store nobody ever does.
            self.durable.send_if_modified(|known| {
                let is_news = durable > *known;
                *known = durable.max(*known);
                is_news
            });
        }
        result
    }

    /// Whoever looks by [writing](Self::write) and then waits for the bell says so before.
    pub(crate) fn expect_news(&self) {
        self.lock().is_awaited = true;
    }

    /// Takes note of what a peer announces: it confirms this node's own id, or disputes it.
    pub(crate) fn hear(&self, vector: &VersionVector) {
        self.write(|replica| {
            if replica.is_identity_disputed_by(vector, now_ms()) {
                self.renew_id(replica);
            } else {
                replica.confirm_identity();
            }
        });
    }

    /// From now on writes under a fresh id, if that is ours to choose.
    fn renew_id(&self, replica: &mut Replica<M>) {
        let contested = replica.id().clone();
        let is_left = |left: usize| left.checked_sub(1);
        if self.own_id == OwnId::Drawn
            && self.renewals_left.fetch_update(Relaxed, Relaxed, is_left).is_ok()
        {
            let id = fresh_id();
            replica.renew_identity(id.clone());
            tracing::warn!(
                %contested, %id,
                "peers hold updates under this node's own id that it does not: it was restored from \
                 an older copy, or another node uses a copy of its data; it writes under a fresh id \
                 from now on"
            );
            self.id.send_replace(id);
        } else if !self.log.allows(Begun::There, Topic::OwnId) {
            // It was said just now.
        } else if self.own_id == OwnId::Signed {
            tracing::warn!(
                id = %contested,
                "peers hold updates of this node's key that it does not: it was restored from an older \
                 copy, or another node uses the same key; it takes them back, and does not write while \
                 it waits for them"
            );
        } else {
            tracing::warn!(
                id = %contested,
                "peers hold updates under this node's own id that it does not: it forgot them, or \
                 another node uses the same id; give each node a fresh id"
            );
        }
    }

    /// Judges again what is held. A node that could choose its id takes a fresh one if of what it wrote
    /// some may be held elsewhere alone: of what it writes then it can say again that it is all there is.
    pub(crate) fn rejudge(&self, empty: M, is_trusted: impl Fn(&Update) -> bool) -> Vec<Update> {
        self.write(|replica| {
            let dropped = replica.rejudge(now_ms(), empty, is_trusted);
            if replica.own_gap().is_some() && self.own_id == OwnId::Drawn {
                let id = fresh_id();
                tracing::info!(%id, "from now on this node writes under a fresh id");
                replica.renew_identity(id.clone());
                self.id.send_replace(id);
            }
            dropped
        })
    }

    /// The id under which the replica writes.
    pub(crate) fn id(&self) -> watch::Receiver<SourceId> {
        self.id.subscribe()
    }

    /// The bell: it rings for the first change after somebody has looked. So mark it as heard, look, and only
    /// then wait for it.
    pub(crate) fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    /// How far what was accepted is as durable as the store promises, as that moves or comes to an end with
    /// a [`failure`](Self::failure). It may be told late where nothing waits: ask the replica first.
    pub(crate) fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    /// Why the store will get no further, if it has failed.
    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        self.failure.get().cloned()
    }

    /// The store has failed: it will get no further.
    pub(crate) fn fail(&self, failure: Arc<StoreError>) {
        // It fails once, and then nothing more is written.
        let _ = self.failure.set(failure);
        self.durable.send_modify(|_| ());
    }

    /// How many updates wait that the verifier has not been asked about, as it changes.
    pub(crate) fn unasked(&self) -> watch::Receiver<usize> {
        self.unasked.subscribe()
    }

    /// A model that panicked leaves the replica as it was between two steps; going on serves the
    /// peers better than failing all of them.
    fn lock(&self) -> MutexGuard<'_, Held<M>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source id that nobody has: for a node, or for a store that is new.
#[must_use]
pub fn fresh_id() -> SourceId {
    SourceId::from_random(rand::random())
}

/// The wall clock, in milliseconds since the epoch, as JavaScript's `Date.now()` reads it.
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64)
}
