//! What a node dropped because its writer is believed no more: kept in a file beside the data, so that a wrong
//! list destroys nothing.
//!
//! The file is in the format of `export`: `import` takes it back once the list is right again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use scuttlebutt::{SourceId, Update};

use crate::exit::Failure;

/// How many sources are named in the log.
const NAMED_MAX: usize = 10;

fn file(dir: &Path) -> PathBuf {
    dir.join("withdrawn.jsonl")
}

/// Appends updates to the file, down to the disk.
pub(crate) fn keep(dir: &Path, updates: &[Update]) -> Result<(), Failure> {
    if updates.is_empty() {
        return Ok(());
    }
    let path = file(dir);
    let lines: String = updates.iter().map(|update| update.to_json() + "\n").collect();
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| {
        Failure::failed(format!(
            "{}: {error}; nothing is dropped that cannot be kept there",
            path.display()
        ))
    })
}

/// Says what was dropped.
pub(crate) fn tell(dir: Option<&Path>, dropped: &[Update]) {
    if dropped.is_empty() {
        return;
    }
    let mut counts: BTreeMap<&SourceId, usize> = BTreeMap::new();
    for update in dropped {
        *counts.entry(update.source()).or_default() += 1;
    }
    for (source, count) in counts.iter().take(NAMED_MAX) {
        tracing::warn!(%source, "{count} updates are withdrawn: their writer is believed no more");
    }
    if counts.len() > NAMED_MAX {
        tracing::warn!("so are updates of {} other writers", counts.len() - NAMED_MAX);
    }
    match dir {
        Some(dir) => tracing::warn!(
            "{} updates are withdrawn in all; they are kept in {}, from which `scuttlebutt import` takes \
             them once the rules allow them again",
            dropped.len(),
            file(dir).display()
        ),
        None => tracing::warn!("{} updates are withdrawn in all", dropped.len()),
    }
}
