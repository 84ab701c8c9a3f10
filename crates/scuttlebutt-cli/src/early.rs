//! Updates from too far in the future that a file brought: kept beside the data until their time has come.
//!
//! A peer is asked again for what was put off; a file is not there any more. So its lines are kept as they
//! are, in a file of the same kind, and read again: by the node that has the directory open, then.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use scuttlebutt::{ImportOptions, Imported};
use scuttlebutt_net::{FileError, Node};
use tokio::fs::{self, File};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::sync::{Mutex, Notify};

use crate::model::Shown;

/// Its name in the data directory.
const FILE_NAME: &str = "early.jsonl";

/// What can be taken at once waits at least so long, and what cannot is looked at so often, since clocks are
/// set.
const WAIT: std::ops::Range<Duration> = Duration::from_secs(1)..Duration::from_secs(3_600);

/// What is kept in a directory.
pub(crate) struct Early {
    path: PathBuf,
    /// Whoever holds it may replace the file.
    turn: Mutex<()>,
    has_more: Notify,
}

impl Early {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { path: dir.join(FILE_NAME), turn: Mutex::default(), has_more: Notify::new() }
    }

    /// Reads a file of updates into a node, and keeps what is early.
    pub(crate) async fn import<M: Shown>(
        &self,
        node: &Node<M>,
        reader: impl AsyncRead + Unpin,
        skip_invalid: bool,
    ) -> Result<Imported, FileError> {
        let _turn = self.turn.lock().await;
        let mut draft = Draft::begin(&self.path).await?;
        if let Some(mut held) = self.open().await? {
            tokio::io::copy(&mut held, &mut draft.file).await?;
        }
        let before = draft.len().await?;
        let options = ImportOptions { skip_invalid, keep_early: true };
        let imported = node.load_with(reader, options, &mut draft.file).await;
        // What came before a fault is kept.
        if draft.len().await? > before {
            draft.take_the_place_of(&self.path).await?;
            self.has_more.notify_one();
        }
        imported
    }

    /// Reads what is kept whenever the time of some of it has come, for ever.
    pub(crate) async fn keep_reading<M: Shown>(&self, node: &Node<M>) {
        loop {
            let wait = match self.read_again(node).await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::warn!("{}: {error}", self.path.display());
                    Some(WAIT.end)
                }
            };
            let timer = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {}
                () = self.has_more.notified() => {}
            }
        }
    }

    /// Reads what is kept, and keeps what is early still. Answers how long that can wait.
    async fn read_again<M: Shown>(&self, node: &Node<M>) -> Result<Option<Duration>, FileError> {
        let _turn = self.turn.lock().await;
        let Some(held) = self.open().await? else { return Ok(None) };
        let mut draft = Draft::begin(&self.path).await?;
        // Nothing else can be in it, but for what a power cut left of a line.
        let options = ImportOptions { skip_invalid: true, keep_early: true };
        let imported = node.load_with(held, options, &mut draft.file).await?;
        node.flush().await.map_err(io::Error::other)?;
        let taken = imported.tally.updates_applied + imported.tally.updates_superseded;
        if taken > 0 {
            tracing::info!("{taken} updates of an imported file have come into their time");
        }
        match imported.accept_at_ms {
            Some(at) => {
                draft.take_the_place_of(&self.path).await?;
                Ok(Some(until(at).clamp(WAIT.start, WAIT.end)))
            }
            None => {
                fs::remove_file(&self.path).await?;
                Ok(None)
            }
        }
    }

    async fn open(&self) -> io::Result<Option<File>> {
        match File::open(&self.path).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How long it is until then, in milliseconds since the epoch.
pub(crate) fn until(at_ms: f64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let ms = at_ms - now.unwrap_or_default().as_secs_f64() * 1_000.0;
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

/// A file that is written under another name; it goes when it is not put in its place.
struct Draft {
    file: File,
    path: PathBuf,
}

impl Draft {
    async fn begin(path: &Path) -> io::Result<Self> {
        let path = path.with_extension("jsonl.new");
        let mut options = File::options();
        options.create(true).truncate(true).write(true).mode(0o600);
        Ok(Self { file: options.open(&path).await?, path })
    }

    async fn len(&mut self) -> io::Result<u64> {
        self.file.flush().await?;
        Ok(self.file.metadata().await?.len())
    }

    async fn take_the_place_of(mut self, path: &Path) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.path, path).await
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
