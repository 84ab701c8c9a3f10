//! What the command line says about links: certificates and keys, who is let in, who may read and
//! write, and what connections may take.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use scuttlebutt::{Direction, Limits, SessionConfig};
use scuttlebutt_net::Address;

/// Who we are, and whom we believe.
#[derive(Args, Clone)]
#[command(next_help_heading = "Encrypted links (tls://)")]
pub(crate) struct TlsArgs {
    /// Show this certificate (PEM), as `scuttlebutt cert` makes it
    #[arg(long, value_name = "FILE", conflicts_with = "node_key")]
    pub(crate) cert: Option<PathBuf>,

    /// The secret key to it (PEM) [default: NAME.key.pem where --cert is NAME.pem]
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,

    /// Be known by this Ed25519 key, without a certificate of any authority
    #[arg(long, value_name = "FILE")]
    pub(crate) node_key: Option<PathBuf>,

    /// Believe whoever has a certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
}

/// The same for a command that dials one peer.
#[derive(Args, Clone)]
#[command(next_help_heading = "Encrypted links (tls://)")]
pub(crate) struct DialArgs {
    #[command(flatten)]
    pub(crate) identity: TlsArgs,

    /// Believe the nodes whose keys stand in this file, one a line
    ///
    /// A key behind the address, `tls://host:port#KEY`, counts before this.
    #[arg(long, value_name = "FILE")]
    pub(crate) admit: Vec<PathBuf>,
}

/// What a node that stays says about its links.
#[derive(Args)]
#[command(next_help_heading = "Encrypted links (tls://), and who is let in")]
pub(crate) struct LinkArgs {
    /// Listen here, encrypted (TLS 1.3)
    #[arg(long, value_name = "ADDR[,MAY]", value_parser = parse_tls)]
    pub(crate) tls: Vec<Place>,

    #[command(flatten)]
    pub(crate) identity: TlsArgs,

    /// Let in the nodes whose keys stand in this file, one a line; SIGHUP reads it again
    ///
    /// `FILE,read-only` and `FILE,write-only` narrow what they may do, as behind an address. Once a node
    /// is struck off, its session ends.
    #[arg(long, value_name = "FILE[,MAY]", value_parser = parse_admit)]
    pub(crate) admit: Vec<Admit>,

    /// Let in also who shows no certificate
    #[arg(long)]
    pub(crate) admit_anyone: bool,

    /// Let --tcp listen where others can see and change what is sent, and where anybody may come
    #[arg(long)]
    pub(crate) plaintext: bool,

    /// Speak lines of JSON only, which can be read on the wire
    ///
    /// Otherwise nodes of this kind agree on a binary form, which is faster. Peers of the original's kind
    /// are spoken to in JSON in any case.
    #[arg(long)]
    pub(crate) no_binary: bool,

    /// Compress what is sent to peers that say the same
    ///
    /// It saves most of the bytes of a long history, for slow links, and takes more time on fast ones. It is
    /// part of the binary form.
    #[arg(long, conflicts_with = "no_binary")]
    pub(crate) compress: bool,

    /// Change a bound
    ///
    /// Among them are sessions_max, sessions_per_address_max, digest_wait_ms_max, write_wait_ms_max and
    /// line_bytes_max; the documentation of `Limits` says what they are and what stands in for them.
    #[arg(long = "limit", value_name = "NAME=NUMBER", value_parser = parse_limit)]
    pub(crate) limits: Vec<LimitChange>,
}

/// An address, and what those there may do.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) address: Address,
    direction: Option<Direction>,
    manner: Manner,
}

/// What is done about peers that say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Manner {
    /// They are waited for, for a while.
    #[default]
    Waiting,
    /// They are waited for as long as it takes.
    Patient,
    /// They are sent everything at once.
    Unasked,
}

impl From<Address> for Place {
    fn from(address: Address) -> Self {
        Self { address, direction: None, manner: Manner::default() }
    }
}

impl Place {
    /// The options of sessions with those there, which are `general` where nothing is said.
    pub(crate) fn config(&self, general: &SessionConfig) -> SessionConfig {
        let direction = self.direction.unwrap_or(general.direction);
        SessionConfig {
            direction,
            is_patient: self.manner == Manner::Patient,
            await_digest: self.manner != Manner::Unasked,
            ..general.clone()
        }
    }
}

/// A file of node keys, and what those nodes may do.
#[derive(Clone, Debug)]
pub(crate) struct Admit {
    pub(crate) file: PathBuf,
    pub(crate) direction: Direction,
}

fn parse_admit(text: &str) -> Result<Admit, String> {
    let (file, direction) = split_direction(text);
    Ok(Admit { file: file.into(), direction: direction.unwrap_or(Direction::Both) })
}

/// What others may do is the reverse of what we do.
fn split_direction(text: &str) -> (&str, Option<Direction>) {
    match text.rsplit_once(',') {
        Some((before, "read-only")) => (before, Some(Direction::SendOnly)),
        Some((before, "write-only")) => (before, Some(Direction::ReceiveOnly)),
        _ => (text, None),
    }
}

fn split_manner(text: &str) -> (&str, Manner) {
    match text.rsplit_once(',') {
        Some((before, "patient")) => (before, Manner::Patient),
        Some((before, "unasked")) => (before, Manner::Unasked),
        _ => (text, Manner::default()),
    }
}

pub(super) fn parse_place(text: &str) -> Result<Place, String> {
    let (rest, manner) = split_manner(text);
    let (address, direction) = split_direction(rest);
    if manner == Manner::Unasked && direction != Some(Direction::SendOnly) {
        return Err(
            "what is sent unasked is for those who only read: `,read-only,unasked`".to_owned()
        );
    }
    match address.parse() {
        Ok(address) => Ok(Place { address, direction, manner }),
        Err(error) if text.contains(',') => Err(format!(
            "{error}; behind it may stand `,read-only` or `,write-only`, and then `,patient` or, for \
             who only reads, `,unasked`"
        )),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn parse_tcp(text: &str) -> Result<Place, String> {
    match parse_place(text)? {
        Place { address: Address::Unix(_), .. } => {
            Err("that is a Unix socket: use --unix PATH".to_owned())
        }
        Place { address: Address::Tls { .. }, .. } => {
            Err("that is an encrypted address: use --tls ADDR".to_owned())
        }
        place => Ok(place),
    }
}

/// Takes `host:port` too: that it is TLS has been said.
fn parse_tls(text: &str) -> Result<Place, String> {
    let place = match text.contains("://") {
        true => parse_place(text)?,
        false => parse_place(&format!("tls://{text}"))?,
    };
    match place.address {
        Address::Tls { key: None, .. } => Ok(place),
        Address::Tls { .. } => Err("a key behind an address is for who dials it".to_owned()),
        _ => Err("write host:port or tls://host:port".to_owned()),
    }
}

/// A bound that is not the default one.
#[derive(Clone, Debug)]
pub(crate) struct LimitChange {
    pub(crate) name: String,
    value: u64,
}

fn parse_limit(text: &str) -> Result<LimitChange, String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=NUMBER")?;
    let value = value.parse().map_err(|_| format!("{value:?} is no number of 0 or more"))?;
    let change = LimitChange { name: name.to_owned(), value };
    change.apply(&mut Limits::default())?;
    Ok(change)
}

impl LimitChange {
    pub(crate) fn apply(&self, limits: &mut Limits) -> Result<(), String> {
        let value = self.value;
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match self.name.as_str() {
            "line_bytes_max" => limits.line_bytes_max = size,
            "update_bytes_max" => limits.update_bytes_max = size,
            "nesting_depth_max" => limits.nesting_depth_max = size,
            "sources_max" => limits.sources_max = size,
            "updates_max" => limits.updates_max = size,
            "held_bytes_max" => limits.held_bytes_max = size,
            "clock_skew_ms_max" => limits.clock_skew_ms_max = value as f64,
            "digest_wait_ms_max" => limits.digest_wait_ms_max = value as f64,
            "heartbeat_ms_max" => limits.heartbeat_ms_max = value as f64,
            "sessions_max" => limits.sessions_max = size,
            "sessions_per_address_max" => limits.sessions_per_address_max = size,
            "handshake_wait_ms_max" => limits.handshake_wait_ms_max = value,
            "write_wait_ms_max" => limits.write_wait_ms_max = value,
            "line_wait_ms_max" => limits.line_wait_ms_max = value,
            "unfinished_bytes_max" => limits.unfinished_bytes_max = size,
            "sessions_bytes_max" => limits.sessions_bytes_max = size,
            name => {
                return Err(format!(
                    "{name} cannot be changed here; what can are line_bytes_max, update_bytes_max, \
                     nesting_depth_max, sources_max, updates_max, held_bytes_max, clock_skew_ms_max, \
                     digest_wait_ms_max, heartbeat_ms_max, sessions_max, \
                     sessions_per_address_max, \
                     handshake_wait_ms_max, write_wait_ms_max, line_wait_ms_max, \
                     unfinished_bytes_max and sessions_bytes_max"
                ));
            }
        }
        Ok(())
    }
}

/// Make an authority and certificates of your own, for links between your nodes
///
/// They are for development, and for networks small enough that whoever runs the nodes can hand files
/// around. The authority's secret key is needed only to make certificates: keep it off the nodes.
#[derive(Args)]
#[command(after_long_help = CERT_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cert {
    #[command(subcommand)]
    pub(crate) command: CertCommand,
}

#[derive(Subcommand)]
pub(crate) enum CertCommand {
    /// Make an authority: ca.pem, which every node gets, and ca.key.pem, its secret key
    Ca(CertArgs),
    /// Make a node's certificate, NAME.pem, and its secret key, NAME.key.pem
    Node(CertNode),
}

#[derive(Args)]
pub(crate) struct CertArgs {
    /// The directory in which they are, and are made
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub(crate) dir: PathBuf,

    /// For how many days they are good [default: 3650 for an authority, 365 for a node]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: Option<u32>,

    /// Replace files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args)]
pub(crate) struct CertNode {
    /// The node's name, and that of its files
    pub(crate) name: String,

    /// A host name or IP address by which others dial it; once for each [default: localhost, 127.0.0.1
    /// and ::1]
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,

    #[command(flatten)]
    pub(crate) common: CertArgs,
}

const CERT_HELP: &str = "\
Two nodes that let each other in, and nobody else:
    scuttlebutt cert ca
    scuttlebutt cert node ada --host ada.example
    scuttlebutt cert node ben
    scuttlebutt serve --tls 0.0.0.0:7000 --cert certs/ada.pem --ca certs/ca.pem
    scuttlebutt serve --peer tls://ada.example:7000 --cert certs/ben.pem --ca certs/ca.pem

A node needs ca.pem and its own two files. The key in a certificate is printed when it is made: it may
stand in a file for --admit, or behind an address, too.

Examples:
    scuttlebutt cert ca --dir secrets
    scuttlebutt cert node cy --dir secrets --host cy.example --host 10.0.0.3 --days 90";
