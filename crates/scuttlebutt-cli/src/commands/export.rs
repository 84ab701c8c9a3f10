//! `scuttlebutt export`: everything a data directory holds, in the format of npm scuttlebutt's files.

use std::path::Path;

use scuttlebutt::{EventLog, Limits, LwwMap, Register};
use scuttlebutt_net::Node;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::cli::Export;
use crate::commands::import::started_otherwise;
use crate::control;
use crate::data;
use crate::exit::{Failure, tell};
use crate::file::{self, Place};
use crate::model::{ModelName, Shown};

/// What a whole file ends with.
const END: &[u8] = b"\"SYNC\"\n";

pub(crate) async fn run(args: Export) -> Result<(), Failure> {
    let place = Place::from(args.file.as_str());
    let dir = &args.data.data;
    if let Some(running) = control::find(dir).await? {
        if !args.limits.is_empty() {
            return Err(started_otherwise(dir));
        }
        let reader = running.export().await?;
        return file::write(&place, async |writer| copy(reader, writer).await).await;
    }
    let limits = args.limits.over(Limits::default());
    match data::model_in(dir).await? {
        ModelName::Map => export::<LwwMap>(dir, &place, limits).await,
        ModelName::Events => export::<EventLog>(dir, &place, limits).await,
        ModelName::Value => export::<Register>(dir, &place, limits).await,
    }
}

async fn export<M: Shown>(dir: &Path, place: &Place, limits: Limits) -> Result<(), Failure> {
    let store = data::open_to_read::<M>(dir).await?;
    let node = data::start(Node::builder(M::default()).limits(limits), Some(store)).await?;
    let left_out = node.read_replica(|replica| replica.unsendable().count());
    let written = file::write(place, async |writer| {
        node.save_to(writer).await.map(|_| ()).map_err(|error| cannot_write(&error))
    });
    let written = written.await;
    node.shutdown().await;
    if left_out > 0 {
        tell(
            "warning",
            format!(
                "{left_out} updates were left out: they exceed a bound that every reader of the file has; \
                 --limit raises it, here and at `scuttlebutt import`"
            ),
        );
    }
    written
}

/// Copies what a node exports, and notices if it breaks off.
async fn copy(
    mut reader: impl AsyncRead + Unpin,
    writer: &mut (dyn AsyncWrite + Unpin + Send),
) -> Result<(), Failure> {
    let broken = |error: String| Failure::failed(format!("the node broke off: {error}"));
    let mut portion = vec![0; 64 << 10];
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let count = reader.read(&mut portion).await.map_err(|error| broken(error.to_string()))?;
        if count == 0 {
            break;
        }
        writer.write_all(&portion[..count]).await.map_err(|error| cannot_write(&error))?;
        tail.extend_from_slice(&portion[..count]);
        tail.drain(..tail.len().saturating_sub(END.len()));
    }
    if tail == END { Ok(()) } else { Err(broken("the file is not whole".to_owned())) }
}

fn cannot_write(error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write the file: {error}"))
}
