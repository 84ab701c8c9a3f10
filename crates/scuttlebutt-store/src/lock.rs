//! The lock of a data directory: a file that stays, whoever removes or replaces the one with the data.
//!
//! It is held as long as a store is open, so that nobody else starts on the directory. In it stands the
//! note of what was confirmed last ([`Confirmed`]). This module never touches the data.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::access::{Access, private};
use crate::confirmed::Confirmed;
use crate::error::StoreError;
use crate::schema::{FILE_NAME, LOCK_NAME};

const DOING: &str = "locking the directory";

/// A note is not longer than this.
const NOTE_BYTES_MAX: u64 = 4096;

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct DirLock {
    /// None for who only reads, where no lock can be made.
    file: Option<File>,
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // A process that is being started may have the file, too, until it is another program.
        if let Some(file) = &self.file {
            let _ = file.unlock();
        }
    }
}

impl DirLock {
    /// Takes the lock of a directory, which is there: for oneself to write, with others to read.
    pub(crate) fn acquire(dir: &Path, access: Access) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = match private(&mut options).open(&path) {
            Ok(file) => file,
            Err(error) if access == Access::Write => {
                return Err(StoreError::io(&path, DOING, error));
            }
            // Where nothing can be written nobody writes; a lock that is there is respected.
            Err(_) => match File::open(&path) {
                Ok(file) => file,
                Err(_) => return Ok(Self { file: None }),
            },
        };
        let locked = match access {
            Access::Write => file.try_lock(),
            Access::Read => file.try_lock_shared(),
        };
        match locked {
            Ok(()) => Ok(Self { file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.join(FILE_NAME) }),
            Err(TryLockError::Error(_)) if access == Access::Read => Ok(Self { file: None }),
            Err(TryLockError::Error(error)) => {
                let reason = format!("its file system cannot lock files: {error}");
                Err(StoreError::Unsuitable { path: dir.to_owned(), reason })
            }
        }
    }

    /// The note that was left, if it is whole.
    pub(crate) fn note(&self) -> Option<Confirmed> {
        let mut file = self.file.as_ref()?;
        let mut kept = Vec::new();
        file.seek(SeekFrom::Start(0)).ok()?;
        file.take(NOTE_BYTES_MAX).read_to_end(&mut kept).ok()?;
        Confirmed::open(&kept)
    }

    /// Leaves a note, over the one that is there. It outlives the process when this returns.
    pub(crate) fn leave(&self, note: &Confirmed) -> io::Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let kept = note.seal();
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&kept)
    }

    /// Cuts off what is left of a longer note behind this one. Until then there is none.
    pub(crate) fn trim(&self, note: &Confirmed) -> io::Result<()> {
        match &self.file {
            Some(file) => file.set_len(note.seal().len() as u64),
            None => Ok(()),
        }
    }
}
