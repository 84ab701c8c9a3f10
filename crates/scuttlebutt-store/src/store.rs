//! An open store: commits, its identity, and what keeps its file small.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::{ReadableDatabase, WriteTransaction};
use scuttlebutt::SourceId;

use crate::backend::{Durability, SyncSwitch};
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::contained::{Contained, guarded};
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::open::Engine;
use crate::record;
use crate::schema::{Meta, UPDATES, VECTOR};

/// The durable log of one replica, open for writing. One process at a time has it.
///
/// Its methods fall into families:
///
/// - *coming and going:* [`open`](Self::open), [`load`](Self::load), dropping it;
/// - *while the replica lives:* [`commit`](Self::commit), [`set_id`](Self::set_id);
/// - *looking at it:* [`inspect`](Self::inspect), [`read`](Self::read);
/// - *care:* [`backup`](Self::backup), [`compact`](Self::compact).
///
/// Commits come from one thread; looking at it and [`backup`](Self::backup) may run beside them on
/// other threads and see a state between two commits.
pub struct Store {
    pub(crate) database: Contained,
    pub(crate) path: PathBuf,
    pub(crate) limits: StoreLimits,
    meta: Mutex<Meta>,
    blocks: Mutex<Blocks>,
    durability: Durability,
    sync: SyncSwitch,
    stopped: OnceLock<Arc<str>>,
    /// Its id was drawn at this opening, so nothing was ever written under it.
    pub(crate) is_id_fresh: bool,
}

impl Store {
    /// Takes over an open file, which from now on is a store with these facts about itself.
    pub(crate) fn new(
        path: PathBuf,
        engine: Engine,
        meta: Meta,
        is_id_fresh: bool,
        durability: Durability,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        let Engine { database, sync, .. } = engine;
        let stopped = OnceLock::new();
        let (meta, blocks) = (Mutex::new(meta), Mutex::default());
        let store =
            Self { database, path, limits, meta, blocks, durability, sync, stopped, is_id_fresh };
        store.write("opening the store", |transaction| store.meta().write(transaction))?;
        store.follow_durability();
        Ok(store)
    }

    /// The id under which the replica of this store writes.
    #[must_use]
    pub fn id(&self) -> SourceId {
        self.meta().id
    }

    /// The name of the data model whose updates it holds.
    #[must_use]
    pub fn model(&self) -> String {
        self.meta().model
    }

    /// What a confirmed update survives.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> &StoreLimits {
        &self.limits
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a batch, all of it or nothing. When this returns, it is as durable as this store
    /// promises: tell the replica, by [`Replica::stored`](scuttlebutt::Replica::stored).
    ///
    /// # Errors
    /// [`StoreError`]. What is on the disk is then uncertain (after a failed sync nobody knows what
    /// was written), so this and every later commit is refused: open the store again, which finds
    /// everything that was confirmed.
    pub fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.write("writing updates", |transaction| {
            let mut rows = transaction.open_table(UPDATES)?;
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.add(
                &mut rows,
                batch.updates.iter().map(|(position, update)| (*position, update)),
            )?;
            blocks.remove(&mut rows, &batch.released)?;
            let mut vector = transaction.open_table(VECTOR)?;
            for (source, timestamp) in &batch.vector {
                let entry = record::seal_entry(source, *timestamp);
                vector.insert(source.json_literal(), entry.as_slice())?;
            }
            Ok(())
        })
    }

    /// From now on the replica of this store writes as `id`: for
    /// [`Replica::renew_identity`](scuttlebutt::Replica::renew_identity), which comes after. The id
    /// outlives the machine when this returns, whatever the [`Durability`].
    ///
    /// # Errors
    /// As for [`commit`](Self::commit); the old id holds then.
    pub fn set_id(&self, id: SourceId) -> Result<(), StoreError> {
        let meta = Meta { id, ..self.meta() };
        self.sync.set(true);
        let written = self.write("writing the id", |transaction| meta.write(transaction));
        self.follow_durability();
        written?;
        *self.meta.lock().unwrap_or_else(PoisonError::into_inner) = meta;
        Ok(())
    }

    /// Gives space that is free within the file back to the file system, as far as it lies behind
    /// what is used. Takes as long as moving everything may.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    pub fn compact(&mut self) -> Result<(), StoreError> {
        const DOING: &str = "compacting the store";
        self.check_running()?;
        self.sync.set(true);
        let compacted = self.database.compact().at(&self.path, DOING);
        self.follow_durability();
        compacted.map(|_| ()).map_err(|error| self.stop(error))
    }

    pub(crate) fn meta(&self) -> Meta {
        self.meta.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn follow_durability(&self) {
        self.sync.set(self.durability == Durability::Synced);
    }

    fn write(
        &self,
        doing: &'static str,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        self.check_running()?;
        let write = || -> Result<(), redb::Error> {
            // While somebody reads what was before, the engine leaves the pages that this frees to the next
            // commit. Otherwise it goes over them once more behind each commit, and keeps what that changes
            // in memory, for which it then searches with every page that is read.
            let _reading = self.database.begin_read()?;
            let transaction = self.database.begin_write()?;
            fill(&transaction)?;
            Ok(transaction.commit()?)
        };
        // What is damaged may show only when it is written to.
        guarded(&self.path, || write().at(&self.path, doing)).map_err(|error| self.stop(error))
    }

    fn check_running(&self) -> Result<(), StoreError> {
        match self.stopped.get() {
            None => Ok(()),
            Some(reason) => {
                Err(StoreError::Stopped { path: self.path.clone(), reason: reason.clone() })
            }
        }
    }

    fn stop(&self, error: StoreError) -> StoreError {
        // Once is enough: what went wrong first says most.
        let _ = self.stopped.set(error.to_string().into());
        error
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // That it was closed in order must not reach the disk before what was written.
        self.sync.set(true);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}
