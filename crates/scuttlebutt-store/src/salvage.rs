//! Finds updates in a file that the engine cannot read, by their checksums.
//!
//! It knows one thing of the engine's format: how a leaf of a tree with keys of eight bytes lies in
//! its page. Everything else it takes from the checksum: what has the right one was written by a
//! store. Some of it may be from before the last commits, since pages that are free keep what they
//! held; an update is true for ever, so that does no harm.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use scuttlebutt::{Update, UpdateId};

use crate::record::{self, RecentSources};

/// Pages begin at multiples of this.
const PAGE_BYTES: usize = 4_096;

/// The longest page that is looked at, in bytes; a longer update is not found.
const PAGE_BYTES_MAX: usize = 64 << 20;

const LEAF: u8 = 1;
const HEADER_BYTES: usize = 4;
const OFFSET_BYTES: usize = 4;
const KEY_BYTES: usize = 8;

/// All updates found in the file, each with the last of its positions, in the order of those.
pub(crate) fn salvage(path: &Path) -> io::Result<Vec<(u64, Update)>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    let mut found: BTreeMap<UpdateId, (u64, Update)> = BTreeMap::new();
    let (mut page, mut sources) = (Vec::new(), RecentSources::new());
    for start in (0..len).step_by(PAGE_BYTES) {
        read_at(&mut file, start, PAGE_BYTES, &mut page)?;
        let Some(needed) = leaf_bytes(&page) else { continue };
        if needed > page.len() {
            read_at(&mut file, start, needed, &mut page)?;
        }
        for (position, update) in records(&page, &mut sources) {
            found
                .entry(update.id())
                .and_modify(|(last, _)| *last = position.max(*last))
                .or_insert((position, update));
        }
    }
    let mut updates: Vec<_> = found.into_values().collect();
    updates.sort_by_key(|(position, update)| (*position, update.id()));
    Ok(updates)
}

fn read_at(file: &mut File, start: u64, bytes: usize, page: &mut Vec<u8>) -> io::Result<()> {
    page.clear();
    file.seek(SeekFrom::Start(start))?;
    file.take(bytes as u64).read_to_end(page)?;
    Ok(())
}

fn number(page: &[u8], at: usize) -> Option<usize> {
    let bytes = page.get(at..at + OFFSET_BYTES)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

fn pairs(page: &[u8]) -> Option<usize> {
    match page.get(..HEADER_BYTES)? {
        [LEAF, _, low, high] => Some(usize::from(u16::from_le_bytes([*low, *high]))),
        _ => None,
    }
}

/// How long a page is if it is a leaf: where the last of its values ends.
fn leaf_bytes(page: &[u8]) -> Option<usize> {
    let last = pairs(page)?.checked_sub(1)?;
    number(page, HEADER_BYTES + OFFSET_BYTES * last).filter(|end| *end <= PAGE_BYTES_MAX)
}

/// The whole records of a leaf: the ends of its values, its keys, its values.
fn records<'a>(
    page: &'a [u8],
    sources: &'a mut RecentSources,
) -> impl Iterator<Item = (u64, Update)> + 'a {
    let count = pairs(page).unwrap_or(0);
    let keys = HEADER_BYTES + OFFSET_BYTES * count;
    let values = keys + KEY_BYTES * count;
    (0..count).filter_map(move |index| {
        let start = match index.checked_sub(1) {
            Some(before) => number(page, HEADER_BYTES + OFFSET_BYTES * before)?,
            None => values,
        };
        let end = number(page, HEADER_BYTES + OFFSET_BYTES * index)?;
        let key = page.get(keys + KEY_BYTES * index..)?.first_chunk::<KEY_BYTES>()?;
        let position = u64::from_le_bytes(*key);
        Some((position, record::open_update(position, page.get(start..end)?, sources)?))
    })
}
