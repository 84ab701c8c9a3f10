//! What the engine writes while the file must stay as it is.
//!
//! The engine writes to whatever it opens: it repairs what was not closed, and marks that it has it open.
//! What it writes is kept in memory here, over the file, until it is decided whether the file may be
//! changed at all; it never is for who only reads. The engine sees no difference. This module never
//! writes to the file.

use std::collections::BTreeMap;
use std::io;

use redb::StorageBackend;
use redb::backends::FileBackend;

const PAGE_BYTES: u64 = 4096;

/// Pages over a file.
#[derive(Debug)]
pub(crate) struct HeldBack {
    /// What the file's length is to be.
    len: u64,
    /// How much of the file counts: what was cut off is zero when it comes back.
    file_len: u64,
    /// Whole pages, by their offsets.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl HeldBack {
    pub(crate) fn new(file_len: u64) -> Self {
        Self { len: file_len, file_len, pages: BTreeMap::new() }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        self.len = len;
        self.file_len = self.file_len.min(len);
        // The rest of a page that is cut stays, and is not read before it is written over.
        self.pages.split_off(&len.next_multiple_of(PAGE_BYTES));
        if let Some((at, page)) = self.pages.last_entry().map(|last| (*last.key(), last.into_mut()))
        {
            let kept = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
            page.iter_mut().skip(kept).for_each(|byte| *byte = 0);
        }
    }

    pub(crate) fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset.saturating_add(out.len() as u64);
        if end > self.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let in_file = usize::try_from(self.file_len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (from_file, blank) = out.split_at_mut(in_file.min(out.len()));
        if !from_file.is_empty() {
            file.read(offset, from_file)?;
        }
        blank.fill(0);
        let first = offset - offset % PAGE_BYTES;
        for (at, page) in self.pages.range(first..end) {
            let (start, stop) = (offset.max(*at), end.min(at + PAGE_BYTES));
            let of = |from: u64| (start - from) as usize..(stop - from) as usize;
            out[of(offset)].copy_from_slice(&page[of(*at)]);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, file: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        if end > self.len {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut at = offset - offset % PAGE_BYTES;
        while at < end {
            if !self.pages.contains_key(&at) {
                let mut page = vec![0; PAGE_BYTES as usize];
                let len = (self.len - at).min(PAGE_BYTES) as usize;
                self.read(file, at, &mut page[..len])?;
                self.pages.insert(at, page);
            }
            if let Some(page) = self.pages.get_mut(&at) {
                let (start, stop) = (offset.max(at), end.min(at + PAGE_BYTES));
                let of = |from: u64| (start - from) as usize..(stop - from) as usize;
                page[of(at)].copy_from_slice(&data[of(offset)]);
            }
            at += PAGE_BYTES;
        }
        Ok(())
    }

    /// What is to be written, from the last page to the first.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.iter().rev().map(|(at, page)| {
            let len = usize::try_from(self.len - at).unwrap_or(usize::MAX);
            (*at, &page[..len.min(page.len())])
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write { offset: u64, len: usize, byte: u8 },
        Resize(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..40_000_u64, 1..9_000_usize, 1..=u8::MAX)
                .prop_map(|(offset, len, byte)| Step::Write { offset, len, byte }),
            1 => (1..50_000_u64).prop_map(Step::Resize),
        ]
    }

    proptest! {
        /// What is read is what was written, and the file is as it was.
        #[test]
        fn it_reads_as_a_file_that_was_written(
            content in prop::collection::vec(any::<u8>(), 1..20_000),
            steps in prop::collection::vec(step(), 1..20),
        ) {
            static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
            let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let name = format!("scuttlebutt-held-back-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, &content).unwrap();
            let file = FileBackend::new(File::open(&path).unwrap()).unwrap();
            let mut held = HeldBack::new(content.len() as u64);
            let mut expected = content.clone();
            for step in steps {
                match step {
                    Step::Write { offset, len, byte } => {
                        let start = (offset as usize).min(expected.len());
                        let end = (start + len).min(expected.len());
                        held.write(&file, start as u64, &vec![byte; end - start]).unwrap();
                        expected[start..end].fill(byte);
                    }
                    Step::Resize(len) => {
                        held.set_len(len);
                        expected.resize(len as usize, 0);
                    }
                }
                let mut found = vec![1; expected.len()];
                held.read(&file, 0, &mut found).unwrap();
                prop_assert!(found == expected);
            }
            let some = expected.len() / 3..expected.len() / 2;
            let mut found = vec![1; some.len()];
            held.read(&file, some.start as u64, &mut found).unwrap();
            prop_assert!(found == expected[some]);
            prop_assert!(std::fs::read(&path).unwrap() == content);
            let mut written = content;
            written.truncate(held.file_len as usize);
            written.resize(expected.len(), 0);
            for (at, page) in held.pages() {
                written[at as usize..at as usize + page.len()].copy_from_slice(page);
            }
            prop_assert!(written == expected);
            std::fs::remove_file(path).unwrap();
        }
    }
}
