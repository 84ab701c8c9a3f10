//! Giving a replica back what the store kept for it.
//!
//! One thread reads and checks while the caller's takes apart what was read and builds the replica: each is
//! about half of the work, and all that stays in memory is allocated by one thread.

use std::collections::VecDeque;
use std::iter;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use redb::ReadableDatabase;
use scuttlebutt::{Model, Replica};

use crate::contained::guarded;
use crate::error::{Context, StoreError};
use crate::scan::{Reader, Rows, Scan, read_vector};
use crate::store::Store;

/// Bytes of blocks that are handed over at a time.
const BATCH_BYTES_MIN: usize = 128 << 10;

/// Batches that may wait to be built into the replica.
const BATCHES_WAITING_MAX: usize = 4;

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
    /// It must be empty and have the store's [`id`](Self::id), and its model, if it has a
    /// [name](Model::name), the store's [`model`](Self::model). `progress` is called every
    /// [`StoreLimits::progress_updates`](crate::StoreLimits::progress_updates) updates or so and at the
    /// end.
    ///
    /// # Errors
    /// [`StoreError::WrongModel`] when the store was made for another model; [`StoreError::Damaged`] when anything in the store is not what was written. The replica is
    /// gone then, so that nobody goes on with a part of it.
    pub fn load<M: Model>(
        &self,
        mut replica: Replica<M>,
        mut progress: impl FnMut(Progress),
    ) -> Result<Replica<M>, StoreError> {
        if *replica.id() != self.id() || replica.head() > 0 {
            return Err(StoreError::WrongReplica { path: self.path.clone(), id: self.id() });
        }
        let (held, path) = (self.model(), self.path.clone());
        if let Some(wanted) = replica.model().name().filter(|wanted| *wanted != held) {
            return Err(StoreError::WrongModel { path, held, wanted: wanted.to_owned() });
        }
        let path = &self.path;
        guarded(path, || {
            let transaction = self.database.begin_read().at(path, "reading the store")?;
            let (vector, vector_entries) = read_vector(&transaction, path)?;
            let mut scan = Scan::new(&transaction, path, self.limits.damaged_positions_max)?;
            let step = self.limits.progress_updates.max(1);
            let mut updates = 0;
            replica.wait_for_store();
            if let Some(up_to) = self.meta().own_gap {
                replica.expect_own_gap(up_to);
            }
            let Scan { reader, decoder } = &mut scan;
            thread::scope(|scope| {
                let (read, batches) = mpsc::sync_channel::<Batch>(BATCHES_WAITING_MAX);
                let (used, again) = mpsc::channel();
                let thread = thread::Builder::new().name("scuttlebutt-load".into());
                let thread =
                    thread.spawn_scoped(scope, move || read_all(reader, &read, &again)).map_err(
                        |error| StoreError::io(path, "starting a thread to read with", error),
                    )?;
                let mut reported = 0;
                let mut decoded = VecDeque::new();
                let updates = iter::from_fn(|| {
                    while decoded.is_empty() {
                        let batch = batches.recv().ok()?;
                        if updates >= reported + step {
                            reported = updates;
                            progress(Progress::at(updates, batch.share_before));
                        }
                        decoder.decode(&batch.rows, &mut decoded);
                        updates += decoded.len() as u64;
                        // Whoever reads may have come to the end.
                        let _ = used.send(batch.rows);
                    }
                    decoded.pop_front()
                });
                replica.restore_at(updates, &vector);
                thread.join().map_err(|panic| resume_unwind(panic))
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
struct Batch {
    rows: Rows,
    /// The share of all blocks that was handed over before.
    share_before: f64,
}

/// Hands over what is read, until that is all or nobody takes it any more. What was used is filled again.
fn read_all(reader: &mut Reader, read: &SyncSender<Batch>, again: &Receiver<Rows>) {
    loop {
        let share_before = reader.share();
        let mut rows = again.try_recv().unwrap_or_default();
        if !reader.read(&mut rows, BATCH_BYTES_MIN)
            || read.send(Batch { rows, share_before }).is_err()
        {
            return;
        }
    }
}
