//! What a session is asked to do: the options of the original's `createStream`, under clear names.

use crate::json::{self, ToCanonicalError};
use crate::label::Label;
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::wire::CAN_PACK;

/// How one conversation goes. The default is a replica like any other: both directions, live.
///
/// | the original's option | here |
/// |---|---|
/// | `{}` | `SessionConfig::default()` |
/// | `createReadStream()`, `{writable: false}` | `direction: SendOnly`, `await_digest: false` |
/// | `{writable: false, clock: true}` | `direction: SendOnly` |
/// | `createWriteStream()`, `{readable: false}` | `direction: ReceiveOnly`, `announce_digest: false` |
/// | `{readable: false, sendClock: true}` | `direction: ReceiveOnly` |
/// | `{tail: false}` | `mode: CatchUp` |
/// | `{meta: …}` | `metadata` |
/// | `{name: …}` | `name` |
///
/// ```
/// use scuttlebutt::{Direction, SessionConfig};
///
/// let config = SessionConfig { direction: Direction::SendOnly, ..SessionConfig::default() };
/// assert!(config.await_digest);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[doc(alias = "createStream")]
pub struct SessionConfig {
    /// Who may write to whom.
    pub direction: Direction,

    /// Whether to stay after catching up.
    pub mode: Mode,

    /// Whether a session that only receives announces its digest. Default true: the peer then
    /// sends only what is missing; a replica of the original that is not told sends nothing at all
    /// unless it only sends. A session that sends always announces.
    #[doc(alias = "sendClock")]
    pub announce_digest: bool,

    /// Whether a session that only sends waits for the peer's digest. Default true: only what is
    /// missing is sent. Otherwise everything is sent at once, which is right for files and for peers
    /// that never announce.
    pub await_digest: bool,

    /// Whether a peer that has said nothing yet may stay. Default false: it has
    /// [`Limits::digest_wait_ms_max`](crate::Limits::digest_wait_ms_max) for its first word. A program that
    /// somebody types by hand takes longer; so may whoever only wants to take up room.
    pub is_patient: bool,

    /// Whether the digest leaves out this replica's own source, so that the peer sends back what it
    /// holds of it: the proof that an update was delivered to a peer that acknowledges nothing.
    /// Default false.
    pub ask_for_own: bool,

    /// Whether to announce what goes beyond the original's protocol. Default true; the original
    /// ignores the announcement, and nothing else changes unless the peer announces it too.
    pub announce_extensions: bool,

    /// Whether to announce the binary protocol among these. Default true; it is spoken if the peer
    /// announces it too, and JSON otherwise. False is for whoever wants to read what goes over the wire.
    pub announce_binary: bool,

    /// Whether to announce, too, that what is sent in the binary protocol may be compressed. Default false:
    /// it takes more time than it saves where links are fast. It happens if the peer announces it too, and
    /// only with this crate's feature `zstd`: without, nothing is announced.
    pub compress: bool,

    /// Which cluster this replica belongs to. A peer that names another is refused
    /// ([`SessionError::OtherCluster`](crate::SessionError::OtherCluster)); one that names none is let in, and
    /// the digest's event tells. Default none.
    pub cluster: Option<Label>,

    /// Whether to be sent the newest update of each source also where it is superseded, as peers send it
    /// to each other, so that version vectors become equal. Default true. False is for whoever only looks at
    /// what is there, or shows updates as they come: what is superseded is no longer part of the state. Peers
    /// that do not know of this send it all the same.
    pub wants_evidence: bool,

    /// Data of the application in the digest. Default none.
    #[doc(alias = "meta")]
    pub metadata: Option<Metadata>,

    /// A name for logs. Default empty.
    pub name: String,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            direction: Direction::Both,
            mode: Mode::Live,
            announce_digest: true,
            await_digest: true,
            is_patient: false,
            ask_for_own: false,
            announce_extensions: true,
            announce_binary: true,
            compress: false,
            cluster: None,
            wants_evidence: true,
            metadata: None,
            name: String::new(),
        }
    }
}

impl SessionConfig {
    /// As the original's `createReadStream`, byte for byte: sends everything without being asked.
    #[must_use]
    #[doc(alias = "createReadStream")]
    pub fn send_only() -> Self {
        Self {
            direction: Direction::SendOnly,
            await_digest: false,
            announce_extensions: false,
            ..Self::default()
        }
    }

    /// As the original's `createWriteStream`: receives and says nothing.
    #[must_use]
    #[doc(alias = "createWriteStream")]
    pub fn receive_only() -> Self {
        Self {
            direction: Direction::ReceiveOnly,
            announce_digest: false,
            announce_extensions: false,
            ..Self::default()
        }
    }

    pub(crate) fn announces(&self) -> bool {
        self.direction.sends() || self.announce_digest
    }

    /// Whether anything can be agreed on.
    pub(crate) fn announces_extensions(&self) -> bool {
        self.announce_extensions && self.announces()
    }

    /// Whether everything is sent before the peer has said what it holds.
    pub(crate) fn sends_unasked(&self) -> bool {
        self.direction == Direction::SendOnly && !self.await_digest
    }

    /// Whether the digest says that this side speaks binary. What is sent unasked is sent before
    /// anything can be agreed on.
    pub(crate) fn offers_binary(&self) -> bool {
        self.announce_binary && self.announces_extensions() && !self.sends_unasked()
    }

    /// Whether the digest says that this side reads and writes packs.
    pub(crate) fn offers_packs(&self) -> bool {
        self.compress && CAN_PACK && self.offers_binary()
    }
}

/// Who may write to whom in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "readable")]
#[doc(alias = "writable")]
pub enum Direction {
    /// Updates go both ways.
    #[default]
    Both,
    /// This replica sends; what the peer sends is dropped.
    SendOnly,
    /// This replica receives; it sends no update.
    ReceiveOnly,
}

impl Direction {
    pub(crate) fn sends(self) -> bool {
        self != Direction::ReceiveOnly
    }

    pub(crate) fn receives(self) -> bool {
        self != Direction::SendOnly
    }
}

/// Whether a session outlives its catching up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "tail")]
pub enum Mode {
    /// Stay, and pass on every new update.
    #[default]
    Live,
    /// Leave when both sides have what the other held.
    CatchUp,
}

/// JSON that an application puts into its digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(Box<str>);

impl Metadata {
    /// Takes any JSON text. What JavaScript takes for false (`null`, `false`, `0`, `""`) is not sent,
    /// as in the original.
    ///
    /// # Errors
    /// When it is no JSON, or holds a number that would be sent as another one: see
    /// [`Change::from_json`](crate::Change::from_json). When it is longer than what peers take
    /// ([`Limits::metadata_bytes_max`], 64 KiB by default).
    pub fn from_json(text: &str) -> Result<Self, InvalidMetadata> {
        let text = json::canonicalize_exactly(text, Limits::default().text())?;
        let limit = Limits::default().metadata_bytes_max;
        if text.len() > limit {
            return Err(LimitExceeded::new(Bound::MetadataBytes, limit).into());
        }
        Ok(Self(text.into_owned().into_boxed_str()))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    pub(crate) fn sent(&self) -> Option<&str> {
        (!matches!(&*self.0, "null" | "false" | "0" | "\"\"")).then_some(&self.0)
    }
}

/// What cannot be [`Metadata`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// It is no JSON, or not what would be sent.
    #[error(transparent)]
    Json(#[from] ToCanonicalError),
    /// No peer would take it.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
}
