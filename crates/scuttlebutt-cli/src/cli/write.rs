//! What can be asked to be written, and the help that teaches it.

use clap::Args;

use super::{KeyArgs, PlaceArgs, Settable, TrustArgs};
use crate::input::Reading;

/// How what is written is read.
#[derive(Args)]
pub(crate) struct ReadingArgs {
    /// Take what is written as a plain string instead of JSON
    #[arg(short, long)]
    string: bool,

    /// Let numbers become what JavaScript makes of them
    ///
    /// Numbers are doubles. Without this, one that would be stored as another one is refused, such as
    /// 9007199254740993 (…992) or 1e400 (null, which removes a key).
    #[arg(long, conflicts_with = "string")]
    lossy: bool,
}

impl ReadingArgs {
    pub(crate) fn reading(&self) -> Reading {
        match (self.string, self.lossy) {
            (true, _) => Reading::String,
            (false, true) => Reading::Lossy,
            (false, false) => Reading::Json,
        }
    }
}

/// Write the value of a key, and return when the peer provably has it
///
/// The command catches up with the peer first, so that the write is later than all the peer holds,
/// whatever the clocks say: it costs as much as `get`. `null` removes the key.
///
/// Each call writes under a fresh source id, and replicas remember a source for good: a program
/// that writes often should be a node of its own, with the library. With --key it signs, and writes
/// under the key's id each time. With --data the node that has the directory open writes, as itself.
#[derive(Args)]
#[command(override_usage = "scuttlebutt set [OPTIONS] --peer <ADDR> <KEY> <JSON>\n       \
                            scuttlebutt set [OPTIONS] --peer <ADDR> --model value <JSON>\n       \
                            scuttlebutt set [OPTIONS] --data <DIR> <KEY> <JSON>")]
#[command(after_long_help = SET_HELP)]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// What kind of data the peer holds
    #[arg(long, value_enum, default_value_t)]
    pub(crate) model: Settable,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    /// The key; left out with --model value
    #[arg(value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) first: String,

    /// Its new value
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) second: Option<String>,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const SET_HELP: &str = "\
The proof: a peer of this implementation promises in its protocol what it holds. npm scuttlebutt
acknowledges nothing, but sends an accepted update back; a peer that does not is asked over a
second connection for what it holds of this command's writes. A peer that does not have it then is
read-only, or refuses it, for example since it believes other keys only: exit code 6.

With --key the command first takes back what the peer holds of the key's writes, and writes later than
that. It cannot know what the key wrote by way of other peers, so nobody is told that what it writes is
all there is: peers that meet send each other such writes anew each time, and the second connection,
after half a second, is always needed. That is fit for a write now and then; give the command a key of
its own, not that of a node. To write with the key of a node, let the node do it: --data DIR.

Examples:
    scuttlebutt set --peer 127.0.0.1:7000 greeting '\"hello\"'
    scuttlebutt set --peer 127.0.0.1:7000 --string greeting hello
    scuttlebutt set --peer 127.0.0.1:7000 limits '{\"cpu\": 2, \"ram\": 4096}'
    scuttlebutt set --peer 127.0.0.1:7000 temperature -3.5
    scuttlebutt set --peer 127.0.0.1:7000 greeting null
    scuttlebutt set --peer 127.0.0.1:7000 --key my.key greeting '\"signed\"'
    scuttlebutt set --data scuttlebutt-data greeting '\"written by the node\"'
    scuttlebutt set --peer unix:/tmp/value.sock --model value 42";

/// Emit an event, and return when the peer provably has it
///
/// The command catches up with the peer first, so that the event is later than all the peer holds.
/// Delivery is proven as `scuttlebutt help set` says, and a fresh source id is used up as there.
#[derive(Args)]
#[command(after_long_help = EMIT_HELP)]
pub(crate) struct Emit {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,

    /// The event's name
    pub(crate) event: String,

    /// Its arguments
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const EMIT_HELP: &str = "\
Mind that an event named `error` ends a JavaScript peer that does not listen for it.

Examples:
    scuttlebutt emit --peer unix:/tmp/events.sock joined '\"ada\"' 3
    scuttlebutt emit --peer unix:/tmp/events.sock --string said 'good morning'
    scuttlebutt emit --peer unix:/tmp/events.sock tick
    scuttlebutt emit --data scuttlebutt-data tick";
