//! Which commits the engine's file has, read from its first bytes.
//!
//! The engine keeps the last two, each with a number that grows and with the checksum of its root, which
//! covers everything in it. Where the last one is not whole it goes back to the one before, and does not
//! say so. Here is read what it had and what it shows; the bytes are those of the engine's file format 3
//! (`docs/design.md` of redb). This module never writes.

/// As much of the file as has to be read.
pub(crate) const HEADER_BYTES: usize = 320;

const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// Its lowest bit says which of the slots counts.
const GOD_BYTE_AT: usize = 9;
const SLOTS_AT: usize = 64;
const SLOT_BYTES: usize = 128;
const SLOT_FORMAT: u8 = 3;

/// A commit: two of the same root show the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) number: u64,
    /// Where the root page is, and its checksum.
    pub(crate) root: [u8; 24],
}

impl Commit {
    fn read(slot: &[u8]) -> Option<Self> {
        if *slot.first()? != SLOT_FORMAT {
            return None;
        }
        let number = u64::from_le_bytes(slot.get(104..112)?.try_into().ok()?);
        let root = if slot[1] == 0 { [0; 24] } else { slot.get(8..32)?.try_into().ok()? };
        Some(Self { number, root })
    }
}

/// The last two commits of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commits {
    /// The one that counts, if it is whole.
    pub(crate) first: Commit,
    pub(crate) other: Commit,
}

impl Commits {
    /// Reads the beginning of a file; nothing, if that is none of the engine's, or of another format.
    pub(crate) fn read(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        if !header.starts_with(MAGIC) {
            return None;
        }
        let (one, two) = header[SLOTS_AT..].split_at(SLOT_BYTES);
        let (one, two) = (Commit::read(one)?, Commit::read(two)?);
        match header[GOD_BYTE_AT] & 1 {
            0 => Some(Self { first: one, other: two }),
            _ => Some(Self { first: two, other: one }),
        }
    }

    pub(crate) fn newest(&self) -> Commit {
        if self.other.number > self.first.number { self.other } else { self.first }
    }

    /// The newer of those with this root.
    pub(crate) fn with_root(&self, root: [u8; 24]) -> Option<Commit> {
        let both = [self.first, self.other].into_iter();
        both.filter(|commit| commit.root == root).max_by_key(|commit| commit.number)
    }
}

#[cfg(test)]
mod tests {
    use redb::{Builder, ReadableDatabase, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'_, u32, u32> = TableDefinition::new("table");

    /// The engine's next version may have other bytes: then this says so.
    #[test]
    fn commits_are_read_as_the_engine_writes_them() {
        let name = format!("scuttlebutt-commits-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let read = || -> Commits {
            let content = std::fs::read(&path).unwrap();
            Commits::read(content[..HEADER_BYTES].try_into().unwrap()).unwrap()
        };
        let _ = std::fs::remove_file(&path);
        let database = Builder::new().create(&path).unwrap();
        let mut before = read().first;
        for n in 0..4 {
            // So that the engine cannot free pages in a commit of its own.
            let _reading = database.begin_read().unwrap();
            let transaction = database.begin_write().unwrap();
            transaction.open_table(TABLE).unwrap().insert(1, n).unwrap();
            transaction.commit().unwrap();
            let now = read();
            assert!(now.first.number > before.number && now.first.root != before.root, "{now:?}");
            assert_eq!((now.other, now.newest()), (before, now.first));
            assert_eq!(now.with_root(before.root), Some(before));
            before = now.first;
        }
        database.begin_write().unwrap().commit().unwrap();
        drop(database);
        assert_eq!(read().newest().root, before.root, "nothing was written");
        std::fs::remove_file(path).unwrap();
        assert_eq!(Commits::read(&[0; HEADER_BYTES]), None);
    }
}
