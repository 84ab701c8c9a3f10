//! `scuttlebutt watch`: the changes of a peer, or of the node that has a directory open, as they happen.

use scuttlebutt::{ChangeCursor, LwwMap, Register};

use crate::change::Format;
use crate::cli::Watch;
use crate::exit::Failure;
use crate::follow::follow;
use crate::model::{ModelName, Shown};
use crate::printer::Printer;
use crate::signals::Signals;
use crate::source::Source;

pub(crate) async fn run(args: Watch) -> Result<(), Failure> {
    let signals = Signals::install()?;
    let source = Source::find(&args.place, args.model).await?;
    match source.model {
        ModelName::Map => watch(LwwMap::new(), source, &args, signals).await,
        ModelName::Events => watch(source.event_log(), source, &args, signals).await,
        ModelName::Value => watch(Register::new(), source, &args, signals).await,
    }
}

async fn watch<M: Shown>(
    model: M,
    source: Source,
    args: &Watch,
    mut signals: Signals,
) -> Result<(), Failure> {
    let node = tokio::select! {
        node = source.stay(model, &args.trust) => node?,
        _ = signals.next() => return Ok(()),
    };
    let changes = match args.history {
        true => node.subscribe_from(ChangeCursor::default()),
        false => node.subscribe(),
    };
    let format = Format::choose(args.format.json);
    follow(node, changes, format, Printer::start(), signals).await
}
