//! `scuttlebutt dump`: what a peer or a data directory holds, as state or as history.

use std::io::Write;

use scuttlebutt::{LwwMap, Register, VersionVector};
use scuttlebutt_net::Node;

use crate::cli::Dump;
use crate::exit::Failure;
use crate::model::{ModelName, Shown};
use crate::printer::print_at_once;
use crate::source::Source;
use crate::terminal::{Style, harmless};

pub(crate) async fn run(args: Dump) -> Result<(), Failure> {
    let source = Source::find(&args.place, args.model).await?;
    let trust = &args.trust;
    match source.model {
        ModelName::Map => print(source.catch_up(LwwMap::new(), trust).await?, args.updates).await,
        ModelName::Events => {
            let events = source.event_log();
            print(source.catch_up(events, trust).await?, args.updates).await
        }
        ModelName::Value => {
            print(source.catch_up(Register::new(), trust).await?, args.updates).await
        }
    }
}

async fn print<M: Shown>(node: Node<M>, as_updates: bool) -> Result<(), Failure> {
    let style = Style::of_stdout();
    // No session goes on: nobody but us waits for the replica.
    let printed = node.read_replica(|replica| {
        print_at_once(|out| {
            if !as_updates {
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
    });
    node.shutdown().await;
    printed
}
