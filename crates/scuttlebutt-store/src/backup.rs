//! A copy of a store that is in use, as it was between two commits.

use std::path::Path;

use redb::ReadableDatabase;

use crate::access::make_dir;
use crate::contained::guarded;
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::rewrite::{Existing, Purpose, place, write_file};
use crate::scan::{Scan, read_vector};
use crate::store::Store;

/// What went into a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Number of updates.
    pub updates: u64,
}

impl Store {
    /// Writes what the store holds now into a new store in directory `dir`, synced to the disk, while
    /// commits go on. Whoever opens the backup, anywhere, takes a fresh id: the store that it is of may
    /// have written since.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when something is: a backup of damage would hide it. Then, and whenever
    /// this fails, `dir` has no store.
    pub fn backup(&self, dir: impl AsRef<Path>) -> Result<Backup, StoreError> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        let path = &self.path;
        guarded(path, || {
            let transaction = self.database.begin_read().at(path, "reading the store")?;
            let meta = self.meta();
            let (vector, vector_entries) = read_vector(&transaction, path)?;
            let mut scan = Scan::new(&transaction, path, self.limits.damaged_positions_max)?;
            place(dir, Existing::Keep, |draft| {
                let rows = scan.updates();
                let updates =
                    write_file(draft, &self.limits, Purpose::Backup, meta, &vector, rows)?;
                let damage = Damage { vector_entries, ..scan.finish(path)? };
                if damage.is_none() {
                    Ok(Backup { updates })
                } else {
                    Err(StoreError::damaged(path, damage))
                }
            })
        })
    }
}
