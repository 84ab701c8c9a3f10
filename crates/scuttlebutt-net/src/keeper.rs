//! Hands what the replica accepts to its store, and tells the replica what is durable.
//!
//! One task, one batch at a time: whatever is accepted while a batch is being written goes into the
//! next, so that many writers share a sync (group commit). The disk is waited for on a thread of its
//! own, never under the replica's lock. After a failure nothing more is written: what the disk holds
//! is uncertain then, and the replica goes on sending only what was confirmed before. A store that was
//! opened to be read is one that has failed from the start. Also in quiet times somebody looks whether the
//! store is still where it was.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, Replica, SourceId};
use scuttlebutt_store::{Batch, Store, StoreError, StoreLimits};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::engine::{Engine, lock};
use crate::shared::fresh_id;

/// How often a batch waits for writers that are ready to run.
const TURNS_FOR_WRITERS_MAX: usize = 16;

/// How often a store that nothing is written to is looked after.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A node's store, with the task that writes to it.
pub(crate) struct Keeper {
    store: std::sync::Mutex<Option<Arc<Store>>>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    pub(crate) fn new(store: Option<Store>) -> Self {
        Self {
            store: std::sync::Mutex::new(store.map(Arc::new)),
            task: std::sync::Mutex::default(),
        }
    }

    /// The store, until the node is shut down.
    pub(crate) fn store(&self) -> Option<Arc<Store>> {
        lock(&self.store).clone()
    }

    /// Whether there is a store, and nothing is ever written to it.
    pub(crate) fn is_read_only(&self) -> bool {
        lock(&self.store).as_ref().is_some_and(|store| store.is_read_only())
    }

    /// Starts writing to the store, if there is one.
    pub(crate) fn start<M: Model + Send + 'static>(engine: &Arc<Engine<M>>) {
        let Some(store) = engine.keeper.store() else { return };
        if store.is_read_only() {
            let path = store.path().to_owned();
            engine.shared.fail(Arc::new(StoreError::OpenedToRead { path }));
            return;
        }
        let writer = Writer {
            vector_changes: engine.shared.read(Replica::vector_changes),
            limits: store.limits().clone(),
            engine: engine.clone(),
            vector_written: Instant::now(),
            nobody: fresh_id(),
            store,
        };
        *lock(&engine.keeper.task) = Some(tokio::spawn(writer.run()));
    }

    /// Waits until everything is written, and lets go of the store. The node must be shutting down.
    pub(crate) async fn finish(&self) {
        let task = lock(&self.task).take();
        if let Some(task) = task {
            let _ = task.await;
        }
        let store = lock(&self.store).take();
        // Closing a store can take a moment.
        let _ = tokio::task::spawn_blocking(move || drop(store)).await;
    }
}

struct Writer<M> {
    engine: Arc<Engine<M>>,
    store: Arc<Store>,
    /// Nobody writes as this.
    nobody: SourceId,
    limits: StoreLimits,
    /// Changes of the announced vector that are written, and when the last of them were.
    vector_changes: u64,
    vector_written: Instant,
}

impl<M: Model + Send + 'static> Writer<M> {
    /// The id that the store is to have. A store with the replica's own vouches for what that wrote;
    /// one with another does not, and whoever starts from it knows that something may be missing.
    fn id_for(&self, replica: &Replica<M>) -> SourceId {
        let held = self.store.id();
        match replica.lacks_own_history() {
            false => replica.id().clone(),
            true if held == *replica.id() => self.nobody.clone(),
            true => held,
        }
    }

    async fn run(mut self) {
        if let Err(error) = self.write_all().await {
            tracing::error!("{error}");
            self.engine.shared.fail(Arc::new(error));
        }
    }

    async fn write_all(&mut self) -> Result<(), StoreError> {
        let delay = Duration::from_millis(self.engine.limits.store_delay_ms_max);
        let mut bell = self.engine.shared.bell();
        // Something that only saves work after the next start waits to be written until then.
        let mut rest_due: Option<Instant> = None;
        let quiet = self.engine.clone().quiet();
        tokio::pin!(quiet);
        let mut is_quiet = false;
        let mut last_updates = 0;
        let mut check_due = Instant::now() + CHECK_EVERY;
        loop {
            bell.mark_unchanged();
            // A fresh id does not wait either: until it is written, a crash would bring the old one back.
            let is_behind = self.engine.shared.read(|replica| {
                replica.durable() < replica.head() || self.id_for(replica) != self.store.id()
            });
            if !is_behind && !is_quiet && rest_due.is_none_or(|due| Instant::now() < due) {
                tokio::select! {
                    _ = bell.changed() => {
                        rest_due.get_or_insert_with(|| Instant::now() + delay);
                    }
                    () = tokio::time::sleep_until(rest_due.unwrap_or_else(Instant::now)),
                        if rest_due.is_some() => {}
                    () = tokio::time::sleep_until(check_due) => {
                        self.check().await?;
                        check_due = Instant::now() + CHECK_EVERY;
                    }
                    () = &mut quiet => is_quiet = true,
                }
                continue;
            }
            rest_due = None;
            if last_updates > 1 {
                self.let_writers_come().await;
            }
            match self.write_batch().await? {
                Some(updates) => {
                    last_updates = updates;
                    // What the vector says of them is written when there is time.
                    rest_due = Some(Instant::now() + delay);
                }
                None if is_quiet => return Ok(()),
                None => {}
            }
        }
    }

    /// Whoever waited for the last batch may be about to write again: lets them, so that the next batch
    /// is not that of the first who came while all others wait for the one after.
    async fn let_writers_come(&self) {
        let mut head = None;
        for _ in 0..TURNS_FOR_WRITERS_MAX {
            let now = Some(self.engine.shared.read(scuttlebutt::Replica::head));
            if now == head {
                return;
            }
            head = now;
            tokio::task::yield_now().await;
        }
    }

    /// Writes what there is to write; answers how many updates that were, if there was anything.
    async fn write_batch(&mut self) -> Result<Option<usize>, StoreError> {
        let (id, batch) = self.engine.shared.write(|replica| {
            (self.id_for(replica), Batch::collect(replica, self.vector_changes, &self.limits))
        });
        if batch.is_empty() && self.store.id() == id {
            return Ok(None);
        }
        let delay = Duration::from_millis(self.engine.limits.store_delay_ms_max);
        let batch = match batch.updates() > 0 && self.vector_written.elapsed() < delay {
            true => batch.without_vector(self.vector_changes),
            false => {
                self.vector_written = Instant::now();
                batch
            }
        };
        let (end, updates, vector_changes) = (batch.end(), batch.updates(), batch.vector_changes());
        self.off_the_runtime(move |store| commit(store, id, &batch)).await?;
        self.vector_changes = vector_changes;
        self.engine.shared.write(|replica| replica.stored(end));
        Ok(Some(updates))
    }

    /// Whether the store is still there. A commit looks by itself.
    async fn check(&self) -> Result<(), StoreError> {
        self.off_the_runtime(Store::check).await
    }

    /// Does what waits for the disk.
    async fn off_the_runtime(
        &self,
        work: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

/// The id first: nothing is durable under an id that a crash could make this node forget.
fn commit(store: &Store, id: SourceId, batch: &Batch) -> Result<(), StoreError> {
    if store.id() != id {
        store.set_id(id)?;
    }
    store.commit(batch)
}
