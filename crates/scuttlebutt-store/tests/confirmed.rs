//! What was confirmed is there at the next opening, or its loss is told: whatever became of the last
//! commit, of the file, and of the note of what was confirmed.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use common::{Stored, StoredMap, TempDir, open, options, source};
use scuttlebutt::{LwwMap, VersionVector};
use scuttlebutt_store::{
    Batch, Damage, FILE_NAME, LOCK_NAME, Opened, Options, Renewed, Store, StoreError,
};

const PAGE_BYTES: usize = 4096;
const HEADER_BYTES: usize = 320;

/// Puts a file's content back in place, so that it is the same file.
fn put(path: &Path, content: &[u8]) {
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.write_all(content).unwrap();
    file.set_len(content.len() as u64).unwrap();
}

/// Writes what there is, in one commit.
fn commit(a: &mut StoredMap) {
    let batch = Batch::collect(&mut a.replica, a.vector_changes, &Default::default());
    a.store.commit(&batch).unwrap();
    a.replica.stored(batch.end());
    a.vector_changes = batch.vector_changes();
}

/// A file and its note as `kill -9` leaves them.
struct Killed {
    dir: TempDir,
    file: Vec<u8>,
    note: Vec<u8>,
    /// Where the last commit has changed pages.
    pages: Vec<usize>,
}

impl Killed {
    /// Some commits, and then one that is confirmed: of the key `last`, and of what it supersedes.
    fn new() -> Self {
        let dir = TempDir::new("killed");
        let (mut a, _) = StoredMap::open(dir.path(), "A");
        for n in 0..200 {
            a.set(&format!("key {n}"), n);
            if n % 40 == 0 {
                a.save();
            }
        }
        a.save();
        let before = fs::read(dir.join(FILE_NAME)).unwrap();
        a.set("last", 1);
        a.set("key 7", 8);
        commit(&mut a);
        let file = fs::read(dir.join(FILE_NAME)).unwrap();
        let note = fs::read(dir.join(LOCK_NAME)).unwrap();
        let pages = (0..file.len() / PAGE_BYTES).map(|page| page * PAGE_BYTES).filter(|at| {
            let page = |of: &[u8]| of.get(*at..*at + PAGE_BYTES).map(<[u8]>::to_vec);
            *at > 0 && page(&before) != page(&file)
        });
        let pages: Vec<_> = pages.collect();
        assert!(pages.len() > 2, "{pages:?}");
        drop(a);
        let killed = Self { dir, file, note, pages };
        killed.put(&killed.file, &killed.note);
        killed
    }

    fn put(&self, file: &[u8], note: &[u8]) {
        put(&self.dir.join(FILE_NAME), file);
        put(&self.dir.join(LOCK_NAME), note);
    }

    fn put_flipped(&self, at: usize, bit: u8) {
        let mut file = self.file.clone();
        file[at] ^= 1 << bit;
        self.put(&file, &self.note);
    }

    fn open(&self) -> Result<(StoredMap, Opened), StoreError> {
        let (store, opened) = open(self.dir.path(), "fresh")?;
        Ok((Stored::load(store)?, opened))
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.dir.join(FILE_NAME)).unwrap()
    }
}

fn has_last(map: &StoredMap) -> bool {
    map.replica.model().get::<u64>("last").unwrap() == Some(1)
        && map.replica.model().get::<u64>("key 7").unwrap() == Some(8)
}

#[test]
fn what_was_killed_has_all_and_keeps_its_id() {
    let killed = Killed::new();
    let (back, opened) = killed.open().unwrap();
    assert!(has_last(&back) && opened.recovered);
    assert_eq!((opened.renewed, back.replica.id()), (None, &source("A")));
}

/// A flip in what the last commit wrote: harmless, or told. Never is the write gone and the id the same.
#[test]
fn i3_a_flipped_bit_in_the_last_commit_is_no_silent_loss() {
    let killed = Killed::new();
    // The ninth says which commit counts, and whether the file was closed.
    let header = (0..HEADER_BYTES).step_by(3).chain([9; 8]).chain([64, 80, 168, 192, 208, 296]);
    let pages = killed
        .pages
        .iter()
        .flat_map(|page| [0, 1, 8, 20, 100, 1000, 2050, 4000, 4095].map(|offset| page + offset));
    let places: Vec<usize> = header.chain(pages).collect();
    let (mut harmless, mut told) = (0, 0);
    for (n, at) in places.into_iter().enumerate() {
        let bit = (n % 8) as u8;
        killed.put_flipped(at, bit);
        let flipped = killed.content();
        match killed.open() {
            Ok((back, opened)) => {
                let of = source("A");
                let is_told = opened.renewed == Some(Renewed::MachineStopped { of });
                assert!(has_last(&back) || is_told, "byte {at}, bit {bit}: {opened:?}");
                harmless += 1;
            }
            Err(StoreError::Damaged { .. } | StoreError::NotAStore { .. }) => {
                told += 1;
                // A file that is refused is not changed, so the next to look finds the same.
                assert!(killed.content() == flipped, "byte {at}");
                assert!(killed.open().is_err(), "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    println!("{harmless} harmless, {told} told");
    assert!(harmless > 10 && told > 10, "{harmless}, {told}");
}

#[test]
fn a_damaged_last_commit_is_named_inspected_and_repaired() {
    let killed = Killed::new();
    let text = br#"["last",1]"#;
    let at = |page: &usize| {
        let page_end = page + PAGE_BYTES;
        let found = killed.file[*page..page_end].windows(text.len()).position(|at| at == text);
        found.map(|offset| page + offset)
    };
    killed.put_flipped(killed.pages.iter().find_map(at).unwrap() - 60, 3);
    let flipped = killed.content();
    let error = killed.open().err().unwrap();
    let StoreError::Damaged { damage, .. } = &error else { panic!("{error}") };
    let mut expected = Damage::default();
    expected.last_commit = true;
    assert_eq!(**damage, expected);
    assert!(error.to_string().contains("the last commit that was confirmed is damaged"), "{error}");
    let read = Store::open_to_read(killed.dir.path(), options("fresh")).unwrap_err();
    assert!(matches!(read, StoreError::Damaged { .. }), "{read}");
    let inspection = Store::inspect_dir(killed.dir.path(), &Default::default()).unwrap();
    assert_eq!(inspection.damage, expected);
    assert!(killed.content() == flipped, "nobody has changed anything");

    let repaired = Store::repair(killed.dir.path(), &options("B")).unwrap();
    assert!(repaired.salvaged && repaired.dropped == expected, "{repaired:?}");
    assert!(fs::read(repaired.original.unwrap()).unwrap() == flipped);
    let (back, opened) = killed.open().unwrap();
    assert_eq!((back.replica.id(), opened.renewed), (&source("B"), None));
    assert!(back.replica.version_vector().is_empty());
    assert!(back.replica.updates_since(&VersionVector::new()).count() >= 200);
    assert!(has_last(&back), "each update that is whole is found, in the last commit too");
}

/// Nobody knows whether a commit that is not whole was confirmed.
#[test]
fn i3_without_the_note_an_unfinished_commit_costs_the_id() {
    let killed = Killed::new();
    killed.put_flipped(killed.pages[0] + 10, 1);
    fs::remove_file(killed.dir.join(LOCK_NAME)).unwrap();
    let (back, opened) = killed.open().unwrap();
    assert_eq!(opened.renewed, Some(Renewed::MachineStopped { of: source("A") }));
    assert_eq!(back.replica.id(), &source("fresh"));
    drop(back);
    let (back, opened) = killed.open().unwrap();
    assert_eq!((back.replica.id(), opened.renewed), (&source("fresh"), None));
}

/// Killed, as far as the file shows, before the last commit was confirmed.
#[test]
fn an_unfinished_commit_that_was_not_confirmed_costs_nothing() {
    let dir = TempDir::new("unfinished");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("k", 1);
    a.save();
    let note = fs::read(dir.join(LOCK_NAME)).unwrap();
    let before = fs::read(dir.join(FILE_NAME)).unwrap();
    a.set("k", 2);
    commit(&mut a);
    let mut file = fs::read(dir.join(FILE_NAME)).unwrap();
    drop(a);
    let changed = (PAGE_BYTES..file.len()).find(|at| before.get(*at) != file.get(*at)).unwrap();
    file[changed] ^= 1;
    put(&dir.join(FILE_NAME), &file);
    put(&dir.join(LOCK_NAME), &note);
    let (back, opened) = StoredMap::open(dir.path(), "fresh");
    assert_eq!((opened.recovered, opened.renewed), (true, None));
    assert_eq!(back.replica.model().get::<u64>("k").unwrap(), Some(1));
}

/// As by `cp` of an older copy over the file, which keeps inode and time of birth.
#[test]
fn i3_a_file_that_was_set_back_in_place_takes_a_fresh_id() {
    for is_closed in [true, false] {
        let dir = TempDir::new("set-back");
        let (mut a, _) = StoredMap::open(dir.path(), "A");
        a.set("k", 1);
        a.save();
        let mut older = fs::read(dir.join(FILE_NAME)).unwrap();
        if is_closed {
            drop(a);
            older = fs::read(dir.join(FILE_NAME)).unwrap();
            a = StoredMap::open(dir.path(), "A").0;
        }
        a.set("k", 2);
        a.save();
        drop(a);
        put(&dir.join(FILE_NAME), &older);

        let refused = open(dir.path(), "A").unwrap_err();
        assert!(matches!(refused, StoreError::IdNotFresh { .. }), "{refused}");
        let (mut back, opened) = StoredMap::open(dir.path(), "B");
        assert_eq!(opened.renewed, Some(Renewed::SetBack { of: source("A") }), "{is_closed}");
        assert_eq!(back.replica.model().get::<u64>("k").unwrap(), Some(1));
        back.set("k", 3);
        back.save();
        drop(back);
        let (back, opened) = StoredMap::open(dir.path(), "C");
        assert_eq!((back.replica.id(), opened.renewed), (&source("B"), None), "once");
    }
}

#[test]
fn a_file_that_is_removed_or_replaced_confirms_nothing_more() {
    for is_replaced in [false, true] {
        let dir = TempDir::new("gone");
        let (mut a, _) = StoredMap::open(dir.path(), "A");
        a.set("k", 1);
        a.save();
        a.store.check().unwrap();
        let path = dir.join(FILE_NAME);
        if is_replaced {
            fs::copy(&path, dir.join("copy")).unwrap();
            fs::rename(dir.join("copy"), &path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        // Whoever comes now would make a store of its own, and share nothing with this one.
        let second = open(dir.path(), "B").unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }), "{second}");
        a.set("k", 2);
        let error = a.flush(&Default::default()).unwrap_err();
        assert!(matches!(error, StoreError::Gone { .. }), "{error}");
        assert!(a.replica.durable() < a.replica.head());
        let again = a.store.check().unwrap_err();
        assert!(again.to_string().contains("removed, moved or replaced"), "{again}");
    }
    let dir = TempDir::new("gone-idle");
    let (a, _) = StoredMap::open(dir.path(), "A");
    fs::rename(dir.join(FILE_NAME), dir.join("elsewhere")).unwrap();
    let error = a.store.check().unwrap_err();
    assert!(matches!(error, StoreError::Gone { .. }), "{error}");
    let after = a.store.set_id(source("B")).unwrap_err();
    assert!(matches!(after, StoreError::Stopped { .. }), "{after}");
}

/// The whole content of a directory.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn to_read_a_store_changes_nothing_whether_it_was_closed_or_not() {
    let killed = Killed::new();
    for is_closed in [false, true] {
        let before = contents(killed.dir.path());
        let store = Store::open_to_read(killed.dir.path(), options("fresh")).unwrap();
        let other = Store::open_to_read(killed.dir.path(), options("fresh")).unwrap();
        assert_eq!((store.id(), store.is_read_only()), (source("A"), true));
        let refused = open(killed.dir.path(), "fresh").unwrap_err();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
        let mut a = StoredMap::load(store).unwrap();
        assert!(has_last(&a));
        a.set("more", 1);
        let refused = a.flush(&Default::default()).unwrap_err();
        assert!(matches!(refused, StoreError::OpenedToRead { .. }), "{refused}");
        a.store.check().unwrap();
        drop((a, other));
        assert!(contents(killed.dir.path()) == before, "closed: {is_closed}");
        let refused =
            Store::open_to_read(killed.dir.path(), Options::new("other", source("x"))).unwrap_err();
        assert!(matches!(refused, StoreError::WrongModel { .. }), "{refused}");
        drop(killed.open().unwrap());
    }
    let nowhere = Store::open_to_read(killed.dir.join("nowhere"), options("x")).unwrap_err();
    assert!(matches!(nowhere, StoreError::Missing { .. }), "{nowhere}");
}

#[test]
fn a_vector_that_is_distrusted_asks_for_all_but_its_own_again() {
    let dir = TempDir::new("distrusted");
    let (mut a, _) = StoredMap::open(dir.path(), "A");
    a.set("own", 1);
    let line = r#"[["theirs",1],5000,"B"]"#;
    a.replica.remote_update(9e9, scuttlebutt::Update::from_json(line).unwrap());
    // A lie: B wrote something at 4000, too.
    a.replica.promise(&[(source("B"), scuttlebutt::Timestamp::MAX)].into_iter().collect());
    a.save();
    let shown = a.replica.model().to_json();
    drop(a);
    let (store, _) = open(dir.path(), "A").unwrap();
    assert_eq!(store.distrust_vector().unwrap(), 2);
    drop(store);
    let (back, opened) = StoredMap::open(dir.path(), "fresh");
    assert_eq!((opened.renewed, back.replica.id()), (None, &source("A")));
    let vector = back.replica.version_vector();
    assert!(vector.timestamp(&source("A")).is_some() && vector.len() == 1, "{vector:?}");
    assert_eq!(back.replica.model().to_json(), shown);
}

#[test]
#[cfg(unix)]
fn what_is_made_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let above = TempDir::new("modes");
    let dir = above.join("a").join("b");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (mut a, _) = Stored::<LwwMap>::open(&dir, "A");
    a.set("k", 1);
    a.save();
    a.store.backup(dir.join("backup")).unwrap();
    for dir in [above.join("a"), dir.clone(), dir.join("backup")] {
        assert_eq!(mode(&dir), 0o700, "{dir:?}");
    }
    for file in [FILE_NAME, LOCK_NAME, "backup/scuttlebutt.redb"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    drop(a);
    let mut file = fs::File::options().write(true).open(dir.join(FILE_NAME)).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&[0; 4096]).unwrap();
    let repaired = Store::repair(&dir, &options("B")).unwrap();
    assert_eq!(mode(&repaired.original.unwrap()), 0o600);
    assert_eq!(mode(&dir.join(FILE_NAME)), 0o600);
}

#[test]
fn a_place_that_is_none_for_a_store_is_named() {
    #[cfg(target_os = "linux")]
    {
        let refused = open(Path::new("/proc/scuttlebutt-data"), "A").unwrap_err();
        let said = refused.to_string();
        assert!(
            said.starts_with("/proc/scuttlebutt-data: a store cannot be kept here: "),
            "{said}"
        );
        assert!(said.contains("no directory can be made here: "), "{said}");
    }
    #[derive(Debug)]
    struct NoSync;
    impl scuttlebutt_store::Faults for NoSync {
        fn before(&self, operation: scuttlebutt_store::Operation) -> std::io::Result<()> {
            match operation {
                scuttlebutt_store::Operation::Sync => Err(std::io::ErrorKind::InvalidInput.into()),
                _ => Ok(()),
            }
        }
    }
    let dir = TempDir::new("no-sync");
    let faults = Some(std::sync::Arc::new(NoSync) as _);
    let refused = Store::open(dir.path(), Options { faults, ..options("A") }).unwrap_err();
    assert!(refused.to_string().contains("its file system cannot sync files"), "{refused}");
}
