//! What can be asked about the signatures in a file, and the help that teaches it.

use clap::Args;

use super::{LimitArgs, TrustArgs};

/// Check every signature in a file of updates
///
/// The file may come from `export`, from `dump --updates`, or from npm scuttlebutt's createReadStream.
/// Each update that is not believed is named by its line, with the reason. Exit code 1 if there is any.
#[derive(Args)]
#[command(after_long_help = VERIFY_HELP)]
pub(crate) struct Verify {
    /// The file, compressed if it ends in .gz or .zst; - is stdin
    pub(crate) file: String,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

const VERIFY_HELP: &str = "\
Reasons:
  unsigned      nothing stands behind the source
  no key        the source is no Ed25519 key, and none of the keys in --rsa-keys
  not trusted   the source is not on the list of --trust
  bad signature what stands behind the source is not its signature of this update
  no update     the line is nothing that a scuttlebutt writes

A good signature says that the key's owner wrote this update. That none is missing in the file it does
not say.

Examples:
    scuttlebutt verify today.jsonl.gz
    scuttlebutt verify today.jsonl.gz --trust trusted.txt
    scuttlebutt verify old.jsonl --verify rsa-sha1 --rsa-keys keys";
