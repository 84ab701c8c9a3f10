//! `scuttlebutt dump`: what a peer holds, as state or as history.

use std::io::Write;

use scuttlebutt::{EventLog, LwwMap, Register, VersionVector};

use crate::cli::{Dump, KeyArgs};
use crate::client::Client;
use crate::exit::Failure;
use crate::model::{ModelName, Shown};
use crate::printer::print_at_once;
use crate::terminal::{Style, harmless};

pub(crate) async fn run(args: Dump) -> Result<(), Failure> {
    match args.model {
        ModelName::Map => dump::<LwwMap>(&args).await,
        ModelName::Events => dump::<EventLog>(&args).await,
        ModelName::Value => dump::<Register>(&args).await,
    }
}

async fn dump<M: Shown>(args: &Dump) -> Result<(), Failure> {
    let client = Client::<M>::start(&args.peer, &args.trust, &KeyArgs::default()).await?;
    client.catch_up().await?;
    let style = Style::of_stdout();
    // The session is over: nobody but us waits for the replica.
    client.node.read_replica(|replica| {
        print_at_once(|out| {
            if !args.updates {
                return replica.model().write_state(style, out);
            }
            for update in replica.updates_since(&VersionVector::new()) {
                let line = update.to_json();
                match style {
                    None => writeln!(out, "{line}")?,
                    Some(_) => writeln!(out, "{}", harmless(&line))?,
                }
            }
            Ok(())
        })
    })
}
