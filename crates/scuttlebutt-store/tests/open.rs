//! Opening: what is found, what is refused, and when a store must take a fresh id.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::fs;
use std::process::Command;

use common::{StoredMap, TempDir, assert_same, open, options, source};
use scuttlebutt::{EventLog, LwwMap, Replica};
use scuttlebutt_store::{Durability, FILE_NAME, FORMAT, Options, Renewed, Store, StoreError};

#[test]
fn comes_back_as_it_was() {
    for durability in [Durability::Buffered, Durability::Synced] {
        let dir = TempDir::new("reopen");
        let open = || {
            let (store, opened) =
                Store::open(dir.path(), Options { durability, ..options("A") }).unwrap();
            (StoredMap::load(store).unwrap(), opened)
        };
        let (mut a, opened) = open();
        assert!(opened.created && !opened.recovered && opened.renewed.is_none());
        for n in 0..1_000 {
            a.set(&format!("k{}", n % 100), n);
            if n % 70 == 0 {
                a.save();
            }
        }
        let line = r#"[["far",{"x":[1,"é"]}],5000,"B","signature"]"#;
        a.replica.remote_update(9e9, scuttlebutt::Update::from_json(line).unwrap());
        a.replica.promise(&[(source("B"), scuttlebutt::Timestamp::MAX)].into_iter().collect());
        a.save();
        let StoredMap { replica, store, .. } = a;
        drop(store);

        let (mut back, opened) = open();
        assert!(!opened.created && !opened.recovered && opened.renewed.is_none(), "{opened:?}");
        assert_same(&replica, &back.replica);
        assert_eq!(back.replica.version_vector().len(), 2);
        back.set("k1", 7);
        back.save();
    }
}

#[test]
fn what_was_not_committed_is_not_there() {
    let dir = TempDir::new("uncommitted");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("k", 1);
    a.save();
    a.set("k", 2);
    drop(a);
    let (back, _) = StoredMap::open(dir.path(), "A");
    assert_eq!(back.replica.model().get::<u64>("k").unwrap(), Some(1));
}

#[test]
fn one_process_at_a_time() {
    let dir = TempDir::new("locked");
    if let Ok(path) = std::env::var("SCUTTLEBUTT_STORE_LOCKED") {
        let refused = open(path.as_ref(), "B").unwrap_err();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
        println!("refused: {refused}");
        return;
    }
    let (_a, _) = StoredMap::open(dir.path(), "A");
    let again = open(dir.path(), "B").unwrap_err();
    assert!(matches!(again, StoreError::Locked { .. }), "in the same process: {again}");
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "one_process_at_a_time", "--nocapture"])
        .env("SCUTTLEBUTT_STORE_LOCKED", dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&other.stdout);
    assert!(other.status.success() && said.contains("refused: "), "{said}");
}

#[test]
fn holds_one_model_for_good() {
    let dir = TempDir::new("model");
    drop(open(dir.path(), "A").unwrap());
    let refused = Store::open(dir.path(), Options::new("other", source("A"))).unwrap_err();
    assert!(refused.to_string().contains("holds a `map`, not a `other`"), "{refused}");
    assert!(matches!(refused, StoreError::WrongModel { .. }));
    // Nor is it loaded into another, whatever it was opened as.
    let (store, _) = open(dir.path(), "A").unwrap();
    let refused = store.load(Replica::new(store.id(), EventLog::new()), |_| ()).err().unwrap();
    assert!(refused.to_string().contains("holds a `map`, not a `events`"), "{refused}");
    assert!(store.load(Replica::new(store.id(), LwwMap::new()), |_| ()).is_ok());
}

#[test]
fn other_files_are_no_store_and_stay_as_they_are() {
    for content in [&b""[..], b"x", &[0; 8192], "text\n".repeat(5_000).as_bytes()] {
        let dir = TempDir::new("no-store");
        fs::write(dir.join(FILE_NAME), content).unwrap();
        let refused = open(dir.path(), "A").unwrap_err();
        assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused}");
        assert_eq!(fs::read(dir.join(FILE_NAME)).unwrap(), content);
    }
}

#[test]
fn a_database_of_something_else_is_no_store() {
    let dir = TempDir::new("else");
    let other = redb::Database::create(dir.join(FILE_NAME)).unwrap();
    let transaction = other.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<u32, u32>::new("meta")).unwrap();
    transaction.commit().unwrap();
    drop(other);
    let refused = open(dir.path(), "A").unwrap_err();
    assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused}");
}

/// Makes a store say that it is in another format.
fn set_format(dir: &TempDir, format: u32) {
    drop(open(dir.path(), "A").unwrap());
    let database = redb::Database::open(dir.join(FILE_NAME)).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(b"format");
    hasher.update(&format.to_le_bytes());
    let record = [hasher.finalize().to_le_bytes(), format.to_le_bytes()].concat();
    transaction
        .open_table(redb::TableDefinition::<&str, &[u8]>::new("meta"))
        .unwrap()
        .insert("format", record.as_slice())
        .unwrap();
    transaction.commit().unwrap();
}

#[test]
fn another_format_is_left_alone() {
    let (newer, older) = (TempDir::new("newer"), TempDir::new("older"));
    set_format(&newer, FORMAT + 1);
    let refused = open(newer.path(), "A").unwrap_err();
    assert!(matches!(refused, StoreError::Newer { format, .. } if format > FORMAT), "{refused}");
    set_format(&older, FORMAT - 1);
    let refused = open(older.path(), "A").unwrap_err();
    assert!(matches!(refused, StoreError::Older { format, .. } if format < FORMAT), "{refused}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new("file");
    fs::write(dir.join("file"), b"").unwrap();
    let refused = open(&dir.join("file").join("store"), "A").unwrap_err();
    assert!(matches!(refused, StoreError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains("file/store"), "{refused}");
}

/// A copy must not write under the id of the original: both could be running.
#[test]
fn a_copy_takes_a_fresh_id_and_keeps_the_updates() {
    let (dir, copy) = (TempDir::new("original"), TempDir::new("copy"));
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("k", 1);
    a.save();
    let StoredMap { replica, store, .. } = a;
    drop(store);
    fs::copy(dir.join(FILE_NAME), copy.join(FILE_NAME)).unwrap();

    let refused = open(copy.path(), "A").unwrap_err();
    assert!(matches!(refused, StoreError::IdNotFresh { .. }), "{refused}");
    let (mut b, opened) = StoredMap::open(copy.path(), "B");
    assert_eq!(opened.renewed, Some(Renewed::Copied { of: source("A") }));
    assert_eq!(*b.replica.id(), source("B"));
    assert_eq!(b.replica.version_vector(), replica.version_vector());
    assert_eq!(b.replica.model().get::<u64>("k").unwrap(), Some(1));
    b.set("j", 2);
    b.save();
    drop(b);
    let (b, opened) = StoredMap::open(copy.path(), "C");
    assert_eq!((b.replica.id(), opened.renewed), (&source("B"), None), "once");
    assert_eq!(b.replica.version_vector().len(), 2);
    let (a, opened) = StoredMap::open(dir.path(), "D");
    assert_eq!((a.replica.id(), opened.renewed), (&source("A"), None), "the original goes on");
}

/// What `tar` and a move to another directory of the same file system do.
#[test]
fn a_moved_store_is_no_copy_and_an_unpacked_one_is() {
    let dir = TempDir::new("tar");
    drop(open(&dir.join("store"), "A").unwrap());
    let run = |args: &[&str]| {
        let status = Command::new("tar").current_dir(dir.path()).args(args).status().unwrap();
        assert!(status.success());
    };
    run(&["cf", "store.tar", "store"]);
    fs::rename(dir.join("store"), dir.join("moved")).unwrap();
    assert_eq!(open(&dir.join("moved"), "B").unwrap().1.renewed, None);
    run(&["xf", "store.tar"]);
    let (store, opened) = open(&dir.join("store"), "B").unwrap();
    assert_eq!(opened.renewed, Some(Renewed::Copied { of: source("A") }));
    assert_eq!(store.id(), source("B"));
}

#[test]
fn an_id_that_was_set_holds() {
    let dir = TempDir::new("set-id");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("k", 1);
    a.save();
    a.store.set_id(source("B")).unwrap();
    a.replica.renew_identity(1_000.0, source("B"));
    a.set("k", 2);
    a.save();
    let vector = a.replica.version_vector();
    drop(a);
    let (back, opened) = StoredMap::open(dir.path(), "C");
    assert_eq!((back.replica.id(), opened.renewed), (&source("B"), None));
    assert_eq!(back.replica.version_vector(), vector);
}

#[test]
fn only_an_empty_replica_of_its_own_id_is_loaded() {
    let dir = TempDir::new("wrong-replica");
    let (store, _) = open(dir.path(), "A").unwrap();
    let other = store.load(Replica::new(source("B"), LwwMap::new()), |_| ()).unwrap_err();
    assert!(matches!(other, StoreError::WrongReplica { .. }), "{other}");
    let mut used = Replica::new(source("A"), LwwMap::new());
    used.local_update(1.0, LwwMap::set("k", &1).unwrap()).unwrap();
    assert!(matches!(store.load(used, |_| ()), Err(StoreError::WrongReplica { .. })));
}

#[test]
fn loading_tells_how_far_it_is() {
    let dir = TempDir::new("progress");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    for n in 0..10_000 {
        a.set(&format!("k{n}"), n);
    }
    a.save();
    drop(a);
    let mut tenths = options("A");
    tenths.limits.progress_updates = 1_000;
    let (store, _) = Store::open(dir.path(), tenths).unwrap();
    let mut seen = Vec::new();
    store.load(Replica::new(store.id(), LwwMap::new()), |at| seen.push(at)).unwrap();
    assert!((3..=11).contains(&seen.len()), "{seen:?}");
    assert!(seen.iter().all(|at| (9_000..11_000).contains(&at.updates_total)), "{seen:?}");
    let last = seen.last().unwrap();
    assert_eq!((last.updates, last.updates_total), (10_000, 10_000));
}
