//! What goes wrong with a store: what, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scuttlebutt::SourceId;

use crate::damage::Damage;

/// A store could not do what was asked of it. Unless it says otherwise nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Somebody else has it open.
    #[error("{}: in use by another process; stop that one, or choose another directory", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// There is none.
    #[error("{}: there is no store here", path.display())]
    Missing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: not a store of scuttlebutt ({reason}); choose another directory", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// A later version wrote it.
    #[error("{}: written by a newer version, in format {format}; this one reads up to {}. Use the newer version", path.display(), crate::FORMAT)]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// A version wrote it that was never released.
    #[error("{}: written before the first release, in format {format}; this version reads format {}. Export it with the version that wrote it, and import that", path.display(), crate::FORMAT)]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// It holds the updates of another data model.
    #[error("{}: holds a `{held}`, not a `{wanted}`; choose another directory, or that model", path.display())]
    WrongModel {
        /// The file.
        path: PathBuf,
        /// The model in the store.
        held: String,
        /// The model asked for.
        wanted: String,
    },
    /// The id handed in as fresh is the one that must not be used again.
    #[error("{}: must not write as {id} again; open it with a fresh id", path.display())]
    IdNotFresh {
        /// The file.
        path: PathBuf,
        /// The id.
        id: SourceId,
    },
    /// A replica of another id was to be loaded, or one that is not empty.
    #[error("{}: can be loaded into an empty replica with the id {id} only", path.display())]
    WrongReplica {
        /// The file.
        path: PathBuf,
        /// The id of the store.
        id: SourceId,
    },
    /// The file or its directory may not be written.
    #[error("{}: no permission to write; grant it, or choose another directory", path.display())]
    ReadOnly {
        /// The file or directory.
        path: PathBuf,
    },
    /// The file exists already.
    #[error("{}: exists already; choose another directory", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The disk is full. Nothing that was confirmed is lost.
    #[error("{}: no space left on the disk while {doing}; free some and start again", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// The file was altered by something else than a store.
    #[error("{}: {damage}. Repair it, which keeps what is whole and asks peers for the rest", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What, how much and where.
        damage: Box<Damage>,
    },
    /// The path leads to another file, or to none, while the store is in use.
    #[error("{}: not the file any more that this store writes to: it was removed, moved or replaced; nothing more is confirmed. Save what is still held in memory before it is closed", path.display())]
    Gone {
        /// Where the file was.
        path: PathBuf,
    },
    /// It was opened to be read, by [`Store::open_to_read`](crate::Store::open_to_read).
    #[error("{}: opened to be read only; nothing is written", path.display())]
    OpenedToRead {
        /// The file.
        path: PathBuf,
    },
    /// The place is none for a store, whatever the permissions.
    #[error("{}: a store cannot be kept here: {reason}; choose another directory", path.display())]
    Unsuitable {
        /// The file or directory.
        path: PathBuf,
        /// What cannot be done there.
        reason: String,
    },
    /// An earlier commit failed. What the disk holds is uncertain until the store is opened again.
    #[error("{}: stopped after a failure ({reason}); nothing more is written until it is opened again", path.display())]
    Stopped {
        /// The file.
        path: PathBuf,
        /// The failure.
        reason: Arc<str>,
    },
    /// The operating system refuses.
    #[error("{}: {error} while {doing}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Its words.
        error: io::Error,
    },
    /// The engine refuses, for a reason that has no name here.
    #[error("{}: {error} while {doing}", path.display())]
    Engine {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Its words.
        error: Box<redb::Error>,
    },
}

impl StoreError {
    pub(crate) fn io(path: &Path, doing: &'static str, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, doing }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { path }
            }
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::Unsupported => Self::Unsuitable { path, reason: error.to_string() },
            _ => Self::Io { path, doing, error },
        }
    }

    pub(crate) fn damaged(path: &Path, damage: Damage) -> Self {
        Self::Damaged { path: path.to_owned(), damage: Box::new(damage) }
    }

    pub(crate) fn engine(path: &Path, doing: &'static str, error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => Self::io(path, doing, error),
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                Self::Locked { path: path.to_owned() }
            }
            redb::Error::Corrupted(message) => Self::damaged(path, Damage::of_engine(message)),
            // A store made its tables itself and never makes them differently.
            error @ (redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)) => {
                Self::damaged(path, Damage::of_engine(error.to_string()))
            }
            error => Self::Engine { path: path.to_owned(), doing, error: Box::new(error) },
        }
    }
}

/// Names the file and the deed for an error of the engine.
pub(crate) trait Context<T> {
    fn at(self, path: &Path, doing: &'static str) -> Result<T, StoreError>;
}

impl<T, E: Into<redb::Error>> Context<T> for Result<T, E> {
    fn at(self, path: &Path, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::engine(path, doing, error.into()))
    }
}
