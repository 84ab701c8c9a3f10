//! Making a damaged store usable again, with everything in it that is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use redb::ReadableDatabase;
use scuttlebutt::{SourceId, Update, VersionVector};

use crate::contained::guarded;
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
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
        let failed = |error| StoreError::io(&path, DOING, error);
        let _lock = lock(&path)?;
        // The engine writes to whatever it opens; what is there now must be there afterwards. So all
        // that follows happens to copies.
        let original = put_aside(dir, &path)?;
        let work = dir.join(format!("{FILE_NAME}.repair-{}", std::process::id()));
        let copied = fs::copy(&path, &work).map_err(failed);
        let outcome = copied
            .and_then(|_| read(&work, options))
            .and_then(|remains| finish(dir, options, remains));
        let _ = fs::remove_file(&work);
        match outcome {
            Ok(repaired) if !repaired.dropped.is_none() => {
                Ok(Repaired { original: Some(original), ..repaired })
            }
            unchanged => {
                let _ = fs::remove_file(&original);
                unchanged
            }
        }
    }
}

/// Keeps others from opening the file, as the engine does.
fn lock(path: &Path) -> Result<File, StoreError> {
    let failed = |error| StoreError::io(path, DOING, error);
    let file = File::options().read(true).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Copies the damaged file to the first name that is free.
fn put_aside(dir: &Path, path: &Path) -> Result<PathBuf, StoreError> {
    let failed = |error| StoreError::io(path, "keeping the damaged file", error);
    for number in 1..=DAMAGED_FILES_MAX {
        let aside = dir.join(format!("{FILE_NAME}.damaged-{number}"));
        match File::create_new(&aside) {
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
    Err(StoreError::Exists { path: dir.join(format!("{FILE_NAME}.damaged-{DAMAGED_FILES_MAX}")) })
}

/// Reads what there is, by the engine if it can, and from the bare pages if not.
fn read(work: &Path, options: &Options) -> Result<Remains, StoreError> {
    let mut remains = match guarded(work, || read_with_engine(work, &options.limits)) {
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
    if remains.damage.engine.is_some() || remains.damage.blocks_missing > 0 {
        let found = salvage(work).map_err(|error| StoreError::io(work, DOING, error))?;
        // Two lives of the store may have used one position: number them anew.
        remains.updates = (0..).zip(found.into_iter().map(|(_, update)| update)).collect();
        remains.salvaged = true;
    } else if remains.damage.is_none() {
        remains.damage.engine =
            guarded(work, || check(work, &options.limits)).err().map(|error| match error {
                StoreError::Damaged { damage, .. } => damage.engine.unwrap_or_default(),
                error => error.to_string(),
            });
    }
    Ok(remains)
}

/// Lets the engine verify what only it uses: a file from which everything can be read may still be
/// one that cannot be written.
fn check(work: &Path, limits: &StoreLimits) -> Result<(), StoreError> {
    let mut engine = Engine::open(work, limits, None)?;
    if engine.database.check_integrity().at(work, DOING)? {
        return Ok(());
    }
    Err(StoreError::damaged(work, Damage::of_engine("its free space was not what it should be")))
}

fn read_with_engine(work: &Path, limits: &StoreLimits) -> Result<Remains, StoreError> {
    let engine = Engine::open(work, limits, None)?;
    let transaction = engine.database.begin_read().at(work, DOING)?;
    let (meta, damaged_meta) = match Meta::read(&transaction, work) {
        Ok(meta) => (Some(meta), Vec::new()),
        Err(StoreError::Damaged { damage, .. }) if damage.engine.is_none() => (None, damage.meta),
        Err(error) => return Err(error),
    };
    let (_, vector_entries) = read_vector(&transaction, work)?;
    let mut scan = Scan::new(&transaction, work, limits.damaged_positions_max)?;
    let updates = scan.updates().collect();
    let damage = Damage { vector_entries, meta: damaged_meta, ..scan.finish(work)? };
    Ok(Remains { meta, updates, damage, salvaged: false })
}

/// Puts what is left into the place of the damaged file.
fn finish(dir: &Path, options: &Options, remains: Remains) -> Result<Repaired, StoreError> {
    let path = dir.join(FILE_NAME);
    let Remains { meta, updates, damage: dropped, salvaged } = remains;
    let kept = updates.len() as u64;
    let repaired = Repaired { kept, dropped, salvaged, original: None };
    if repaired.dropped.is_none() {
        return Ok(repaired);
    }
    if meta.is_none() && updates.is_empty() {
        let reason = "nothing in it was written by a store".to_owned();
        return Err(StoreError::NotAStore { path, reason });
    }
    if let Some(meta) = &meta {
        if meta.model != options.model {
            let (held, wanted) = (meta.model.clone(), options.model.clone());
            return Err(StoreError::WrongModel { path, held, wanted });
        }
        check_fresh(&path, &options.fresh_id, &meta.id)?;
    }
    let meta = Meta::new(options.fresh_id.clone(), options.model.clone());
    place(dir, Existing::Replace, |draft| {
        let (limits, vector) = (&options.limits, VersionVector::new());
        write_file(draft, limits, Purpose::Use, meta, &vector, updates.into_iter())
    })?;
    Ok(repaired)
}

fn check_fresh(path: &Path, fresh: &SourceId, held: &SourceId) -> Result<(), StoreError> {
    if fresh == held {
        return Err(StoreError::IdNotFresh { path: path.to_owned(), id: held.clone() });
    }
    Ok(())
}
