//! What a store holds, counted, without changing it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use redb::{ReadTransaction, ReadableDatabase, ReadableTableMetadata};
use scuttlebutt::{SourceId, Timestamp};

use crate::contained::guarded;
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::open::Engine;
use crate::scan::{Scan, read_vector};
use crate::schema::{FILE_NAME, Meta, UPDATES, VECTOR};
use crate::store::Store;

const DOING: &str = "inspecting the store";

/// What a store holds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: u32,
    /// The id under which its replica writes.
    pub id: SourceId,
    /// The name of its data model.
    pub model: String,
    /// Number of updates.
    pub updates: u64,
    /// Bytes of the blocks they are in, checksums included. Some may be in there that were let go.
    pub update_bytes: u64,
    /// What it holds of each source, in the order of the sources.
    pub sources: BTreeMap<SourceId, SourceSummary>,
    /// Bytes within the file that hold something; compacting can free no more than the rest.
    pub live_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// What is damaged; the other numbers are without it.
    pub damage: Damage,
}

impl Inspection {
    /// The timestamps of the oldest and of the newest update.
    #[must_use]
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        let oldest = self.sources.values().filter_map(|source| source.oldest).min()?;
        let newest = self.sources.values().filter_map(|source| source.newest).max()?;
        Some((oldest, newest))
    }
}

/// What a store holds of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceSummary {
    /// Number of updates.
    pub updates: u64,
    /// When the oldest of them was written.
    pub oldest: Option<Timestamp>,
    /// When the newest of them was written.
    pub newest: Option<Timestamp>,
    /// Its entry in the announced version vector.
    pub announced: Option<Timestamp>,
}

impl Store {
    /// Counts what this store holds. Reads all of it; commits go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; damaged records are counted.
    pub fn inspect(&self) -> Result<Inspection, StoreError> {
        guarded(&self.path, || {
            let transaction = self.database.begin_read().at(&self.path, DOING)?;
            count(&transaction, &self.path, &self.limits)
        })
    }

    /// The name of the data model that the store in directory `dir` holds, which nobody else may have
    /// open.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none, or what keeps it from being opened.
    pub fn model_in(dir: impl AsRef<Path>) -> Result<String, StoreError> {
        let (dir, path) = (dir.as_ref(), dir.as_ref().join(FILE_NAME));
        guarded(&path, || {
            let (engine, _lock) = Engine::open_to_read(dir, &StoreLimits::default())?;
            let transaction = engine.database.begin_read().at(&path, DOING)?;
            Ok(Meta::read(&transaction, &path)?.model)
        })
    }

    /// Counts what the store in directory `dir` holds, which nobody else may have open for writing.
    /// Nothing is written.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read; what is damaged is counted.
    pub fn inspect_dir(
        dir: impl AsRef<Path>,
        limits: &StoreLimits,
    ) -> Result<Inspection, StoreError> {
        let (dir, path) = (dir.as_ref(), dir.as_ref().join(FILE_NAME));
        guarded(&path, || {
            let (engine, lock) = Engine::open_to_read(dir, limits)?;
            let mut counted =
                count(&engine.database.begin_read().at(&path, DOING)?, &path, limits)?;
            counted.damage.last_commit = engine.has_lost_commit(&path, &lock)?;
            Ok(counted)
        })
    }
}

fn count(
    transaction: &ReadTransaction,
    path: &Path,
    limits: &StoreLimits,
) -> Result<Inspection, StoreError> {
    let meta = Meta::read(transaction, path)?;
    let mut sources: BTreeMap<SourceId, SourceSummary> = BTreeMap::new();
    let mut updates = 0;
    let mut scan = Scan::new(transaction, path, limits.damaged_positions_max)?;
    for (_, update) in scan.updates() {
        updates += 1;
        let summary = sources.entry(update.source().clone()).or_default();
        let at = update.timestamp();
        summary.updates += 1;
        summary.oldest = Some(summary.oldest.map_or(at, |oldest| oldest.min(at)));
        summary.newest = summary.newest.max(Some(at));
    }
    let update_bytes = scan.decoder.bytes;
    let mut damage = scan.finish(path)?;
    let (vector, vector_entries) = read_vector(transaction, path)?;
    damage.vector_entries = vector_entries;
    for (source, at) in vector.iter() {
        sources.entry(source.clone()).or_default().announced = Some(at);
    }
    let live_bytes = if damage.is_none() { live_bytes(transaction, path)? } else { 0 };
    let file_bytes = fs::metadata(path).map_err(|error| StoreError::io(path, DOING, error))?.len();
    let Meta { format, id, model, .. } = meta;
    let path = path.to_owned();
    Ok(Inspection {
        path,
        format,
        id,
        model,
        updates,
        update_bytes,
        sources,
        live_bytes,
        file_bytes,
        damage,
    })
}

fn live_bytes(transaction: &ReadTransaction, path: &Path) -> Result<u64, StoreError> {
    let updates = transaction.open_table(UPDATES).at(path, DOING)?.stats().at(path, DOING)?;
    let vector = transaction.open_table(VECTOR).at(path, DOING)?.stats().at(path, DOING)?;
    let of = |stats: redb::TableStats| stats.stored_bytes() + stats.metadata_bytes();
    Ok(of(updates) + of(vector))
}
