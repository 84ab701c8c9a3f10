//! Files of updates by name: `-` is stdin or stdout, `.gz` and `.zst` are compressed.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::tokio::write::{GzipEncoder, ZstdEncoder};
use scuttlebutt::{Imported, InFile, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};

use crate::early::until;
use crate::exit::{Failure, tell};
use crate::printer::print_result;

/// Where updates are read from or written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// stdin or stdout.
    Standard,
    File(PathBuf),
}

impl From<&str> for Place {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Standard } else { Self::File(text.into()) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::None,
        }
    }
}

type Reader = Box<dyn AsyncRead + Unpin + Send>;

/// How far a file was read.
pub(crate) struct Extent {
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) total: u64,
}

/// Opens a file to read updates from; for stdin its extent is unknown.
pub(crate) async fn open(place: &Place) -> Result<(Reader, Option<Extent>), Failure> {
    let Place::File(path) = place else { return Ok((Box::new(tokio::io::stdin()), None)) };
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let file = File::open(path).await.map_err(failed)?;
    let total = file.metadata().await.map_err(failed)?.len();
    let read = Arc::new(AtomicU64::new(0));
    let file = BufReader::new(Counted { file, read: read.clone() });
    let reader: Reader = match Compression::of(path) {
        Compression::None => Box::new(file),
        Compression::Gzip => {
            let mut decoder = GzipDecoder::new(file);
            // As `gzip` and `cat` make them.
            decoder.multiple_members(true);
            Box::new(decoder)
        }
        Compression::Zstd => {
            let mut decoder = ZstdDecoder::new(file);
            decoder.multiple_members(true);
            Box::new(decoder)
        }
    };
    Ok((reader, Some(Extent { read, total })))
}

/// Writes a file by way of another name, so that it is there whole or as it was before.
pub(crate) async fn write(
    place: &Place,
    fill: impl AsyncFnOnce(&mut (dyn AsyncWrite + Unpin + Send)) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Place::File(path) = place else {
        let mut stdout = tokio::io::stdout();
        fill(&mut stdout).await?;
        return stdout.flush().await.map_err(|error| Failure::failed(error.to_string()));
    };
    let failed = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let file = create_like(&draft, path).await.map_err(failed)?;
    let mut writer: Box<dyn AsyncWrite + Unpin + Send> = match Compression::of(path) {
        Compression::None => Box::new(tokio::io::BufWriter::new(file)),
        Compression::Gzip => Box::new(GzipEncoder::new(file)),
        Compression::Zstd => Box::new(ZstdEncoder::new(file)),
    };
    let written = async {
        fill(&mut writer).await?;
        writer.shutdown().await.map_err(failed)?;
        drop(writer);
        File::open(&draft).await.map_err(failed)?.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&draft, path).await.map_err(failed)
    };
    let written = written.await;
    if written.is_err() {
        let _ = tokio::fs::remove_file(&draft).await;
    }
    written
}

/// Makes a file that is its owner's alone, or as open to others as the one that it will replace.
async fn create_like(draft: &Path, replaced: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600);
    // Of a command that was killed.
    let _ = tokio::fs::remove_file(draft).await;
    let file = options.open(draft).await?;
    if let Ok(metadata) = tokio::fs::metadata(replaced).await {
        file.set_permissions(metadata.permissions()).await?;
    }
    Ok(file)
}

/// Counts what is read.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.file).poll_read(context, buffer);
        self.read.fetch_add((buffer.filled().len() - before) as u64, Ordering::Relaxed);
        poll
    }
}

/// What became of a file that was read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    applied: u64,
    superseded: u64,
    known: u64,
    /// Lines that mean nothing, to anybody or to this model.
    invalid: u64,
    /// Updates that were left out for another reason.
    refused: u64,
    first_left_out: Option<String>,
    /// Updates that are kept for their time.
    early: u64,
    accept_at_ms: Option<f64>,
    is_complete: bool,
}

impl Summary {
    pub(crate) fn of(imported: &Imported) -> Self {
        let tally = &imported.tally;
        let refusal = imported.refused.as_ref().map(|(line, why)| match why {
            // The verdict came after more had been read.
            Refusal::Unverified => {
                let why = InFile(why);
                format!("one up to line {line}: {why}; `scuttlebutt verify FILE` says which")
            }
            why => format!("line {line}: {}", InFile(why)),
        });
        let skipped = imported.first_skipped.as_ref().map(ToString::to_string);
        Self {
            applied: tally.updates_applied + tally.updates_trusted,
            superseded: tally.updates_superseded,
            known: tally.updates_stale,
            invalid: tally.updates_malformed + tally.updates_invalid + imported.skipped,
            refused: tally.updates_unverified + tally.updates_crowded + tally.updates_full,
            first_left_out: skipped.or(refusal),
            early: tally.updates_early,
            accept_at_ms: imported.accept_at_ms,
            is_complete: imported.is_complete,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    pub(crate) fn from_json(value: Value) -> Self {
        serde_json::from_value(value).unwrap_or_default()
    }

    /// Tells the user; a file of which something was refused is a failure.
    pub(crate) fn report(&self, skips_invalid: bool) -> Result<(), Failure> {
        let told = print_result(format_args!(
            "{} updates imported, {} superseded by newer ones, {} known already",
            self.applied, self.superseded, self.known
        ));
        if !self.is_complete {
            tell(
                "warning",
                "the file has no \"SYNC\" line: it was cut off, or is still being written; what it \
                 holds is imported",
            );
        }
        if self.early > 0 {
            let wait = until(self.accept_at_ms.unwrap_or_default()).as_secs();
            let (early, hours, minutes) = (self.early, wait / 3_600, wait / 60 % 60);
            let which = format!("{early} updates are from the future and kept for their time");
            tell("note", format!("{which}; the first is taken in {hours} h {minutes} min"));
        }
        let Some(first) = &self.first_left_out else { return told };
        let message = format!("{} updates were left out; {first}", self.invalid + self.refused);
        match (self.refused, skips_invalid) {
            (0, true) => tell("warning", message),
            (0, false) => {
                return Err(Failure::failed(message + "; with --skip-invalid that is no failure"));
            }
            _ => return Err(Failure::failed(message)),
        }
        told
    }
}
