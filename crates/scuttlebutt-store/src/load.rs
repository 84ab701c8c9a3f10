//! Giving a replica back what the store kept for it.
//!
//! One thread reads, checks and decodes while the caller's builds the replica: each is about half of
//! the work.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use redb::ReadableDatabase;
use scuttlebutt::{Model, Replica, Update};

use crate::contained::guarded;
use crate::error::{Context, StoreError};
use crate::scan::{Scan, read_vector};
use crate::store::Store;

/// Updates that are handed over at a time.
const BATCH_UPDATES: usize = 512;

/// Batches that may wait to be built into the replica.
const BATCHES_WAITING_MAX: usize = 8;

/// How far loading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Updates loaded.
    pub updates: u64,
    /// Updates there are: at the end, exactly; before, as far as those that are loaded let expect.
    pub updates_total: u64,
}

impl Progress {
    fn at(updates: u64, share: f64) -> Self {
        Self { updates, updates_total: (updates as f64 / share).max(updates as f64) as u64 }
    }
}

impl Store {
    /// Gives `replica` everything that the store holds, and makes it wait for the store from now on
    /// and, unless its id was drawn at this opening, [doubt](Replica::doubt_identity) that.
    /// It must be empty and have the store's [`id`](Self::id). `progress` is called every
    /// [`StoreLimits::progress_updates`](crate::StoreLimits::progress_updates) updates or so and at the
    /// end.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when anything in the store is not what was written. The replica is
    /// gone then, so that nobody goes on with a part of it.
    pub fn load<M: Model>(
        &self,
        mut replica: Replica<M>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Replica<M>, StoreError> {
        if *replica.id() != self.id() || replica.head() > 0 {
            return Err(StoreError::WrongReplica { path: self.path.clone(), id: self.id() });
        }
        let path = &self.path;
        guarded(path, || {
            let transaction = self.database.begin_read().at(path, "reading the store")?;
            let (vector, vector_entries) = read_vector(&transaction, path)?;
            let mut scan = Scan::new(&transaction, path, self.limits.damaged_positions_max)?;
            let step = self.limits.progress_updates.max(1);
            let mut updates = 0;
            replica.wait_for_store();
            thread::scope(|scope| {
                let (decoded, batches) = mpsc::sync_channel::<Decoded>(BATCHES_WAITING_MAX);
                let reader = thread::Builder::new().name("scuttlebutt-load".into());
                let scan = &mut scan;
                let reader = reader.spawn_scoped(scope, move || decode(scan, &decoded)).map_err(
                    |error| StoreError::io(path, "starting a thread to read with", error),
                )?;
                let mut reported = 0;
                let updates = batches.into_iter().flat_map(|batch| {
                    if updates >= reported + step {
                        reported = updates;
                        progress(Progress::at(updates, batch.share_before));
                    }
                    updates += batch.updates.len() as u64;
                    batch.updates
                });
                replica.restore_at(updates, &vector);
                reader.join().map_err(|panic| resume_unwind(panic))
            })?;
            if !self.is_id_fresh {
                // Nothing in a file tells that all of it was set back to an earlier state.
                replica.doubt_identity();
            }
            let mut damage = scan.finish(path)?;
            damage.vector_entries = vector_entries;
            if !damage.is_none() {
                return Err(StoreError::damaged(path, damage));
            }
            progress(Progress { updates, updates_total: updates });
            Ok(replica)
        })
    }
}

/// What one thread hands to the other.
struct Decoded {
    updates: Vec<(u64, Update)>,
    /// The share of all blocks that was handed over before.
    share_before: f64,
}

/// Hands over what is read, until that is all or nobody takes it any more.
fn decode(scan: &mut Scan, decoded: &SyncSender<Decoded>) {
    loop {
        let share_before = scan.blocks_seen as f64 / scan.blocks_total.max(1) as f64;
        let mut updates = Vec::new();
        for block in scan.by_ref() {
            updates.extend(block);
            if updates.len() >= BATCH_UPDATES {
                break;
            }
        }
        if updates.is_empty() || decoded.send(Decoded { updates, share_before }).is_err() {
            return;
        }
    }
}
