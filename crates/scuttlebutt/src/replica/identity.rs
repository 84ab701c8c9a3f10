//! Whether this replica alone writes under its id, as far as it can know.
//!
//! It never draws an id itself: that takes randomness, which is the caller's.

use std::collections::BTreeSet;

use super::{Link, Replica, Source};
use crate::limits::Limits;
use crate::model::Model;
use crate::source::SourceId;
use crate::version_vector::VersionVector;

/// Whether own writes are to be given back by peers before more are made.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnHistory {
    /// Any peer will do, and there is no other end to it.
    is_awaited_from_anyone: bool,
    /// The peers that announced some, and until when they are waited for.
    awaited_from: BTreeSet<Link>,
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
            self.awaited_from.insert(link);
        }
    }

    fn received_from(&mut self, link: Link) {
        self.is_awaited_from_anyone = false;
        self.awaited_from.remove(&link);
    }
}

impl<M: Model> Replica<M> {
    /// Whether updates under this replica's own id came in from outside that it did not hold: it
    /// lost some of its writes, or another replica uses the same id. They were accepted; until a
    /// peer promises them complete, writes of this replica spread but are not announced.
    /// [`is_identity_disputed_by`](Self::is_identity_disputed_by) tells it earlier.
    pub fn is_identity_contested(&self) -> bool {
        self.returned.is_some()
    }

    /// Whether what a peer announces, `vector`, shows that others hold updates under this replica's
    /// own id that it does not: it was set back to an earlier state of its store, or another replica
    /// uses the same id. Then it should go on under a [fresh one](Self::renew_identity). `now_ms` is the
    /// wall clock: a claim from further ahead than [`Limits::clock_skew_ms_max`](crate::Limits::clock_skew_ms_max) cannot be true, and
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
    /// durable, and what will be. Call it when a peer has announced what it holds and
    /// [does not dispute](Self::is_identity_disputed_by) the id.
    pub fn confirm_identity(&mut self) {
        if self.is_doubted_for_good {
            return;
        }
        if std::mem::take(&mut self.is_identity_doubted) && self.returned.is_none() {
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

    /// A peer announced `vector`, and will send what it holds beyond ours.
    pub(crate) fn history_announced(&mut self, link: Link, now_ms: f64, vector: &VersionVector) {
        if self.signer.is_some() && self.is_identity_disputed_by(vector, now_ms) {
            self.own_history.await_from(link, now_ms, &self.limits);
        }
    }

    /// A peer has sent what it held beyond ours.
    pub(crate) fn history_received(&mut self, link: Link) {
        self.own_history.received_from(link);
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
        if self.returned.is_none() && !self.is_identity_doubted && !self.waiting.has(&self.id) {
            self.credit_own();
        }
    }

    /// From now on writes as `id`, which must be new. For a replica that finds out that others hold
    /// writes under its id which it does not: see [`is_identity_contested`](Self::is_identity_contested).
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Update};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.remote_update(100.0, Update::from_json(r#"[["k",1],50,"A"]"#)?);
    /// assert!(replica.is_identity_contested());
    ///
    /// replica.renew_identity(SourceId::new("B")?);
    /// assert!(!replica.is_identity_contested());
    /// replica.local_update(200.0, LwwMap::set("k", &2)?)?;
    /// assert_eq!(replica.version_vector().len(), 1, "of what A wrote nobody has promised all");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn renew_identity(&mut self, id: SourceId) {
        if self.returned.is_none() {
            self.withhold_own();
        }
        self.id = id;
        self.own_history = OwnHistory::default();
        self.returned = None;
        self.rulings.own_gap = None;
        self.is_identity_doubted = self.is_doubted_for_good;
    }
}
