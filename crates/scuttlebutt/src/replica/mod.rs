//! One copy of the data: order, the log, the version vector, and what may move them.
//!
//! A [`Replica`] decides what becomes of each update and is the only one that does. It never sees
//! bytes, peers or the time: updates come in as values with the wall clock's reading beside them,
//! and changes go out as values.

mod ages;
mod arrival;
mod changes;
pub(crate) mod delta;
mod drafts;
mod fork_proof;
mod forks;
mod identity;
mod merging;
mod outcome;
mod places;
mod promises;
mod room;
mod sources;
mod storing;
mod waiting;

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::clock::Clock;
use crate::label::Label;
use crate::limits::{LimitExceeded, Limits};
use crate::model::Model;
use crate::place::Place;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};
use crate::version_vector::VersionVector;

use ages::Ages;
use arrival::Arrival;
pub(crate) use arrival::Entry;
pub use changes::{ChangeCursor, Changed, Changes};
use delta::Delta;
pub use drafts::{Draft, SignedDraft};
pub use fork_proof::{ForkProof, ForkProofError};
use forks::Forks;
use identity::OwnHistory;
pub use outcome::{LocalUpdateError, Outcome, SignError, Signer, Trust, Verifier};
use places::Places;
use promises::Promised;
use sources::Sources;
pub(crate) use sources::{Source, SourceIndex};
pub(crate) use waiting::Settled;
use waiting::Waiting;
pub use waiting::{Question, Ticket};

/// The greatest number that every implementation of JSON reads exactly.
const LIFE_MAX: u64 = (1 << 53) - 1;

/// One copy of a data model `M`, which accepts writes of its own and those of others.
///
/// Its methods fall into families:
///
/// - *updates in:* [`local_update`](Self::local_update), or [`draft`](Self::draft) and
///   [`publish`](Self::publish); [`remote_update`](Self::remote_update), [`promise`](Self::promise);
/// - *state out:* [`model`](Self::model), [`changes`](Self::changes),
///   [`updates_since`](Self::updates_since), [`version_vector`](Self::version_vector);
/// - *a store's side:* [`wait_for_store`](Self::wait_for_store),
///   [`restore`](Self::restore), [`unstored`](Self::unstored), [`stored`](Self::stored);
/// - *verdicts:* [`take_questions`](Self::take_questions), [`answer`](Self::answer);
/// - *identity:* [`is_identity_disputed_by`](Self::is_identity_disputed_by),
///   [`doubt_identity`](Self::doubt_identity), [`renew_identity`](Self::renew_identity),
///   [`await_own_history`](Self::await_own_history).
///
/// Conversations with peers are [`Session`](crate::Session)s, which borrow the replica when bytes
/// arrive or are wanted. A replica does not know how many there are.
///
/// ```
/// use scuttlebutt::{LwwMap, Outcome, Replica, SourceId, Update};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
/// let later = Update::from_json(r#"[["k",2],200,"B"]"#)?;
/// assert_eq!(replica.remote_update(150.0, later.clone()), Outcome::Applied);
/// assert_eq!(replica.remote_update(150.0, later), Outcome::Stale);
/// assert_eq!(replica.model().to_json(), r#"{"k":2}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Identity
/// The id must be new, or belong to a replica whose every update this one gets back from its store
/// before it writes. Writing again under an id after forgetting some of its updates makes others'
/// copies of the forgotten ones unreachable: nobody is asked for what is believed to be held. So a
/// clone is good for reading and for simulations; two of them must not both write.
#[doc(alias = "Scuttlebutt")]
#[derive(Clone)]
pub struct Replica<M> {
    id: SourceId,
    model: M,
    limits: Limits,
    clock: Clock,
    verifier: Option<Arc<dyn Verifier>>,
    signer: Option<Arc<dyn Signer>>,
    log: Arrival,
    sources: Sources,
    forks: Forks,
    /// The positions of updates that can be sent to nobody, and why.
    unsendable: BTreeMap<u64, LimitExceeded>,
    ages: Ages,
    /// Below this position everything is as durable as the store promises.
    durable: u64,
    has_store: bool,
    /// Advances of the version vector that wait until everything below a position is durable.
    promised: VecDeque<Promised>,
    /// Superseded updates that are still held, each with the position of what outlived it: they are
    /// let go when that is durable. Until then they may be all that can be sent in its place.
    outlived: VecDeque<(u64, SourceIndex, Timestamp)>,
    /// The newest update under our own id that came from outside and that no promise covers yet.
    returned: Option<Timestamp>,
    /// What this replica writes is not announced yet: it may have forgotten writes before it.
    is_identity_doubted: bool,
    /// That is never going to end.
    is_doubted_for_good: bool,
    /// Nothing is written: a peer may have writes of this replica to give back.
    own_history: OwnHistory,
    /// The positions of what was let go since a store that keeps positions last asked.
    released: Option<Vec<u64>>,
    links: u32,
    /// Which life of a node this is part of, if peers may go on where they were in it.
    life: Option<u64>,
    places: Places,
    waiting: Waiting,
}

/// Everything may be sent.
const NONE: BTreeMap<u64, LimitExceeded> = BTreeMap::new();

impl<M: Model> Replica<M> {
    /// A replica that writes as `id` and starts from `model`, with the default [`Limits`].
    pub fn new(id: SourceId, model: M) -> Self {
        Self::with_limits(id, model, Limits::default())
    }

    /// A replica with bounds of its own.
    pub fn with_limits(id: SourceId, model: M, limits: Limits) -> Self {
        Self {
            id,
            model,
            limits,
            clock: Clock::default(),
            verifier: None,
            signer: None,
            log: Arrival::default(),
            sources: Sources::default(),
            forks: Forks::default(),
            unsendable: BTreeMap::new(),
            ages: Ages::default(),
            durable: 0,
            has_store: false,
            promised: VecDeque::new(),
            outlived: VecDeque::new(),
            returned: None,
            is_identity_doubted: false,
            is_doubted_for_good: false,
            own_history: OwnHistory::default(),
            released: None,
            links: 0,
            life: None,
            places: Places::default(),
            waiting: Waiting::default(),
        }
    }

    /// Asks `verifier` about every update from outside before it has any effect (invariant I5).
    #[must_use]
    #[doc(alias = "verify")]
    pub fn verify_with(mut self, verifier: impl Verifier + 'static) -> Self {
        self.verifier = Some(Arc::new(verifier));
        self
    }

    /// Writes as `signer`'s id from now on, and has it sign every local update before that has any
    /// effect. What comes from outside is never signed, not even under this id: it has its signature
    /// or it has none. Call it before anything is written or restored.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SignError, Signer, SourceId, Update};
    ///
    /// struct Stamp(SourceId); // anybody could sign like this
    /// impl Signer for Stamp {
    ///     fn id(&self) -> &SourceId {
    ///         &self.0
    ///     }
    ///     fn sign(&self, update: &Update) -> Result<String, SignError> {
    ///         Ok(format!("{} bytes", update.change().len()))
    ///     }
    /// }
    ///
    /// let ada = SourceId::new("ada")?;
    /// let mut replica = Replica::new(ada.clone(), LwwMap::new()).sign_with(Stamp(ada));
    /// let update = replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// assert_eq!(update.to_json(), r#"[["k",1],100,"ada","7 bytes"]"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[doc(alias = "sign")]
    pub fn sign_with(mut self, signer: impl Signer + 'static) -> Self {
        self.renew_identity(signer.id().clone());
        self.signer = Some(Arc::new(signer));
        self
    }

    /// Lets peers go on where a history of this replica broke off, for as long as this replica lives. `life`
    /// tells this life from all others of any replica: draw it at random, from the lower 53 bits, for each.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId};
    ///
    /// let drawn = 0x1f_1234_5678_9abc;
    /// let replica = Replica::new(SourceId::new("A")?, LwwMap::new()).in_life(drawn);
    /// # Ok::<(), scuttlebutt::InvalidSource>(())
    /// ```
    #[must_use]
    pub fn in_life(mut self, life: u64) -> Self {
        self.life = Some(life & LIFE_MAX);
        self
    }

    pub(crate) fn life(&self) -> Option<u64> {
        self.life
    }

    /// How far histories got that have not ended.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.iter()
    }

    pub(crate) fn note_place(&mut self, place: Place) {
        self.places.note(place, self.limits.histories_resumed_max);
    }

    pub(crate) fn forget_place(&mut self, life: u64) {
        self.places.forget(life);
    }

    /// The source id under which this replica writes.
    pub fn id(&self) -> &SourceId {
        &self.id
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The data.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// What its model is called, where it has a name.
    pub(crate) fn model_label(&self) -> Option<Label> {
        self.model.name().and_then(|name| Label::new(name).ok())
    }

    /// Number of updates held: those that nothing supersedes, and the newest of each source.
    pub fn updates_held(&self) -> usize {
        self.log.len()
    }

    /// Number of sources that ever wrote.
    pub fn sources_known(&self) -> usize {
        self.sources.len()
    }

    /// Merges an update that was written elsewhere. `now_ms` is the wall clock.
    ///
    /// It never errs: whatever the update, the [`Outcome`] says what became of it. The version
    /// vector does not move; see [`promise`](Self::promise).
    #[doc(alias = "_update")]
    pub fn remote_update(&mut self, now_ms: f64, update: Update) -> Outcome {
        if let Err(exceeded) = self.check_depth(&update) {
            return Outcome::Full(exceeded);
        }
        self.receive_update(now_ms, update, Link::ELSEWHERE)
    }

    /// The announced version vector: see [`VersionVector`] for what it promises.
    #[doc(alias = "sources")]
    pub fn version_vector(&self) -> VersionVector {
        self.sources
            .iter()
            .filter_map(|(_, source)| Some((source.id.clone(), source.announced()?)))
            .collect()
    }

    /// The updates held that `vector` does not cover and nothing supersedes, and all sides of the
    /// [forks](Self::forks) that it does not cover, in the order of (timestamp, source). Costs O(sources + updates that come out), however much is held.
    #[doc(alias = "history")]
    pub fn updates_since<'r>(
        &'r self,
        vector: &VersionVector,
    ) -> impl Iterator<Item = &'r Update> + use<'r, M> {
        let mut delta = Delta::since(&self.sources, vector, self.log.head(), None);
        std::iter::from_fn(move || delta.next(&self.sources, &self.forks, &self.log, &NONE))
            .filter(|step| step.entry.is_live() || self.is_side_of_fork(step.entry))
            .map(|step| &step.entry.update)
    }

    /// Whether the update named is held and not superseded.
    pub fn is_live(&self, id: &UpdateId) -> bool {
        self.position(id).and_then(|position| self.log.get(position)).is_some_and(Entry::is_live)
    }

    /// Where the update named is held in the order of arrival.
    pub fn position(&self, id: &UpdateId) -> Option<u64> {
        let source = self.sources.get(self.sources.find(&id.source)?);
        source.slot(id.timestamp).map(|slot| slot.position())
    }

    /// The position that the next update will get in the order of arrival.
    pub fn head(&self) -> u64 {
        self.log.head()
    }

    /// The position below which everything is as durable as the store promises; without a store,
    /// the [`head`](Self::head). Sessions send nothing beyond it (invariant I3).
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// What sessions depend on: while it stays the same, no session gets anything new to send or to
    /// [settle](crate::Session::settle).
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let before = replica.revision();
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// assert_ne!(replica.revision(), before);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revision(&self) -> Revision {
        Revision {
            head: self.head(),
            durable: self.durable,
            vector_changes: self.sources.changes(),
            answers: self.waiting.answers(),
        }
    }

    /// Writes everything inside but the limits, the verifier, the signer and how many links there were: two
    /// replicas that print alike act alike. For whoever visits every state there is; what it prints may change at any time.
    #[doc(hidden)]
    pub fn internals(&self, out: &mut dyn std::fmt::Write) -> std::fmt::Result
    where
        M: std::fmt::Debug,
    {
        let stored = (self.has_store, self.durable, &self.promised, &self.outlived);
        let doubt = (self.is_identity_doubted, self.is_doubted_for_good);
        let identity = (doubt, &self.own_history);
        let kept = (&self.forks, &self.unsendable);
        let rest = (&self.clock, &self.returned, identity, &self.waiting, kept);
        write!(out, "{:?}", (&self.id, &self.model, &self.log, &self.sources, stored, rest))
    }

    /// Reads the changes of state since the cursor's position, in the order in which they happened,
    /// and moves the cursor. See [`ChangeCursor`].
    pub fn changes<'r>(&'r self, cursor: &'r mut ChangeCursor) -> Changes<'r> {
        Changes::new(&self.log, cursor)
    }

    /// A cursor that reads only what changes from now on.
    pub fn change_cursor(&self) -> ChangeCursor {
        ChangeCursor::at(self.log.head())
    }

    pub(crate) fn new_link(&mut self) -> Link {
        // After 2^31 - 2 sessions numbers repeat: an update could then not be sent back to a session
        // that never had it, if that update was the only one since; so skip none but the reserved.
        self.links = (self.links.wrapping_add(1) & (u32::MAX >> 1)).max(Link::FIRST);
        Link::session(self.links)
    }

    /// The walk over what `vector` does not cover, or over what is left of one that came to `place`.
    pub(crate) fn delta(&self, vector: &VersionVector, place: Option<&Place>) -> Delta {
        let bound = place.map_or(self.durable, |place| place.since);
        Delta::since(&self.sources, vector, bound, place.map(|place| &place.at))
    }

    pub(crate) fn delta_next<'r>(&'r self, delta: &mut Delta) -> Option<delta::Step<'r>> {
        delta.next(&self.sources, &self.forks, &self.log, &self.unsendable)
    }

    /// Whether what is held at `position` can be sent to anybody.
    pub(crate) fn is_sendable(&self, position: u64) -> bool {
        !self.unsendable.contains_key(&position)
    }

    pub(crate) fn entry(&self, position: u64) -> Option<&Entry> {
        self.log.get(position)
    }

    /// Below which position nobody waits for a promise any more.
    pub(crate) fn old_below(&self, now_ms: f64) -> u64 {
        self.ages.old_below(self.log.head(), now_ms, self.limits.unpromised_wait_ms_max)
    }

    /// The first update from `position` on that may be sent, with its position.
    pub(crate) fn next_from(&self, position: u64) -> Option<(u64, &Entry)> {
        let mut held = self.log.from(position);
        held.find(|(at, _)| !self.unsendable.contains_key(at)).filter(|(at, _)| *at < self.durable)
    }

    /// Whether a peer that knows no evidence needs this update: nothing that may be sent in its place
    /// supersedes it.
    pub(crate) fn is_needed(&self, entry: &Entry) -> bool {
        entry.superseded_by >= self.durable
    }

    /// The announced vector in the order in which sources were first seen.
    pub(crate) fn announced(&self) -> impl Iterator<Item = (&SourceId, Timestamp)> {
        self.sources.iter().filter_map(|(_, source)| Some((&source.id, source.announced()?)))
    }

    pub(crate) fn source(&self, index: SourceIndex) -> &Source {
        self.sources.get(index)
    }

    /// The newest timestamp held of a source, announced or not.
    pub fn newest_held(&self, id: &SourceId) -> Option<Timestamp> {
        Some(self.sources.get(self.sources.find(id)?).newest()?.timestamp)
    }

    /// The sources of which something is held that a vector does not cover, and what it covers of them.
    pub(crate) fn behind(
        &self,
        vector: &VersionVector,
    ) -> impl Iterator<Item = (SourceIndex, Option<Timestamp>)> + '_ {
        let mut covered = vec![None; self.sources.len()];
        for (_, timestamp, index) in self.sources.numbered(vector) {
            if let Some(index) = index {
                covered[index.0 as usize] = Some(timestamp);
            }
        }
        let all = self.sources.iter().zip(covered);
        let is_behind = |(source, covered): (&Source, Option<Timestamp>)| {
            source.newest().is_some_and(|newest| Some(newest.timestamp) > covered)
        };
        all.filter(move |((_, source), covered)| is_behind((source, *covered)))
            .map(|((index, _), covered)| (index, covered))
    }

    /// The sources whose announced entry changed after the `changes`-th change.
    pub(crate) fn sources_announced_since(
        &self,
        changes: u64,
    ) -> impl Iterator<Item = SourceIndex> + '_ {
        self.sources.changed_since(changes)
    }

    /// Of a vector, what says more than is held.
    pub(crate) fn beyond_held(&self, vector: &VersionVector) -> VersionVector {
        let newest = |index| Some(self.sources.get(index).newest()?.timestamp);
        let entries = self.sources.numbered(vector);
        entries
            .filter(|(_, timestamp, index)| index.and_then(newest) < Some(*timestamp))
            .map(|(id, timestamp, _)| (id.clone(), timestamp))
            .collect()
    }

    /// Of a vector, what says more than is announced.
    pub(crate) fn beyond_own_vector(&self, vector: &VersionVector) -> VersionVector {
        let announced = |index| self.sources.get(index).announced();
        let entries = self.sources.numbered(vector);
        entries
            .filter(|(_, timestamp, index)| index.and_then(announced) < Some(*timestamp))
            .map(|(id, timestamp, _)| (id.clone(), timestamp))
            .collect()
    }

    /// Where the update of this name is held, if it came over a session other than `link`.
    pub(crate) fn relayed_at(
        &self,
        source: &SourceId,
        timestamp: Timestamp,
        link: Link,
    ) -> Option<u64> {
        let slot = self.sources.get(self.sources.find(source)?).slot(timestamp)?;
        let via = self.log.get(slot.position())?.via;
        (via.is_session() && via != link).then(|| slot.position())
    }

    /// Without a store, what is accepted counts as durable.
    fn follow_head(&mut self) {
        // With one, a promise may concern only what is durable already.
        self.stored(if self.has_store { self.durable } else { self.log.head() });
    }
}

impl<M: std::fmt::Debug> std::fmt::Debug for Replica<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("id", &self.id)
            .field("model", &self.model)
            .field("updates_held", &self.log.len())
            .finish_non_exhaustive()
    }
}

/// A state of a replica, as far as its readers have to wake up for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    head: u64,
    durable: u64,
    vector_changes: u64,
    answers: u64,
}

/// Through which session an update came: its number, and in the lowest bit whether its peer says itself what
/// it promises. It is one and the same before and after that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link(u32);

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Link {}

impl PartialOrd for Link {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Link {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl Link {
    /// Written here.
    pub(crate) const LOCAL: Link = Link(0);
    /// Written elsewhere, and not brought by any session.
    pub(crate) const ELSEWHERE: Link = Link(1 << 1);
    /// The same, and nobody knows any more whether whoever brought it makes promises.
    const RESTORED: Link = Link(1 << 1 | 1);
    const FIRST: u32 = 2;

    /// The session of this number; of 2^31 one is like another.
    fn session(number: u32) -> Link {
        Link(number << 1)
    }

    fn number(self) -> u32 {
        self.0 >> 1
    }

    /// A session brought it.
    pub(crate) fn is_session(self) -> bool {
        self.number() >= Self::FIRST
    }

    fn makes_promises(self) -> bool {
        self.0 & 1 == 1
    }

    /// The session, now that it is known whether its peer makes promises.
    pub(crate) fn whose_peer_promises(self, makes_promises: bool) -> Link {
        Link(self.0 & !1 | u32::from(makes_promises))
    }
}

#[cfg(test)]
mod tests;
