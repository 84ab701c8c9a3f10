//! What the command line says about data that is damaged, or that somebody lied about.

use clap::Args;

use super::DataArgs;
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

    /// What kind of data it is, if the damaged file does not tell
    #[arg(long, value_enum)]
    pub(crate) model: Option<ModelName>,
}

const REPAIR_HELP: &str = "\
A node asks its peers only for what lies beyond its version vector: up to where it was promised that it
holds everything of a source. A peer that lied, or an imported file that did, can have moved that too far,
and what was passed over is never asked for again. That survives restarts, backups and `export` with
`import`. With --distrust-vector the vector falls back to what this node wrote itself; what peers then
send again is told apart from what is here, and only costs the way. A peer that lies still can lie again:
name whom to believe with --trust, --admit or --ca first.

Examples:
    scuttlebutt repair --data second
    scuttlebutt repair --distrust-vector";
