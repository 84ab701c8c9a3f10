//! Replicas of [`scuttlebutt`] on the network.
//!
//! A [`Node`] owns a replica, listens for peers, dials others for ever, and runs a session over each
//! connection. An application holds the handle: it writes, reads and subscribes, and never touches a
//! socket, a frame or a lock. What it never does: decide what an update means or whether it is news;
//! that is the core crate's work.
//!
//! It runs on tokio. Any `AsyncRead + AsyncWrite` can carry a session ([`Node::attach`]); TCP, TLS
//! over it ([`Tls`]) and Unix sockets are included.

pub mod guide;

mod address;
mod asking;
mod backoff;
mod budget;
mod builder;
mod connection;
mod door;
mod engine;
mod error;
mod file;
mod identity;
mod keeper;
mod listener;
mod long_lines;
mod node;
mod outage;
mod pace;
mod peer;
mod peer_log;
mod probing;
mod race;
mod shared;
mod signing;
mod status;
mod stream;
mod subscription;
mod suspicion;
mod time;
mod tls;

pub use address::{Address, InvalidAddress};
pub use builder::Builder;
pub use error::{DeliveryError, LinkError, ListenError, StartError, UpdateError};
pub use file::{FileError, Rotation};
pub use listener::{ListenOptions, Listener};
pub use node::Node;
pub use peer::Peer;
pub use shared::fresh_id;
pub use status::{PeerState, PeerStatus, Refusals, RefusedByPeer, SessionStatus};
pub use subscription::{Notice, Subscription};
pub use tls::{Admitted, Authorities, InvalidNodeKey, NodeKey, Tls, TlsError, TlsIdentity};

/// The examples of the README are compiled and run too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
