//! `scuttlebutt watch`: the changes of a peer, as they happen.

use scuttlebutt::{ChangeCursor, EventLog, LwwMap, Mode, Register};

use crate::change::Format;
use crate::cli::{KeyArgs, Watch};
use crate::client::{Client, reader};
use crate::exit::Failure;
use crate::follow::follow;
use crate::model::{ModelName, Shown};
use crate::printer::Printer;
use crate::signals::Signals;

pub(crate) async fn run(args: Watch) -> Result<(), Failure> {
    match args.model {
        ModelName::Map => watch::<LwwMap>(&args).await,
        ModelName::Events => watch::<EventLog>(&args).await,
        ModelName::Value => watch::<Register>(&args).await,
    }
}

async fn watch<M: Shown>(args: &Watch) -> Result<(), Failure> {
    let mut signals = Signals::install()?;
    let client = Client::<M>::start(&args.peer, &args.trust, &KeyArgs::default()).await?;
    tokio::select! {
        joined = client.join(reader(Mode::Live)) => joined?,
        _ = signals.next() => return Ok(()),
    };
    let changes = if args.history {
        client.node.subscribe_from(ChangeCursor::default())
    } else {
        client.node.subscribe()
    };
    let format = Format::choose(args.format.json);
    follow(client.node, changes, format, Printer::start(), signals).await
}
