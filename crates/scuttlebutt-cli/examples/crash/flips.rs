//! Bits that flip in the data of a node that was killed.
//!
//! One at a time, and each is put back: in the file's first bytes, which say what counts of it; where the
//! last acknowledged update stands, so mostly in what the last commit wrote; and anywhere. A flip is
//! harmless, or the data is told to be damaged. Never is something acknowledged missing without a word.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;
use scuttlebutt::Update;

/// The first bytes, in which the engine notes what counts.
const HEADER_BYTES: usize = 320;

const PAGE_BYTES: usize = 4096;

/// How many flips did what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flips {
    pub(crate) harmless: u32,
    pub(crate) told: u32,
}

/// A bit of a file, which is another until this is dropped.
pub(crate) struct Flip {
    file: File,
    at: u64,
    byte: u8,
    pub(crate) bit: u8,
}

impl Flip {
    /// Flips a bit of a file of which nobody makes use.
    pub(crate) fn draw(
        path: &Path,
        last: Option<&Update>,
        chance: &mut StdRng,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let content = fs::read(path).map_err(failed)?;
        let last = last.map(|update| update.change().as_bytes());
        let near = last
            .and_then(|change| content.windows(change.len()).rposition(|found| found == change));
        let at = match (chance.random_range(0..4), near) {
            (0, _) => chance.random_range(0..HEADER_BYTES.min(content.len())),
            (1 | 2, Some(at)) => {
                let page = at - at % PAGE_BYTES;
                chance.random_range(page..(page + PAGE_BYTES).min(content.len()))
            }
            _ => chance.random_range(0..content.len()),
        };
        let (byte, bit) = (content[at], chance.random_range(0..8));
        let file = File::options().write(true).open(path).map_err(failed)?;
        file.write_all_at(&[byte ^ (1 << bit)], at as u64).map_err(failed)?;
        Ok(Self { file, at: at as u64, byte, bit })
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }
}

impl Drop for Flip {
    fn drop(&mut self) {
        if let Err(error) = self.file.write_all_at(&[self.byte], self.at) {
            println!("a flipped bit could not be put back: {error}");
        }
    }
}
