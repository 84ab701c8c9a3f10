//! `scuttlebutt serve`: a node that stays.

use std::path::Path;
use std::sync::Arc;

use scuttlebutt::{Direction, EventLog, LwwMap, Register, Retention, SessionConfig};
use scuttlebutt_net::{Address, Node};

use crate::change::Format;
use crate::cli::Serve;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::follow::follow;
use crate::key::Key;
use crate::model::{ModelName, Shown};
use crate::printer::Printer;
use crate::signals::Signals;
use crate::trust::Rules;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7000";

pub(crate) async fn run(args: Serve) -> Result<(), Failure> {
    let retention = args.keep.retention();
    if args.model != ModelName::Events && retention != Retention::default() {
        return Err(Failure::usage(
            "--keep-count, --keep-age and --keep-bytes are for --model events",
        ));
    }
    match args.model {
        ModelName::Map => serve(LwwMap::new(), args).await,
        ModelName::Events => serve(EventLog::with_retention(retention), args).await,
        ModelName::Value => serve(Register::new(), args).await,
    }
}

async fn serve<M: Shown>(model: M, args: Serve) -> Result<(), Failure> {
    let signals = Signals::install()?;
    let config = SessionConfig {
        direction: match args.read_only {
            true => Direction::SendOnly,
            false => Direction::Both,
        },
        ..SessionConfig::default()
    };
    let mut node = Node::builder(model).sessions(config.clone());
    if let Some(id) = args.id {
        node = node.id(id);
    }
    let key = Key::named(&args.key)?.map(Arc::new);
    if let Some(rules) = Rules::named(&args.trust, key.clone()).await? {
        rules.reload_on_hangup()?;
        node = node.verify_with(rules);
    }
    let store = match args.memory {
        true => None,
        false => Some(data::open::<M>(&args.data, args.durability, args.repair).await?),
    };
    if let Some(store) = &store {
        data::check_key(store, key.as_deref())?;
    }
    if let Some(key) = key {
        node = node.sign_with(key);
    }
    let node = data::start(node, store).await?;
    let _control = if args.memory { None } else { control_in(&args.data, &node) };
    let changes = node.subscribe();

    let mut addresses = args.tcp;
    addresses.extend(args.unix.into_iter().map(Address::Unix));
    if addresses.is_empty() {
        addresses.push(Address::Tcp(DEFAULT_ADDRESS.to_owned()));
    }
    let format = Format::choose(args.format.json);
    let printer = Printer::start();
    let mut lines = Vec::new();
    for address in &addresses {
        let listener = node.listen_with(address, config.clone()).await;
        let listener = listener.map_err(|error| cannot_listen(&error))?;
        lines.push(format.listening(listener.address()));
    }
    for line in lines {
        // Whoever does not read is noticed when the changes are printed.
        let _ = printer.print(line).await;
    }
    for address in args.peer {
        node.add_peer_with(address, config.clone());
    }
    follow(node, changes, format, printer, signals).await
}

/// Where `export` and the like find this node. It serves its peers without that, too.
fn control_in<M: Shown>(dir: &Path, node: &Node<M>) -> Option<control::Control> {
    control::listen(node.clone(), dir)
        .inspect_err(|error| {
            tracing::warn!(
                "no control socket in {}: {error}; export, import, backup and inspect need this node \
                 stopped",
                dir.display()
            );
        })
        .ok()
}

fn cannot_listen(error: &scuttlebutt_net::ListenError) -> Failure {
    let is_in_use = matches!(error, scuttlebutt_net::ListenError::Bind { error, .. }
        if error.kind() == std::io::ErrorKind::AddrInUse);
    let hint = if is_in_use {
        "; another node may be there; --tcp 127.0.0.1:0 takes any free port"
    } else {
        ""
    };
    Failure::failed(format!("{error}{hint}"))
}
