//! A node's data directory: how it is opened, and what the user is told about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use scuttlebutt::Signer;
use scuttlebutt_net::{Builder, Node, StartError, fresh_id};
use scuttlebutt_security::is_ed25519_id;
use scuttlebutt_store::{Durability, Opened, Options, Renewed, Store, StoreError};

use crate::exit::{Failure, tell};
use crate::key::Key;
use crate::model::{ModelName, Shown};
use crate::progress::{Progress, Unit};

/// Where the data is unless the user says otherwise.
pub(crate) const DEFAULT_DIR: &str = "scuttlebutt-data";

/// What an acknowledged write survives, by the names it has on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityName {
    /// The end of the machine: it is synced to the disk before it is acknowledged or sent
    #[default]
    Synced,
    /// The end of the process, not that of the machine: faster, many times on a slow disk
    Buffered,
}

impl From<DurabilityName> for Durability {
    fn from(name: DurabilityName) -> Self {
        match name {
            DurabilityName::Synced => Durability::Synced,
            DurabilityName::Buffered => Durability::Buffered,
        }
    }
}

/// Opens the store in a directory, or makes one.
pub(crate) async fn open<M: Shown>(
    dir: &Path,
    durability: DurabilityName,
    repair: bool,
) -> Result<Store, Failure> {
    let options = Options { durability: durability.into(), ..Options::new(M::NAME, fresh_id()) };
    let dir = dir.to_owned();
    let opened = off_the_runtime(move || {
        // Where there is no store yet there is nothing to repair.
        if repair && is_there(&dir) && !self::repair(&dir, &options)? {
            tracing::info!("nothing is damaged");
        }
        Store::open(&dir, options)
    });
    let (store, opened) = opened.await?.map_err(|error| failure(&error))?;
    tell_of(&store, &opened);
    Ok(store)
}

/// Opens the store in a directory without changing anything there.
pub(crate) async fn open_to_read<M: Shown>(dir: &Path) -> Result<Store, Failure> {
    let (dir, options) = (dir.to_owned(), Options::new(M::NAME, fresh_id()));
    let opened = off_the_runtime(move || Store::open_to_read(&dir, options));
    opened.await?.map_err(|error| failure(&error))
}

/// Whether a node may write with this key, or without one, to a store that wrote under its id before.
pub(crate) fn check_key(store: &Store, key: Option<&Key>) -> Result<(), Failure> {
    let (path, id) = (store.path().display(), store.id());
    match key.map(Key::id) {
        Some(own) if *own == id => Ok(()),
        Some(own) if is_ed25519_id(&id) => Err(Failure::failed(format!(
            "{path}: was written with the key of {id}, and --key is that of {own}; use the other key, or \
             another directory with --data DIR, into which `scuttlebutt export` and `import` bring what \
             this one holds"
        ))),
        Some(own) => {
            tracing::info!("{path}: from now on this node writes as {own}, which is its key's id");
            Ok(())
        }
        None if is_ed25519_id(&id) => Err(Failure::failed(format!(
            "{path}: was written with the key of {id}; give it with --key FILE, as nobody believes what \
             is written as this id without it"
        ))),
        None => Ok(()),
    }
}

/// Repairs what is damaged, and tells of it; answers whether anything was.
pub(crate) fn repair(dir: &Path, options: &Options) -> Result<bool, StoreError> {
    let repaired = Store::repair(dir, options)?;
    let Some(original) = repaired.original else { return Ok(false) };
    let (kept, dropped) = (repaired.kept, repaired.dropped);
    tell("repaired", format!("{kept} updates are whole and kept; {dropped}"));
    tell("repaired", format!("the damaged file is kept as {}", original.display()));
    Ok(true)
}

fn tell_of(store: &Store, opened: &Opened) {
    let (path, id) = (store.path().display(), store.id());
    match &opened.renewed {
        None if opened.created => tracing::info!("data is kept in {path}"),
        None => {}
        Some(Renewed::Copied { of }) => tracing::warn!(
            "{path} is a copy: what was written as {of} is kept, and from now on this node writes as {id}"
        ),
        Some(Renewed::MachineStopped { of }) => tracing::warn!(
            "the machine stopped while {path} was in use, and its last writes may be lost; from now on \
             this node writes as {id} instead of {of}"
        ),
        Some(Renewed::SetBack { of }) => tracing::warn!(
            "{path} is an older file than the one that was last in use here, and what was written since \
             is gone from it; peers that hold it give it back. From now on this node writes as {id} \
             instead of {of}"
        ),
        Some(_) => tracing::warn!("from now on this node writes as {id}"),
    }
    if opened.recovered {
        tracing::info!("{path} was not closed in order; recovered to its last commit");
    }
}

/// A node with this store, and a word on how far reading it has come.
pub(crate) async fn start<M: Shown>(
    node: Builder<M>,
    store: Option<Store>,
) -> Result<Node<M>, Failure> {
    let Some(store) = store else {
        return node.start().await.map_err(|error| start_failure(&error));
    };
    let begun = std::time::Instant::now();
    let mut progress = Progress::new("reading the data", Unit::Updates);
    let node = node.store(store).on_load(move |at| progress.at(at.updates, at.updates_total));
    let node = node.start().await.map_err(|error| start_failure(&error))?;
    let updates = node.read_replica(scuttlebutt::Replica::updates_held);
    tracing::info!(id = %node.id(), updates, "data read in {:.1?}", begun.elapsed());
    if let Some(lead) = node.clock_lead() {
        tracing::warn!(
            "the newest update here is {:.1} days ahead of this machine's clock, and peers accept nothing from \
             so far ahead: if the clock is behind, set it right; if it was ahead when this was written, \
             `scuttlebutt repair --rewrite-future` writes it anew",
            lead.as_secs_f64() / 86_400.0
        );
    }
    Ok(node)
}

fn start_failure(error: &StartError) -> Failure {
    match error {
        StartError::Store(error) => failure(error),
        error => Failure::failed(error.to_string()),
    }
}

/// What went wrong with a store, and which option helps.
pub(crate) fn failure(error: &StoreError) -> Failure {
    Failure::failed(match error {
        StoreError::Locked { path } => format!(
            "{}: in use by another process; stop that one, or give this one a directory of its own \
             with --data DIR, or none with --memory",
            path.display()
        ),
        StoreError::Damaged { path, damage } => format!(
            "{}: {damage}; `scuttlebutt serve --repair` puts the damaged file aside, goes on with \
             what is whole and gets the rest from peers that have it",
            path.display()
        ),
        StoreError::WrongModel { path, held, .. } => format!(
            "{}: holds a {held}; use --model {held}, or another directory with --data DIR",
            path.display()
        ),
        StoreError::ReadOnly { path } => format!(
            "{}: no permission to write; grant it, use another directory with --data DIR, or none \
             with --memory; what is there can be served as it is with `scuttlebutt serve \
             --data-read-only`",
            path.display()
        ),
        StoreError::NoSpace { .. } => {
            format!("{error}; until then `scuttlebutt serve --data-read-only` serves what is there")
        }
        StoreError::Gone { path } => format!(
            "{}: the file was removed, moved or replaced while this node used it, so nothing more is \
             confirmed",
            path.display()
        ),
        error => error.to_string(),
    })
}

/// Whether there is a store in a directory.
pub(crate) fn is_there(dir: &Path) -> bool {
    dir.join(scuttlebutt_store::FILE_NAME).exists()
}

/// [`open_to_read`], unless somebody has the store open.
pub(crate) async fn open_to_read_if_free<M: Shown>(dir: &Path) -> Result<Option<Store>, Failure> {
    let (dir, options) = (dir.to_owned(), Options::new(M::NAME, fresh_id()));
    unless_locked(off_the_runtime(move || Store::open_to_read(&dir, options)).await?)
}

/// The name of the model that a directory holds, unless somebody has it open.
pub(crate) async fn model_in_if_free(dir: &Path) -> Result<Option<String>, Failure> {
    let dir = dir.to_owned();
    unless_locked(off_the_runtime(move || Store::model_in(dir)).await?)
}

fn unless_locked<T>(done: Result<T, StoreError>) -> Result<Option<T>, Failure> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(StoreError::Locked { .. }) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// The model that a directory holds.
pub(crate) async fn model_in(dir: &Path) -> Result<ModelName, Failure> {
    let (at, place) = (dir.to_owned(), dir.display());
    let held = off_the_runtime(move || Store::model_in(at)).await?.map_err(|e| failure(&e))?;
    ModelName::named(&held).ok_or_else(|| {
        Failure::failed(format!("{place}: holds a `{held}`, which this command does not know"))
    })
}

/// Opens what is in a directory, whatever its model, and does something to it.
pub(crate) async fn with_store<T: Send + 'static>(
    dir: &Path,
    work: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let dir = dir.to_owned();
    let done = off_the_runtime(move || {
        let options = Options::new(Store::model_in(&dir)?, fresh_id());
        let (mut store, opened) = Store::open(&dir, options)?;
        Ok((work(&mut store)?, store, opened))
    });
    let (done, store, opened) = done.await?.map_err(|error| failure(&error))?;
    tell_of(&store, &opened);
    Ok(done)
}

/// Opens what is in a directory, whatever its model, without changing it, and looks at it.
pub(crate) async fn with_store_to_read<T: Send + 'static>(
    dir: &Path,
    look: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let dir = dir.to_owned();
    let seen = off_the_runtime(move || {
        let options = Options::new(Store::model_in(&dir)?, fresh_id());
        look(&Store::open_to_read(&dir, options)?)
    });
    seen.await?.map_err(|error| failure(&error))
}

/// Directories of rescued data beside one file.
const RESCUED_MAX: u32 = 1_000;

/// The file that a store has open is nobody else's any more, and goes with this process: copies what was
/// confirmed to a directory of its own.
pub(crate) async fn rescue(store: Arc<Store>) {
    let folder = store.path().parent().unwrap_or(Path::new(".")).to_owned();
    let rescued = off_the_runtime(move || {
        let places = (1..=RESCUED_MAX).map(|number| folder.join(format!("rescued-{number}")));
        let Some(place) = places.into_iter().find(|place| !place.exists()) else {
            return Err(StoreError::Exists { path: folder });
        };
        Ok((store.backup(&place)?, place))
    });
    match rescued.await {
        Ok(Ok((backup, place))) => tell(
            "rescued",
            format!(
                "{} updates, all that was confirmed, are in {place}; `scuttlebutt serve --data {place}` \
                 goes on with them",
                backup.updates,
                place = place.display()
            ),
        ),
        Ok(Err(error)) => {
            tell("error", format!("what was confirmed could not be rescued: {error}"))
        }
        Err(failure) => tell("error", failure),
    }
}

/// Does what waits for the disk.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| Failure::failed(format!("this is a fault of scuttlebutt: {panic}")))
}

/// A path as another process understands it.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}
