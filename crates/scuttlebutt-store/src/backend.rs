//! The file as the engine sees it, and when writes to it must have reached the disk.
//!
//! The engine asks for a sync at the end of each commit. Here it is decided whether that means one.
//! This module knows nothing of what is written.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What a confirmed update survives. To keep nothing, use no store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The end of the process, however sudden, but not that of the machine: what is confirmed was
    /// handed to the operating system. After a power cut the store may be damaged; it never goes on
    /// writing under its old id then.
    Buffered,
    /// The end of the machine: what is confirmed was synced to the disk.
    #[default]
    Synced,
}

/// What a [`Faults`] is asked about.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Write,
    Grow,
    Sync,
}

/// Makes operations on the file fail, for tests.
#[doc(hidden)]
pub trait Faults: Debug + Send + Sync {
    /// The failure of an operation that is about to happen.
    fn before(&self, operation: Operation) -> io::Result<()>;
}

/// Whether syncs reach the disk now.
#[derive(Clone, Debug)]
pub(crate) struct SyncSwitch(Arc<AtomicBool>);

impl SyncSwitch {
    pub(crate) fn on() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(crate) fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::SeqCst);
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Backend {
    file: FileBackend,
    sync: SyncSwitch,
    faults: Option<Arc<dyn Faults>>,
}

impl Backend {
    pub(crate) fn new(
        file: File,
        sync: SyncSwitch,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, redb::DatabaseError> {
        Ok(Self { file: FileBackend::new(file)?, sync, faults })
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(operation))
    }
}

type Range = Bound<u64>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check(Operation::Grow)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check(Operation::Sync)?;
        if self.sync.is_on() { self.file.sync_data() } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(Operation::Write)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Range, end: Range) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Range, end: Range) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
