//! What the command line says about the network that a node belongs to.

use clap::Args;
use scuttlebutt::Label;

/// Which network.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Which network")]
pub(crate) struct ClusterArgs {
    /// The network that this belongs to: a peer that names another is refused
    ///
    /// A peer that names none is let in, and told of. It keeps apart what a wrong address would join; it
    /// keeps nobody out. Ed25519 keys sign for this network alone, and what they sign for another, or
    /// without this option, is not believed here.
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<Label>,

    /// Believe also what was signed without --cluster: for a network that had no name once
    ///
    /// What its keys sign for no network can then be played to this one.
    #[arg(long, requires = "cluster")]
    pub(crate) accept_unbound: bool,
}
