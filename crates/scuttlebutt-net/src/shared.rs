//! The replica that all sessions of a node share, and how they hear that it changed.
//!
//! One lock, held while bytes are applied or copied out and never across I/O.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use scuttlebutt::{Model, Replica, Revision};
use tokio::sync::watch;

/// A replica behind a lock, with a bell.
pub(crate) struct Shared<M> {
    replica: Mutex<Replica<M>>,
    revision: watch::Sender<Revision>,
}

impl<M: Model> Shared<M> {
    pub(crate) fn new(replica: Replica<M>) -> Arc<Self> {
        let revision = watch::Sender::new(replica.revision());
        Arc::new(Self { replica: Mutex::new(replica), revision })
    }

    /// Reads.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Replica<M>) -> T) -> T {
        read(&self.lock())
    }

    /// Writes, and rings if sessions or subscribers may have something new.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&mut Replica<M>) -> T) -> T {
        let mut replica = self.lock();
        let was_contested = replica.is_identity_contested();
        let result = write(&mut replica);
        let revision = replica.revision();
        if !was_contested && replica.is_identity_contested() {
            tracing::warn!(
                id = %replica.id(),
                "updates under this node's own id came back that it does not hold: it forgot them, \
                 or another node uses the same id; give each node a fresh id"
            );
        }
        drop(replica);
        self.revision.send_if_modified(|current| {
            let is_news = revision > *current;
            *current = revision.max(*current);
            is_news
        });
        result
    }

    /// Is told of every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// A model that panicked leaves the replica as it was between two steps; going on serves the
    /// peers better than failing all of them.
    fn lock(&self) -> MutexGuard<'_, Replica<M>> {
        self.replica.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock, in milliseconds since the epoch, as JavaScript's `Date.now()` reads it.
pub(crate) fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64)
}
