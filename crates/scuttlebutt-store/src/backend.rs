//! The file as the engine sees it, and when writes to it must have reached the disk.
//!
//! The engine asks for a sync at the end of each commit. Here it is decided whether that means one, room is
//! made ready so that it is short, and what the engine writes is held back until the file may be changed.
//! This module knows nothing of what is written.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::ops::{Bound, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::access::Access;
use crate::blank::{Blank, Fill};
use crate::commits::{Commits, HEADER_BYTES};
use crate::file_system;
use crate::held_back::HeldBack;

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

/// The file; all clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    file: Arc<FileBackend>,
    access: Access,
    sync: SyncSwitch,
    faults: Option<Arc<dyn Faults>>,
    /// Until what was written may reach the file.
    held_back: Arc<RwLock<Option<HeldBack>>>,
    /// Locked while room is made, so that nobody writes there meanwhile.
    room: Arc<Mutex<Room>>,
}

/// What is known of parts of the file that are still to be filled, and the memory to do so.
#[derive(Debug)]
struct Room {
    blank: Blank,
    part: Vec<u8>,
}

impl Backend {
    /// Over a file that is there, everything written is [held back](Self::release).
    pub(crate) fn new(
        file: File,
        access: Access,
        sync: SyncSwitch,
        fill_bytes: usize,
        faults: Option<Arc<dyn Faults>>,
    ) -> Result<Self, redb::DatabaseError> {
        let len = file.metadata().map_err(redb::StorageError::from)?.len();
        let held_back = (len > 0).then(|| HeldBack::new(len));
        let fill_bytes = if file_system::writes_elsewhere(&file) { 0 } else { fill_bytes as u64 };
        let blank = Blank::new(fill_bytes, len, &file_system::holes(&file, len, fill_bytes));
        let room = Arc::new(Mutex::new(Room { blank, part: Vec::new() }));
        let (file, held_back) = (FileBackend::new(file)?.into(), Arc::new(RwLock::new(held_back)));
        Ok(Self { file, access, sync, faults, held_back, room })
    }

    /// Writes to the file what was held back, and from now on whatever comes. Whenever this is broken off,
    /// the file is as good as before or as it is to be; if it fails, all is held back for good.
    pub(crate) fn release(&self) -> io::Result<()> {
        let mut place = self.held_back.write().unwrap_or_else(PoisonError::into_inner);
        let Some(held_back) = &*place else { return Ok(()) };
        let (len_before, len) = (self.file.len()?, held_back.len());
        if len > len_before {
            self.resize(len)?;
        }
        for (offset, page) in held_back.pages() {
            // It says which of the others count, so they are there before it.
            if offset == 0 {
                self.sync()?;
            }
            self.write_now(offset, page)?;
        }
        self.sync()?;
        if len < len_before {
            self.resize(len)?;
        }
        *place = None;
        Ok(())
    }

    /// The commits that the file has, as the engine sees it.
    pub(crate) fn commits(&self) -> io::Result<Option<Commits>> {
        let mut header = [0; HEADER_BYTES];
        match self.read(0, &mut header) {
            Ok(()) => Ok(Commits::read(&header)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Does something to what is held back, if anything is to be.
    fn if_held_back<T>(
        &self,
        work: impl FnOnce(&mut HeldBack) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let mut held_back = self.held_back.write().unwrap_or_else(PoisonError::into_inner);
        held_back.as_mut().map(work)
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the blank parts that are about to be written to. Only syncs gain by it.
    fn make_room(&self, written: Range<u64>) {
        let Room { blank, part } = &mut *self.room();
        let fills = blank.take(written);
        if !self.sync.is_on() {
            return;
        }
        for Fill { range, is_hearsay } in fills {
            part.clear();
            part.resize(usize::try_from(range.end - range.start).unwrap_or(0), 0);
            let is_blank =
                !is_hearsay || self.file.read(range.start, part).is_ok() && is_zero(part);
            if is_blank {
                // If this fails, so will the write that it is done for.
                let _ = self.file.write(range.start, part);
            }
        }
    }

    fn resize(&self, len: u64) -> io::Result<()> {
        self.check(Operation::Grow)?;
        let mut room = self.room();
        self.file.set_len(len)?;
        room.blank.resize(len);
        Ok(())
    }

    fn write_now(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(Operation::Write)?;
        self.make_room(offset..offset.saturating_add(data.len() as u64));
        self.file.write(offset, data)
    }

    fn sync(&self) -> io::Result<()> {
        let synced = self.check(Operation::Sync).and_then(|()| match self.sync.is_on() {
            true => self.file.sync_data(),
            false => Ok(()),
        });
        synced.map_err(|error| match error.kind() {
            // What systems say of files that cannot be synced.
            io::ErrorKind::InvalidInput => io::Error::new(
                io::ErrorKind::Unsupported,
                format!("its file system cannot sync files: {error}"),
            ),
            _ => error,
        })
    }

    /// Who only reads cannot lock parts of a file as the engine does, and has the directory's lock.
    fn lockable(&self) -> Result<&FileBackend, BackendError> {
        match self.access {
            Access::Write => Ok(&self.file),
            Access::Read => Err(BackendError::Unsupported),
        }
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.before(operation))
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}

type Edge = Bound<u64>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        match &*self.held_back.read().unwrap_or_else(PoisonError::into_inner) {
            Some(held_back) => Ok(held_back.len()),
            None => self.file.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &*self.held_back.read().unwrap_or_else(PoisonError::into_inner) {
            Some(held_back) => held_back.read(&self.file, offset, out),
            None => self.file.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let held_back = self.if_held_back(|held_back| {
            held_back.set_len(len);
            Ok(())
        });
        held_back.unwrap_or_else(|| self.resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.if_held_back(|_| Ok(())).unwrap_or_else(|| self.sync())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.if_held_back(|held_back| held_back.write(&self.file, offset, data))
            .unwrap_or_else(|| self.write_now(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Edge, end: Edge) -> Result<bool, BackendError> {
        self.lockable()?.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Edge, end: Edge) -> Result<bool, BackendError> {
        self.lockable()?.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Edge, end: Edge) -> Result<(), BackendError> {
        self.lockable()?.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Edge, end: Edge) -> Result<(), BackendError> {
        self.lockable()?.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Edge, end: Edge) -> Result<(), BackendError> {
        self.lockable()?.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Edge, end: Edge) -> Result<bool, BackendError> {
        self.lockable()?.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const FILL_BYTES: usize = 8192;

    /// What the engine may do with its file.
    #[derive(Clone, Debug)]
    enum Step {
        Write { offset: u64, len: usize, byte: u8 },
        Resize(u64),
        SyncOrNot(bool),
        Reopen,
    }

    fn step() -> impl Strategy<Value = Step> {
        let len_max = 10 * FILL_BYTES as u64;
        prop_oneof![
            8 => (0..len_max, 1..3 * FILL_BYTES, 1..=u8::MAX)
                .prop_map(|(offset, len, byte)| Step::Write { offset, len, byte }),
            2 => (1..len_max).prop_map(Step::Resize),
            1 => any::<bool>().prop_map(Step::SyncOrNot),
            1 => Just(Step::Reopen),
        ]
    }

    fn open(path: &Path, sync: &SyncSwitch, fill_bytes: usize) -> Backend {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path).unwrap();
        let backend = Backend::new(file, Access::Write, sync.clone(), fill_bytes, None).unwrap();
        backend.release().unwrap();
        backend
    }

    proptest! {
        /// A file that is filled ahead has the bytes of one that is not.
        #[test]
        fn filling_changes_no_byte(steps in prop::collection::vec(step(), 1..40)) {
            static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("scuttlebutt-backend-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let sync = SyncSwitch::on();
            let mut backend = open(&path, &sync, FILL_BYTES);
            let mut expected: Vec<u8> = Vec::new();
            for step in steps {
                match step {
                    Step::Write { offset, len, byte } => {
                        let start = (offset as usize).min(expected.len());
                        let end = (start + len).min(expected.len());
                        backend.write(start as u64, &vec![byte; end - start]).unwrap();
                        expected[start..end].fill(byte);
                    }
                    Step::Resize(len) => {
                        backend.set_len(len).unwrap();
                        expected.resize(len as usize, 0);
                    }
                    Step::SyncOrNot(is_on) => sync.set(is_on),
                    Step::Reopen => {
                        backend.close().unwrap();
                        drop(backend);
                        backend = open(&path, &sync, FILL_BYTES);
                    }
                }
                prop_assert_eq!(backend.len().unwrap(), expected.len() as u64);
                let mut found = vec![0; expected.len()];
                backend.read(0, &mut found).unwrap();
                prop_assert!(found == expected);
            }
            drop(backend);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn what_is_no_hole_after_all_is_kept() {
        let path = std::env::temp_dir()
            .join(format!("scuttlebutt-backend-hearsay-{}", std::process::id()));
        let backend = open(&path, &SyncSwitch::on(), FILL_BYTES);
        let len = FILL_BYTES as u64;
        backend.set_len(len).unwrap();
        backend.write(5000, &[1; 10]).unwrap();
        backend.room().blank = Blank::new(len, len, &[Range { start: 0, end: len }]);
        backend.write(0, &[2; 10]).unwrap();
        let mut found = [0; 10];
        backend.read(5000, &mut found).unwrap();
        assert_eq!(found, [1; 10]);
        std::fs::remove_file(&path).unwrap();
    }

    /// Bytes of the file system that a file takes which one page was written to.
    #[cfg(target_os = "linux")]
    fn bytes_taken(name: &str, fill_bytes: usize, is_synced: bool, grows_in_use: bool) -> u64 {
        use std::os::unix::fs::MetadataExt;

        let name = format!("scuttlebutt-backend-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let sync = SyncSwitch::on();
        sync.set(is_synced);
        let mut backend = open(&path, &sync, fill_bytes);
        backend.set_len(1 << 20).unwrap();
        if !grows_in_use {
            backend.close().unwrap();
            drop(backend);
            backend = open(&path, &sync, fill_bytes);
        }
        backend.write(300 << 10, &[1; 4096]).unwrap();
        backend.file.sync_data().unwrap();
        let taken = 512 * std::fs::metadata(&path).unwrap().blocks();
        std::fs::remove_file(&path).unwrap();
        taken
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn room_is_made_where_a_sync_gains_by_it() {
        if file_system::writes_elsewhere(&File::open(std::env::temp_dir()).unwrap()) {
            return;
        }
        let part = 256 << 10;
        assert!(bytes_taken("grown", part, true, true) >= part as u64, "where it grew");
        assert!(bytes_taken("hole", part, true, false) >= part as u64, "where a hole was found");
        assert!(bytes_taken("buffered", part, false, true) < part as u64, "without syncs");
        assert!(bytes_taken("never", 0, true, true) < part as u64, "with none wished for");
    }
}
