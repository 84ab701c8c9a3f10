//! Making a damaged store usable again, with everything in it that is whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::ReadableDatabase;
use scuttlebutt::{SourceId, Update, VersionVector};

use crate::access::{Access, private};
use crate::contained::guarded;
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::lock::DirLock;
use crate::open::{Engine, Options};
use crate::rewrite::{Existing, Purpose, place, write_file};
use crate::salvage::salvage;
use crate::scan::{Scan, read_vector};
use crate::schema::{FILE_NAME, Meta};
use crate::store::Store;

const DOING: &str = "repairing the store";

/// Copies of damaged files that one directory may hold.
const DAMAGED_FILES_MAX: u32 = 1_000;

/// What a repair did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Updates that were kept.
    pub kept: u64,
    /// What was damaged and is dropped. Nothing, if nothing was; then nothing was changed either.
    pub dropped: Damage,
    /// The engine could not read the file, and what was kept was found in its pages. Updates that
    /// were superseded long ago may be among them.
    pub salvaged: bool,
    /// Where the damaged file is kept.
    pub original: Option<PathBuf>,
}

/// What could be read of a damaged file.
struct Remains {
    /// As far as it could be read.
    meta: Option<Meta>,
    updates: Vec<(u64, Update)>,
    damage: Damage,
    salvaged: bool,
}

impl Store {
    /// Keeps everything in the store of directory `dir` that is whole, drops the rest, and puts the
    /// damaged file aside. The announced version vector is dropped too, so that peers send again what
    /// was lost, and the store takes the fresh id, since what was lost may be its own. With bounds and
    /// model as in `options`.
    ///
    /// # Errors
    /// [`StoreError`], also when there is nothing in the file that a store wrote. The file is then as
    /// it was.
    pub fn repair(dir: impl AsRef<Path>, options: &Options) -> Result<Repaired, StoreError> {
        let dir = dir.as_ref();
        let path = dir.join(FILE_NAME);
        if !path.try_exists().map_err(|error| StoreError::io(&path, DOING, error))? {
            return Err(StoreError::Missing { path });
        }
        let lock = DirLock::acquire(dir, Access::Write)?;
        let remains = read(&path, &lock, options)?;
        if remains.damage.is_none() {
            let (kept, dropped) = (remains.updates.len() as u64, remains.damage);
            return Ok(Repaired { kept, dropped, salvaged: false, original: None });
        }
        check_ours(&path, &remains, options)?;
        let original = put_aside(dir, &path, "damaged")?;
        finish(dir, options, remains, &original).inspect_err(|_| {
            let _ = fs::remove_file(&original);
        })
    }
}

impl Store {
    /// Puts a new file in the place of this store's, which holds these updates under `id`, and what this one
    /// was promised no more. Answers how many they are, and where the file is kept as it was.
    ///
    /// # Errors
    /// [`StoreError`]; the file is then as it was.
    pub fn replace(
        self,
        id: SourceId,
        updates: impl Iterator<Item = (u64, Update)>,
    ) -> Result<(u64, PathBuf), StoreError> {
        let path = self.path();
        let dir = path.parent().unwrap_or(Path::new("."));
        let original = put_aside(dir, path, "replaced")?;
        let meta = Meta::new(id, self.model());
        let kept = place(dir, Existing::Replace, |draft| {
            let (limits, vector) = (self.limits(), VersionVector::new());
            write_file(draft, limits, Purpose::Use, meta, &vector, updates)
        });
        match kept {
            Ok(kept) => Ok((kept, original)),
            Err(error) => {
                let _ = fs::remove_file(&original);
                Err(error)
            }
        }
    }
}

/// Copies the file to the first name that is free.
fn put_aside(dir: &Path, path: &Path, why: &str) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::io(path, "keeping the file as it was", error);
    for number in 1..=DAMAGED_FILES_MAX {
        let aside = dir.join(format!("{FILE_NAME}.{why}-{number}"));
        let mut options = OpenOptions::new();
        match private(options.write(true).create_new(true)).open(&aside) {
            Ok(mut copy) => {
                let mut damaged = File::open(path).map_err(failed)?;
                io::copy(&mut damaged, &mut copy).and_then(|_| copy.sync_all()).map_err(
                    |error| {
                        let _ = fs::remove_file(&aside);
                        failed(error)
                    },
                )?;
                return Ok(aside);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(StoreError::Exists { path: dir.join(format!("{FILE_NAME}.{why}-{DAMAGED_FILES_MAX}")) })
}

/// Reads what there is, by the engine if it can, and from the bare pages if not. Nothing is written.
fn read(path: &Path, lock: &DirLock, options: &Options) -> Result<Remains, StoreError> {
    let mut remains = match guarded(path, || read_with_engine(path, lock, &options.limits)) {
        Ok(remains) => remains,
        Err(StoreError::Damaged { damage, .. }) => {
            Remains { meta: None, updates: Vec::new(), damage: *damage, salvaged: false }
        }
        Err(StoreError::NotAStore { reason, .. }) => {
            let damage = Damage::of_engine(reason);
            Remains { meta: None, updates: Vec::new(), damage, salvaged: false }
        }
        Err(error) => return Err(error),
    };
    let Damage { engine, blocks_missing, last_commit, .. } = &remains.damage;
    if engine.is_some() || *blocks_missing > 0 || *last_commit {
        let found = salvage(path).map_err(|error| StoreError::io(path, DOING, error))?;
        // Two lives of the store may have used one position: number them anew.
        remains.updates = (0..).zip(found.into_iter().map(|(_, update)| update)).collect();
        remains.salvaged = true;
    } else if remains.damage.is_none() {
        remains.damage.engine =
            guarded(path, || check(path, &options.limits)).err().map(|error| match error {
                StoreError::Damaged { damage, .. } => damage.engine.unwrap_or_default(),
                error => error.to_string(),
            });
    }
    Ok(remains)
}

/// Lets the engine verify what only it uses: a file from which everything can be read may still be
/// one that cannot be written.
fn check(path: &Path, limits: &StoreLimits) -> Result<(), StoreError> {
    let mut engine = Engine::open(path, Access::Read, limits, None)?;
    if engine.database.check_integrity().at(path, DOING)? {
        return Ok(());
    }
    Err(StoreError::damaged(path, Damage::of_engine("its free space was not what it should be")))
}

fn read_with_engine(
    path: &Path,
    lock: &DirLock,
    limits: &StoreLimits,
) -> Result<Remains, StoreError> {
    let engine = Engine::open(path, Access::Read, limits, None)?;
    let transaction = engine.database.begin_read().at(path, DOING)?;
    let (meta, damaged_meta) = match Meta::read(&transaction, path) {
        Ok(meta) => (Some(meta), Vec::new()),
        Err(StoreError::Damaged { damage, .. }) if damage.engine.is_none() => (None, damage.meta),
        Err(error) => return Err(error),
    };
    let (_, vector_entries) = read_vector(&transaction, path)?;
    let mut scan = Scan::new(&transaction, path, limits.damaged_positions_max)?;
    let updates = scan.updates().collect();
    let last_commit = engine.has_lost_commit(path, lock)?;
    let damage = Damage { vector_entries, meta: damaged_meta, last_commit, ..scan.finish(path)? };
    Ok(Remains { meta, updates, damage, salvaged: false })
}

/// Refuses what was written by no store, or by one of another model.
fn check_ours(path: &Path, remains: &Remains, options: &Options) -> Result<(), StoreError> {
    let path = path.to_owned();
    match &remains.meta {
        None if remains.updates.is_empty() => {
            let reason = "nothing in it was written by a store".to_owned();
            Err(StoreError::NotAStore { path, reason })
        }
        Some(meta) if meta.model != options.model => {
            let (held, wanted) = (meta.model.clone(), options.model.clone());
            Err(StoreError::WrongModel { path, held, wanted })
        }
        Some(meta) if meta.id == options.fresh_id => {
            Err(StoreError::IdNotFresh { path, id: meta.id.clone() })
        }
        _ => Ok(()),
    }
}

/// Puts what is left into the place of the damaged file.
fn finish(
    dir: &Path,
    options: &Options,
    remains: Remains,
    original: &Path,
) -> Result<Repaired, StoreError> {
    let Remains { updates, damage: dropped, salvaged, .. } = remains;
    let meta = Meta::new(options.fresh_id.clone(), options.model.clone());
    let kept = place(dir, Existing::Replace, |draft| {
        let (limits, vector) = (&options.limits, VersionVector::new());
        write_file(draft, limits, Purpose::Use, meta, &vector, updates.into_iter())
    })?;
    Ok(Repaired { kept, dropped, salvaged, original: Some(original.to_owned()) })
}
