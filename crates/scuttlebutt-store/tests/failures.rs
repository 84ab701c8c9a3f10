//! Disks that are full, read-only or failing: what was confirmed stays, and nobody pretends.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::ReadableTable;

use common::{Stored, StoredLog, StoredMap, TempDir, assert_same, open, options, source};
use scuttlebutt::EventLog;
use scuttlebutt_store::{
    Batch, Durability, FILE_NAME, Faults, Operation, Options, Store, StoreError, StoreLimits,
};

/// Fails one kind of operation while it is switched on.
#[derive(Debug)]
struct Failing {
    operation: Operation,
    kind: io::ErrorKind,
    is_on: AtomicBool,
}

impl Faults for Failing {
    fn before(&self, operation: Operation) -> io::Result<()> {
        if self.is_on.load(Ordering::SeqCst) && operation == self.operation {
            return Err(self.kind.into());
        }
        Ok(())
    }
}

/// Opens a store, writes, lets the operation fail, and looks at what it says and holds afterwards.
fn fails(operation: Operation, kind: io::ErrorKind) -> StoreError {
    let dir = TempDir::new("failing");
    let faults = Arc::new(Failing { operation, kind, is_on: AtomicBool::new(false) });
    let (store, _) =
        Store::open(dir.path(), Options { faults: Some(faults.clone()), ..options("A") }).unwrap();
    let mut a = StoredMap::load(store).unwrap();
    a.set("confirmed", 1);
    a.save();
    let vector = a.replica.version_vector();

    faults.is_on.store(true, Ordering::SeqCst);
    // Long enough for the file to have to grow.
    for n in 0..20_000 {
        a.set(&format!("lost{n}"), n);
    }
    let error = a.flush(&StoreLimits::default()).unwrap_err();
    faults.is_on.store(false, Ordering::SeqCst);
    assert_eq!(a.replica.version_vector(), vector, "nothing is announced that is not durable");
    let batch = Batch::collect(&mut a.replica, 0, &StoreLimits::default());
    let refused = a.store.commit(&batch).unwrap_err();
    assert!(matches!(refused, StoreError::Stopped { .. }), "{refused}");
    assert!(refused.to_string().contains(&error.to_string()), "it says why: {refused}");
    assert!(matches!(a.store.set_id(source("B")), Err(StoreError::Stopped { .. })));
    assert_eq!(a.store.id(), source("A"));
    drop(a);

    let (mut back, opened) = StoredMap::open(dir.path(), "A");
    assert_eq!(opened.renewed, None);
    assert_eq!(back.replica.model().get::<u64>("confirmed").unwrap(), Some(1));
    back.set("more", 1);
    back.save();
    error
}

#[test]
fn a_failed_sync_stops_the_store() {
    let error = fails(Operation::Sync, io::ErrorKind::Other);
    assert!(matches!(error, StoreError::Io { doing: "writing updates", .. }), "{error}");
}

#[test]
fn a_failed_write_stops_the_store() {
    let error = fails(Operation::Write, io::ErrorKind::Other);
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
}

#[test]
fn a_disk_that_is_full_stops_the_store() {
    for operation in [Operation::Grow, Operation::Write] {
        let error = fails(operation, io::ErrorKind::StorageFull);
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
    }
}

/// A small file system in memory. `None`, said loudly, where it may not be mounted.
struct Mount(TempDir);

impl Mount {
    fn new(options: &str) -> Option<Self> {
        let dir = TempDir::new("mount");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(dir.path())
            .status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Self(dir));
        }
        eprintln!("SKIPPED: no right to mount a file system for this test");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status =
            Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn emit(log: &mut StoredLog, count: u32) {
    for n in 0..count {
        let now = f64::from(n) + 1.0;
        log.replica
            .local_update(now, EventLog::emit("event", &["x".repeat(100)]).unwrap())
            .unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_confirmed() {
    let Some(mount) = Mount::new("size=1m") else { return };
    for durability in [Durability::Synced, Durability::Buffered] {
        let dir = mount.path().join(format!("{durability:?}"));
        let open = || {
            let (store, _) = Store::open(
                &dir,
                Options { durability, model: "events".to_owned(), ..options("A") },
            )
            .unwrap();
            StoredLog::load(store).unwrap()
        };
        let mut log = open();
        let mut confirmed = 0;
        let error = loop {
            emit(&mut log, 50);
            match log.flush(&StoreLimits::default()) {
                Ok(()) => confirmed = log.replica.model().len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        assert!(error.to_string().contains("free some and start again"), "{error}");
        assert!(confirmed > 1_000, "{confirmed}");
        drop(log);

        // Started again on the full disk it says so, or shows everything; it never damages anything.
        match Store::open(&dir, Options { model: "events".to_owned(), ..options("A") }) {
            Ok((store, _)) => assert!(StoredLog::load(store).unwrap().replica.head() > 0),
            Err(error) => assert!(matches!(error, StoreError::NoSpace { .. }), "{error}"),
        }
        mount.remount("size=8m");
        let mut log = open();
        assert!(log.replica.model().len() >= confirmed);
        emit(&mut log, 5_000);
        log.save();
        let replica = log.replica;
        drop(log.store);
        assert_same(&replica, &open().replica);
        std::fs::remove_dir_all(&dir).unwrap();
        mount.remount("size=1m");
    }
}

#[test]
fn a_read_only_disk_is_named() {
    let Some(mount) = Mount::new("size=1m") else { return };
    let dir = mount.path().join("store");
    drop(open(&dir, "A").unwrap());
    mount.remount("ro");
    let refused = open(&dir, "A").unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
    let refused = open(&mount.path().join("other"), "A").unwrap_err();
    assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused}");
    assert!(refused.to_string().contains("other"), "{refused}");
}

/// The machine stops: what the next start finds is a file that was not closed, under another boot.
#[test]
fn a_buffered_store_takes_a_fresh_id_after_the_machine_stopped() {
    use scuttlebutt_store::Renewed;

    for durability in [Durability::Buffered, Durability::Synced] {
        let (dir, image) = (TempDir::new("machine"), TempDir::new("image"));
        let (store, _) = Store::open(dir.path(), Options { durability, ..options("A") }).unwrap();
        let mut a = StoredMap::load(store).unwrap();
        a.set("k", 1);
        a.save();
        std::fs::copy(dir.join(FILE_NAME), image.join(FILE_NAME)).unwrap();
        drop(a);
        pretend_earlier_boot(image.path());
        // In place, so that the file is no copy.
        let content = std::fs::read(image.join(FILE_NAME)).unwrap();
        std::fs::write(dir.join(FILE_NAME), content).unwrap();

        let (back, opened) = Stored::<scuttlebutt::LwwMap>::open(dir.path(), "B");
        let of = source("A");
        let expected = match durability {
            Durability::Buffered => Some(Renewed::MachineStopped { of }),
            _ => None,
        };
        assert_eq!((opened.recovered, opened.renewed), (true, expected));
        assert_eq!(back.replica.model().get::<u64>("k").unwrap(), Some(1));
    }
}

/// Rewrites what the store remembers of the machine's start, without closing the file.
fn pretend_earlier_boot(dir: &Path) {
    let path = dir.join(FILE_NAME);
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let definition = redb::TableDefinition::<&str, &[u8]>::new("meta");
        let mut table = transaction.open_table(definition).unwrap();
        let held = table.get("session").unwrap().map(|record| record.value().to_vec());
        if held.is_some() {
            let body = b"buffered;an-earlier-boot";
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(b"session");
            hasher.update(body);
            let record = [&hasher.finalize().to_le_bytes()[..], body].concat();
            table.insert("session", record.as_slice()).unwrap();
        }
    }
    transaction.commit().unwrap();
    // The file as it is while somebody has it open.
    let open = std::fs::read(&path).unwrap();
    drop(database);
    std::fs::write(&path, open).unwrap();
}
