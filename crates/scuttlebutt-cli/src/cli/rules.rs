//! What can be asked for about who is believed, once a network runs: the end of a key, and a new one.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use scuttlebutt::Timestamp;

use crate::data::DEFAULT_DIR;

/// Change who is believed: the list of --trust
#[derive(Args)]
#[command(after_long_help = TRUST_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Trusted {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Subcommand)]
pub(crate) enum TrustCommand {
    /// End a key: what it wrote until now counts, and nothing later
    Revoke(Revoke),
}

/// Whose end, and when.
#[derive(Args)]
pub(crate) struct Revoke {
    /// The id of the key, as it stands on the list
    #[arg(value_name = "KEY")]
    pub(crate) id: String,

    /// The list to change
    #[arg(long = "trust", value_name = "FILE")]
    pub(crate) list: PathBuf,

    /// The data directory that says what the newest update of the key is
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(crate) data: PathBuf,

    /// What was written until then counts, in milliseconds since the epoch [default: the newest update of
    /// the key in the data directory]
    #[arg(long, value_name = "TIMESTAMP", value_parser = parse_timestamp)]
    pub(crate) until: Option<Timestamp>,

    /// Nothing that the key ever wrote counts
    #[arg(long, conflicts_with_all = ["until", "data"])]
    pub(crate) altogether: bool,
}

const TRUST_HELP: &str = "\
The list is written anew; nothing is done to any node. Give the same list to all of them and send each
SIGHUP: `kill -HUP PID`. A node then drops what does not count any more, from its data too, and asks its
peers again for what it may have let go because of that. What it drops it keeps in withdrawn.jsonl in its
data directory, from which `scuttlebutt import` takes it back should the list have been wrong.

A stolen key can still sign updates that claim to be from before its end. They are sorted in where they
claim to be from: what was written later stands. --altogether leaves nothing of a key, and costs more: nodes
can no longer say to each other that they have everything of writers whose values such updates had replaced,
and send each other those writers' updates again each time they meet.

Examples:
    scuttlebutt trust revoke ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw --trust trusted.txt
    scuttlebutt trust revoke ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw --trust trusted.txt --altogether";

/// Change a node's key
#[derive(Args)]
#[command(after_long_help = KEY_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Keys {
    #[command(subcommand)]
    pub(crate) command: KeyCommand,
}

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a new key in the place of a node's own, and end the old one on the list
    Rotate(Rotate),
}

/// Which key, where it is listed, and what it wrote.
#[derive(Args)]
pub(crate) struct Rotate {
    /// The file with the node's key, Ed25519; the old one is kept beside it as FILE.old
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,

    /// The list to change
    #[arg(long = "trust", value_name = "LIST")]
    pub(crate) list: PathBuf,

    /// The node's data directory
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(crate) data: PathBuf,
}

const KEY_HELP: &str = "\
Stop the node first: its data directory goes on under the new key. What the old key wrote counts up to the
newest update in the directory. Then give the list to all nodes, send each SIGHUP (`kill -HUP PID`), and start
this node again. In this order nothing that it writes is refused; should a peer be late, it asks for what it
refused once it has read the list.

Examples:
    scuttlebutt key rotate --key node.key --trust trusted.txt --data scuttlebutt-data";

fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    let millis = text.parse::<f64>().map_err(|error| error.to_string())?;
    Timestamp::new(millis).map_err(|error| error.to_string())
}
