//! Bits that flip: nothing damaged is used or passed over in silence, and what is whole comes back.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::fs;
use std::path::Path;

use common::{Stored, StoredMap, TempDir, assert_same, open, options, source};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use scuttlebutt::{LwwMap, Replica, VersionVector};
use scuttlebutt_store::{FILE_NAME, LOCK_NAME, Options, Store, StoreError};

const KEYS: u64 = 500;

/// A closed store of 500 keys, of which some were written twice, and what it holds.
fn store(dir: &Path) -> Replica<LwwMap> {
    let (mut a, _) = StoredMap::open(dir, "A");
    for n in 0..KEYS + 100 {
        a.set(&format!("key {}", n % KEYS), n);
        if n % 50 == 0 {
            a.save();
        }
    }
    a.save();
    a.replica
}

fn find(content: &[u8], text: &str) -> usize {
    let at = content.windows(text.len()).rposition(|window| window == text.as_bytes());
    at.unwrap_or_else(|| panic!("{text} is not in the file"))
}

fn flip(dir: &Path, text: &str) {
    let path = dir.join(FILE_NAME);
    let mut content = fs::read(&path).unwrap();
    let at = find(&content, text);
    // Also where pages that are free now still hold it.
    for start in 0..=at {
        if content[start..].starts_with(text.as_bytes()) {
            content[start + 2] ^= 0x10;
        }
    }
    fs::write(path, content).unwrap();
}

/// All but the lock, which stays.
fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != LOCK_NAME)
        .collect();
    names.sort();
    names
}

#[test]
fn a_flipped_bit_is_found_named_and_repaired() {
    let dir = TempDir::new("flipped");
    let replica = store(dir.path());
    flip(dir.path(), r#"["key 300","#);

    let (held, _) = open(dir.path(), "A").unwrap();
    let error = StoredMap::load(held).err().expect("damage is not passed over");
    let StoreError::Damaged { damage, .. } = &error else { panic!("{error}") };
    assert_eq!((damage.updates, &damage.positions[..]), (1, &[300][..]), "{error}");
    assert!(error.to_string().contains("at positions 300"), "{error}");
    let inspection = Store::inspect_dir(dir.path(), &Default::default()).unwrap();
    assert_eq!((inspection.updates, &inspection.damage), (KEYS - 1, &**damage));
    let backup = dir.join("backup");
    let (held, _) = open(dir.path(), "A").unwrap();
    assert!(matches!(held.backup(&backup), Err(StoreError::Damaged { .. })));
    assert!(files(&backup).is_empty());
    drop(held);
    fs::remove_dir(backup).unwrap();

    let refused = Store::repair(dir.path(), &options("A")).unwrap_err();
    assert!(matches!(refused, StoreError::IdNotFresh { .. }), "{refused}");
    let refused = Store::repair(dir.path(), &Options::new("other", source("B"))).unwrap_err();
    assert!(matches!(refused, StoreError::WrongModel { .. }), "{refused}");
    assert_eq!(files(dir.path()), [FILE_NAME], "a refusal leaves nothing behind");

    let damaged = fs::read(dir.join(FILE_NAME)).unwrap();
    let repaired = Store::repair(dir.path(), &options("B")).unwrap();
    assert_eq!((repaired.kept, repaired.salvaged), (KEYS - 1, false));
    assert_eq!(repaired.dropped, **damage);
    let aside = format!("{FILE_NAME}.damaged-1");
    assert_eq!(files(dir.path()), [FILE_NAME, &aside]);
    assert_eq!(repaired.original, Some(dir.join(&aside)));
    let kept = fs::read(dir.join(&aside)).unwrap();
    assert!(kept == damaged, "the damaged file is kept as it was");

    let (mut b, opened) = StoredMap::open(dir.path(), "C");
    assert_eq!((b.replica.id(), opened.renewed), (&source("B"), None));
    assert!(b.replica.version_vector().is_empty(), "so that peers send what was lost");
    assert!(!b.replica.model().contains("key 300"));
    for update in replica.updates_since(&b.replica.version_vector()) {
        b.replica.remote_update(1e9, update.clone());
    }
    b.replica.promise(&replica.version_vector());
    b.save();
    assert_eq!(b.replica.model().to_json(), replica.model().to_json());
    assert_eq!(b.replica.version_vector(), replica.version_vector());
}

#[test]
fn nothing_is_done_to_a_whole_store() {
    let dir = TempDir::new("whole");
    let replica = store(dir.path());
    let before = fs::read(dir.join(FILE_NAME)).unwrap();
    let repaired = Store::repair(dir.path(), &options("B")).unwrap();
    assert!(repaired.dropped.is_none() && repaired.original.is_none(), "{repaired:?}");
    assert_eq!(repaired.kept, KEYS);
    assert_eq!(files(dir.path()), [FILE_NAME]);
    assert!(before == fs::read(dir.join(FILE_NAME)).unwrap());
    assert_same(&replica, &StoredMap::open(dir.path(), "B").0.replica);
}

#[test]
fn a_store_in_use_is_not_repaired() {
    let dir = TempDir::new("in-use");
    let (_a, _) = StoredMap::open(dir.path(), "A");
    let refused = Store::repair(dir.path(), &options("B")).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    let refused = Store::inspect_dir(dir.path(), &Default::default()).unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert_eq!(files(dir.path()), [FILE_NAME]);
}

#[test]
fn what_a_store_never_wrote_is_not_repaired() {
    let dir = TempDir::new("not-mine");
    let refused = Store::repair(dir.path(), &options("B")).unwrap_err();
    assert!(matches!(refused, StoreError::Missing { .. }), "{refused}");
    fs::write(dir.join(FILE_NAME), "text\n".repeat(10_000)).unwrap();
    let refused = Store::repair(dir.path(), &options("B")).unwrap_err();
    assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused}");
    assert_eq!(files(dir.path()), [FILE_NAME]);
}

/// The engine cannot open a file without its first page; the updates are in the others.
#[test]
fn updates_are_found_in_a_file_that_the_engine_cannot_open() {
    for cut in [false, true] {
        let dir = TempDir::new("headless");
        let replica = store(dir.path());
        let path = dir.join(FILE_NAME);
        let mut content = fs::read(&path).unwrap();
        if cut {
            let half = content.len() / 2;
            content.truncate(half);
        } else {
            content[..4096].fill(0);
        }
        fs::write(&path, content).unwrap();
        let error =
            open(dir.path(), "B").and_then(|(held, _)| StoredMap::load(held)).err().unwrap();
        assert!(
            matches!(error, StoreError::Damaged { .. } | StoreError::NotAStore { .. }),
            "{error}"
        );

        let repaired = Store::repair(dir.path(), &options("B")).unwrap();
        assert!(repaired.salvaged && repaired.kept > KEYS / 4, "{repaired:?}");
        let (back, _) = StoredMap::open(dir.path(), "C");
        assert_eq!(*back.replica.id(), source("B"));
        if !cut {
            assert_eq!(back.replica.model().to_json(), replica.model().to_json());
        }
    }
}

/// Wherever one byte is changed: the store shows what it held, or says that it is damaged. Repaired,
/// it shows nothing but what it held. `SCUTTLEBUTT_SEED` repeats a run, `SCUTTLEBUTT_ROUNDS` looks
/// harder.
#[test]
fn no_damage_is_passed_over_wherever_it_is() {
    let seed = std::env::var("SCUTTLEBUTT_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |seed| seed.parse().unwrap());
    println!("SCUTTLEBUTT_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let dir = TempDir::new("anywhere");
    let replica = store(dir.path());
    let path = dir.join(FILE_NAME);
    let whole = fs::read(&path).unwrap();
    let all: Vec<_> = replica.updates_since(&VersionVector::new()).map(|u| u.to_json()).collect();
    let (mut unharmed, mut found, mut kept_least) = (0, 0, KEYS);
    let mut failure = None;
    let rounds = std::env::var("SCUTTLEBUTT_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let at = chance.random_range(0..whole.len());
        let mut content = whole.clone();
        content[at] ^= chance.random_range(1..=u8::MAX);
        fs::write(&path, &content).unwrap();
        let outcome = open(dir.path(), "fresh").and_then(|(held, _)| {
            let held = Stored::<LwwMap>::load(held)?;
            Ok(held.replica)
        });
        match outcome {
            Ok(back) => {
                unharmed += 1;
                // A byte of the id may have made another id of it, had it no checksum.
                if back.model().to_json() != replica.model().to_json()
                    || back.version_vector() != replica.version_vector()
                {
                    failure = Some(format!("round {round}: byte {at} was passed over"));
                }
            }
            Err(StoreError::Damaged { .. } | StoreError::NotAStore { .. }) => {
                found += 1;
                fs::write(&path, &content).unwrap();
                match Store::repair(dir.path(), &options("B")) {
                    Err(error) => failure = Some(format!("round {round}, byte {at}: {error}")),
                    Ok(repaired) => {
                        kept_least = kept_least.min(repaired.kept);
                        println!("round {round}: byte {at}, {repaired:?}");
                        let back = StoredMap::open(dir.path(), "C").0.replica;
                        let mut updates = back.updates_since(&VersionVector::new());
                        if !repaired.salvaged && !updates.all(|u| all.contains(&u.to_json())) {
                            failure = Some(format!("round {round}: an update from nowhere"));
                        }
                    }
                }
                for aside in files(dir.path()).iter().filter(|name| *name != FILE_NAME) {
                    fs::remove_file(dir.join(aside)).unwrap();
                }
            }
            Err(error) => failure = Some(format!("round {round}, byte {at}: {error}")),
        }
        if failure.is_some() {
            break;
        }
    }
    assert_eq!(failure, None);
    println!("{unharmed} unharmed, {found} found, at least {kept_least} of {KEYS} kept");
    assert!(unharmed > 0 && found > 0);
    assert!(kept_least > KEYS / 2, "{kept_least}");
}
