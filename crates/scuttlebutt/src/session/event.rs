//! What a session tells its driver.

use crate::json::JsString;
use crate::label::Label;
use crate::limits::LimitExceeded;
use crate::replica::ForkProof;
use crate::timestamp::Timestamp;
use crate::update::{InvalidUpdate, UpdateId};
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
        /// What its model is called, if it says so; then it is what ours is called, if that has a name.
        model: Option<Label>,
        /// Which cluster it belongs to, if it says so; then it is ours, if we belong to one.
        cluster: Option<Label>,
    },
    /// A peer that does not say which model it holds sent a change as this model's writers do not make
    /// it ([`Model::looks_familiar`](crate::Model::looks_familiar)): it may hold another one. Told once.
    LooksForeign {
        /// The first update of that kind.
        update: UpdateId,
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
    /// so in a promise, or sent such an update back. A peer that calls itself by this replica's id, or
    /// claims more of it than there is, proves nothing by saying so.
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
    /// The peer says that it refused an update that was sent to it, and keeps the session. It will ask for
    /// it again. Nothing here depends on it: it is for whoever operates this replica.
    RefusedByPeer {
        /// Which one, if the peer could read its name.
        update: Option<UpdateId>,
        /// The bound of the peer that it exceeds, by the name of its field in [`Limits`](crate::Limits).
        bound: String,
        /// What that stands at.
        limit: f64,
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
    /// It would exceed a bound of this replica. What the peer promises does not count until it was sent
    /// again and there was room for it.
    #[error(
        "the peer sent an update that is refused{}: {exceeded}",
        .update.as_ref().map(|update| format!(", {update}")).unwrap_or_default()
    )]
    Full {
        /// Which one, if its name could be read.
        update: Option<UpdateId>,
        /// The bound.
        exceeded: LimitExceeded,
    },
    /// Its digest exceeds a bound of this replica. What is beyond it was passed over: of the sources in
    /// it, more is sent than the peer needs.
    #[error("the peer sent a digest of which some was passed over: {0}")]
    Digest(LimitExceeded),
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

impl SessionError {
    /// Whether the peer comes to the same conclusion once it has read what this side has said: a driver
    /// still writes that.
    #[must_use]
    pub fn is_mutual(&self) -> bool {
        matches!(self, Self::OtherModel { .. } | Self::OtherCluster { .. })
    }
}

/// A session ended by what its peer sent, or did not send. Updates accepted before stay accepted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It could not be understood.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It holds another data model. Nothing of it was accepted.
    #[error("the peer holds another model: it says {theirs}, and this replica holds {ours}")]
    OtherModel {
        /// What this replica's model is called.
        ours: Label,
        /// What the peer's is called.
        theirs: Label,
    },
    /// It belongs to another cluster. Nothing of it was accepted.
    #[error(
        "the peer belongs to another cluster: it says {theirs}, and this replica belongs to {ours}"
    )]
    OtherCluster {
        /// Ours.
        ours: Label,
        /// The peer's.
        theirs: Label,
    },
    /// It said nothing any more, though it had agreed to: it hangs, or cannot be reached.
    #[error(
        "the peer was silent for {waited_ms} ms, three times as long as agreed \
         (Limits::heartbeat_ms_max): it hangs, or the way to it is broken"
    )]
    Silent {
        /// How long it had.
        waited_ms: f64,
    },
    /// It never announced what it holds.
    #[error("the peer sent no digest within {waited_ms} ms (Limits::digest_wait_ms_max)")]
    NoDigest {
        /// How long it had.
        waited_ms: f64,
    },
}
