//! What a session tells its driver.

use crate::json::JsString;
use crate::limits::LimitExceeded;
use crate::replica::ForkProof;
use crate::timestamp::Timestamp;
use crate::update::InvalidUpdate;
use crate::version_vector::VersionVector;
use crate::wire::DecodeError;

/// Something that happened in a session. Taken with
/// [`Session::next_event`](crate::Session::next_event).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SessionEvent {
    /// The peer announced what it holds.
    #[doc(alias = "header")]
    DigestReceived {
        /// The source id under which the peer writes, if it told one.
        peer: Option<JsString>,
        /// What it holds.
        vector: VersionVector,
        /// The metadata of its application, as JSON text.
        metadata: Option<String>,
        /// Whether it announced the extensions of this implementation.
        has_extensions: bool,
    },
    /// Everything that the peer lacked when it announced is in the output.
    #[doc(alias = "syncSent")]
    HistorySent,
    /// Everything that we lacked when we announced has arrived, and the verdicts on it are known.
    #[doc(alias = "syncRecieved")]
    HistoryReceived,
    /// Both of the above, each as far as this session does it.
    #[doc(alias = "sync")]
    #[doc(alias = "synced")]
    Synced,
    /// The peer provably holds everything that this replica itself wrote up to `timestamp`: it said
    /// so in a promise, or sent such an update back.
    Confirmed {
        /// The newest own update that is known to be there.
        timestamp: Timestamp,
    },
    /// Updates had no effect; the session goes on.
    Refused {
        /// Why the last one of them was refused.
        refusal: Refusal,
        /// How many there were in a row.
        count: u64,
    },
    /// A source signed two changes under one name: see [`Outcome::Forked`](crate::Outcome::Forked). The
    /// peer only passed it on.
    Forked {
        /// Both, to be shown to anyone.
        proof: Box<ForkProof>,
        /// Whether what the peer sent is kept beside what was held.
        is_kept: bool,
    },
    /// Nothing more will come.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// Why an update had no effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is an array, but not one of the form `[change, timestamp, source]`.
    #[error("the peer sent an array that is no update: {0}")]
    Malformed(InvalidUpdate),
    /// It means nothing to the model.
    #[error("the peer sent an update that this model does not understand: {0}")]
    Invalid(String),
    /// The verifier does not vouch for it.
    #[error("the peer sent an update whose signature is not known to be good")]
    Unverified,
    /// It is from too far in the future, and will be asked for again.
    #[error(
        "the peer sent an update from the future; it will be accepted from {accept_at_ms} ms after the epoch on"
    )]
    ClockSkew {
        /// Milliseconds since the epoch.
        accept_at_ms: f64,
    },
    /// Too many updates wait for verdicts. It will be asked for again.
    #[error(
        "the peer sent an update that cannot be verified at once: {0}; it will be asked for again"
    )]
    Crowded(LimitExceeded),
    /// This session does not accept updates.
    #[error("the peer sent an update over a session that only sends")]
    ReadOnly,
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// Each side was told all it was to be told, and both streams have ended.
    Finished,
    /// The peer's stream ended before our history was sent or theirs had arrived.
    PeerLeft,
    /// It failed.
    Failed(SessionError),
}

/// A session ended by what its peer sent, or did not send. Updates accepted before stay accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It could not be understood.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It would exceed a bound of this replica.
    #[error("an update of the peer was refused: {0}")]
    Full(LimitExceeded),
    /// It never announced what it holds.
    #[error("the peer sent no digest within {waited_ms} ms (Limits::digest_wait_ms_max)")]
    NoDigest {
        /// How long it had.
        waited_ms: f64,
    },
}
