//! Looking at stores and taking care of them: inspection, backups, ranges, compaction.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::fs;
use std::ops::ControlFlow;

use common::{StoredMap, TempDir, assert_same, open, source};
use scuttlebutt::{Timestamp, Update};
use scuttlebutt_store::{FORMAT, Renewed, Selection, Store, StoreError};

fn at(millis: f64) -> Timestamp {
    Timestamp::new(millis).unwrap()
}

/// 100 updates of A at 1 to 100, and 10 of B at 1001 to 1010, promised up to 1005.
fn filled(dir: &TempDir) -> StoredMap {
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    for n in 0..100 {
        a.set(&format!("a{n}"), n);
    }
    for n in 1..=10 {
        let line = format!(r#"[["b{n}",{n}],{},"B"]"#, 1_000 + n);
        a.replica.remote_update(1e9, Update::from_json(&line).unwrap());
    }
    a.replica.promise(&[(source("B"), at(1_005.0))].into_iter().collect());
    a.save();
    a
}

#[test]
fn an_inspection_counts_what_is_there() {
    let dir = TempDir::new("inspect");
    let a = filled(&dir);
    let open = a.store.inspect().unwrap();
    assert_eq!((open.format, &open.id, open.model.as_str()), (FORMAT, &source("A"), "map"));
    assert_eq!((open.updates, open.sources.len()), (110, 2));
    let b = &open.sources[&source("B")];
    assert_eq!((b.updates, b.oldest, b.newest), (10, Some(at(1_001.0)), Some(at(1_010.0))));
    assert_eq!(b.announced, Some(at(1_005.0)));
    assert_eq!(open.time_range(), Some((at(1.0), at(1_010.0))));
    let text: usize = a.replica.updates_since(&Default::default()).map(|u| u.to_json().len()).sum();
    let around = (open.update_bytes - text as u64) / 110;
    assert!((5..30).contains(&around), "{around} bytes for each update beside its text");
    assert!(open.live_bytes > open.update_bytes && open.live_bytes < open.file_bytes, "{open:?}");
    assert!(open.damage.is_none());
    drop(a);
    let before = fs::read(&open.path).unwrap();
    let closed = Store::inspect_dir(dir.path(), &Default::default()).unwrap();
    assert_eq!(closed.sources, open.sources);
    assert!(before == fs::read(&open.path).unwrap(), "it only looks");
    let missing = Store::inspect_dir(dir.join("nowhere"), &Default::default()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing}");
}

#[test]
fn ranges_are_read_by_source_and_time() {
    let dir = TempDir::new("range");
    let a = filled(&dir);
    let read = |selection: &Selection| {
        let mut found = Vec::new();
        let visit = |position: u64, update: Update| {
            found.push((position, update.timestamp().as_millis()));
            ControlFlow::Continue(())
        };
        a.store.read(selection, visit).unwrap();
        found
    };
    assert_eq!(read(&Selection::default()).len(), 110);
    let of_b = Selection { source: Some(source("B")), ..Selection::default() };
    assert_eq!(read(&of_b).len(), 10);
    let some = Selection { from: Some(at(99.0)), until: Some(at(1_002.0)), source: None };
    assert_eq!(read(&some), [(98, 99.0), (99, 100.0), (100, 1_001.0), (101, 1_002.0)]);
    let mut seen = 0;
    let first = |_, _| {
        seen += 1;
        ControlFlow::Break(())
    };
    a.store.read(&of_b, first).unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn a_backup_is_what_was_there_and_never_writes_under_the_same_id() {
    let dir = TempDir::new("backup");
    let mut a = filled(&dir);
    let backup = a.store.backup(dir.join("backup")).unwrap();
    assert_eq!(backup.updates, 110);
    let (then, vector) = (a.replica.model().to_json(), a.replica.version_vector());
    a.set("later", 1);
    a.save();
    let again = a.store.backup(dir.join("backup")).unwrap_err();
    assert!(matches!(again, StoreError::Exists { .. }), "{again}");

    let (restored, opened) = StoredMap::open(&dir.join("backup"), "R");
    assert_eq!(opened.renewed, Some(Renewed::Copied { of: source("A") }));
    assert_eq!(*restored.replica.id(), source("R"));
    assert_eq!(restored.replica.model().to_json(), then);
    assert_eq!(restored.replica.version_vector(), vector);
}

/// Put back over the file itself, which keeps its place on the disk.
#[test]
fn a_backup_that_is_put_back_in_place_takes_a_fresh_id() {
    let dir = TempDir::new("in-place");
    let a = filled(&dir);
    a.store.backup(dir.join("backup")).unwrap();
    let path = a.store.path().to_owned();
    drop(a);
    let content = fs::read(dir.join("backup").join(path.file_name().unwrap())).unwrap();
    fs::write(path, content).unwrap();
    let (_, opened) = StoredMap::open(dir.path(), "R");
    assert_eq!(opened.renewed, Some(Renewed::Copied { of: source("A") }));
}

#[test]
fn a_backup_is_consistent_while_commits_go_on() {
    let dir = TempDir::new("busy");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("k", 0);
    a.save();
    let StoredMap { mut replica, store, .. } = a;
    let store = std::sync::Arc::new(store);
    let writer = store.clone();
    let is_done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = is_done.clone();
    let thread = std::thread::spawn(move || {
        let mut seen = 0;
        // Two keys that always change together.
        for n in 1..u64::MAX {
            for key in ["left", "right"] {
                let change = scuttlebutt::LwwMap::set(key, &n).unwrap();
                replica.local_update(1.0, change).unwrap();
            }
            let batch = scuttlebutt_store::Batch::collect(&mut replica, seen, &Default::default());
            writer.commit(&batch).unwrap();
            replica.stored(batch.end());
            seen = batch.vector_changes();
            if stop.load(std::sync::atomic::Ordering::Relaxed) {
                return n;
            }
        }
        unreachable!("it is stopped")
    });
    let backups: Vec<_> = (0..10).map(|n| dir.join(&format!("backup-{n}"))).collect();
    for backup in &backups {
        store.backup(backup).unwrap();
    }
    is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = thread.join().unwrap();
    let mut last = 0;
    for backup in &backups {
        let model = StoredMap::open(backup, "R").0.replica.model().clone();
        let [left, right] = ["left", "right"].map(|key| model.get::<u64>(key).unwrap());
        assert_eq!(left, right);
        assert!(left.unwrap_or(0) >= last);
        last = left.unwrap_or(0);
    }
    assert!(last > 0 && written > last, "{last} of {written}");
}

#[test]
fn compaction_gives_space_back_and_keeps_everything() {
    let dir = TempDir::new("compact");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    for n in 0..20_000 {
        a.set(&format!("k{n}"), n);
    }
    a.save();
    for n in 0..20_000 {
        a.set(&format!("k{}", n % 100), n);
        a.set(&format!("k{n}"), n);
        if n % 2_000 == 0 {
            a.save();
        }
    }
    a.save();
    let before = a.store.inspect().unwrap();
    a.store.compact().unwrap();
    let after = a.store.inspect().unwrap();
    assert_eq!((after.updates, after.live_bytes), (before.updates, after.live_bytes));
    assert!(after.file_bytes < before.file_bytes, "{before:?} {after:?}");
    let StoredMap { replica, store, .. } = a;
    drop(store);
    assert_same(&replica, &StoredMap::load(open(dir.path(), "A").unwrap().0).unwrap().replica);
}
