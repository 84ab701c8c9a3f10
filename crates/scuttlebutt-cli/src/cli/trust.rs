//! What can be asked for about keys and trust, and the help that teaches it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ClusterArgs;

/// Make a secret key for signing what is written, and print its source id
///
/// The key is Ed25519, and the id is the public key: whoever sees an update can verify it without
/// having been told anything before. The file is for its owner alone (mode 0600); whoever has it can
/// write as the id. A file that exists is left alone.
#[derive(Args)]
#[command(after_long_help = KEYGEN_HELP)]
pub(crate) struct Keygen {
    /// The file to write the key to
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// Make an RSA key of this length for RSA-SHA1 instead, as npm scuttlebutt's security.js uses
    ///
    /// Its public key is written to FILE.pub.pem, which everyone needs who is to verify; the second
    /// line printed is its path. SHA-1 is broken, so take this only for networks with members that
    /// run the npm package. 768 to 4096 bits; under 2048 there is a warning.
    #[arg(long, value_name = "BITS")]
    pub(crate) rsa: Option<usize>,

    /// Replace a key that is there. It is lost then, and with it the id that it wrote as
    #[arg(long)]
    pub(crate) force: bool,
}

const KEYGEN_HELP: &str = "\
Give each node a key of its own: two that write under one key write under one id, and their peers
then miss writes.

Examples:
    scuttlebutt keygen node.key
    scuttlebutt keygen --rsa 2048 old-network.key";

/// Print the source id of a key, or a fresh one
///
/// Without --key it is a random id of the shape that npm scuttlebutt gives its own.
#[derive(Args)]
#[command(after_long_help = ID_HELP)]
pub(crate) struct Id {
    #[command(flatten)]
    pub(crate) key: KeyArgs,
}

const ID_HELP: &str = "\
Examples:
    scuttlebutt id
    scuttlebutt id --key node.key";

/// As whom to write.
#[derive(Args, Default)]
pub(crate) struct KeyArgs {
    /// The file with the secret key, which others must not be able to read
    ///
    /// It is one that `scuttlebutt keygen` or, for RSA-SHA1, `ssh-keygen -t rsa` wrote. If FILE.pub.pem
    /// is there, the id of an RSA key is that of this public file, and otherwise that of the file
    /// which `ssh-keygen -e -m PEM` writes.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,

    /// The file with the passphrase of the key, which others must not be able to read either
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Whom to believe.
#[derive(Args)]
#[command(
    next_help_heading = "Whom to believe; each of these makes unsigned updates count for nothing"
)]
pub(crate) struct TrustArgs {
    /// Believe only the sources on this list: one id a line, `until TIMESTAMP` ends it, # begins a comment
    ///
    /// Without a list anyone may write whose signature is good. `serve` reads the file again on SIGHUP;
    /// if it is wrong or names nobody then, it says so, and the old list counts.
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,

    /// Which signatures to believe; may be given twice [default: ed25519]
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) verify: Vec<SignatureKind>,

    /// For --verify rsa-sha1: the directory with the public keys, NAME.pub.pem for each source
    ///
    /// A source without a key there is not believed. `serve` reads them again on SIGHUP.
    #[arg(long, value_name = "DIR")]
    pub(crate) rsa_keys: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) network: ClusterArgs,
}

/// The kinds of signatures by the names they have on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SignatureKind {
    /// The source id is the public key
    Ed25519,
    /// What npm scuttlebutt's security.js does. SHA-1 is broken: for networks that have such members
    RsaSha1,
}
