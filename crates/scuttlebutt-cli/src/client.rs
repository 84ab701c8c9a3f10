//! Talking to one peer within one span of time: what the one-shot commands share.
//!
//! A command is a node like any other, with a fresh id or that of a key, that lives for a moment.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{
    Change, Direction, Limits, LocalUpdateError, Mode, Refusal, SessionConfig, VersionVector,
};
use scuttlebutt_net::{Address, DeliveryError, Node, Peer, PeerStatus, SessionStatus, UpdateError};
use tokio::time::Instant;

use crate::cli::{KeyArgs, PeerArgs, PlaceArgs, TrustArgs};
use crate::control;
use crate::exit::{Code, Failure, tell};
use crate::key::Key;
use crate::links;
use crate::model::{Shown, starts_with_name};
use crate::source;
use crate::trust::Rules;
use crate::writing::Writing;

/// How long a peer that has said everything may take to close its end.
const FAREWELL_MS_MAX: u64 = 500;

/// A node that talks to one peer.
pub(crate) struct Client<M> {
    pub(crate) node: Node<M>,
    address: Address,
    timeout: Duration,
    deadline: Instant,
    announce_binary: bool,
    compress: bool,
}

/// What a session does that takes and never gives.
pub(crate) fn reader(mode: Mode) -> SessionConfig {
    SessionConfig { direction: Direction::ReceiveOnly, mode, ..SessionConfig::default() }
}

/// Writes where it was asked for, and returns when it is there.
pub(crate) async fn write<M: Shown>(
    place: &PlaceArgs,
    trust: &TrustArgs,
    key: &KeyArgs,
    writing: &Writing,
) -> Result<(), Failure> {
    let change = writing.change()?;
    let Some(dir) = &place.data else {
        let peer =
            place.peer().ok_or_else(|| Failure::usage("write where? Say --peer or --data"))?;
        return Client::start(M::default(), &peer, trust, key)
            .await?
            .write(change)
            .await
            .map_err(|failure| writing.advise(failure, ["--peer", &peer.address.to_string()]));
    };
    if key.key.is_some() {
        return Err(Failure::usage(
            "with --data the node writes, as itself and with its own key: leave out --key",
        ));
    }
    let node = control::find(dir).await?.ok_or_else(|| source::no_node(dir))?;
    let written = tokio::time::timeout(place.timeout, node.write(M::NAME, &change)).await;
    let place = dir.display().to_string();
    written
        .map_err(|_| source::silent(dir))?
        .map_err(|failure| writing.advise(failure, ["--data", &place]))
}

impl<M: Shown> Client<M> {
    /// The time runs from here.
    pub(crate) async fn start(
        model: M,
        args: &PeerArgs,
        trust: &TrustArgs,
        key: &KeyArgs,
    ) -> Result<Self, Failure> {
        let key = Key::named(key, &trust.network)?.map(Arc::new);
        let rules = Rules::named(trust, key.clone()).await?;
        // Our own deadline comes first, and knows best what to say.
        let timeout_ms = 2 * args.timeout.as_millis() as u64;
        let limits = Limits {
            dial_wait_ms_max: timeout_ms,
            digest_wait_ms_max: timeout_ms as f64,
            shutdown_wait_ms_max: FAREWELL_MS_MAX,
            ..Limits::default()
        };
        let tls = links::read_for_dialling(&args.tls)?;
        let mut node = Node::builder(model).limits(limits).tls(tls);
        if let Some(cluster) = &trust.network.cluster {
            node = node.cluster(cluster.clone());
        }
        if let Some(rules) = rules {
            node = node.verify_with(rules);
        }
        if let Some(key) = key {
            // What it wrote at other times, who knows where, is not here.
            node = node.sign_with(key).forgetful();
        }
        let node = node.start().await;
        Ok(Self {
            node: node.map_err(|error| Failure::failed(error.to_string()))?,
            address: args.address.clone(),
            timeout: args.timeout,
            deadline: Instant::now() + args.timeout,
            announce_binary: !args.no_binary,
            compress: args.compress,
        })
    }

    /// Takes what the peer holds, and leaves.
    pub(crate) async fn catch_up(&self) -> Result<(), Failure> {
        let (node, address) = (self.node.clone(), self.address.clone());
        // In a task of its own: much that comes fast would hold up our look at the clock.
        let config = self.config(reader(Mode::CatchUp));
        let session = tokio::spawn(async move { node.connect_once(&address, config).await });
        match tokio::time::timeout_at(self.deadline, session).await {
            Ok(Ok(Ok(status))) => self.judge(&status),
            Ok(Ok(Err(error))) => Err(Failure::link(&self.address, &error)),
            Ok(Err(panic)) => Err(Failure::failed(panic.to_string())),
            Err(_) => Err(self.too_late()),
        }
    }

    /// A session as it was asked for.
    fn config(&self, config: SessionConfig) -> SessionConfig {
        let Self { announce_binary, compress, .. } = *self;
        SessionConfig { announce_binary, compress, ..config }
    }

    /// Takes what the peer holds, and stays.
    pub(crate) async fn join(&self, config: SessionConfig) -> Result<Peer, Failure> {
        let peer = self.node.add_peer_with(self.address.clone(), self.config(config));
        match tokio::time::timeout_at(self.deadline, peer.synced()).await {
            Ok(Ok(PeerStatus { session: Some(status), .. })) => self.judge(&status).map(|()| peer),
            Ok(Ok(_)) => Ok(peer),
            Ok(Err(error)) => Err(Failure::link(&self.address, &error)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// Writes, after all that the peer holds, and returns when the peer provably has it.
    async fn write(self, change: Change) -> Result<(), Failure> {
        let peer = self.join(SessionConfig::default()).await?;
        let update = match self.node.update(change).await {
            Ok(update) => update,
            Err(UpdateError::Refused(error @ LocalUpdateError::Invalid(_))) => {
                return Err(Failure::usage(error.to_string()));
            }
            Err(UpdateError::Refused(error @ LocalUpdateError::Full(_))) => {
                return Err(Failure::new(Code::NotAccepted, error.to_string()));
            }
            Err(error) => return Err(Failure::failed(error.to_string())),
        };
        let delivered = self.node.deliver(&update, &peer);
        match tokio::time::timeout_at(self.deadline, delivered).await {
            Ok(Ok(())) => {}
            Ok(Err(DeliveryError::Link(error))) => {
                return Err(Failure::link(&self.address, &error));
            }
            Ok(Err(error)) => {
                return Err(Failure::new(Code::NotAccepted, format!("{}: {error}", self.address)));
            }
            Err(_) => {
                let message = format!(
                    "{} did not confirm the write within {:?}; it may have arrived all the same",
                    self.address, self.timeout
                );
                return Err(Failure::new(Code::TimedOut, message));
            }
        }
        self.node.shutdown().await;
        Ok(())
    }

    /// Says what the peer had done when the time was over.
    fn too_late(&self) -> Failure {
        let (address, timeout) = (&self.address, self.timeout);
        let Some(session) = self.node.sessions().pop() else {
            let message = format!("cannot reach {address}: no answer within {timeout:?}");
            return Failure::new(Code::Unreachable, message);
        };
        let message = match (session.bytes_received, session.peer) {
            (0, _) => format!(
                "{address} accepted the connection and said nothing within {timeout:?}: it is no \
                 scuttlebutt node, or one that only receives"
            ),
            (_, None) => format!(
                "{address} did not say what it holds within {timeout:?}: it is a node that only \
                 receives, or no scuttlebutt node"
            ),
            (received, Some(_)) => format!(
                "{address} did not finish its history within {timeout:?}, of which {received} \
                 bytes came; a longer --timeout may help"
            ),
        };
        Failure::new(Code::TimedOut, message)
    }

    /// Whether what came is this model's.
    fn judge(&self, status: &SessionStatus) -> Result<(), Failure> {
        let address = &self.address;
        let (held, fitting, begins_with_name) = self.node.read_replica(|replica| {
            let everything = VersionVector::new();
            let mut counts = (0_u64, 0_u64, false);
            for update in replica.updates_since(&everything) {
                counts.0 += 1;
                counts.1 += u64::from(replica.model().looks_familiar(update));
                counts.2 |= starts_with_name(update);
            }
            counts
        });
        let invalid = match status.last_refusal {
            Some(Refusal::Invalid(_)) => status.refused,
            _ => 0,
        };
        if fitting == 0 && held + invalid > 0 {
            let likely = if begins_with_name { "events" } else { "value" };
            return Err(Failure::new(
                Code::Protocol,
                format!(
                    "{address} seems to serve another model ({likely}?): none of its updates is {}",
                    M::SHAPE
                ),
            ));
        }
        if fitting < held {
            tell(
                "warning",
                format!(
                    "{} of {held} updates of {address} are not {}: does it serve another model?",
                    held - fitting,
                    M::SHAPE
                ),
            );
        }
        if let Some(refusal) = &status.last_refusal {
            let count = status.refused;
            tell("warning", format!("{address}: {count} left out: {refusal}"));
        }
        Ok(())
    }
}
