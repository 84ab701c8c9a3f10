//! What the tests of a store share: directories that go away, and a replica with its store.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use scuttlebutt::{EventLog, LwwMap, Model, Replica, SourceId};
use scuttlebutt_store::{Batch, Opened, Options, Store, StoreError, StoreLimits};

/// A directory of its own for a test, removed at the end.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("scuttlebutt-store-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn source(id: &str) -> SourceId {
    SourceId::new(id).unwrap()
}

/// For a store that is new or a copy, the id is `id`.
pub fn options(id: &str) -> Options {
    Options::new("map", source(id))
}

pub fn open(dir: &Path, id: &str) -> Result<(Store, Opened), StoreError> {
    Store::open(dir, options(id))
}

/// A replica and the store that it waits for.
pub struct Stored<M> {
    pub replica: Replica<M>,
    pub store: Store,
    pub vector_changes: u64,
}

pub type StoredMap = Stored<LwwMap>;
pub type StoredLog = Stored<EventLog>;

impl<M: Model + Default> Stored<M> {
    pub fn open(dir: &Path, id: &str) -> (Self, Opened) {
        let (store, opened) = open(dir, id).unwrap();
        (Self::load(store).unwrap(), opened)
    }

    pub fn load(store: Store) -> Result<Self, StoreError> {
        let mut replica = store.load(Replica::new(store.id(), M::default()), |_| ())?;
        // As if a peer had been heard.
        replica.confirm_identity();
        let vector_changes = replica.vector_changes();
        Ok(Self { replica, store, vector_changes })
    }

    /// Writes until the store has everything; the vector of the last updates comes with a second
    /// batch.
    pub fn flush(&mut self, limits: &StoreLimits) -> Result<(), StoreError> {
        loop {
            let batch = Batch::collect(&mut self.replica, self.vector_changes, limits);
            if batch.is_empty() {
                return Ok(());
            }
            self.store.commit(&batch)?;
            self.replica.stored(batch.end());
            self.vector_changes = batch.vector_changes();
        }
    }

    pub fn save(&mut self) {
        self.flush(&StoreLimits::default()).unwrap();
    }
}

impl StoredMap {
    pub fn set(&mut self, key: &str, value: u64) {
        let now = self.replica.head() as f64 + 1.0;
        self.replica.local_update(now, LwwMap::set(key, &value).unwrap()).unwrap();
    }
}

/// Equal in everything that a peer or an application can see.
pub fn assert_same<M: Model>(a: &Replica<M>, b: &Replica<M>) {
    use scuttlebutt::VersionVector;
    assert_eq!(a.id(), b.id());
    assert_eq!(a.model().view(), b.model().view());
    assert_eq!(a.version_vector(), b.version_vector());
    let nothing = VersionVector::new();
    assert!(a.updates_since(&nothing).eq(b.updates_since(&nothing)));
    assert_eq!(a.updates_held(), b.updates_held());
}
