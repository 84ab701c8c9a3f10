//! A node's files in the original's format: saved, loaded, and followed by a file that grows.
//!
//! What stands in a file is the core crate's work ([`Export`], [`Import`], [`Session`]); this reads
//! and writes it in portions, so that the node is held up for none of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scuttlebutt::{
    Export, Import, ImportError, ImportOptions, Imported, Model, Session, SessionConfig,
};
use scuttlebutt_store::StoreError;
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::engine::Engine;
use crate::shared::now_ms;

/// How much is read or written at a time.
const PORTION_BYTES: usize = 64 << 10;

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system is at fault.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What stands in it is; everything before that line is applied.
    #[error(transparent)]
    Content(#[from] ImportError),
    /// The store has failed, and nothing was read.
    #[error(transparent)]
    NotStored(#[from] Arc<StoreError>),
}

/// When a file that is appended to is written anew, with only what is still current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Not before it has this size, in bytes. Default 16 MiB.
    pub bytes_min: u64,
    /// Not before it has so many times the size that it had when it was last written anew. Default 2.
    pub growth_min: u64,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes_min: 16 << 20, growth_min: 2 }
    }
}

impl Rotation {
    fn is_due(self, bytes: u64, bytes_anew: u64) -> bool {
        bytes >= self.bytes_min && bytes >= bytes_anew.saturating_mul(self.growth_min)
    }
}

/// Writes everything held; answers how many updates that were.
pub(crate) async fn save<M: Model>(
    engine: &Engine<M>,
    mut writer: impl AsyncWrite + Unpin,
) -> io::Result<u64> {
    let mut export = engine.shared.write(|replica| Export::new(replica, now_ms()));
    let mut portion = Vec::with_capacity(PORTION_BYTES);
    while !export.is_finished() {
        portion.clear();
        engine.shared.read(|replica| export.transmit(replica, &mut portion, PORTION_BYTES));
        writer.write_all(&portion).await?;
    }
    writer.shutdown().await?;
    Ok(export.updates())
}

/// Reads everything there is, and writes to `early` what the options say is to be kept for its time.
pub(crate) async fn load<M: Model>(
    engine: &Engine<M>,
    mut reader: impl AsyncRead + Unpin,
    options: ImportOptions,
    mut early: impl AsyncWrite + Unpin,
) -> Result<Imported, FileError> {
    let begin = |replica: &mut _| Import::with_options(replica, now_ms(), options);
    let mut import = engine.shared.write(begin);
    let mut portion = vec![0; PORTION_BYTES];
    let mut bell = engine.shared.bell();
    let mut shutdown = engine.shutdown.subscribe();
    loop {
        while import.awaits_verdicts() {
            bell.mark_unchanged();
            engine.shared.expect_news();
            engine.shared.write(|replica| import.settle(replica));
            if import.awaits_verdicts() {
                tokio::select! {
                    _ = bell.changed() => {}
                    _ = shutdown.wait_for(|is_down| *is_down) => {
                        let what = "the node was shut down before the file was verified";
                        return Err(io::Error::new(io::ErrorKind::Interrupted, what).into());
                    }
                }
            }
        }
        let count = reader.read(&mut portion).await?;
        if count == 0 {
            let imported = engine.shared.write(|replica| import.finish(replica, now_ms()));
            early.write_all(&import.take_early()).await?;
            early.flush().await?;
            return Ok(imported?);
        }
        let bytes = &portion[..count];
        let received = engine.shared.write(|replica| import.receive(replica, now_ms(), bytes));
        early.write_all(&import.take_early()).await?;
        if received.is_err() {
            early.flush().await?;
        }
        received?;
    }
}

/// Keeps a file that holds everything and grows with each update, until the node is shut down.
pub(crate) async fn append<M: Model>(
    engine: &Engine<M>,
    path: &Path,
    rotation: Rotation,
) -> io::Result<()> {
    let mut shutdown = engine.shutdown.subscribe();
    let mut bell = engine.shared.bell();
    let mut portion = Vec::with_capacity(PORTION_BYTES);
    'anew: loop {
        let mut growing = Growing::create(path).await?;
        let config = SessionConfig::send_only();
        let mut session = engine.shared.write(|replica| Session::new(replica, now_ms(), config));
        let mut bytes_anew = None;
        let mut is_leaving = false;
        loop {
            portion.clear();
            bell.mark_unchanged();
            engine.shared.read(|replica| {
                session.transmit(replica, &mut portion, PORTION_BYTES);
            });
            growing.append(&portion).await?;
            if portion.len() == PORTION_BYTES {
                continue;
            }
            match bytes_anew {
                None => {
                    growing.take_the_place_of(path).await?;
                    bytes_anew = Some(growing.bytes);
                }
                Some(bytes_anew) if rotation.is_due(growing.bytes, bytes_anew) => continue 'anew,
                Some(_) => {}
            }
            if session.is_output_finished() {
                return growing.file.sync_all().await;
            }
            tokio::select! {
                _ = bell.changed() => {}
                _ = shutdown.wait_for(|is_down| *is_down), if !is_leaving => {
                    session.leave();
                    is_leaving = true;
                }
            }
        }
    }
}

/// The file that is written to, which at first has another name.
struct Growing {
    file: File,
    name: PathBuf,
    bytes: u64,
}

impl Growing {
    async fn create(path: &Path) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let name = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // As the node's data, it may be nobody else's business.
        #[cfg(unix)]
        options.mode(0o600);
        Ok(Self { file: options.open(&name).await?, name, bytes: 0 })
    }

    async fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.file.flush().await?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// From now on the path leads to this file; whenever the machine stops, to this or the old one,
    /// whole.
    async fn take_the_place_of(&self, path: &Path) -> io::Result<()> {
        self.file.sync_all().await?;
        fs::rename(&self.name, path).await?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).await?.sync_all().await
    }
}
