//! Whether this replica alone writes under its id, as far as it can know.
//!
//! It never draws an id itself: that takes randomness, which is the caller's.

use std::collections::BTreeSet;

use super::{Link, Replica, Source, SourceIndex};
use crate::clock::Writer;
use crate::limits::Limits;
use crate::model::{Model, Verdict};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update};
use crate::version_vector::VersionVector;

/// Whether own writes are to be given back by peers before more are made.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnHistory {
    /// Any peer will do, and there is no other end to it.
    is_awaited_from_anyone: bool,
    /// The sessions whose peers announced some, and until when they are waited for.
    awaited_from: BTreeSet<u32>,
    until_ms: f64,
    /// How often peers were waited for.
    waits: usize,
}

impl OwnHistory {
    pub(super) fn is_awaited(&self, now_ms: f64) -> bool {
        self.is_awaited_from_anyone || !self.awaited_from.is_empty() && now_ms < self.until_ms
    }

    fn await_from(&mut self, link: Link, now_ms: f64, limits: &Limits) {
        if !self.is_awaited(now_ms) {
            self.awaited_from.clear();
            if self.waits >= limits.identity_renewals_max {
                return;
            }
            self.waits += 1;
            self.until_ms = now_ms + limits.own_history_wait_ms_max;
        }
        if self.awaited_from.len() < limits.sessions_max {
            self.awaited_from.insert(link.number);
        }
    }

    /// Answers whether it was waited for in particular.
    fn received_from(&mut self, link: Link) -> bool {
        self.is_awaited_from_anyone = false;
        self.awaited_from.remove(&link.number)
    }
}

impl<M: Model> Replica<M> {
    /// Whether updates under this replica's own id came in from outside that it did not hold: it
    /// lost some of its writes, or another replica uses the same id. They were accepted. Until it takes
    /// a [fresh id](Self::renew_identity), or a peer promises them complete, writes of this replica
    /// spread but are not announced.
    pub fn is_identity_contested(&self) -> bool {
        self.returned.is_some() || self.is_id_shared
    }

    /// From now on answers [`is_renewal_due`](Self::is_renewal_due): for a replica whose id was drawn, so
    /// that another one is as good, and whose owner does draw one. Others keep theirs, and wait until
    /// a peer has promised that what came in under it is all there is.
    pub fn may_renew_identity(&mut self) {
        self.is_id_drawn = self.signer.is_none();
    }

    /// Whether this replica, which [may](Self::may_renew_identity), is to take a
    /// [fresh id](Self::renew_identity) now: the one it has is [contested](Self::is_identity_contested),
    /// by updates and not by what a peer claims. Not before [`Limits::identity_renewal_wait_ms_min`](crate::Limits::identity_renewal_wait_ms_min) have passed since
    /// it took the last one, and [`Limits::identity_renewals_max`](crate::Limits::identity_renewals_max) times at most: without
    /// signatures anybody can contest an id. To be asked whenever something came in, or is written.
    pub fn is_renewal_due(&self, now_ms: f64) -> bool {
        let since_ms = (now_ms - self.renewed_at_ms).abs();
        self.is_identity_contested()
            && self.is_id_drawn
            && self.renewals < self.limits.identity_renewals_max
            // What is still to come may be as old as what came: first all of it.
            && !self.own_history.is_awaited(now_ms)
            && since_ms >= self.limits.identity_renewal_wait_ms_min
    }

    /// Whether what a peer announces, `vector`, shows that others hold updates under this replica's
    /// own id that it does not: it was set back to an earlier state of its store, or another replica
    /// uses the same id. It is a claim, and decides nothing: the updates themselves do, which an honest
    /// peer is about to send. `now_ms` is the wall clock: a claim from further ahead than [`Limits::clock_skew_ms_max`](crate::Limits::clock_skew_ms_max) cannot be true, and
    /// counts for nothing.
    ///
    /// Of a replica that sends only what is durable nobody can honestly claim more than it holds.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Timestamp, VersionVector};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// let claim = |at: f64| Ok::<_, Box<dyn std::error::Error>>(
    ///     VersionVector::from_iter([(SourceId::new("A")?, Timestamp::new(at)?)]),
    /// );
    /// assert!(!replica.is_identity_disputed_by(&claim(100.0)?, 200.0));
    /// assert!(replica.is_identity_disputed_by(&claim(150.0)?, 200.0));
    /// assert!(!replica.is_identity_disputed_by(&claim(1e300)?, 200.0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_identity_disputed_by(&self, vector: &VersionVector, now_ms: f64) -> bool {
        let own = self.sources.find(&self.id).map(|index| self.sources.get(index));
        let known = match self.is_identity_doubted {
            // What was written since the doubt is nobody else's yet, and says nothing about before.
            true => own.and_then(Source::announced),
            false => own.and_then(Source::newest).map(|newest| newest.timestamp),
        };
        let claimed = vector.timestamp(&self.id);
        claimed > known
            && claimed.is_some_and(|at| at.as_millis() <= now_ms + self.limits.clock_skew_ms_max)
    }

    /// From now on announces nothing that it writes, until [`confirm_identity`](Self::confirm_identity):
    /// for a replica that was just read back from a store. If that store was set back to an earlier
    /// state of itself, an entry that covers what is written now would pass for one that covers what
    /// was forgotten as well. It costs nothing: to whom anything is announced, that peer has announced
    /// what it holds before.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, VersionVector};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.wait_for_store();
    /// replica.restore_at([], &VersionVector::new());
    /// replica.doubt_identity();
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// replica.stored(replica.head());
    /// assert!(replica.version_vector().is_empty());
    ///
    /// // A peer announces what it holds: nothing of ours that we do not.
    /// let theirs = VersionVector::new();
    /// assert!(!replica.is_identity_disputed_by(&theirs, 200.0));
    /// replica.confirm_identity();
    /// assert_eq!(replica.version_vector().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn doubt_identity(&mut self) {
        self.is_identity_doubted = true;
    }

    /// Ends the [doubt](Self::doubt_identity): announces what was written meanwhile, as far as it is
    /// durable, and what will be. [`Session`](crate::Session)s do it when a peer has announced what it
    /// holds and [does not dispute](Self::is_identity_disputed_by) the id, or has sent its history and
    /// nothing in it contests the id.
    pub fn confirm_identity(&mut self) {
        if self.is_doubted_for_good {
            return;
        }
        if std::mem::take(&mut self.is_identity_doubted) && !self.is_identity_contested() {
            self.credit_own();
        }
    }

    /// [Doubts](Self::doubt_identity) its identity for good: for a replica that writes once and is gone,
    /// under an id under which others like it have written, who knows where. What it writes spreads and
    /// is never announced; so nobody takes it for all there is, and replicas that meet send each other
    /// such updates again each time.
    pub fn doubt_identity_for_good(&mut self) {
        self.is_identity_doubted = true;
        self.is_doubted_for_good = true;
    }

    /// From now on refuses to write, until a peer has sent what it holds: for a replica that signs, so
    /// that it cannot take a fresh id, and whose data may be older than what it has written. Whoever
    /// wrote on could give two updates one name, and sign both.
    ///
    /// By itself, a replica that signs waits in the same way for a peer that announces writes of its
    /// own which it does not hold: until that peer has sent its history, or for
    /// [`Limits::own_history_wait_ms_max`], since a peer may also lie.
    ///
    /// ```
    /// use scuttlebutt::{LocalUpdateError, LwwMap, Replica, Session, SessionConfig, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.await_own_history();
    /// let refused = replica.local_update(100.0, LwwMap::set("k", &1)?);
    /// assert_eq!(refused, Err(LocalUpdateError::OwnHistoryAwaited));
    ///
    /// let mut session = Session::new(&mut replica, 100.0, SessionConfig::default());
    /// let history = "{\"id\":\"B\",\"clock\":{\"A\":90}}\n[[\"j\",2],90,\"A\"]\n\"SYNC\"\n";
    /// session.receive(&mut replica, 100.0, history.as_bytes())?;
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn await_own_history(&mut self) {
        self.own_history.is_awaited_from_anyone = true;
    }

    /// Whether this replica keeps its id although others may hold writes under it that are not here:
    /// it waits for them, or some came back and nobody has promised that they are all. A store that is
    /// read back in such a state must not pass for one that holds everything.
    pub fn lacks_own_history(&self) -> bool {
        let waits =
            self.own_history.is_awaited_from_anyone || !self.own_history.awaited_from.is_empty();
        self.signer.is_some() && (waits || self.returned.is_some())
    }

    /// Whether nothing may be written.
    pub(super) fn awaits_own_history(&self, now_ms: f64) -> bool {
        match self.signer {
            Some(_) => self.own_history.is_awaited(now_ms),
            None => self.own_history.is_awaited_from_anyone,
        }
    }

    /// A peer announced `vector`. Where it claims writes of this replica that are not here, it is asked
    /// by our own digest, and is given the time to send them, if it `brings` anything; a peer that
    /// `is_present` and claims nothing of the kind ends the doubt.
    pub(crate) fn peer_announced(
        &mut self,
        link: Link,
        now_ms: f64,
        vector: &VersionVector,
        brings: bool,
        is_present: bool,
    ) {
        if self.is_identity_disputed_by(vector, now_ms) {
            if brings {
                self.own_history.await_from(link, now_ms, &self.limits);
            }
        } else if is_present && !self.own_history.is_awaited(now_ms) {
            self.confirm_identity();
        }
    }

    /// A peer has sent what it held beyond ours. If it had claimed writes of this replica, they were
    /// among it, or there are none.
    pub(crate) fn history_received(&mut self, link: Link) {
        if self.own_history.received_from(link) && self.own_history.awaited_from.is_empty() {
            self.confirm_identity();
        }
    }

    /// An update under our own id came in from outside.
    pub(super) fn own_came_in(
        &mut self,
        own: Option<SourceIndex>,
        timestamp: Timestamp,
        took_effect: bool,
    ) {
        let announced = |index| self.sources.get(index).announced();
        if own.and_then(announced) >= Some(timestamp) {
            // Written here and superseded, most likely: a peer that is behind sent it round. But if
            // nothing here supersedes it, it was not written here.
            if took_effect {
                self.id_is_shared();
            }
            return;
        }
        if self.returned.is_none() {
            self.withhold_own();
        }
        self.returned = self.returned.max(Some(timestamp));
    }

    /// Somebody else writes under our own id. With a key that may be a fork, for which the key's holder has
    /// to answer.
    pub(super) fn id_is_shared(&mut self) {
        if self.is_id_drawn {
            self.withhold_own();
            self.is_id_shared = true;
        }
    }

    /// Own writes that wait to be durable are not announced by that: there may be others before them
    /// that are not here. They spread all the same.
    pub(super) fn withhold_own(&mut self) {
        let own = self.sources.find(&self.id);
        for promised in &mut self.promised {
            promised.advances.retain(|(index, _)| Some(*index) != own);
        }
    }

    /// Nobody else writes under this id, so what we hold of it is all there is, unless there are signs
    /// that it is not.
    pub(super) fn announce_own(&mut self) {
        let is_ours_alone = !self.is_identity_contested() && !self.waiting.has(&self.id);
        if !self.is_identity_doubted && is_ours_alone {
            self.credit_own();
        }
    }

    /// From now on writes as `id`, which must be new: for a replica whose id is
    /// [contested](Self::is_identity_contested). Answers what it wrote anew, if the id was.
    ///
    /// Whoever shares the old id may have announced writes of its own as if ours before them did not
    /// exist, and who believes that never asks for ours. So what this replica wrote since it was made or
    /// read from a store, and nothing supersedes, is written again under the fresh id, in its order and
    /// at the time of `now_ms`. The last of it is written under the old id once more before: that tells
    /// the other, whatever it has announced. A log of events shows such events again. What exceeds a
    /// bound stays as it was.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Update};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.may_renew_identity();
    /// replica.local_update(100.0, LwwMap::set("j", &1)?)?;
    /// replica.remote_update(200.0, Update::from_json(r#"[["k",2],150,"A"]"#)?);
    /// assert!(replica.is_renewal_due(200.0));
    ///
    /// let again = replica.renew_identity(200.0, SourceId::new("B")?);
    /// assert!(!replica.is_identity_contested());
    /// assert_eq!(again.iter().map(|update| update.id().to_string()).collect::<Vec<_>>(), [
    ///     "A@200",
    ///     "B@200.00000000000003",
    /// ]);
    /// assert_eq!(replica.model().to_json(), r#"{"j":1,"k":2}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn renew_identity(&mut self, now_ms: f64, id: SourceId) -> Vec<Update> {
        // What is signed says who wrote it, and stays.
        if !self.is_identity_contested() || self.signer.is_some() {
            self.write_as(id);
            return Vec::new();
        }
        self.renewals += 1;
        self.renewed_at_ms = now_ms;
        let changes = self.written_in_this_life();
        let farewell = changes.last().cloned();
        let farewell = farewell.and_then(|change| self.local_update(now_ms, change).ok());
        self.write_as(id);
        let again = changes.into_iter().map_while(|change| self.local_update(now_ms, change).ok());
        farewell.into_iter().chain(again).collect()
    }

    /// The changes of this replica's own that it made since it was made or read from a store, under the
    /// id that it has, and that count, in their order.
    fn written_in_this_life(&mut self) -> Vec<Change> {
        let Some(own) = self.sources.find(&self.id) else { return Vec::new() };
        let slots: Vec<_> = self.sources.get(own).after(None).collect();
        let held = slots.into_iter().filter_map(|slot| self.log.get(slot.position()));
        let written = held.filter(|entry| entry.via == Link::LOCAL && entry.is_live());
        let updates: Vec<Update> = written.map(|entry| entry.update.clone()).collect();
        let mut counts = |update: &Update| {
            // Of the sides of a fork the log does not know which of them count: the model does.
            !self.forks.has((own, update.timestamp()))
                || matches!(self.model.apply(update).0, Verdict::Kept { .. })
        };
        let changes = updates.iter().filter(|update| counts(update));
        changes.map(|update| Change::from_canonical(update.change().to_owned())).collect()
    }

    pub(super) fn writer_of(&self, update: &Update) -> Writer {
        if *update.source() == self.id { Writer::Own } else { Writer::Other }
    }

    /// From now on writes as `id`.
    pub(super) fn write_as(&mut self, id: SourceId) {
        if self.returned.is_none() {
            self.withhold_own();
        }
        self.id = id;
        self.own_history = OwnHistory::default();
        self.returned = None;
        self.is_id_shared = false;
        self.is_identity_doubted = self.is_doubted_for_good;
    }
}
