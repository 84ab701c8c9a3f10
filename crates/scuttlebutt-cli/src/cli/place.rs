//! Where a command reads or writes: a peer, or a data directory.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use scuttlebutt_net::Address;

use super::DialArgs;
use crate::data::DEFAULT_DIR;

/// A peer, or a data directory and the node that has it open.
#[derive(Args)]
pub(crate) struct PlaceArgs {
    /// The peer to talk to: host:port, tcp://host:port, tls://host:port or unix:PATH
    #[arg(long = "peer", value_name = "ADDR", required_unless_present = "data")]
    address: Option<Address>,

    /// Instead of a peer: this data directory, by way of the node that has it open
    ///
    /// What is written the node writes, as itself and with its key. Without a node, `get` and `dump` read
    /// the directory itself.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["address", "trust", "verify", "rsa_keys", "cluster"],
    )]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    tls: DialArgs,

    /// How long to try
    ///
    /// It covers connecting, catching up and, where something is written, the proof of delivery.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::parse_seconds)]
    pub(crate) timeout: Duration,

    /// Speak lines of JSON only, which can be read on the wire
    ///
    /// Otherwise nodes of this kind agree on a binary form, which is faster.
    #[arg(long)]
    no_binary: bool,

    /// Compress what is sent to peers that say the same
    ///
    /// It saves most of the bytes of a long history, for slow links, and takes more time on fast ones. It is
    /// part of the binary form.
    #[arg(long, conflicts_with = "no_binary")]
    compress: bool,
}

/// Whom to ask, and for how long.
pub(crate) struct PeerArgs {
    pub(crate) address: Address,
    pub(crate) tls: DialArgs,
    pub(crate) timeout: Duration,
    pub(crate) no_binary: bool,
    pub(crate) compress: bool,
}

impl PlaceArgs {
    /// The peer, unless it is a data directory.
    pub(crate) fn peer(&self) -> Option<PeerArgs> {
        let address = self.address.clone()?;
        let Self { timeout, no_binary, compress, .. } = *self;
        Some(PeerArgs { address, tls: self.tls.clone(), timeout, no_binary, compress })
    }
}

/// Which data.
#[derive(Args)]
pub(crate) struct DataArgs {
    /// The data directory
    #[arg(long = "data", value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(crate) data: PathBuf,
}
