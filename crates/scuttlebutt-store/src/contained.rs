//! The engine, kept from taking the process down.
//!
//! On a file whose structure is damaged it promises no more than to panic, also while it closes. That is
//! damage, and no reason to end a node.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::Database;

use crate::damage::Damage;
use crate::error::StoreError;

/// Runs what reads or writes a file that may be damaged; a panic of the engine is that damage.
pub(crate) fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("the engine panicked");
        Err(StoreError::damaged(path, Damage::of_engine(message)))
    })
}

/// A database that can be dropped whatever state its file is in.
pub(crate) struct Contained(Option<Database>);

impl Contained {
    pub(crate) fn new(database: Database) -> Self {
        Self(Some(database))
    }

    /// Ends it in order, and tells if that fails.
    pub(crate) fn close(mut self) -> Result<(), redb::Error> {
        match self.0.take() {
            Some(database) => Ok(database.close()?),
            None => Ok(()),
        }
    }
}

impl Deref for Contained {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.0.as_ref().expect("it is there until it is closed or dropped, which end it")
    }
}

impl DerefMut for Contained {
    fn deref_mut(&mut self) -> &mut Database {
        self.0.as_mut().expect("it is there until it is closed or dropped, which end it")
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let database = self.0.take();
        // What is damaged was told where it was met; closing changes nothing that was confirmed.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}
