//! Opening a store: creating it where there is none, and finding out whether it may go on writing
//! under its id.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::ReadableDatabase;
use scuttlebutt::{SourceId, VersionVector};

use crate::backend::{Backend, Durability, Faults, SyncSwitch};
use crate::contained::{Contained, guarded};
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
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
    /// The name of the data model, which a store holds for good.
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
    /// The machine stopped while a [`Durability::Buffered`] store was in use. Updates that were
    /// confirmed, and that peers may hold, may be lost.
    MachineStopped {
        /// The id until then.
        of: SourceId,
    },
}

impl Store {
    /// Opens the store in directory `dir`, or creates it.
    ///
    /// # Errors
    /// [`StoreError`] says what, where and what to do. A damaged store is not opened.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<(Self, Opened), StoreError> {
        let dir = dir.as_ref();
        let path = dir.join(FILE_NAME);
        let created = !path.try_exists().map_err(|error| StoreError::io(&path, DOING, error))?;
        if created {
            fs::create_dir_all(dir)
                .map_err(|error| StoreError::io(dir, "creating the directory", error))?;
            create(dir, &options)?;
        }
        let engine = Engine::open(&path, &options.limits, options.faults.clone())?;
        let meta = Meta::read(&engine.database.begin_read().at(&path, DOING)?, &path)?;
        if meta.model != options.model {
            let (held, wanted) = (meta.model, options.model);
            return Err(StoreError::WrongModel { path, held, wanted });
        }
        let found =
            origin::of(&engine.file).map_err(|error| StoreError::io(&path, DOING, error))?;
        let renewed = reason_to_renew(&meta, &found, engine.recovered);
        if renewed.is_some() && options.fresh_id == meta.id {
            return Err(StoreError::IdNotFresh { path, id: meta.id });
        }
        let id = if renewed.is_some() { options.fresh_id.clone() } else { meta.id };
        let session = session(options.durability);
        let meta = Meta { format: FORMAT, id, origin: Some(found), session, ..meta };
        let recovered = engine.recovered;
        let is_id_fresh = created || renewed.is_some();
        let Options { durability, limits, .. } = options;
        let store = Store::new(path, engine, meta, is_id_fresh, durability, limits)?;
        Ok((store, Opened { created, recovered, renewed }))
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
    pub(crate) sync: SyncSwitch,
    pub(crate) recovered: bool,
}

impl Engine {
    /// Opens an existing file.
    pub(crate) fn open(
        path: &Path,
        limits: &StoreLimits,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io(path, DOING, error);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            let reason = "an empty file".to_owned();
            return Err(StoreError::NotAStore { path: path.to_owned(), reason });
        }
        Self::start(path, file, limits, faults)
    }

    /// Makes a new file.
    pub(crate) fn create(path: &Path, limits: &StoreLimits) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create_new(true).open(path).map_err(
                |error| match error.kind() {
                    io::ErrorKind::AlreadyExists => StoreError::Exists { path: path.to_owned() },
                    _ => StoreError::io(path, DOING, error),
                },
            )?;
        Self::start(path, file, limits, None)
    }

    fn start(
        path: &Path,
        file: File,
        limits: &StoreLimits,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, StoreError> {
        let own = file.try_clone().map_err(|error| StoreError::io(path, DOING, error))?;
        let sync = SyncSwitch::on();
        let backend =
            Backend::new(file, sync.clone(), limits.fill_bytes, faults).at(path, DOING)?;
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
        Ok(Self { database, file: own, sync, recovered })
    }
}

pub(crate) fn open_error(path: &Path, error: redb::DatabaseError) -> StoreError {
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
