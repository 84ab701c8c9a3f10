//! `scuttlebutt serve`: a node that stays.

use std::path::Path;
use std::sync::Arc;

use scuttlebutt::{Direction, EventLog, LwwMap, Register, Retention, SessionConfig};
use scuttlebutt_net::{Address, ListenError, ListenOptions, Node, TlsError};

use crate::change::Format;
use crate::cli::{Place, Serve};
use crate::control;
use crate::data;
use crate::early::Early;
use crate::exit::Failure;
use crate::follow::follow;
use crate::key::Key;
use crate::links;
use crate::model::{ModelName, Shown};
use crate::printer::Printer;
use crate::signals::{self, Signals};
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

async fn serve<M: Shown + Clone + Sync>(model: M, args: Serve) -> Result<(), Failure> {
    let empty = model.clone();
    let signals = Signals::install()?;
    let config = SessionConfig {
        direction: match args.read_only {
            true => Direction::SendOnly,
            false => Direction::Both,
        },
        announce_binary: !args.links.no_binary,
        compress: args.links.compress,
        cluster: args.trust.network.cluster.clone(),
        metadata: args.meta,
        ..SessionConfig::default()
    };
    let tls = links::read_for_serving(&args.links)?;
    let limits = links::limits(&args.links, args.peer.len());
    let mut node = Node::builder(model).sessions(config.clone()).limits(limits).tls(tls);
    if let Some(id) = args.id {
        node = node.id(id);
    }
    let key = Key::named(&args.key, &args.trust.network)?.map(Arc::new);
    let rules = match Rules::named(&args.trust, key.clone()).await? {
        None => None,
        Some(rules) => {
            node = node.verify_with(rules.clone());
            Some((rules, signals::hangups()?))
        }
    };
    let store = match (args.memory, args.data_read_only) {
        (true, _) => None,
        (false, false) => Some(data::open::<M>(&args.data, args.durability, args.repair).await?),
        (false, true) => Some(data::open_to_read::<M>(&args.data).await?),
    };
    if let Some(store) = &store {
        data::check_key(store, key.as_deref())?;
    }
    if let Some(key) = key {
        node = node.sign_with(key);
    }
    let node = data::start(node, store).await?;
    if let Some((rules, hangups)) = rules {
        let keeps = !args.memory && !args.data_read_only;
        rules.govern(&node, empty, keeps.then(|| args.data.clone()), hangups).await?;
    }
    if args.data_read_only {
        tracing::warn!(
            "--data-read-only: peers get what {} holds; writes are refused, and nothing is taken from peers",
            args.data.display()
        );
    }
    let early = Arc::new(Early::of(&args.data));
    let _control = match args.memory {
        true => None,
        false => control_in(&args.data, &node, early.clone()),
    };
    if !args.memory && !args.data_read_only {
        let node = node.clone();
        tokio::spawn(async move { early.keep_reading(&node).await });
    }
    let changes = node.subscribe();

    let mut places = args.tcp;
    places.extend(args.links.tls);
    places.extend(args.unix.into_iter().map(|path| Place::from(Address::Unix(path))));
    if places.is_empty() {
        places.push(Address::Tcp(DEFAULT_ADDRESS.to_owned()).into());
    }
    let format = Format::choose(args.format.json);
    let printer = Printer::start();
    let mut lines = Vec::new();
    for place in &places {
        let options = ListenOptions {
            session: place.config(&config),
            allows_plaintext: args.links.plaintext,
            ..ListenOptions::default()
        };
        let listener = node.listen_with(&place.address, options).await;
        let listener = listener.map_err(|error| cannot_listen(&error))?;
        lines.push(format.listening(listener.address()));
    }
    for line in lines {
        // Whoever does not read is noticed when the changes are printed.
        let _ = printer.print(line).await;
    }
    for place in args.peer {
        let config = place.config(&config);
        node.add_peer_with(place.address, config);
    }
    follow(node, changes, format, printer, signals).await
}

/// Where `export` and the like find this node. It serves its peers without that, too.
fn control_in<M: Shown>(dir: &Path, node: &Node<M>, early: Arc<Early>) -> Option<control::Control> {
    control::listen(node.clone(), dir, early)
        .inspect_err(|error| {
            tracing::warn!(
                "no control socket in {}: {error}; export, import, backup and inspect need this node \
                 stopped",
                dir.display()
            );
        })
        .ok()
}

fn cannot_listen(error: &ListenError) -> Failure {
    match error {
        ListenError::Plaintext { address } => {
            return Failure::usage(format!(
                "{address} is no loopback address, and whoever sees the packets could read and \
                 change them: encrypt with --tls {address} (see `scuttlebutt help cert`), or say \
                 --plaintext if the network is trusted"
            ));
        }
        ListenError::Tls { address, error: TlsError::NoIdentity } => {
            return Failure::usage(format!(
                "{address} needs --cert FILE, as `scuttlebutt cert` makes it, or --node-key FILE"
            ));
        }
        ListenError::Tls { address, error: TlsError::NobodyAdmitted } => {
            return Failure::usage(format!(
                "nobody could come in at {address}: name who may with --ca FILE (whoever has a \
                 certificate of that authority), --admit FILE (node keys) or --admit-anyone"
            ));
        }
        _ => {}
    }
    let is_in_use = matches!(error, ListenError::Bind { error, .. }
        if error.kind() == std::io::ErrorKind::AddrInUse);
    let hint = if is_in_use {
        "; another node may be there; --tcp 127.0.0.1:0 takes any free port"
    } else {
        ""
    };
    Failure::failed(format!("{error}{hint}"))
}
