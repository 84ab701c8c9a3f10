//! What the command line says about data that is damaged, or that somebody lied about.

use clap::{Args, ValueEnum};

use super::{ClusterArgs, DataArgs, KeyArgs};
use crate::model::ModelName;

/// Make a damaged data directory usable again, or take back what others promised of it
///
/// The node must be stopped. What is whole is kept, under a fresh id; the damaged file stays beside it; the
/// node then gets back from its peers whatever they hold. If nothing is damaged, nothing is changed.
#[derive(Args)]
#[command(after_long_help = REPAIR_HELP)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Believe nobody any more that everything of a source is here: ask for all of it again
    ///
    /// Nothing that is here goes.
    #[arg(long)]
    pub(crate) distrust_vector: bool,

    /// Write anew what this node wrote while its clock was far ahead, so that its peers accept it
    ///
    /// Set the clock right first. The node goes on under a fresh id, or with --key under its own; the file
    /// is kept as it was. `all` writes anew what others wrote from so far ahead, too, as if this node had
    /// written it.
    #[arg(long, value_enum, value_name = "WHOSE", num_args = 0..=1, default_missing_value = "own",
          require_equals = true)]
    pub(crate) rewrite_future: Option<Whose>,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    #[command(flatten)]
    pub(crate) network: ClusterArgs,

    /// What kind of data it is, if the damaged file does not tell
    #[arg(long, value_enum)]
    pub(crate) model: Option<ModelName>,
}

/// Whose updates from the future are written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Whose {
    /// Those of this node
    Own,
    /// Those of all nodes
    All,
}

const REPAIR_HELP: &str = "\
A node asks its peers only for what lies beyond its version vector: up to where it was promised that it
holds everything of a source. A peer that lied, or an imported file that did, can have moved that too far,
and what was passed over is never asked for again. That survives restarts, backups and `export` with
`import`. With --distrust-vector the vector falls back to what this node wrote itself; what peers then
send again is told apart from what is here, and only costs the way. A peer that lies still can lie again:
name whom to believe with --trust, --admit or --ca first.

Peers accept nothing from more than 24 hours ahead of their clocks. What a node wrote while its own clock was
further ahead they put off, and what it writes after that, too, since each of its writes is later than those
before: such a node refuses to write. --rewrite-future takes these updates out and writes what they say anew
at the present time. Nothing that shows is lost. A node that accepted them, because its clock was ahead as
well, needs the same; until it is repaired they come back from there once their time has come. With a
key, give it with --key FILE: this writes under its id again, which is safe if no node accepted them, or
those that did are repaired too.

Examples:
    scuttlebutt repair --data second
    scuttlebutt repair --distrust-vector
    scuttlebutt repair --rewrite-future";
