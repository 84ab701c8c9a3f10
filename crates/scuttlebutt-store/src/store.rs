//! An open store: commits, its identity, and what keeps its file small.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use redb::{ReadableDatabase, ReadableTableMetadata, WriteTransaction};
use scuttlebutt::SourceId;

use crate::backend::{Backend, Durability, SyncSwitch};
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::confirmed::Confirmed;
use crate::contained::{Contained, guarded};
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::lock::DirLock;
use crate::open::Engine;
use crate::origin::{self, FileId};
use crate::record;
use crate::schema::{Meta, UPDATES, VECTOR};

/// The durable log of one replica, open for writing. One process at a time has it.
///
/// Its methods fall into families:
///
/// - *coming and going:* [`open`](Self::open), [`load`](Self::load), dropping it;
/// - *while the replica lives:* [`commit`](Self::commit), [`set_id`](Self::set_id),
///   [`check`](Self::check);
/// - *looking at it:* [`open_to_read`](Self::open_to_read), [`inspect`](Self::inspect),
///   [`read`](Self::read);
/// - *care:* [`backup`](Self::backup), [`compact`](Self::compact), [`repair`](Self::repair),
///   [`distrust_vector`](Self::distrust_vector).
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
    backend: Backend,
    /// The file that it has open, which its path must lead to.
    file_id: Option<FileId>,
    /// Nothing is written.
    is_read_only: bool,
    stopped: OnceLock<Arc<str>>,
    /// Its id was drawn at this opening, so nothing was ever written under it.
    pub(crate) is_id_fresh: bool,
    /// The start of the machine that this is.
    boot: String,
    /// Goes last: then the file is closed.
    lock: DirLock,
}

impl Store {
    /// Takes over an open file, which from now on is a store with these facts about itself.
    pub(crate) fn new(
        path: PathBuf,
        engine: Engine,
        lock: DirLock,
        meta: Meta,
        is_id_fresh: bool,
        durability: Durability,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        let mut store = Self::reading(path, engine, lock, meta, limits);
        store.is_read_only = false;
        store.is_id_fresh = is_id_fresh;
        store.durability = durability;
        // All that opening writes reaches the file in one step: a fresh id with whatever the engine mended.
        const DOING: &str = "opening the store";
        store.commit_filled(DOING, |transaction| store.meta().write(transaction))?;
        store.backend.release().map_err(|error| StoreError::io(&store.path, DOING, error))?;
        store.confirm()?;
        let note = store.note()?;
        store.lock.trim(&note).map_err(|error| store.failed_to_note(error))?;
        store.follow_durability();
        Ok(store)
    }

    /// Takes over an open file, to which nothing is written.
    pub(crate) fn reading(
        path: PathBuf,
        engine: Engine,
        lock: DirLock,
        meta: Meta,
        limits: StoreLimits,
    ) -> Self {
        let Engine { database, file, backend, sync, .. } = engine;
        Self {
            database,
            path,
            limits,
            meta: Mutex::new(meta),
            blocks: Mutex::default(),
            durability: Durability::default(),
            sync,
            backend,
            file_id: file.metadata().ok().as_ref().and_then(origin::file_id),
            is_read_only: true,
            stopped: OnceLock::new(),
            is_id_fresh: false,
            boot: origin::boot(),
            lock,
        }
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

    /// Whether it was [opened to be read](Self::open_to_read).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
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
        let held = self.meta();
        let meta =
            (held.own_gap != batch.own_gap).then_some(Meta { own_gap: batch.own_gap, ..held });
        self.write("writing updates", |transaction| {
            let mut rows = transaction.open_table(UPDATES)?;
            let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.add(
                &mut rows,
                batch.updates.iter().map(|(position, update)| (*position, update)),
            )?;
            blocks.remove(&mut rows, &batch.released)?;
            let mut vector = transaction.open_table(VECTOR)?;
            for (source, timestamp) in &batch.fallen {
                let literal = source.json_literal();
                match timestamp {
                    Some(timestamp) => {
                        let entry = record::seal_entry(source, *timestamp);
                        vector.insert(literal, entry.as_slice())?;
                    }
                    None => {
                        vector.remove(literal)?;
                    }
                }
            }
            for (source, timestamp) in &batch.vector {
                let entry = record::seal_entry(source, *timestamp);
                vector.insert(source.json_literal(), entry.as_slice())?;
            }
            match &meta {
                Some(meta) => meta.write(transaction),
                None => Ok(()),
            }
        })?;
        if let Some(meta) = meta {
            *self.meta.lock().unwrap_or_else(PoisonError::into_inner) = meta;
        }
        Ok(())
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

    /// Forgets what peers, or files that were imported, have promised: up to where everything of a source is
    /// here. Should one have lied, what it kept to itself is never asked for. A replica that is
    /// [loaded](Self::load) after this announces of its own source what it wrote, and nothing of others; so
    /// peers are asked for everything anew. Nothing that is held goes.
    ///
    /// Answers how many entries there were.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    pub fn distrust_vector(&self) -> Result<u64, StoreError> {
        let mut entries = 0;
        self.write("emptying the version vector", |transaction| {
            let mut vector = transaction.open_table(VECTOR)?;
            entries = vector.len()?;
            Ok(vector.retain(|_, _| false)?)
        })?;
        Ok(entries)
    }

    /// Whether it is still what its path leads to: what is written to a file that was removed or replaced
    /// is written to nowhere. [`commit`](Self::commit) looks itself before it confirms anything; this is
    /// for times in which nothing is written.
    ///
    /// # Errors
    /// [`StoreError::Gone`], or the earlier failure. Nothing is written from then on.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.is_read_only {
            return Ok(());
        }
        self.check_running()?;
        self.check_place().map_err(|error| self.stop(error))
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
        compacted.and_then(|_| self.confirm()).map_err(|error| self.stop(error))
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
        self.commit_filled(doing, fill)
            .and_then(|()| self.confirm())
            .map_err(|error| self.stop(error))
    }

    fn commit_filled(
        &self,
        doing: &'static str,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
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
        guarded(&self.path, || write().at(&self.path, doing))
    }

    /// Notes what was committed. Only then is it confirmed.
    fn confirm(&self) -> Result<(), StoreError> {
        self.check_place()?;
        let note = self.note()?;
        self.lock.leave(&note).map_err(|error| self.failed_to_note(error))
    }

    fn note(&self) -> Result<Confirmed, StoreError> {
        let commits = self.backend.commits().map_err(|error| self.failed_to_note(error))?;
        let commit = commits.map(|commits| commits.first).ok_or_else(|| {
            let reason = "its engine is of a version that this one does not know".to_owned();
            StoreError::NotAStore { path: self.path.clone(), reason }
        })?;
        let origin = self.meta().origin.unwrap_or_default();
        Ok(Confirmed { commit, origin, boot: self.boot.clone() })
    }

    fn failed_to_note(&self, error: io::Error) -> StoreError {
        StoreError::io(&self.path, "noting what is confirmed", error)
    }

    fn check_place(&self) -> Result<(), StoreError> {
        let gone = || StoreError::Gone { path: self.path.clone() };
        match fs::metadata(&self.path) {
            Ok(metadata) if origin::file_id(&metadata) == self.file_id => Ok(()),
            Ok(_) => Err(gone()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone()),
            Err(error) => Err(StoreError::io(&self.path, "looking for the file", error)),
        }
    }

    fn check_running(&self) -> Result<(), StoreError> {
        if self.is_read_only {
            return Err(StoreError::OpenedToRead { path: self.path.clone() });
        }
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
