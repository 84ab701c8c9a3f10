//! Opening a store: creating it where there is none, and finding out whether all that was confirmed is
//! there and whether it may go on writing under its id. Until that is known not a byte of the file changes.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::ReadableDatabase;
use scuttlebutt::{SourceId, VersionVector};

use crate::access::{Access, make_dir, private};
use crate::backend::{Backend, Durability, Faults, SyncSwitch};
use crate::commits::Commits;
use crate::confirmed::{Finding, judge};
use crate::contained::{Contained, guarded};
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::lock::DirLock;
use crate::origin;
use crate::rewrite::{Existing, Purpose, place, write_file};
use crate::schema::{FILE_NAME, FORMAT, Meta};
use crate::store::Store;

const DOING: &str = "opening the store";

/// How a store is opened.
///
/// ```
/// use scuttlebutt::{SourceId, VersionVector};
/// use scuttlebutt_store::{Durability, Options};
///
/// let options = Options::new("map", SourceId::from_random([1, 2, 3]));
/// assert_eq!(options.durability, Durability::Synced);
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the data model, which a store holds for good: that of the replica's model
    /// ([`Model::name`](scuttlebutt::Model::name)), if it has one.
    pub model: String,
    /// The id for a store that is new, or must not write under its old id. Draw it at random.
    pub fresh_id: SourceId,
    /// What a confirmed update survives. Default [`Durability::Synced`].
    pub durability: Durability,
    /// The bounds.
    pub limits: StoreLimits,
    #[doc(hidden)]
    pub faults: Option<Arc<dyn Faults>>,
}

impl Options {
    /// Synced, with the default bounds.
    pub fn new(model: impl Into<String>, fresh_id: SourceId) -> Self {
        let (durability, limits) = (Durability::default(), StoreLimits::default());
        Self { model: model.into(), fresh_id, durability, limits, faults: None }
    }
}

/// What was found at opening.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// There was no store; now there is an empty one.
    pub created: bool,
    /// It was not closed in order, and recovered to the last commit.
    pub recovered: bool,
    /// It had to take the fresh id, and why. The updates under the old one are kept.
    pub renewed: Option<Renewed>,
}

/// Why a store must not go on writing under its old id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Renewed {
    /// The file is a copy: of a store that may still be in use, or that has written since.
    Copied {
        /// The id of the store it was copied from.
        of: SourceId,
    },
    /// The machine stopped while the store was in use: a [`Durability::Buffered`] one, or one whose last
    /// commit is not whole, and nobody knows whether that was confirmed. Updates that were confirmed, and
    /// that peers may hold, may be lost.
    MachineStopped {
        /// The id until then.
        of: SourceId,
    },
    /// The file is an older one than the last that was in use here, put in its place. What was confirmed
    /// since is lost, and peers may hold it.
    SetBack {
        /// The id until then.
        of: SourceId,
    },
}

impl Store {
    /// Opens the store in directory `dir`, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] says what, where and what to do. A damaged store is not opened, and stays as it is.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Self, Opened), StoreError> {
        let dir = dir.as_ref();
        let path = dir.join(FILE_NAME);
        let is_there = || path.try_exists().map_err(|error| StoreError::io(&path, DOING, error));
        if !is_there()? {
            make_dir(dir)?;
        }
        let lock = DirLock::acquire(dir, Access::Write)?;
        let created = !is_there()?;
        if created {
            create(dir, &options)?;
        }
        let faults = options.faults.clone();
        let engine = Engine::open(&path, Access::Write, &options.limits, faults)?;
        let (meta, origin) = engine.identify(&path, &options.model)?;
        let renewed = match reason_to_renew(&meta, &origin, engine.recovered) {
            None if !created => engine.find_confirmed(&path, &lock, &origin, &meta.id)?,
            reason => reason,
        };
        if renewed.is_some() && options.fresh_id == meta.id {
            return Err(StoreError::IdNotFresh { path, id: meta.id });
        }
        let id = if renewed.is_some() { options.fresh_id.clone() } else { meta.id };
        let session = session(options.durability);
        let meta = Meta { format: FORMAT, id, origin: Some(origin), session, ..meta };
        let recovered = engine.recovered;
        let is_id_fresh = created || renewed.is_some();
        let Options { durability, limits, .. } = options;
        let store = Store::new(path, engine, lock, meta, is_id_fresh, durability, limits)?;
        Ok((store, Opened { created, recovered, renewed }))
    }

    /// Opens the store in directory `dir` without changing a byte of it: for a disk that is full or may not
    /// be written, and for a look at a backup. What it holds can be [loaded](Self::load); whatever would
    /// write fails. Others may read it at the same time; nobody may have it open for writing. Of the
    /// `options` model and limits count.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_to_read(dir: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        let path = dir.join(FILE_NAME);
        let (engine, lock) = Engine::open_to_read(dir, &options.limits)?;
        let (meta, origin) = engine.identify(&path, &options.model)?;
        if reason_to_renew(&meta, &origin, engine.recovered).is_none() {
            engine.find_confirmed(&path, &lock, &origin, &meta.id)?;
        }
        Ok(Store::reading(path, engine, lock, meta, options.limits))
    }
}

fn session(durability: Durability) -> Option<String> {
    (durability == Durability::Buffered).then(|| format!("buffered;{}", origin::boot()))
}

fn reason_to_renew(meta: &Meta, found: &str, recovered: bool) -> Option<Renewed> {
    let of = meta.id.clone();
    if !meta.origin.as_ref().is_some_and(|held| origin::is_same(held, found)) {
        return Some(Renewed::Copied { of });
    }
    // What was handed to the operating system is lost when that stops.
    let boot = meta.session.as_deref()?.strip_prefix("buffered;")?;
    let is_same_boot = !boot.is_empty() && boot == origin::boot();
    (recovered && !is_same_boot).then_some(Renewed::MachineStopped { of })
}

fn create(dir: &Path, options: &Options) -> Result<(), StoreError> {
    let meta = Meta::new(options.fresh_id.clone(), options.model.clone());
    let made = place(dir, Existing::Keep, |draft| {
        let (vector, updates) = (VersionVector::new(), std::iter::empty());
        write_file(draft, &options.limits, Purpose::Use, meta, &vector, updates)
    });
    match made {
        // Somebody was faster; whether that one is still there shows when it is opened.
        Ok(_) | Err(StoreError::Exists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The engine with the file it works on.
pub(crate) struct Engine {
    pub(crate) database: Contained,
    pub(crate) file: File,
    pub(crate) backend: Backend,
    pub(crate) sync: SyncSwitch,
    pub(crate) recovered: bool,
    /// What the file had before the engine did anything to it.
    found: Option<Commits>,
}

impl Engine {
    /// Opens an existing file. What the engine writes is held back until
    /// [`Backend::release`].
    pub(crate) fn open(
        path: &Path,
        access: Access,
        limits: &StoreLimits,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(path, DOING, error);
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write);
        let file = options.open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            let reason = "an empty file".to_owned();
            return Err(StoreError::NotAStore { path: path.to_owned(), reason });
        }
        Self::start(path, file, access, limits, faults)
    }

    /// Opens the file of a directory for who only looks, with the lock that keeps others from writing.
    pub(crate) fn open_to_read(
        dir: &Path,
        limits: &StoreLimits,
    ) -> Result<(Self, DirLock), StoreError> {
        let path = dir.join(FILE_NAME);
        if !path.try_exists().map_err(|error| StoreError::io(&path, DOING, error))? {
            return Err(StoreError::Missing { path });
        }
        let lock = DirLock::acquire(dir, Access::Read)?;
        Ok((Self::open(&path, Access::Read, limits, None)?, lock))
    }

    /// Makes a new file.
    pub(crate) fn create(path: &Path, limits: &StoreLimits) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = private(&mut options).open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists { path: path.to_owned() },
            _ => StoreError::io(path, DOING, error),
        })?;
        Self::start(path, file, Access::Write, limits, None)
    }

    fn start(
        path: &Path,
        file: File,
        access: Access,
        limits: &StoreLimits,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, StoreError> {
        let own = file.try_clone().map_err(|error| StoreError::io(path, DOING, error))?;
        let sync = SyncSwitch::on();
        let backend = Backend::new(file, access, sync.clone(), limits.fill_bytes, faults);
        let backend = backend.at(path, DOING)?;
        let found = backend.commits().map_err(|error| StoreError::io(path, DOING, error))?;
        let handle = backend.clone();
        let recovered = Arc::new(AtomicBool::new(false));
        let witness = recovered.clone();
        let opened = guarded(path, || {
            redb::Builder::new()
                .set_cache_size(limits.cache_bytes_max)
                .set_repair_callback(move |_| witness.store(true, Ordering::Relaxed))
                .create_with_backend(backend)
                .map_err(|error| open_error(path, error))
        });
        let database = Contained::new(opened?);
        let recovered = recovered.load(Ordering::Relaxed);
        Ok(Self { database, file: own, backend: handle, sync, recovered, found })
    }

    /// What the store says of itself, if it is one of this model, and which file it is in.
    fn identify(&self, path: &Path, model: &str) -> Result<(Meta, String), StoreError> {
        let meta = Meta::read(&self.database.begin_read().at(path, DOING)?, path)?;
        if meta.model != model {
            let (held, wanted) = (meta.model, model.to_owned());
            return Err(StoreError::WrongModel { path: path.to_owned(), held, wanted });
        }
        let origin = origin::of(&self.file).map_err(|error| StoreError::io(path, DOING, error))?;
        Ok((meta, origin))
    }

    /// Whether the last commit is damaged although it was confirmed.
    pub(crate) fn has_lost_commit(&self, path: &Path, lock: &DirLock) -> Result<bool, StoreError> {
        let origin = origin::of(&self.file).map_err(|error| StoreError::io(path, DOING, error))?;
        Ok(self.judge(path, lock, &origin)? == Finding::Damaged)
    }

    fn judge(&self, path: &Path, lock: &DirLock, origin: &str) -> Result<Finding, StoreError> {
        let shown = self.backend.commits().map_err(|error| StoreError::io(path, DOING, error))?;
        Ok(match (&self.found, shown) {
            (Some(found), Some(shown)) => {
                judge(found, shown.first, lock.note().as_ref(), (origin, &origin::boot()))
            }
            // The engine's files have commits; it will have said what else this is.
            _ => Finding::Whole,
        })
    }

    /// Whether all that was confirmed is there, and if not, whether the store may go on with the rest.
    fn find_confirmed(
        &self,
        path: &Path,
        lock: &DirLock,
        origin: &str,
        id: &SourceId,
    ) -> Result<Option<Renewed>, StoreError> {
        let of = id.clone();
        match self.judge(path, lock, origin)? {
            Finding::Whole => Ok(None),
            Finding::Damaged => Err(StoreError::damaged(path, Damage::of_last_commit())),
            Finding::Uncertain => Ok(Some(Renewed::MachineStopped { of })),
            Finding::SetBack => Ok(Some(Renewed::SetBack { of })),
        }
    }
}

fn open_error(path: &Path, error: redb::DatabaseError) -> StoreError {
    use redb::{DatabaseError, StorageError};
    let path: PathBuf = path.to_owned();
    match error {
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::InvalidData =>
        {
            StoreError::NotAStore { path, reason: error.to_string() }
        }
        // A file that was cut off.
        DatabaseError::Storage(StorageError::Io(error))
            if error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            StoreError::damaged(&path, Damage::of_engine(error.to_string()))
        }
        DatabaseError::UpgradeRequired(version) => {
            let reason = format!("the engine's file format {version} is not supported");
            StoreError::NotAStore { path, reason }
        }
        error => StoreError::engine(&path, DOING, error.into()),
    }
}
