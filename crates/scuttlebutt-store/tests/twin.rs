//! Random lives of a store against a replica that only lives in memory.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use common::{StoredMap, TempDir, assert_same, options, source};
use proptest::prelude::*;
use proptest::test_runner::{FailurePersistence, FileFailurePersistence};
use scuttlebutt::{LwwMap, Replica, Timestamp, Update, VersionVector};
use scuttlebutt_store::{Batch, Durability, Options, Store, StoreLimits};

/// Buffered, because nothing here asks whether a sync reached the disk.
fn open(dir: &TempDir) -> StoredMap {
    let options = Options { durability: Durability::Buffered, ..options("A") };
    StoredMap::load(Store::open(dir.path(), options).unwrap().0).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Set { key: u8, value: u16 },
    Delete { key: u8 },
    Remote { source: u8, key: u8, at: u16 },
    Promise { source: u8, at: u16 },
    Commit { updates_max: usize },
    Reopen,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u8, any::<u16>()).prop_map(|(key, value)| Step::Set { key, value }),
        2 => (0..12u8).prop_map(|key| Step::Delete { key }),
        6 => (0..4u8, 0..12u8, 1..2_000u16)
            .prop_map(|(source, key, at)| Step::Remote { source, key, at }),
        2 => (0..4u8, 1..2_000u16).prop_map(|(source, at)| Step::Promise { source, at }),
        4 => (1..20usize).prop_map(|updates_max| Step::Commit { updates_max }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Compact),
    ]
}

fn apply(replica: &mut Replica<LwwMap>, now: f64, step: &Step) {
    match step {
        Step::Set { key, value } => {
            replica.local_update(now, LwwMap::set(format!("k{key}"), value).unwrap()).unwrap();
        }
        Step::Delete { key } => {
            replica.local_update(now, LwwMap::remove(format!("k{key}"))).unwrap();
        }
        Step::Remote { source, key, at } => {
            let line = format!(r#"[["k{key}",{at}],{at},"S{source}"]"#);
            replica.remote_update(now, Update::from_json(&line).unwrap());
        }
        Step::Promise { source: name, at } => {
            let at = Timestamp::new(f64::from(*at)).unwrap();
            let entry = (source(&format!("S{name}")), at);
            replica.promise(&VersionVector::from_iter([entry]));
        }
        Step::Commit { .. } | Step::Reopen | Step::Compact => {}
    }
}

fn regressions() -> Option<Box<dyn FailurePersistence>> {
    Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/twin.txt")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: regressions(), ..ProptestConfig::default() })]

    /// Whatever happens between, a store that has everything gives back the replica that never
    /// closed; and after a start that finds less, what it finds is an earlier state of it.
    #[test]
    fn a_store_gives_back_what_memory_would_hold(
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let dir = TempDir::new("twin");
        let mut stored = open(&dir);
        let mut twin = Replica::new(source("A"), LwwMap::new());
        for (number, step) in steps.iter().enumerate() {
            let now = number as f64 + 1.0;
            apply(&mut stored.replica, now, step);
            apply(&mut twin, now, step);
            match step {
                Step::Commit { updates_max } => {
                    let limits =
                        StoreLimits { batch_updates_max: *updates_max, ..StoreLimits::default() };
                    let seen = stored.vector_changes;
                    let batch = Batch::collect(&mut stored.replica, seen, &limits);
                    stored.store.commit(&batch).unwrap();
                    stored.replica.stored(batch.end());
                    stored.vector_changes = batch.vector_changes();
                }
                Step::Reopen => {
                    stored.save();
                    drop(stored.store);
                    stored = open(&dir);
                    assert_same(&stored.replica, &twin);
                }
                Step::Compact => stored.store.compact().unwrap(),
                _ => {}
            }
        }
        // Without a last commit.
        let durable = stored.replica.durable();
        let vector = stored.replica.version_vector();
        drop(stored);
        let mut back = open(&dir);
        prop_assert!(back.replica.head() <= durable);
        for (source, at) in vector.iter() {
            prop_assert!(back.replica.newest_held(source) >= Some(at), "evidence for what was announced");
        }
        // What it lacks, it takes from a peer.
        for update in twin.updates_since(&VersionVector::new()) {
            back.replica.remote_update(1e9, update.clone());
        }
        back.replica.promise(&twin.version_vector());
        back.save();
        prop_assert_eq!(back.replica.model().to_json(), twin.model().to_json());
    }
}
