//! What becomes of updates, local and remote, and who vouches for them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::limits::LimitExceeded;
#[cfg(doc)]
use crate::limits::Limits;
#[cfg(doc)]
use crate::replica::Replica;
use crate::replica::{ForkProof, Ticket};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;

/// What became of an update that was written elsewhere.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is part of the state now.
    Applied,
    /// An update that is held supersedes it: the state did not change.
    #[doc(alias = "_remove")]
    Superseded,
    /// It is held already. Ordinary traffic: peers that both have it both offer it.
    #[doc(alias = "old_data")]
    Stale,
    /// It is trusted, and its source gave its name to another change that is held: the source forked,
    /// which this proves. Without a verifier it may as well be that two clones of a node gave the name, or
    /// that somebody else did.
    Forked {
        /// This update and the first one of its name.
        proof: Box<ForkProof>,
        /// Whether it was merged and is kept beside that one. Beyond [`Limits::forks_max`] or
        /// [`Limits::forks_bytes_max`] it is not, and nothing has changed.
        is_kept: bool,
    },
    /// The verifier does not vouch for it; nothing has changed.
    #[doc(alias = "unverified_data")]
    Unverified,
    /// It means nothing to the model, for this reason; nothing has changed. Every replica of the
    /// model refuses it alike.
    #[doc(alias = "invalid")]
    Invalid(Cow<'static, str>),
    /// It is from further in the future than [`Limits::clock_skew_ms_max`]; nothing has changed.
    /// From `accept_at_ms` on, by the wall clock, it will be accepted.
    ClockSkew {
        /// Milliseconds since the epoch.
        accept_at_ms: f64,
    },
    /// The verdict on it, or on an earlier one of its source, is not known yet; nothing has changed. It
    /// takes effect, or is refused, when the [answer](Replica::answer) comes.
    Waiting(Ticket),
    /// It would have to wait for a verdict, and too many do: [`Limits::waiting_updates_max`] and the
    /// bounds after it. Nothing has changed; a session asks for it again later.
    Crowded(LimitExceeded),
    /// A bound is reached; nothing has changed.
    Full(LimitExceeded),
}

/// A local write that was refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LocalUpdateError {
    /// The model refuses the change.
    #[error("the model refuses this change: {0}")]
    Invalid(Cow<'static, str>),
    /// A bound is reached.
    #[error(transparent)]
    Full(#[from] LimitExceeded),
    /// The largest timestamp there is has been used.
    #[error("no timestamp is left after {}", Timestamp::MAX)]
    TimeExhausted,
    /// This replica keeps its id, and others may hold writes under it that are not here: see
    /// [`Replica::await_own_history`]. Try again once a peer has sent what it holds.
    #[error(
        "others may hold writes of this replica that it has forgotten: it writes again once a peer has \
         sent what it holds"
    )]
    OwnHistoryAwaited,
    /// The newest update of this replica's own is from so far ahead of the wall clock, more than
    /// [`Limits::clock_skew_ms_max`], that peers would put this one off until then: see
    /// [`Replica::clock_lead_ms`]. If the wall clock is right, it was wrong then, and the way back is
    /// [`Replica::return_to_present`].
    #[error(
        "what this replica wrote last is {} ahead of its clock, and so far ahead peers accept nothing: if \
         the clock is behind, set it right; if it is right now and was ahead then, what was written \
         ahead has to be written anew, under a fresh id", duration(*.lead_ms)
    )]
    ClockAhead {
        /// Milliseconds from the wall clock to the timestamp.
        lead_ms: f64,
    },
    /// The signer did not sign it.
    #[error(transparent)]
    Unsigned(#[from] SignError),
    /// The replica took another id than its signer's: nobody would believe what it writes.
    #[error("the replica writes as {id}, but its signer signs for {signer}")]
    NotTheSigner {
        /// The id under which the replica writes.
        id: SourceId,
        /// The id for which its signer signs.
        signer: SourceId,
    },
    /// Another write of this replica was published under a later name since this one was
    /// [drafted](Replica::draft), or the replica took another id. Draft it anew.
    #[error("another write of this replica came before this one: it needs a later timestamp")]
    Overtaken,
}

/// In the largest unit of which it is more than one.
fn duration(millis: f64) -> String {
    let hours = millis / 3_600_000.0;
    if hours >= 48.0 { format!("{:.0} days", hours / 24.0) } else { format!("{hours:.1} hours") }
}

/// Signs what a replica writes itself: see [`Replica::sign_with`]. It is never shown an update that
/// came from outside, whoever that claims to be from.
pub trait Signer: Send + Sync {
    /// The source id that its signatures belong to.
    #[doc(alias = "createId")]
    fn id(&self) -> &SourceId;

    /// The signature of `update`, which nobody has signed yet. The update carries it as a JSON string
    /// behind its source.
    ///
    /// # Errors
    /// [`SignError`]; the update is not written then.
    fn sign(&self, update: &Update) -> Result<String, SignError>;
}

/// For an application that chooses its signer while it runs.
impl<S: Signer + ?Sized> Signer for Arc<S> {
    fn id(&self) -> &SourceId {
        (**self).id()
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        (**self).sign(update)
    }
}

/// No signature was made; the text says why, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the update could not be signed: {0}")]
pub struct SignError(pub Cow<'static, str>);

/// Judges updates from outside before they have any effect.
pub trait Verifier: Send + Sync {
    /// Whether `update` was written by the source that it names. The signature, where there is one,
    /// is the first of [`Update::extras`].
    ///
    /// A source whose key is not known is [`Trust::Untrusted`]. [`Trust::Later`] is for who cannot say
    /// yet, as when keys are kept where they cannot be reached just now: the update waits, with all
    /// that its source wrote after it, and is asked about again.
    fn verify(&self, update: &Update) -> Trust;

    /// The verdicts on `updates`, in their order: for who judges many together at less cost. One that is
    /// left out counts as [`Trust::Later`].
    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        updates.iter().map(|update| self.verify(update)).collect()
    }
}

/// For an application that keeps a hold of its verifier.
impl<V: Verifier + ?Sized> Verifier for Arc<V> {
    fn verify(&self, update: &Update) -> Trust {
        (**self).verify(update)
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        (**self).verify_all(updates)
    }
}

/// The word of a [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The source it names wrote it.
    Trusted,
    /// Nobody knows who wrote it.
    Untrusted,
    /// Not known yet: ask again.
    Later,
}
