//! `scuttlebutt import`: reads a file of npm scuttlebutt's, or of ours, into a data directory.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scuttlebutt::{EventLog, LwwMap, Register};
use scuttlebutt_net::Node;

use crate::cli::Import;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::file::{self, Extent, Place, Summary};
use crate::model::{ModelName, Shown};
use crate::progress::{Progress, Unit};

pub(crate) async fn run(args: Import) -> Result<(), Failure> {
    let place = Place::from(args.file.as_str());
    let (reader, extent) = file::open(&place).await?;
    let dir = &args.data.data;
    let import = async {
        if let Some(running) = control::find(dir).await? {
            return Ok(Summary::from_json(&running.import(reader).await?));
        }
        let model = match args.model {
            Some(model) => model,
            None if data::is_there(dir) => data::model_in(dir).await?,
            None => ModelName::default(),
        };
        match model {
            ModelName::Map => import::<LwwMap>(dir, reader).await,
            ModelName::Events => import::<EventLog>(dir, reader).await,
            ModelName::Value => import::<Register>(dir, reader).await,
        }
    };
    let summary = tokio::select! {
        summary = import => summary?,
        never = tell_progress(extent) => match never {},
    };
    summary.report()
}

async fn import<M: Shown>(
    dir: &Path,
    reader: impl tokio::io::AsyncRead + Unpin,
) -> Result<Summary, Failure> {
    let store = data::open::<M>(dir, data::DurabilityName::Synced, false).await?;
    let node = data::start(Node::builder(M::default()), Some(store)).await?;
    let loaded = node.load_from(reader).await;
    // What came before a fault is kept.
    let flushed = node.flush().await;
    node.shutdown().await;
    flushed.map_err(|error| data::failure(&error))?;
    let imported = loaded.map_err(|error| Failure::failed(error.to_string()))?;
    Ok(Summary::of(&imported))
}

async fn tell_progress(extent: Option<Extent>) -> std::convert::Infallible {
    let Some(extent) = extent else { return std::future::pending().await };
    let mut progress = Progress::new("importing", Unit::Bytes);
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        progress.at(extent.read.load(Ordering::Relaxed), extent.total);
    }
}
