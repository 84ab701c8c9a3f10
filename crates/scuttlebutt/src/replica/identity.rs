//! Whether this replica alone writes under its id, as far as it can know.
//!
//! It never draws an id itself: that takes randomness, which is the caller's.

use super::{Replica, Source};
use crate::model::Model;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::version_vector::VersionVector;

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
        if std::mem::take(&mut self.is_identity_doubted) && self.returned.is_none() {
            let id = self.id.clone();
            self.credit(std::iter::once((&id, Timestamp::MAX)));
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
        self.returned = None;
        self.is_identity_doubted = false;
    }
}
