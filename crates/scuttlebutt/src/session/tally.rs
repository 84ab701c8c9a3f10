//! What a session has counted: for metrics, and to know which of its branches were taken.
//!
//! Nothing in here decides anything.

#[cfg(doc)]
use super::{Session, SessionEvent};

/// How often each thing happened in a session so far. Taken with [`Session::tally`].
///
/// Updates that came in are counted once each, by what became of them; those that had no effect are
/// told as [`SessionEvent::Refused`] as well. One that waited for a verdict is counted as that, and once
/// more when that has come, as trusted or as what speaks against it.
///
/// ```
/// use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// let mut session = Session::new(&mut replica, 100.0, SessionConfig::default());
/// session.receive(&mut replica, 100.0, b"[[\"k\",1],50,\"B\"]\n[[\"k\",1],50,\"B\"]\n")?;
/// assert_eq!(session.tally().updates_applied, 1);
/// assert_eq!(session.tally().updates_stale, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// Updates received that became part of the state.
    pub updates_applied: u64,
    /// Updates received that one we hold supersedes.
    pub updates_superseded: u64,
    /// Updates received that we held already.
    pub updates_stale: u64,
    /// Updates received whose source gave their name to another change that we hold.
    pub updates_forked: u64,
    /// Arrays received that are no updates.
    pub updates_malformed: u64,
    /// Updates received that mean nothing to the model.
    pub updates_invalid: u64,
    /// Updates received for which nobody vouches.
    pub updates_unverified: u64,
    /// Updates received from too far in the future.
    pub updates_early: u64,
    /// Updates received that waited for a verdict.
    pub updates_waited: u64,
    /// Updates received that waited and were trusted: part of the state then, unless one we hold
    /// supersedes them.
    pub updates_trusted: u64,
    /// Updates received that would have waited for a verdict, when too many did.
    pub updates_crowded: u64,
    /// Updates received that would have exceeded a bound.
    pub updates_full: u64,
    /// Updates received in a session that only sends.
    pub updates_unwanted: u64,
    /// Lines received, or frames, that say something.
    pub lines_received: u64,
    /// Digests of the peer that came sooner than the next could be answered:
    /// [`Limits::sources_compared_per_second_max`](crate::Limits::sources_compared_per_second_max).
    pub digests_put_off: u64,
    /// Digests received.
    pub digests_received: u64,
    /// Ends of histories received.
    pub histories_received: u64,
    /// Promises received on the way, and obeyed.
    pub marks_received: u64,
    /// Promises received on the way that did not count, because something sent before was put off
    /// or the peer had said that it makes none.
    pub marks_ignored: u64,
    /// Updates sent to answer a digest.
    pub updates_sent_catching_up: u64,
    /// Updates sent as they arrived.
    pub updates_sent_live: u64,
    /// Updates held back for a moment, because the peer may get them from elsewhere.
    pub updates_held_back: u64,
    /// Updates not sent because the peer brought them, or said that it holds them.
    pub updates_known_to_peer: u64,
    /// Digests sent.
    pub digests_sent: u64,
    /// Digests that were begun to be answered with a history.
    pub histories_begun: u64,
    /// Of these, those that went on where one broke off.
    pub histories_resumed: u64,
    /// How often a history said how far it got.
    pub places_sent: u64,
    /// How often a history of the peer said how far it got.
    pub places_received: u64,
    /// Ends of histories sent.
    pub histories_sent: u64,
    /// Promises sent on the way.
    pub marks_sent: u64,
    /// Acknowledgements received.
    pub acknowledgements_received: u64,
    /// Acknowledgements sent.
    pub acknowledgements_sent: u64,
    /// Words sent that say only that this side is there.
    pub heartbeats_sent: u64,
    /// Packs sent: frames that were compressed together.
    pub packs_sent: u64,
    /// How often the end of a history was put off, because what superseded something passed over
    /// could still be to come.
    pub ends_moved: u64,
    /// How often a portion of output ended within a line.
    pub lines_split: u64,
}
