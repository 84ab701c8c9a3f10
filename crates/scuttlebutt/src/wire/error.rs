//! Bytes that are not the protocol: what was seen, and whose fault it is.

use std::fmt;

use crate::json::JsonError;
use crate::limits::LimitExceeded;

/// The peer sent something that cannot be understood. Its session ends; what was accepted before
/// stays.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The very first byte already says that this is another protocol.
    #[error("the peer speaks {0}, not scuttlebutt")]
    Foreign(Foreign),
    /// A line is not JSON.
    #[error("the peer sent a line that is not JSON: {error}: {line}")]
    NotJson {
        /// What is wrong with it, and where.
        error: JsonError,
        /// How the line begins.
        line: Excerpt,
    },
    /// A digest that cannot be answered.
    #[error("the peer sent a digest without a usable \"clock\": {line}")]
    MalformedDigest {
        /// How the line begins.
        line: Excerpt,
    },
    /// A line exceeds a bound.
    #[error("the peer sent a line that is refused: {0}")]
    Limit(#[from] LimitExceeded),
    /// The stream ended within a line, or within a frame.
    #[error("the peer broke off in the middle of a line: {line}")]
    BrokenOff {
        /// How the line begins.
        line: Excerpt,
    },
    /// A frame of the binary protocol is not as that demands.
    #[error("the peer sent a binary frame that cannot be read: {0}")]
    Frame(#[from] FrameError),
    /// It switched to the binary protocol, which it had not announced.
    #[error("the peer switched to the binary protocol, which it never announced")]
    NotAgreed,
}

/// What is wrong with a frame of the binary protocol (`docs/protocol.md`, section 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It ends before everything was there that it has to hold.
    #[error("it ends too early")]
    Short,
    /// Something is left when everything was read.
    #[error("bytes are left at its end")]
    Long,
    /// A number could have been said in fewer bytes.
    #[error("a number takes more bytes than it needs")]
    NumberTooLong,
    /// A number needs more than 64 bits.
    #[error("a number exceeds 64 bits")]
    NumberTooLarge,
    /// It uses a slot that stands for no source.
    #[error("a slot is used that no source was put into")]
    UnknownSlot,
    /// A source is put into a slot beyond the first free one, or beyond the last there is.
    #[error("a source is put into a slot whose turn it is not")]
    SlotOutOfTurn,
    /// What is to name a source is not the JSON literal of one.
    #[error("a source is no JSON string, or `__proto__`")]
    Source,
    /// A timestamp is not positive and finite.
    #[error("a timestamp is not a finite number greater than zero")]
    Timestamp,
    /// What follows the source of an update is not an array with something in it.
    #[error("what follows an update's source is no array, or an empty one")]
    Extras,
    /// A pack does not unpack to as many bytes as it says, or to more than a pack may.
    #[error("a pack does not unpack to what it announces, or to too much")]
    Pack,
    /// A pack is in a pack.
    #[error("a pack is within another pack")]
    PackInPack,
}

/// Another protocol, recognised by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Foreign {
    /// A request or an answer of HTTP.
    Http,
    /// TLS: a handshake or an alert.
    Tls,
    /// SSH's greeting.
    Ssh,
    /// Something else that cannot begin a line of JSON.
    Unknown(Excerpt),
}

impl Foreign {
    /// What starts with these bytes, of which the first cannot start JSON.
    pub(crate) fn recognise(bytes: &[u8]) -> Self {
        const HTTP: [&[u8]; 9] = [
            b"GET ",
            b"POST ",
            b"PUT ",
            b"HEAD ",
            b"DELETE ",
            b"OPTIONS ",
            b"CONNECT ",
            b"PRI ",
            b"HTTP/",
        ];
        if HTTP.iter().any(|word| bytes.starts_with(word)) {
            Self::Http
        } else if bytes.starts_with(&[0x16, 0x03]) || bytes.starts_with(&[0x15, 0x03]) {
            // A handshake, or the alert with which a server answers what is none.
            Self::Tls
        } else if bytes.starts_with(b"SSH-") {
            Self::Ssh
        } else {
            Self::Unknown(Excerpt::of(bytes))
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Foreign::Http => f.write_str("HTTP"),
            Foreign::Tls => f.write_str("TLS"),
            Foreign::Ssh => f.write_str("SSH"),
            Foreign::Unknown(bytes) => write!(f, "an unknown protocol (first bytes {bytes})"),
        }
    }
}

/// The beginning of what a peer sent, short and safe to print.
#[derive(Clone, PartialEq, Eq)]
pub struct Excerpt {
    beginning: Box<[u8]>,
    total: usize,
}

impl Excerpt {
    const BYTES_MAX: usize = 60;

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let beginning = bytes[..bytes.len().min(Self::BYTES_MAX)].into();
        Self { beginning, total: bytes.len() }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.beginning.escape_ascii())?;
        if self.total > self.beginning.len() {
            write!(f, "… ({} bytes)", self.total)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
