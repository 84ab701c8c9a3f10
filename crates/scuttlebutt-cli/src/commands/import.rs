//! `scuttlebutt import`: reads a file of npm scuttlebutt's, or of ours, into a data directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scuttlebutt::{EventLog, Limits, LwwMap, Register};
use scuttlebutt_net::Node;

use crate::cli::Import;
use crate::control;
use crate::data;
use crate::early::Early;
use crate::exit::Failure;
use crate::file::{self, Extent, Place, Summary};
use crate::model::{ModelName, Shown};
use crate::progress::{Progress, Unit};
use crate::trust::Rules;

pub(crate) async fn run(args: Import) -> Result<(), Failure> {
    let place = Place::from(args.file.as_str());
    let (reader, extent) = file::open(&place).await?;
    let dir = &args.data.data;
    let import = async {
        let rules = Rules::named(&args.trust, None).await?;
        if let Some(running) = control::find(dir).await? {
            if rules.is_some() {
                return Err(Failure::usage(format!(
                    "a node has {} open, and believes whom it was told to believe when it was \
                     started: leave out --trust, --verify and --rsa-keys",
                    dir.display()
                )));
            }
            if !args.limits.is_empty() {
                return Err(started_otherwise(dir));
            }
            return Ok(Summary::from_json(running.import(reader, args.skip_invalid).await?));
        }
        let model = match args.model {
            Some(model) => model,
            None if data::is_there(dir) => data::model_in(dir).await?,
            None => ModelName::default(),
        };
        let (limits, skips) = (args.limits.over(Limits::default()), args.skip_invalid);
        match model {
            ModelName::Map => import::<LwwMap>(dir, reader, rules, limits, skips).await,
            ModelName::Events => import::<EventLog>(dir, reader, rules, limits, skips).await,
            ModelName::Value => import::<Register>(dir, reader, rules, limits, skips).await,
        }
    };
    let summary = tokio::select! {
        summary = import => summary?,
        never = tell_progress(extent) => match never {},
    };
    summary.report(args.skip_invalid)
}

/// The bounds are those of the node that has the directory open.
pub(crate) fn started_otherwise(dir: &Path) -> Failure {
    Failure::usage(format!(
        "a node has {} open, with the bounds it was started with: leave out --limit here, and give it to \
         `scuttlebutt serve`",
        dir.display()
    ))
}

async fn import<M: Shown>(
    dir: &Path,
    reader: impl tokio::io::AsyncRead + Unpin,
    rules: Option<Arc<Rules>>,
    limits: Limits,
    skip_invalid: bool,
) -> Result<Summary, Failure> {
    let store = data::open::<M>(dir, data::DurabilityName::Synced, false).await?;
    let mut node = Node::builder(M::default()).limits(limits);
    if let Some(rules) = rules {
        node = node.verify_with(rules);
    }
    let node = data::start(node, Some(store)).await?;
    let loaded = Early::of(dir).import(&node, reader, skip_invalid).await;
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
