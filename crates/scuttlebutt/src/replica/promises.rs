//! What moves the version vector: promises, as far as there is evidence (invariant I2).
//!
//! An entry moves when somebody has promised everything up to there, something from there or later is
//! held, and all that was held when the promise came is durable.

use super::{Replica, SourceIndex};
use crate::model::Model;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::version_vector::VersionVector;

/// Advances of the vector that wait until everything below a position is durable.
#[derive(Clone, Debug)]
pub(super) struct Promised {
    pub(super) below: u64,
    pub(super) advances: Vec<(SourceIndex, Timestamp)>,
}

impl<M: Model> Replica<M> {
    /// Accepts the word of someone who sent updates: of everything up to `vector` that this replica
    /// did not announce, they have passed on each update, or one that supersedes it.
    ///
    /// The version vector moves only as far as there is evidence: for each source to what `vector`
    /// says, but not beyond the newest update held, and once everything held now is as durable as
    /// the store promises (invariant I2).
    /// [`Session`](crate::Session)s do this by themselves; call it after loading updates from
    /// elsewhere.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Timestamp, Update, VersionVector};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let b = SourceId::new("B")?;
    /// replica.remote_update(100.0, Update::from_json(r#"[["k",2],50,"B"]"#)?);
    /// assert_eq!(replica.version_vector().timestamp(&b), None);
    ///
    /// replica.promise(&VersionVector::from_iter([(b.clone(), Timestamp::new(70.0)?)]));
    /// assert_eq!(replica.version_vector().timestamp(&b), Some(Timestamp::new(50.0)?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promise(&mut self, vector: &VersionVector) {
        let promise = self.beyond_announced(vector);
        self.promise_numbered(&promise);
    }

    /// [`promise`](Self::promise) by a peer of the original's kind, which calls itself `peer`.
    ///
    /// Its word is its clock: the newest that it has seen. What one of our own has brought here it may
    /// have got from one of our own as well, who said there that the promise is yet to come; of such a
    /// source it can vouch for nothing, unless it writes it itself.
    pub(crate) fn promise_of_original(&mut self, vector: &VersionVector, peer: Option<&SourceId>) {
        let mut promise = self.beyond_announced(vector);
        promise.retain(|(index, _)| self.is_vouched_for_by(*index, peer));
        self.promise_numbered(&promise);
    }

    /// [`promise_of_original`](Self::promise_of_original) of one entry.
    pub(crate) fn promise_entry_of_original(
        &mut self,
        source: &SourceId,
        timestamp: Timestamp,
        peer: Option<&SourceId>,
    ) {
        if let Some(index) = self.sources.find(source)
            && self.is_vouched_for_by(index, peer)
        {
            self.promise_numbered(&[(index, timestamp)]);
        }
    }

    fn is_vouched_for_by(&self, index: SourceIndex, peer: Option<&SourceId>) -> bool {
        let source = self.sources.get(index);
        source.has_what_was_brought() || Some(&source.id) == peer
    }

    /// What the promiser left out because it was superseded nobody has told us; so when we pass on what
    /// it sent, there may be gaps in it.
    fn promise_numbered(&mut self, promise: &[(SourceIndex, Timestamp)]) {
        if !self.model.never_supersedes() {
            for (index, limit) in promise {
                if let Some(newest) = self.sources.get(*index).newest() {
                    self.sources.note_gaps_up_to(*index, newest.timestamp.min(*limit));
                }
            }
        }
        self.credit_numbered(promise);
    }

    /// Lets the vector follow a promise in which nothing was left out, as far as there is evidence, now
    /// or when it is durable.
    pub(crate) fn credit(&mut self, vector: &VersionVector) {
        let promise = self.beyond_announced(vector);
        self.credit_numbered(&promise);
    }

    /// [`credit`](Self::credit) for all that was ever written under this replica's own id, unless some of
    /// it may be held elsewhere alone.
    pub(super) fn credit_own(&mut self) {
        if self.rulings.own_gap.is_none()
            && let Some(own) = self.sources.find(&self.id)
        {
            self.credit_numbered(&[(own, Timestamp::MAX)]);
        }
    }

    /// Of a promise, what says more than is announced of sources that are known.
    fn beyond_announced(&self, vector: &VersionVector) -> Vec<(SourceIndex, Timestamp)> {
        let known = self.sources.numbered(vector);
        known
            .filter_map(|(_, limit, index)| Some((index?, limit)))
            .filter(|(index, limit)| self.sources.get(*index).announced() < Some(*limit))
            .collect()
    }

    fn credit_numbered(&mut self, promise: &[(SourceIndex, Timestamp)]) {
        let mut advances = Vec::new();
        for (index, limit) in promise.iter().copied() {
            // Something of the source is held from beyond where the vector goes: the evidence that
            // its time has come that far. Whether something was written exactly there is all one.
            let source = self.sources.get(index);
            if let Some(newest) = source.newest()
                && let held = newest.timestamp.min(limit).min(source.announceable())
                && source.announced() < Some(held)
            {
                advances.push((index, held));
            }
        }
        if advances.is_empty() {
            return;
        }
        let below = self.log.head();
        let is_full = self.promised.len() >= self.limits.pending_promises_max;
        match self.promised.back_mut() {
            Some(last) if last.below == below || is_full => {
                last.below = below;
                last.advances.append(&mut advances);
                last.advances.sort_unstable();
                // Sorted, so that of several advances of one source the furthest comes last.
                last.advances.dedup_by(|next, kept| {
                    let is_same = next.0 == kept.0;
                    if is_same {
                        kept.1 = next.1;
                    }
                    is_same
                });
            }
            _ => self.promised.push_back(Promised { below, advances }),
        }
        self.follow_head();
    }

    pub(super) fn announce(&mut self, index: SourceIndex, timestamp: Timestamp) {
        self.sources.announce(index, timestamp);
        let source = self.sources.get(index);
        if self.rulings.own_gap.is_some()
            && source.id == self.id
            && source.announced() >= self.rulings.own_gap
        {
            // What was let go here and held elsewhere has come back.
            self.rulings.own_gap = None;
            self.announce_own();
        }
        let source = self.sources.get(index);
        if self.returned.is_some() && source.id == self.id && source.announced() >= self.returned {
            // All that came back is complete, and what was written since is ours alone.
            self.returned = None;
            if self.is_doubted_for_good {
                return;
            }
            self.is_identity_doubted = false;
            if self.rulings.own_gap.is_none()
                && let Some(newest) = source.newest()
            {
                self.credit_numbered(&[(index, newest.timestamp)]);
            }
        }
    }
}
