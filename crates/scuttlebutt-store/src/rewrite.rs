//! Writing a whole store into a new file, and putting that in its place in one step.

use std::fs;
use std::io;
use std::path::Path;

use scuttlebutt::{Update, VersionVector};

use crate::blocks::Blocks;
use crate::error::{Context, StoreError};
use crate::limits::StoreLimits;
use crate::open::Engine;
use crate::origin;
use crate::record;
use crate::schema::{FILE_NAME, Meta, UPDATES, VECTOR};

/// What becomes of a file that is there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays; whoever comes second finds [`io::ErrorKind::AlreadyExists`].
    Keep,
    Replace,
}

/// Lets `build` make a file beside the one that `dir` is to have, and then puts it there whole, so
/// that it is there or is not, whenever this process ends and whoever else is doing the same.
pub(crate) fn place<T>(
    dir: &Path,
    existing: Existing,
    build: impl FnOnce(&Path) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let path = dir.join(FILE_NAME);
    let draft = dir.join(format!("{FILE_NAME}.new-{}", std::process::id()));
    let _ = fs::remove_file(&draft); // of an earlier process with this number, which was killed
    let built = build(&draft).and_then(|built| {
        let moved = match existing {
            Existing::Keep => put_new(&draft, &path),
            Existing::Replace => fs::rename(&draft, &path),
        };
        moved.and_then(|()| sync_dir(dir)).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::Exists { path },
            _ => StoreError::io(dir, "putting the file into its place", error),
        })?;
        Ok(built)
    });
    let _ = fs::remove_file(&draft);
    built
}

/// Gives a file its name, unless there is one of that name. Some file systems do not know files of two
/// names; the directory's lock then sees that nobody else makes one at the same time.
fn put_new(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) && !path.try_exists()? =>
        {
            fs::rename(draft, path)
        }
        linked => linked,
    }
}

/// Makes sure that names in a directory outlive the machine.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Whether the file that is written is a store to go on with, or one to put away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Use,
    /// Without an origin, so that whoever opens it takes a fresh id.
    Backup,
}

/// Writes a new file at `path` with everything handed in, synced to the disk. Says how many updates
/// there were.
pub(crate) fn write_file(
    path: &Path,
    limits: &StoreLimits,
    purpose: Purpose,
    meta: Meta,
    vector: &VersionVector,
    updates: impl Iterator<Item = (u64, Update)>,
) -> Result<u64, StoreError> {
    const DOING: &str = "writing a new file";
    let engine = Engine::create(path, limits)?;
    let origin = match purpose {
        Purpose::Backup => None,
        Purpose::Use => {
            Some(origin::of(&engine.file).map_err(|error| StoreError::io(path, DOING, error))?)
        }
    };
    let meta = Meta { origin, session: None, ..meta };
    let mut updates = updates.peekable();
    let mut count = 0;
    let mut blocks = Blocks::default();
    let mut write_some = || -> Result<bool, redb::Error> {
        let transaction = engine.database.begin_write()?;
        if count == 0 {
            meta.write(&transaction)?;
            let mut table = transaction.open_table(VECTOR)?;
            for (source, timestamp) in vector.iter() {
                let entry = record::seal_entry(source, timestamp);
                table.insert(source.json_literal(), entry.as_slice())?;
            }
        }
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < limits.batch_updates_max.max(1)
            && bytes < limits.batch_bytes_max
            && let Some((position, update)) = updates.next()
        {
            bytes += update.line_len();
            some.push((position, update));
        }
        count += some.len() as u64;
        let some = some.iter().map(|(position, update)| (*position, update));
        blocks.add(&mut transaction.open_table(UPDATES)?, some)?;
        let is_last = updates.peek().is_none();
        // Half a file is no use to anybody, so it is enough that the end reaches the disk.
        engine.sync.set(is_last);
        transaction.commit()?;
        Ok(is_last)
    };
    while !write_some().at(path, DOING)? {}
    engine.database.close().at(path, DOING)?;
    Ok(count)
}
