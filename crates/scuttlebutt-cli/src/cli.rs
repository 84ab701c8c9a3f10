//! The command line: what can be asked for, and the help that teaches it.

mod cluster;
mod place;
mod repair;
mod rules;
mod trust;
mod verify;
mod write;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use scuttlebutt::{Limits, Metadata, Retention, SourceId};

pub(crate) use links::{
    Admit, Cert, CertArgs, CertCommand, CertNode, DialArgs, LinkArgs, Place, TlsArgs,
};

use crate::data::{DEFAULT_DIR, DurabilityName};
use crate::model::ModelName;

pub(crate) use cluster::ClusterArgs;
pub(crate) use place::{DataArgs, PeerArgs, PlaceArgs};
pub(crate) use repair::Repair;
pub(crate) use rules::{KeyCommand, Keys, Revoke, Rotate, TrustCommand, Trusted};
pub(crate) use trust::{Id, KeyArgs, Keygen, SignatureKind, TrustArgs};
pub(crate) use verify::Verify;
pub(crate) use write::{Emit, Set};

/// Keep data the same in several processes: each holds a replica, accepts writes, and exchanges
/// with its peers what the other lacks. Speaks the protocol of npm scuttlebutt, so that a peer may
/// be a JavaScript program.
#[derive(Parser)]
#[command(name = "scuttlebutt", version, arg_required_else_help = true)]
#[command(after_help = "`scuttlebutt help` tells more, with a first example.")]
#[command(after_long_help = TOP_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// What to log on stderr: error, warn, info, debug, trace, off, or a filter as in RUST_LOG
    ///
    /// Without it the environment variable RUST_LOG counts, and without that `info` for serve and
    /// watch and `error` for the others.
    #[arg(long, global = true, value_name = "LEVEL", value_parser = crate::log::parse_filter)]
    pub(crate) log: Option<String>,
}

const TOP_HELP: &str = "\
The first sync:
  In one terminal:
    scuttlebutt serve
  In another:
    scuttlebutt set --peer 127.0.0.1:7000 greeting '\"hello\"'
    scuttlebutt get --peer 127.0.0.1:7000 greeting

Addresses (ADDR):
  host:port, tcp://host:port or unix:PATH
  tls://host:port, and tls://host:port#KEY for the node that has this key

Exit codes:
  0  done
  1  failed: `get` found no value, an address is in use, …
  2  the command line makes no sense
  3  the peer cannot be reached
  4  the peer speaks something else, serves another model, belongs to another --cluster, is not
     believed (TLS), or broke off
  5  the peer did not answer in time (--timeout)
  6  the peer did not accept what was written";

#[derive(Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Dump(Dump),
    Watch(Watch),
    Get(Get),
    Set(Set),
    Emit(Emit),
    Export(Export),
    Import(Import),
    Backup(Backup),
    Inspect(Inspect),
    Compact(Compact),
    Repair(Repair),
    Cert(Cert),
    Keygen(Keygen),
    Id(Id),
    Key(Keys),
    Trust(Trusted),
    Verify(Verify),
    Completions(Completions),
}

impl Command {
    /// What is logged unless the user says otherwise.
    pub(crate) fn default_log(&self) -> &'static str {
        match self {
            // They stay, and somebody may want to know who comes and goes.
            Self::Serve(_) | Self::Watch(_) => "info",
            // What became of the data directory.
            Self::Export(_)
            | Self::Import(_)
            | Self::Backup(_)
            | Self::Compact(_)
            | Self::Repair(_) => "warn",
            // They tell what went wrong by themselves, in one line.
            _ => "error",
        }
    }
}

/// Start a node and print each change as it happens
///
/// The data is kept in the directory scuttlebutt-data, or another one: a write is on the disk before
/// it is acknowledged or passed on, and the next start goes on where this one ended, whatever ends it.
/// Ctrl-C or SIGTERM ends the node once its peers were sent what it had accepted; a second one ends it
/// at once.
#[derive(Args)]
#[command(after_long_help = SERVE_HELP)]
pub(crate) struct Serve {
    /// What kind of data to hold; all peers must hold the same
    #[arg(long, value_enum, default_value_t)]
    pub(crate) model: ModelName,

    /// Keep the data in this directory, which is made if there is none
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR, conflicts_with = "memory")]
    pub(crate) data: PathBuf,

    /// Keep the data in memory alone: it lives as long as this node, and in its peers
    #[arg(long, conflicts_with_all = ["durability", "repair", "data_read_only"])]
    pub(crate) memory: bool,

    /// What an acknowledged write survives
    #[arg(long, value_enum, default_value_t)]
    pub(crate) durability: DurabilityName,

    /// Should the data be damaged, keep the damaged file, go on with what is whole, and get the rest
    /// back from peers
    #[arg(long)]
    pub(crate) repair: bool,

    /// Serve what the data directory holds without writing to it: for a disk that is full or read-only
    ///
    /// Writes are refused, and nothing is taken from peers, since it could not be kept.
    #[arg(long, conflicts_with_all = ["repair", "durability"])]
    pub(crate) data_read_only: bool,

    /// With --memory: write under this source id instead of a fresh one
    ///
    /// A node that has forgotten what it wrote must not come back under the same id; a node that
    /// never writes, as this command never does, may.
    #[arg(long, value_parser = parse_id, requires = "memory", conflicts_with = "key")]
    pub(crate) id: Option<SourceId>,

    /// Listen here, with port 0 on any free port [default: 127.0.0.1:7000 unless --unix or --tls is
    /// given]
    #[arg(long, value_name = "ADDR[,MAY]", value_parser = links::parse_tcp)]
    pub(crate) tcp: Vec<Place>,

    /// Listen on a Unix socket at this path
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Vec<PathBuf>,

    /// Dial this peer, and again whenever the connection ends
    #[arg(long, value_name = "ADDR[,MAY]", value_parser = links::parse_place)]
    pub(crate) peer: Vec<Place>,

    /// Show peers this JSON, the application's own, in the digest of each session
    #[arg(long, value_name = "JSON", value_parser = parse_metadata)]
    pub(crate) meta: Option<Metadata>,

    /// Let peers read and not write: what they send is dropped
    #[arg(long)]
    pub(crate) read_only: bool,

    #[command(flatten)]
    pub(crate) links: LinkArgs,

    #[command(flatten)]
    pub(crate) key: KeyArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,

    #[command(flatten)]
    pub(crate) keep: KeepArgs,

    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

const SERVE_HELP: &str = "\
Examples:
  A map on 127.0.0.1:7000, kept in ./scuttlebutt-data:
    scuttlebutt serve
  A second node, on any free port, that follows the first and is followed by it:
    scuttlebutt serve --tcp 127.0.0.1:0 --peer 127.0.0.1:7000 --data second
  An event log on a Unix socket, its events as JSON, kept in memory alone:
    scuttlebutt serve --model events --unix /tmp/events.sock --json --memory

  The newest 1,000 events of each name, of the last week:
    scuttlebutt serve --model events --data log --keep-count 1000 --keep-age 604800
  A node that signs what it writes, and believes those that are listed:
    scuttlebutt keygen node.key
    scuttlebutt serve --key node.key --trust trusted.txt

With --key, --trust, --verify or --rsa-keys, updates from outside count only if they are signed: by an
Ed25519 key, unless --verify says otherwise. The node's own id is always believed. An RSA key for --key
needs --verify rsa-sha1. What the data directory holds and the list of --trust does not allow is dropped, at the
start and when SIGHUP has the list read again; it is kept in withdrawn.jsonl in the directory, from which
`scuttlebutt import` takes it. See `scuttlebutt help trust`.

With --key the node writes as the key's id. A directory that was used without a key goes on under the
key's id; one that was used with another key is refused. A node that finds that peers hold writes of its
key that it has forgotten writes nothing until they have sent them; one that was restored from a copy
writes nothing until it has heard a peer. One key, one node.

Who may read and who may write is said behind an address (MAY): with `,read-only` who comes there, or
the peer that is dialled, may read and not write; with `,write-only` it may write and not read. With
`,read-only,unasked` they are sent everything at once, as npm scuttlebutt's createWriteStream() and
others that never ask expect; and they may stay silent. With `,patient` a peer that has connected and
said nothing may stay; otherwise it has 30 seconds.

A peer that falls silent altogether, because it hangs or its network is gone, is given up after two
minutes at most, and dialled again (--limit heartbeat_ms_max, a quarter of that).

  Encrypted, for whoever has a certificate of our authority (see `scuttlebutt help cert`):
    scuttlebutt serve --tls 0.0.0.0:7000 --cert certs/ada.pem --ca certs/ca.pem
  The same by keys alone; the file lists those of the others, one a line:
    scuttlebutt serve --tls 0.0.0.0:7000 --node-key ada.key --admit peers.txt
  Anybody may read what is written on this machine:
    scuttlebutt serve --tcp 127.0.0.1:7000 --tcp 0.0.0.0:7001,read-only --plaintext

The data directory belongs to one node at a time. A copy of it, or a backup, may be used on another
machine: the node there notices, and writes under an id of its own. --durability buffered is faster
where syncing is slow; what it acknowledged survives the end of the process but perhaps not a power
cut, after which the node writes under a fresh id. `scuttlebutt export`, `import`, `backup` and
`inspect` work on the directory while the node runs, too. Should the file with the data be removed,
replaced or moved meanwhile, the node confirms nothing more: it puts what it has confirmed into a
directory `rescued-N` beside it, and ends.

Output, when it is no terminal:
  `listening tcp ADDR`, `listening tls ADDR` or `listening unix PATH` for each listener, with its real port. Then a line
  for each change, its parts as JSON text between tabs:
    map     KEY    VALUE      TIMESTAMP  SOURCE     (VALUE is null when the key was removed)
    events  EVENT  ARGUMENTS  TIMESTAMP  SOURCE     (ARGUMENTS is an array)
    value   VALUE  TIMESTAMP  SOURCE
  `missed N` stands for N changes that others replaced before they could be printed, `withdrawn` for some
  that count no more, so that the state has to be read anew. With --json
  each line is an object instead: {\"key\", \"value\", \"timestamp\", \"source\"}, {\"event\",
  \"arguments\", …}, {\"value\", …}, {\"listening\": \"tcp\", \"address\"}, {\"missed\"} or {\"withdrawn\"}.";

/// Print what a peer, or a data directory, holds
///
/// A map is printed as one JSON object, a value as its JSON, events as a line each: a JSON array of
/// the event's name and arguments, in the order of their timestamps.
#[derive(Args)]
#[command(after_long_help = DUMP_HELP)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// What kind of data the peer holds [default: map, and with --data what the directory holds]
    #[arg(long, value_enum)]
    pub(crate) model: Option<ModelName>,

    /// Print the updates as they stand on the wire, ordered by timestamp and source
    #[arg(long)]
    pub(crate) updates: bool,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const DUMP_HELP: &str = "\
The protocol does not say which model a peer serves. When none of its updates is one of the model
asked for, the command fails with exit code 4; when some are not, it warns. What looks alike is not
told apart: a map dumped as events shows its keys as events, and every model can be dumped as a
value.

Examples:
    scuttlebutt dump --peer 127.0.0.1:7000
    scuttlebutt dump --peer unix:/tmp/events.sock --model events
    scuttlebutt dump --peer 127.0.0.1:7000 --updates > history.jsonl
    scuttlebutt dump --data scuttlebutt-data";

/// Catch up with a peer, or the node that has a data directory open, then print each change as it
/// happens
///
/// If the first attempt to catch up fails, the command does; from then on it tries again for ever
/// when the connection is lost, and says so on stderr. Ctrl-C ends it.
#[derive(Args)]
#[command(after_long_help = WATCH_HELP)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// What kind of data the peer holds [default: map, and with --data what the directory holds]
    #[arg(long, value_enum)]
    pub(crate) model: Option<ModelName>,

    /// Print what the peer holds already, too
    #[arg(long)]
    pub(crate) history: bool,

    #[command(flatten)]
    pub(crate) format: FormatArgs,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const WATCH_HELP: &str = "\
The lines are those of `scuttlebutt help serve`.

Examples:
    scuttlebutt watch --peer 127.0.0.1:7000
    scuttlebutt watch --peer 127.0.0.1:7000 --model events --history --json
    scuttlebutt watch --data scuttlebutt-data";

/// Print the value of a key
///
/// Exits with 1 if there is none. The protocol has no way to ask for one key: the peer sends
/// everything it holds.
#[derive(Args)]
#[command(override_usage = "scuttlebutt get [OPTIONS] --peer <ADDR> <KEY>\n       \
                            scuttlebutt get [OPTIONS] --peer <ADDR> --model value\n       \
                            scuttlebutt get [OPTIONS] --data <DIR> [KEY]")]
#[command(after_long_help = GET_HELP)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    /// What kind of data the peer holds [default: map, and with --data what the directory holds]
    #[arg(long, value_enum)]
    pub(crate) model: Option<Settable>,

    /// Print a string without its quotes and escapes
    #[arg(short, long)]
    pub(crate) raw: bool,

    /// The key; left out where one value is held
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const GET_HELP: &str = "\
Examples:
    scuttlebutt get --peer 127.0.0.1:7000 greeting
    scuttlebutt get --peer 127.0.0.1:7000 --raw greeting
    scuttlebutt get --peer 127.0.0.1:7000 --trust trusted.txt greeting
    scuttlebutt get --peer 127.0.0.1:7000 --model value
    scuttlebutt get --data scuttlebutt-data greeting";

/// Write everything a data directory holds to a file
///
/// The format is that of npm scuttlebutt's createReadStream: a line of JSON for each update. It works
/// while a node uses the directory, and without one.
#[derive(Args)]
#[command(after_long_help = EXPORT_HELP)]
pub(crate) struct Export {
    /// The file, compressed if it ends in .gz or .zst; - is stdout
    pub(crate) file: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

const EXPORT_HELP: &str = "\
A file that exists is replaced once the new one is whole.

Examples:
    scuttlebutt export today.jsonl.gz
    scuttlebutt export - --data second";

/// Read a file of updates into a data directory
///
/// It may come from `export`, from npm scuttlebutt's createReadStream, or be several of those one
/// after the other. Updates that are held already change nothing. It works while a node uses the
/// directory, which then passes the updates on, and without one.
#[derive(Args)]
#[command(after_long_help = IMPORT_HELP)]
pub(crate) struct Import {
    /// The file, compressed if it ends in .gz or .zst; - is stdin
    pub(crate) file: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Pass over lines that cannot be taken, tell of them, and go on
    ///
    /// Otherwise a line that is nothing a scuttlebutt writes ends the import, and one that is no update of the
    /// model makes it fail.
    #[arg(long)]
    pub(crate) skip_invalid: bool,

    /// For a directory that is new: what kind of data the file holds [default: map]
    #[arg(long, value_enum)]
    pub(crate) model: Option<ModelName>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

const IMPORT_HELP: &str = "\
An update from too far in the future is kept for its time, in the file early.jsonl in the directory: the
node that uses the directory then takes it.

With --skip-invalid a line that means nothing is passed over and told. Without, one that is no update of
the model is left out, told, and leads to exit code 1. A line that is
nothing a scuttlebutt writes ends the import; everything before it is kept. What the file's first line
says to be complete is believed to be, as a peer is: should that be a lie, `scuttlebutt repair
--distrust-vector` takes it back. A node that uses the
directory believes whom it was told to believe when it was started; without one, say here whom.

Examples:
    scuttlebutt import today.jsonl.gz
    scuttlebutt import today.jsonl.gz --trust writers.txt
    scuttlebutt import damaged.jsonl --skip-invalid
    scuttlebutt import - --data restored --model events";

/// Copy a data directory, also while a node uses it
///
/// The copy is whole, as of one moment. A node that is started on it writes under an id of its own.
#[derive(Args)]
#[command(after_long_help = BACKUP_HELP)]
pub(crate) struct Backup {
    /// The directory to make, which must hold no data yet
    #[arg(value_name = "DEST")]
    pub(crate) destination: PathBuf,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

const BACKUP_HELP: &str = "\
Examples:
    scuttlebutt backup backups/monday
    scuttlebutt serve --data backups/monday --tcp 127.0.0.1:0";

/// Say what a data directory holds, how large it is, and whether it is whole
///
/// Reads all of it and checks every checksum. Exit code 1 if something is damaged.
#[derive(Args)]
#[command(after_long_help = INSPECT_HELP)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const INSPECT_HELP: &str = "\
Examples:
    scuttlebutt inspect
    scuttlebutt inspect --data second --json";

/// Give space that a data directory no longer needs back to the file system
///
/// The node must be stopped. Without this, space that overwritten values leave is used again by the
/// next writes, and the file stays as large as it once was.
#[derive(Args)]
#[command(after_long_help = COMPACT_HELP)]
pub(crate) struct Compact {
    #[command(flatten)]
    pub(crate) data: DataArgs,
}

const COMPACT_HELP: &str = "\
Example:
    scuttlebutt compact --data second";

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_long_help = COMPLETIONS_HELP)]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: clap_complete::Shell,
}

const COMPLETIONS_HELP: &str = "\
Examples:
    scuttlebutt completions bash > ~/.local/share/bash-completion/completions/scuttlebutt
    scuttlebutt completions fish > ~/.config/fish/completions/scuttlebutt.fish";

/// How many events stay.
#[derive(Args)]
#[command(
    next_help_heading = "How many events to keep, for each event name; all peers should say the same"
)]
pub(crate) struct KeepArgs {
    /// Let an event go once there are N newer ones
    #[arg(long, value_name = "N")]
    pub(crate) keep_count: Option<usize>,

    /// Let an event go once the newest was emitted so much later
    #[arg(long, value_name = "SECONDS", value_parser = parse_age)]
    pub(crate) keep_age: Option<f64>,

    /// Let an event go once the newer ones have so many bytes, as JSON text
    #[arg(long, value_name = "BYTES")]
    pub(crate) keep_bytes: Option<usize>,
}

impl KeepArgs {
    pub(crate) fn retention(&self) -> Retention {
        let all = Retention::default();
        Retention {
            count_max: self.keep_count.unwrap_or(all.count_max),
            age_ms_max: self.keep_age.map_or(all.age_ms_max, |seconds| seconds * 1_000.0),
            bytes_max: self.keep_bytes.unwrap_or(all.bytes_max),
        }
    }
}

/// How changes are printed.
#[derive(Args)]
pub(crate) struct FormatArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// The models that have values to get and set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Settable {
    /// Keys and values
    #[default]
    Map,
    /// One value
    Value,
}

impl From<Settable> for ModelName {
    fn from(model: Settable) -> Self {
        match model {
            Settable::Map => Self::Map,
            Settable::Value => Self::Value,
        }
    }
}

fn parse_id(text: &str) -> Result<SourceId, String> {
    if text.is_empty() {
        return Err("an id must not be empty; `scuttlebutt id` prints a good one".to_owned());
    }
    let id = SourceId::new(text).map_err(|error| error.to_string())?;
    let (bytes, limit) = (id.json_literal().len(), Limits::default().source_bytes_max);
    match bytes > limit {
        true => {
            Err(format!("of {bytes} bytes; peers take {limit} at most (Limits::source_bytes_max)"))
        }
        false => Ok(id),
    }
}

fn parse_metadata(text: &str) -> Result<Metadata, String> {
    Metadata::from_json(text).map_err(|error| error.to_string())
}

fn parse_age(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("write a number of seconds, 0 or more".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    /// Long enough for anybody, and no clock overflows.
    const SECONDS_MAX: f64 = 1e6;
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!("write a number of seconds above 0, up to {SECONDS_MAX}")),
    }
}

mod links;
#[cfg(test)]
mod tests;
