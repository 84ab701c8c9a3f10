//! How a command ends: one exit code for each kind of failure, one message for each failure.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use scuttlebutt::{DecodeError, SessionError};
use scuttlebutt_net::{Address, LinkError, TlsError};

use crate::model::ModelName;

/// A longer message about the command line is one that repeats a long argument.
const USAGE_BYTES_MAX: usize = 4_000;

/// What is shown then of each line.
const LINE_CHARS_MAX: usize = 200;

/// The exit codes other than 0. `--help` lists them too, and a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// It could not be done here; `get` found no value.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nobody answers at the address.
    Unreachable = 3,
    /// The peer speaks something else, serves another model, or broke off.
    Protocol = 4,
    /// The peer did not say what was waited for in time.
    TimedOut = 5,
    /// The peer did not accept what was written.
    NotAccepted = 6,
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    message: String,
    /// The model that is held there, if it is another one than was asked for.
    pub(crate) held: Option<ModelName>,
}

/// For the log of what goes on.
impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message, held: None }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// The place holds another model: the one of this name.
    pub(crate) fn other_model(place: impl Display, name: &str) -> Self {
        let held = ModelName::named(name);
        let message = match held {
            Some(held) => format!("{place} holds {}", held.described()),
            None => format!("{place} holds a model that this command does not know, {name:?}"),
        };
        Self { code: Code::Protocol, message, held }
    }

    /// A connection to `address` that could not be made or did not end well.
    pub(crate) fn link(address: &Address, error: &LinkError) -> Self {
        match error {
            LinkError::Dial { error, .. } => Self::unreachable(address, error),
            LinkError::Tls(error @ TlsError::NobodyTrusted) => Self::usage(format!(
                "{address}: {error}; an authority is named by --ca FILE, \
                     nodes are by --admit FILE"
            )),
            LinkError::Tls(TlsError::Refused { alert }) if alert == "CertificateRequired" => {
                Self::new(
                    Code::Protocol,
                    format!("{address}: {error}; show one with --cert FILE or --node-key FILE"),
                )
            }
            LinkError::Session(SessionError::Decode(DecodeError::Foreign(_))) => {
                Self::new(Code::Protocol, format!("{address}: {error}; is the address right?"))
            }
            LinkError::Session(SessionError::OtherModel { theirs, .. }) => {
                let other = Self::other_model(address, &theirs.text());
                let hint = match other.held {
                    Some(held) => format!("; dump and watch show it with --model {}", held.name()),
                    None => String::new(),
                };
                Self { message: other.message + &hint, ..other }
            }
            LinkError::Session(SessionError::OtherCluster { .. }) => Self::new(
                Code::Protocol,
                format!("{address}: {error}; is the address right, and --cluster?"),
            ),
            LinkError::Session(SessionError::NoDigest { .. } | SessionError::Silent { .. })
            | LinkError::Vanished => Self::new(Code::TimedOut, format!("{address}: {error}")),
            LinkError::TooManySessions { .. } => Self::failed(format!("{address}: {error}")),
            LinkError::ShutDown => Self::new(
                Code::TimedOut,
                format!("{address}: the peer did not take everything in time"),
            ),
            // What it sent, that it broke off, or that the stream broke.
            _ => Self::new(Code::Protocol, format!("{address}: {error}")),
        }
    }

    fn unreachable(address: &Address, error: &io::Error) -> Self {
        let hint = "is a node listening there? (scuttlebutt serve)";
        let (cause, hint) = match error.kind() {
            io::ErrorKind::ConnectionRefused => ("connection refused".to_owned(), hint),
            io::ErrorKind::NotFound => ("there is no such socket".to_owned(), hint),
            _ => (error.to_string(), "is the address right?"),
        };
        Self::new(Code::Unreachable, format!("cannot reach {address}: {cause}; {hint}"))
    }

    /// Tells the user.
    pub(crate) fn report(&self) -> ExitCode {
        tell("error", &self.message);
        ExitCode::from(self.code as u8)
    }
}

/// The command line makes no sense, or asks for help. Of a long argument the beginning is shown.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    if !error.use_stderr() || text.len() <= USAGE_BYTES_MAX {
        error.exit();
    }
    for line in text.lines() {
        use io::Write;
        let shown: String = line.chars().take(LINE_CHARS_MAX).collect();
        let rest = if shown.len() < line.len() { "…" } else { "" };
        let _ = writeln!(io::stderr(), "{shown}{rest}");
    }
    ExitCode::from(Code::Usage as u8)
}

/// Writes a line to stderr, and lets it be if nobody reads that.
pub(crate) fn tell(kind: &str, message: impl Display) {
    use io::Write;
    let _ = writeln!(io::stderr(), "{kind}: {message}");
}
