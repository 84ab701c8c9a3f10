//! From what the command line says about links to what a node is told: files are read here.
//!
//! No secret gets into a message.

use std::fmt::Display;
use std::path::Path;

use scuttlebutt::{Direction, Limits};
use scuttlebutt_net::{Admitted, Authorities, NodeKey, Tls, TlsIdentity};
use scuttlebutt_security::{Ed25519Key, Term, TrustList, key_file, regular_file};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Admit, DialArgs, LinkArgs, TlsArgs};
use crate::exit::Failure;

/// Who we are, and whom we believe.
pub(crate) fn read(args: &TlsArgs) -> Result<Tls, Failure> {
    let identity = match (&args.cert, &args.node_key) {
        (Some(cert), _) => Some(certificate(cert, args.cert_key.as_deref())?),
        (None, Some(path)) => {
            let text = key_file::read(path).map_err(|error| wrong(path, error))?;
            let key = Ed25519Key::from_text(&text).map_err(|error| wrong(path, error))?;
            let identity = TlsIdentity::from_ed25519_seed(&key.seed());
            Some(identity.map_err(|error| wrong(path, error))?)
        }
        (None, None) => None,
    };
    let authorities = match &args.ca {
        Some(path) => {
            let pem = read_text(path)?;
            Some(Authorities::from_pem(&pem).map_err(|error| wrong(path, error))?)
        }
        None => None,
    };
    Ok(Tls { identity, authorities, ..Tls::default() })
}

/// The same for a command that dials one peer.
pub(crate) fn read_for_dialling(args: &DialArgs) -> Result<Tls, Failure> {
    let mut tls = read(&args.identity)?;
    if !args.admit.is_empty() {
        let mut admitted = vec![];
        for file in &args.admit {
            admitted.extend(read_keys(file)?);
        }
        tls.admitted = Some(admitted.into_iter().collect());
    }
    Ok(tls)
}

/// The same for a node that stays, and whom it lets in. The list is read again at SIGHUP.
pub(crate) fn read_for_serving(args: &LinkArgs) -> Result<Tls, Failure> {
    let mut tls = read(&args.identity)?;
    tls.admits_anyone = args.admit_anyone;
    if !args.admit.is_empty() {
        let admitted: Admitted = read_lists(&args.admit)?.into_iter().collect();
        read_again_at_hangup(args.admit.clone(), admitted.clone())?;
        tls.admitted = Some(admitted);
    }
    if let Some(key) = tls.identity.as_ref().and_then(TlsIdentity::node_key) {
        tracing::info!(%key, "this node's key on encrypted links");
    }
    Ok(tls)
}

/// The bounds of a node that dials so many peers: what was asked for; otherwise no more connections than files
/// that the process may open, so that a flood leaves some for the data and for these.
pub(crate) fn limits(args: &LinkArgs, peers: usize) -> Limits {
    /// For the data directory, the control socket and whatever else is no connection.
    const FILES_KEPT: u64 = 64;
    /// For one peer: all addresses of a name may be tried at once.
    const FILES_PER_PEER: u64 = 4;

    let kept = FILES_KEPT + FILES_PER_PEER * peers as u64;
    let mut limits = Limits::default();
    if let Ok(files) = rlimit::increase_nofile_limit(u64::MAX) {
        let connections = usize::try_from(files.saturating_sub(kept)).unwrap_or(usize::MAX);
        limits.sessions_max = limits.sessions_max.min(connections.max(1));
        limits.sessions_per_address_max =
            limits.sessions_per_address_max.min(limits.sessions_max.div_ceil(2));
    }
    for change in &args.limits {
        // The command line has been checked.
        let _ = change.apply(&mut limits);
    }
    limits
}

fn certificate(cert: &Path, key: Option<&Path>) -> Result<TlsIdentity, Failure> {
    let beside = cert.with_extension("key.pem");
    let key = key.unwrap_or(&beside);
    let chain = read_text(cert)?;
    let secret = key_file::read(key).map_err(|error| wrong(key, error))?;
    TlsIdentity::from_pem(&chain, &secret).map_err(|error| {
        Failure::failed(format!("{} with {}: {error}", cert.display(), key.display()))
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let file = regular_file::open(path).map_err(|error| wrong(path, error))?;
    std::io::read_to_string(file).map_err(|error| wrong(path, error))
}

/// All lists together; of a node that is on several the last counts.
fn read_lists(lists: &[Admit]) -> Result<Vec<(NodeKey, Direction)>, Failure> {
    let mut admitted = vec![];
    for Admit { file, direction } in lists {
        admitted.extend(read_keys(file)?.into_iter().map(|key| (key, *direction)));
    }
    Ok(admitted)
}

fn read_keys(path: &Path) -> Result<Vec<NodeKey>, Failure> {
    let list = TrustList::read(path).map_err(|error| wrong(path, error))?;
    // What else stands there may be a secret, put there by mistake: it is not repeated.
    let wrong_kind = |error| wrong(path, format!("an id in it is no node key: {error}"));
    let keys = list.iter().map(|(id, term)| match term {
        Term::Open => id.to_string().parse().map_err(wrong_kind),
        Term::Until(_) => Err(wrong(
            path,
            "`until` is for what somebody wrote; a node that is to come in no more is left out here",
        )),
    });
    keys.collect()
}

fn read_again_at_hangup(lists: Vec<Admit>, admitted: Admitted) -> Result<(), Failure> {
    let mut hangups = signal(SignalKind::hangup())
        .map_err(|error| Failure::failed(format!("cannot hear signals: {error}")))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            match read_lists(&lists) {
                // A file that is just being written, or was lost, looks like that.
                Ok(keys) if keys.is_empty() => tracing::error!(
                    "nobody is named by --admit any more; who was admitted stays so: to admit nobody is to be \
                     said with a new start"
                ),
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "who is admitted was read again");
                    admitted.replace(keys);
                }
                Err(failure) => tracing::error!("{failure}; who was admitted stays so"),
            }
        }
    });
    Ok(())
}

fn wrong(path: &Path, error: impl Display) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}
