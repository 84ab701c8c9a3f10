//! Every bound of the system in one place (invariant I8).
//!
//! Nothing that a peer sends grows memory beyond these. At a bound the newcomer is refused with a
//! named error ([`LimitExceeded`]); nothing is dropped silently and what was accepted stays.
//!
//! Bounds are derived from one another and never multiply past one another: what a replica may accept, it
//! can send to every peer with the same bounds. [`Limits::check`] says so of any set of them.

mod check;

use std::fmt;

pub use check::InconsistentLimits;

/// Bounds of a replica, of each of its sessions, and of the node that drives them. Plain numbers: change what you need and keep
/// the rest.
///
/// ```
/// use scuttlebutt::Limits;
///
/// let limits = Limits { line_bytes_max: 64 * 1024, ..Limits::default() };
/// assert_eq!(limits.nesting_depth_max, 3_000);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Longest line a peer may send, in bytes. Default 16 MiB. Each session may hold one unfinished
    /// line of this size. Of a longer one that is an update nothing is kept: it is passed over to its
    /// end, told, and asked for again after [`ask_again_ms_min`](Self::ask_again_ms_min) and ever more
    /// slowly. A longer one that is a digest ends the session.
    pub line_bytes_max: usize,

    /// Longest update, in bytes of its line as it is passed on: canonical, with its signature, without
    /// the newline. Default 8 MiB, well below [`line_bytes_max`](Self::line_bytes_max), so that whoever
    /// has another bound on lines takes it all the same. Local writes are held to it, too. An update that
    /// is longer, from a store that was written under another bound, is held and shown and never
    /// sent: see [`Replica::unsendable`](crate::Replica::unsendable).
    pub update_bytes_max: usize,

    /// Deepest nesting of arrays and objects in a line, the update's own array included. Default
    /// 3,000, the depth that a replica of the original is known to survive; it crashes at about
    /// 5,000.
    pub nesting_depth_max: usize,

    /// Sources known to the replica, and sources named in one digest. Default 131,072. Each costs
    /// about 300 bytes for good, since a version vector never forgets a source.
    pub sources_max: usize,

    /// Longest source id, in bytes of its JSON literal. Default 1,024.
    pub source_bytes_max: usize,

    /// Bytes of the ids of all sources known, as JSON literals. Default 8 MiB: 64 for each of
    /// [`sources_max`](Self::sources_max). A digest names them all, and has to fit into a line.
    pub sources_bytes_max: usize,

    /// Longest metadata in a digest, in bytes of JSON. Default 64 KiB. Longer metadata of a peer are
    /// passed over.
    pub metadata_bytes_max: usize,

    /// Longest name of a model or a cluster in a digest, in bytes of its JSON literal. Default 256.
    pub label_bytes_max: usize,

    /// Updates held that nothing supersedes: keys of a map, events of a log. Default 16,777,216.
    /// At this bound only those are accepted that supersede another, as far as the model can
    /// [tell](crate::Model::preview).
    pub updates_max: usize,

    /// Bytes of the updates held, counted as their text and the id of each source once. Default
    /// 4 GiB. The process needs roughly twice this. At this bound only those are accepted that supersede
    /// as many bytes as they have, up to an eighth more: what they supersede is held for a while.
    pub held_bytes_max: usize,

    /// How far ahead of the local wall clock an update may be, in milliseconds. Default 24 hours,
    /// which forgives clocks set to the wrong time zone. What is further ahead is asked for again
    /// once its time has come; until then it changes nothing.
    pub clock_skew_ms_max: f64,

    /// How long a session waits for its peer's digest, or anything else of the protocol, in
    /// milliseconds. Default 30 seconds.
    pub digest_wait_ms_max: f64,

    /// How long a peer may be silent, in milliseconds, where it agrees to say something at least so often.
    /// Default 30 seconds; 0 agrees on nothing. The session with one that was silent three times as long
    /// ends. Over TCP the system is asked for about the same, for peers with which nothing is agreed: it
    /// ends a connection whose other end acknowledges nothing, or takes nothing, for three times as long.
    pub heartbeat_ms_max: f64,

    /// How often a peer may ask to hear something, in milliseconds. Default 1,000. One that asks for it
    /// more often hears it as often as this; and nobody is asked for more, whatever
    /// [`heartbeat_ms_max`](Self::heartbeat_ms_max) says.
    pub heartbeat_ms_min: f64,

    /// The least time between two digests by which a session asks again for what was put off, in
    /// milliseconds. Default 1,000: each may be answered with everything that is missing.
    pub ask_again_ms_min: f64,

    /// The longest time until a session asks again for an update that exceeded a bound, in milliseconds.
    /// Default 15 minutes. It begins with [`ask_again_ms_min`](Self::ask_again_ms_min) and doubles each
    /// time that there is still no room.
    pub ask_again_ms_max: f64,

    /// How long a round takes for which updates of others are held back from a peer that is likely to get
    /// them from elsewhere, in milliseconds. Default 20; 0 holds nothing back. They wait for one to two
    /// rounds, and only where the peer has repeated what was known already.
    pub relay_wait_ms_max: f64,

    /// Updates that a session holds back and of which it remembers that the peer has sent them meanwhile.
    /// Default 4,096. Further ones the peer is sent all the same.
    pub relay_repeated_max: usize,

    /// How long an update of which nobody has promised that nothing is missing before it waits until a
    /// peer of the original's kind is sent it all the same, in milliseconds. Default 1,000. Promises
    /// follow within a round trip; they stay out where a writer announces nothing, or where whoever could
    /// promise is gone. Such a peer drops what comes late, so a shorter wait may cost it older updates.
    pub unpromised_wait_ms_max: f64,

    /// The least distance of marks within a history, in bytes of updates, and of what says how far it got.
    /// Default 64 KiB: so much is sent again where it breaks off. They take a twentieth of it at most.
    pub mark_bytes_min: usize,

    /// Histories of peers that broke off and can go on where they were, remembered at a time. Default 16. A
    /// further one takes the place of the oldest, which then begins anew.
    pub histories_resumed_max: usize,

    /// Events of a session that nobody has taken yet. Default 1,024. Beyond it further ones are
    /// dropped, except the one that says why the session closed; state never depends on them.
    pub session_events_max: usize,

    /// Digests of a peer that wait for an answer. Default 64. Only the last of them is answered with
    /// a history; each of the others up to this number is owed a `"SYNC"` line.
    pub unanswered_digests_max: u64,

    /// Sources that a session looks at in a second for its peer's further digests, of which each is compared with
    /// all that are known. Default 20,000. The first digest is answered at once; one that comes sooner after the
    /// one before than this allows waits, and of several that wait the last counts.
    pub sources_compared_per_second_max: u32,

    /// Bytes that a session has taken from the log and its stream has not. Default 64 KiB. Larger
    /// portions mean fewer system calls; each connection may hold one.
    pub output_bytes_max: usize,

    /// Bytes read from a stream at once. Default 64 KiB. They are applied under one lock.
    pub input_bytes_max: usize,

    /// Connections that a node has accepted, from the moment they are, and streams that it was given. Default
    /// 16,384. A further one is closed at once. What the node itself dials is not among them.
    pub sessions_max: usize,

    /// Connections that a node has accepted from one IP address, or from one IPv6 network of 64 bits,
    /// which is what one customer gets. Default 2,048: nobody takes all that `sessions_max` leaves.
    /// A further one is closed at once. Behind a proxy all come from one address.
    pub sessions_per_address_max: usize,

    /// How long a TLS handshake may take, in milliseconds. Default 10 seconds.
    pub handshake_wait_ms_max: u64,

    /// How long output may wait for a peer that takes none of it, in milliseconds. Default 5 minutes.
    /// A peer that is idle has taken everything, so this never ends its session. Whoever is cut off
    /// loses nothing by it: the next session begins with what is missing. What the system has taken for
    /// the peer counts for nothing here; over TCP see [`heartbeat_ms_max`](Self::heartbeat_ms_max), which
    /// comes first there unless it is 0.
    pub write_wait_ms_max: u64,

    /// How long a peer that has begun a line may take for its end, or for the next 1,024 bytes of it,
    /// in milliseconds. Default 1 minute. A peer that is idle is within no line.
    pub line_wait_ms_max: u64,

    /// Bytes of lines that peers have begun and not ended, over all sessions of a node. Default 256
    /// MiB. The session that would exceed it ends.
    pub unfinished_bytes_max: usize,

    /// Bytes that a node's sessions hold together on account of their peers, those that it dialled aside: output
    /// that waits, what peers announced, texts that something has superseded meanwhile. Default 256 MiB. Beyond it
    /// the session ends that holds most.
    pub sessions_bytes_max: usize,

    /// How long dialling a peer may take, all addresses of its name together, in milliseconds. Default 10
    /// seconds.
    pub dial_wait_ms_max: u64,

    /// The delay before a peer is dialled again for the first time, in milliseconds. Default 100. It
    /// doubles with each failure in a row, and half of it is drawn at random. A link that was in sync is
    /// dialled again after the shortest delay, unless it breaks soon after each sync.
    pub redial_delay_ms_min: u64,

    /// The longest delay before a peer is dialled again, in milliseconds. Default 30 seconds.
    pub redial_delay_ms_max: u64,

    /// How long a session that is being shut down waits for its peer to take what was accepted, in
    /// milliseconds. Default 5 seconds.
    pub shutdown_wait_ms_max: u64,

    /// Notices that a subscription has taken from the log at once. Default 256. The rest stays in the
    /// log.
    pub subscription_batch_max: usize,

    /// How long what is only good for saving work after the next start may wait to be written to the
    /// store, in milliseconds. Default 1 second. Updates never wait.
    pub store_delay_ms_max: u64,

    /// How often a replica takes a fresh source id because updates under its own came in that it did not
    /// write. Default 16. Each leaves an entry in everybody's version vector; beyond it the replica keeps
    /// its id, and what it writes spreads without being announced. As often a replica waits for what a
    /// peer announces of it.
    pub identity_renewals_max: usize,

    /// How long a replica keeps a fresh id at least, in milliseconds. Default 10 seconds. Without
    /// signatures anybody can contest an id by an update; meanwhile the replica writes on, and does not
    /// announce it.
    pub identity_renewal_wait_ms_min: f64,

    /// How long a replica waits for peers that announced writes of its own which it does not hold, in
    /// milliseconds. Default 10 seconds. Meanwhile it announces nothing that it writes, and one that
    /// signs does not write. Shorter, and one that was set back may write before it has heard what it
    /// wrote; longer, and a peer that lies can keep it from that longer.
    pub own_history_wait_ms_max: f64,

    /// Groups of promises that wait for the store to catch up. Default 64; further ones are merged
    /// into the last group, which only delays them.
    pub pending_promises_max: usize,

    /// Updates that wait for a verdict. Default 65,536. What comes beyond this, or beyond the three
    /// bounds that follow, is put off like an update from the future: it changes nothing, is told, and
    /// is asked for again after [`ask_again_ms_min`](Self::ask_again_ms_min).
    pub waiting_updates_max: usize,

    /// Bytes of lines that wait for a verdict. Default 64 MiB. One line may always wait.
    pub waiting_bytes_max: usize,

    /// Updates of one source that wait for a verdict. Default 16,384.
    pub waiting_updates_per_source_max: usize,

    /// Bytes of one source's lines that wait for a verdict. Default 16 MiB. One line may always wait.
    pub waiting_bytes_per_source_max: usize,

    /// Refusals of updates that waited, remembered for the sessions that brought them. Default 16,384.
    /// A session that asks later cannot know, counts no promise made since, and asks its peer again, not
    /// before [`ask_again_ms_min`](Self::ask_again_ms_min).
    pub verdicts_remembered_max: usize,

    /// Updates kept beyond the first of their name, over all sources, as evidence that a source forked.
    /// Default 1,024. One that is met beyond it is told and not kept.
    pub forks_max: usize,

    /// Bytes of these. Default 4 MiB. They are never let go.
    pub forks_bytes_max: usize,

    /// Updates on which a node has not begun to ask its verifier. Default 4,096. Beyond it nothing is
    /// read from peers until there are fewer.
    pub unasked_updates_max: usize,

    /// Updates that nobody vouches for, of which a node takes so many a second from one peer. Default
    /// 2,000. Each costs as much to refuse as a good one to accept, so beyond it the peer is listened to
    /// more slowly. An honest one that passes on much of what this node does not believe is slowed, too.
    pub unverified_per_second_max: u32,

    /// Updates about which a node asks its verifier at a time. Default 256.
    pub verify_batch_updates_max: usize,

    /// Times that a node asks its verifier at once, each on a thread. Default 4.
    pub verify_batches_max: usize,

    /// The delay before a verifier that cannot say yet is asked again, in milliseconds. Default 100. It
    /// doubles with each time in a row.
    pub verify_delay_ms_min: u64,

    /// The longest delay before a verifier is asked again, in milliseconds. Default 30 seconds.
    pub verify_delay_ms_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line_bytes_max: 16 << 20,
            update_bytes_max: 8 << 20,
            nesting_depth_max: 3_000,
            sources_max: 1 << 17,
            source_bytes_max: 1_024,
            sources_bytes_max: 8 << 20,
            metadata_bytes_max: 64 << 10,
            label_bytes_max: 256,
            updates_max: 1 << 24,
            held_bytes_max: 4 << 30,
            clock_skew_ms_max: 24.0 * 60.0 * 60.0 * 1_000.0,
            digest_wait_ms_max: 30_000.0,
            heartbeat_ms_max: 30_000.0,
            heartbeat_ms_min: 1_000.0,
            ask_again_ms_min: 1_000.0,
            ask_again_ms_max: 900_000.0,
            relay_wait_ms_max: 20.0,
            relay_repeated_max: 4_096,
            unpromised_wait_ms_max: 1_000.0,
            mark_bytes_min: 64 << 10,
            histories_resumed_max: 16,
            session_events_max: 1_024,
            unanswered_digests_max: 64,
            sources_compared_per_second_max: 20_000,
            output_bytes_max: 64 << 10,
            input_bytes_max: 64 << 10,
            sessions_max: 1 << 14,
            sessions_per_address_max: 1 << 11,
            handshake_wait_ms_max: 10_000,
            write_wait_ms_max: 300_000,
            line_wait_ms_max: 60_000,
            unfinished_bytes_max: 256 << 20,
            sessions_bytes_max: 256 << 20,
            dial_wait_ms_max: 10_000,
            redial_delay_ms_min: 100,
            redial_delay_ms_max: 30_000,
            shutdown_wait_ms_max: 5_000,
            subscription_batch_max: 256,
            store_delay_ms_max: 1_000,
            identity_renewals_max: 16,
            identity_renewal_wait_ms_min: 10_000.0,
            own_history_wait_ms_max: 10_000.0,
            pending_promises_max: 64,
            waiting_updates_max: 1 << 16,
            waiting_bytes_max: 64 << 20,
            waiting_updates_per_source_max: 1 << 14,
            waiting_bytes_per_source_max: 16 << 20,
            verdicts_remembered_max: 1 << 14,
            forks_max: 1_024,
            forks_bytes_max: 4 << 20,
            unasked_updates_max: 4_096,
            unverified_per_second_max: 2_000,
            verify_batch_updates_max: 256,
            verify_batches_max: 4,
            verify_delay_ms_min: 100,
            verify_delay_ms_max: 30_000,
        }
    }
}

/// Something reached its bound; the newcomer was refused and nothing else changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bound} exceeds its limit of {limit} (Limits::{})", bound.field())]
pub struct LimitExceeded {
    /// Which bound.
    pub bound: Bound,
    /// What it stands at.
    pub limit: u64,
}

impl LimitExceeded {
    pub(crate) fn new(bound: Bound, limit: usize) -> Self {
        Self { bound, limit: limit as u64 }
    }
}

/// What can reach a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// [`Limits::line_bytes_max`].
    LineBytes,
    /// [`Limits::update_bytes_max`].
    UpdateBytes,
    /// [`Limits::nesting_depth_max`].
    NestingDepth,
    /// [`Limits::sources_max`].
    Sources,
    /// [`Limits::source_bytes_max`].
    SourceBytes,
    /// [`Limits::sources_bytes_max`].
    SourcesBytes,
    /// [`Limits::metadata_bytes_max`].
    MetadataBytes,
    /// [`Limits::label_bytes_max`].
    LabelBytes,
    /// [`Limits::updates_max`].
    Updates,
    /// [`Limits::held_bytes_max`].
    HeldBytes,
    /// [`Limits::waiting_updates_max`].
    WaitingUpdates,
    /// [`Limits::waiting_bytes_max`].
    WaitingBytes,
    /// [`Limits::waiting_updates_per_source_max`].
    WaitingUpdatesPerSource,
    /// [`Limits::waiting_bytes_per_source_max`].
    WaitingBytesPerSource,
    /// [`Limits::verdicts_remembered_max`].
    VerdictsRemembered,
}

impl Bound {
    /// The field of [`Limits`] that holds it.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Bound::LineBytes => "line_bytes_max",
            Bound::UpdateBytes => "update_bytes_max",
            Bound::NestingDepth => "nesting_depth_max",
            Bound::Sources => "sources_max",
            Bound::SourceBytes => "source_bytes_max",
            Bound::SourcesBytes => "sources_bytes_max",
            Bound::MetadataBytes => "metadata_bytes_max",
            Bound::LabelBytes => "label_bytes_max",
            Bound::Updates => "updates_max",
            Bound::HeldBytes => "held_bytes_max",
            Bound::WaitingUpdates => "waiting_updates_max",
            Bound::WaitingBytes => "waiting_bytes_max",
            Bound::WaitingUpdatesPerSource => "waiting_updates_per_source_max",
            Bound::WaitingBytesPerSource => "waiting_bytes_per_source_max",
            Bound::VerdictsRemembered => "verdicts_remembered_max",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Bound::LineBytes => "the length of a line in bytes",
            Bound::UpdateBytes => "the length of an update in bytes",
            Bound::NestingDepth => "the nesting depth of a value",
            Bound::Sources => "the number of sources",
            Bound::SourceBytes => "the length of a source id in bytes",
            Bound::SourcesBytes => "the size of the ids of all sources in bytes",
            Bound::MetadataBytes => "the length of a digest's metadata in bytes",
            Bound::LabelBytes => "the length of a model's or cluster's name in bytes",
            Bound::Updates => "the number of updates held",
            Bound::HeldBytes => "the size of the updates held in bytes",
            Bound::WaitingUpdates => "the number of updates that wait for a verdict",
            Bound::WaitingBytes => "the size of the updates that wait for a verdict in bytes",
            Bound::WaitingUpdatesPerSource => {
                "the number of a source's updates that wait for a verdict"
            }
            Bound::WaitingBytesPerSource => {
                "the size of a source's updates that wait for a verdict in bytes"
            }
            Bound::VerdictsRemembered => "the number of refusals remembered",
        })
    }
}
