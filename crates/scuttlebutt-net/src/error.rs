//! What goes wrong between a node and its peers, and what to do about it.

use std::io;
use std::sync::Arc;

use scuttlebutt::{InconsistentLimits, LimitExceeded, LocalUpdateError, SessionError};
use scuttlebutt_store::StoreError;

use crate::address::{Address, InvalidAddress};
use crate::tls::{NodeKey, TlsError};

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen where it was to.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its bounds do not fit together.
    #[error(transparent)]
    Limits(#[from] InconsistentLimits),
    /// What it is to announce exceeds its own bounds.
    #[error(transparent)]
    Exceeded(#[from] LimitExceeded),
}

impl From<InvalidAddress> for StartError {
    fn from(error: InvalidAddress) -> Self {
        Self::Listen(error.into())
    }
}

/// A node could not open a listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address could not be bound.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// Where.
        address: Address,
        /// Why.
        error: io::Error,
    },
    /// It would have offered plaintext where others may see it.
    #[error(
        "will not listen on {address} in plaintext: it is no loopback address, and whoever sees the \
         packets could read and change them; listen at tls://{address}, or say that plaintext is \
         wanted (ListenOptions::allows_plaintext)"
    )]
    Plaintext {
        /// Where.
        address: Address,
    },
    /// The certificates or keys do not do.
    #[error("cannot listen on {address}: {error}")]
    Tls {
        /// Where.
        address: Address,
        /// Why.
        error: TlsError,
    },
    /// The address is none.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// The node was shut down.
    #[error("the node was shut down")]
    ShutDown,
}

/// Why a connection ended other than by agreement. What was accepted before stays accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The peer could not be reached.
    #[error("cannot reach {address}: {error}")]
    Dial {
        /// Where.
        address: Address,
        /// Why.
        error: Arc<io::Error>,
    },
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(Arc<io::Error>),
    /// Nothing that was sent to the peer's machine was acknowledged, or taken, for too long.
    #[error(
        "the peer's machine acknowledged or took nothing for three times Limits::heartbeat_ms_max: it is \
         gone, or the way to it is broken"
    )]
    Vanished,
    /// The peer sent what it must not, or not what it had to.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer left before both sides had what the other held.
    #[error("the peer closed the connection before it was in sync")]
    Incomplete,
    /// The node holds as many sessions as it may.
    #[error("the node has {limit} sessions, its limit (Limits::sessions_max)")]
    TooManySessions {
        /// The bound.
        limit: usize,
    },
    /// As many connections came from one address as may.
    #[error(
        "{address} has {limit} connections, the limit for one address \
         (Limits::sessions_per_address_max)"
    )]
    TooManyFromAddress {
        /// The address, or the beginning of the IPv6 network.
        address: std::net::IpAddr,
        /// The bound.
        limit: usize,
    },
    /// The list lets the node do only what the listener, or the peer's options, do not.
    #[error("{key} may not do here what it may do: one says read, the other write")]
    NothingAllowed {
        /// The node.
        key: NodeKey,
    },
    /// The link would only bring updates, and the node's store was opened to be read.
    #[error("the node keeps nothing that comes: its data was opened to be read only")]
    NothingKept,
    /// The link is not encrypted as it should be, or one end does not believe the other.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Output waited and the peer took nothing of it.
    #[error(
        "the peer took nothing of what waits for it in {waited_ms} ms (Limits::write_wait_ms_max)"
    )]
    TookNothing {
        /// The bound.
        waited_ms: u64,
    },
    /// The peer began a line and did not go on with it.
    #[error("the peer did not go on with a line in {waited_ms} ms (Limits::line_wait_ms_max)")]
    SlowLine {
        /// The bound.
        waited_ms: u64,
    },
    /// Peers have begun more, over all sessions, than the node may hold.
    #[error(
        "peers have begun lines of {limit} bytes together and not ended them, the limit \
         (Limits::unfinished_bytes_max)"
    )]
    TooMuchUnfinished {
        /// The bound.
        limit: usize,
    },
    /// Sessions hold more together than they may, and this one held most.
    #[error(
        "of all sessions this one held most for its peer, and together they held {limit} bytes, the limit \
         (Limits::sessions_bytes_max)"
    )]
    HeldMost {
        /// The bound.
        limit: usize,
    },
    /// The node was shut down, and the peer did not take the rest in time.
    #[error("shut down before the peer had taken everything")]
    ShutDown,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        match TlsError::of(&error) {
            Some(error) => Self::Tls(error),
            None if error.kind() == io::ErrorKind::TimedOut => Self::Vanished,
            None => Self::Io(Arc::new(error)),
        }
    }
}

/// A write that was not accepted, or not stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The replica refuses it; nothing has changed.
    #[error(transparent)]
    Refused(#[from] LocalUpdateError),
    /// The node was shut down; nothing has changed.
    #[error("the node was shut down")]
    ShutDown,
    /// The store has failed. No peer was sent the update; whether it is there after the next start is
    /// uncertain.
    #[error(transparent)]
    NotStored(#[from] Arc<StoreError>),
}

/// A write that did not provably reach a peer. It is held here, and may have reached the peer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The peer was asked and does not hold it.
    #[error("the peer did not accept the update: it is read-only, or refuses this source")]
    NotAccepted,
    /// The peer says that it has no room for it. It asks again by itself once it may have.
    #[error("the peer has no room for the update: its bound {bound} is {limit}")]
    NoRoom {
        /// The bound, by the name of its field in [`Limits`](scuttlebutt::Limits).
        bound: String,
        /// What it stands at there.
        limit: f64,
    },
    /// The peer could not be asked.
    #[error(transparent)]
    Link(#[from] LinkError),
}
