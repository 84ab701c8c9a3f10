//! Finds updates in a file that the engine cannot read, by their checksums.
//!
//! It knows nothing of the engine's format: a record with the right checksum was written by a store,
//! wherever it stands. Some may be from before the last commits, since pages that are free keep what
//! they held; an update is true for ever, so that does no harm.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use scuttlebutt::{RecentSources, Update, UpdateId};

use crate::block::find_whole;

/// All updates found in the file, each with the last of its positions, in the order of those. Takes as
/// much memory as the file is long.
pub(crate) fn salvage(path: &Path) -> io::Result<Vec<(u64, Update)>> {
    let content = fs::read(path)?;
    let mut rest = &content[..];
    // By name and change: a source that forked gave two changes one name.
    let mut found: BTreeMap<(UpdateId, String), (u64, Update)> = BTreeMap::new();
    let mut sources = RecentSources::default();
    while let Some((at, record)) = find_whole(rest) {
        rest = &rest[at + 1..];
        let Some(update) = record.update(&mut sources) else { continue };
        found
            .entry((update.id(), update.change().to_owned()))
            .and_modify(|(last, _)| *last = record.position.max(*last))
            .or_insert((record.position, update));
    }
    let mut updates: Vec<_> = found.into_values().collect();
    updates.sort_by(|(at, one), (other_at, other)| {
        at.cmp(other_at).then_with(|| one.cmp_order(other))
    });
    Ok(updates)
}
