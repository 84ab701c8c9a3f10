//! The store's side of a replica: what it has for a store, and what it is given back (invariant I3).
//!
//! It never writes and never waits. A store takes what is new, keeps it, and says how far it has come.

use super::forks::Known;
use super::merging::Merged;
use super::{Link, Replica};
use crate::model::Model;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;
use crate::version_vector::VersionVector;

impl<M: Model> Replica<M> {
    /// From now on sends and announces only what [`stored`](Self::stored) confirms.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.wait_for_store();
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// assert!(replica.version_vector().is_empty(), "a crash could still forget it");
    ///
    /// let lines: Vec<String> = replica.unstored().map(|update| update.to_json()).collect();
    /// // … write the lines, sync the file …
    /// replica.stored(replica.head());
    /// assert_eq!(lines, [r#"[["k",1],100,"A"]"#]);
    /// assert_eq!(replica.version_vector().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_store(&mut self) {
        self.has_store = true;
    }

    /// Takes back what a store kept, before anything else happens: its updates in any order, and the
    /// version vector that was announced when the last of them was stored. What this replica wrote
    /// itself is complete by that, since it was stored before it was sent.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Update, VersionVector};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.wait_for_store();
    /// replica.restore([Update::from_json(r#"[["k",1],100,"A"]"#)?], &VersionVector::new());
    /// assert_eq!(replica.durable(), replica.head());
    /// assert_eq!(replica.version_vector().len(), 1);
    /// assert!(!replica.is_identity_contested());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore(&mut self, updates: impl IntoIterator<Item = Update>, vector: &VersionVector) {
        for update in updates {
            self.take_back(update);
        }
        self.finish_restoring(vector);
    }

    /// [`restore`](Self::restore) for a store that keeps each update under its position: the updates
    /// come in the order of their positions, and keep them. From then on
    /// [`take_released`](Self::take_released) tells what the store may let go.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Update, VersionVector};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.wait_for_store();
    /// let kept = [(3, Update::from_json(r#"[["k",1],100,"A"]"#)?)];
    /// replica.restore_at(kept, &VersionVector::new());
    /// assert_eq!(replica.head(), 4);
    ///
    /// replica.local_update(200.0, LwwMap::set("k", &2)?)?;
    /// assert!(replica.take_released().is_empty(), "what supersedes it could still be forgotten");
    /// replica.stored(replica.head());
    /// assert_eq!(replica.take_released(), [3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn restore_at(
        &mut self,
        updates: impl IntoIterator<Item = (u64, Update)>,
        vector: &VersionVector,
    ) {
        let mut released = Vec::new();
        for (position, update) in updates {
            self.log.skip_to(position);
            self.take_back(update);
            if self.log.head() <= position {
                // Another one supersedes it: it needs no place.
                self.log.skip_to(position + 1);
                released.push(position);
            }
        }
        self.released = Some(released);
        self.finish_restoring(vector);
    }

    fn take_back(&mut self, update: Update) {
        self.clock.observe(update.timestamp());
        let known = self.sources.find(update.source());
        // What two sides of a fork are was known when they were stored.
        let is_new = match self.known(&update) {
            Known::No => true,
            Known::Same => false,
            Known::OtherChange(_) => self.forks.have_room_for(&update, &self.limits),
        };
        if is_new {
            let update = self.sharing_source(known, update);
            let unsendable =
                self.check_form(&update).and_then(|()| self.check_depth(&update)).err();
            let Some(exceeded) = unsendable else {
                self.merge(update, known, Link::RESTORED);
                return;
            };
            let position = self.log.head();
            let merged = self.merge(update.clone(), known, Link::RESTORED);
            if self.log.head() > position
                && let Some(index) = self.sources.find(update.source())
            {
                self.unsendable.insert(position, exceeded);
                self.sources.get_mut(index).withhold(update.timestamp());
                if matches!(merged, Merged::Superseded) {
                    // Nobody can be shown it as evidence.
                    self.outlived.push_back((position, index, update.timestamp()));
                }
            }
        }
    }

    fn finish_restoring(&mut self, vector: &VersionVector) {
        if !self.model.never_supersedes() {
            // Where something superseded was let go, no store knows.
            self.sources.note_gaps();
        }
        self.stored(self.log.head());
        self.credit(vector);
        self.credit_own();
    }

    /// The positions of updates that were let go since the last call, for a store that was read with
    /// [`restore_at`](Self::restore_at): what superseded them is durable.
    pub fn take_released(&mut self) -> Vec<u64> {
        self.released.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What a store has yet to write, in the order of arrival: the updates from
    /// [`durable`](Self::durable) on. Those that were superseded since are among them: peers may be sent
    /// them until what superseded them is durable too.
    pub fn unstored(&self) -> impl Iterator<Item = &Update> {
        self.unstored_at().map(|(_, update)| update)
    }

    /// The same, each with its position: between them are the places of those that were
    /// [dropped](Self::rejudge).
    pub fn unstored_at(&self) -> impl Iterator<Item = (u64, &Update)> {
        self.log.from(self.durable).map(|(position, entry)| (position, &entry.update))
    }

    /// Whether the update at `position` is worth storing: nothing supersedes it, or it is the newest
    /// of its source, the evidence for that source's entry in the version vector.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.wait_for_store();
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// replica.local_update(200.0, LwwMap::set("k", &2)?)?;
    /// assert_eq!([0, 1, 2].map(|at| replica.is_worth_storing(at)), [false, true, false]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_worth_storing(&self, position: u64) -> bool {
        self.log.get(position).is_some_and(|entry| {
            let newest = self.sources.get(entry.source).newest();
            entry.is_live()
                || self.is_side_of_fork(entry)
                || newest.is_some_and(|newest| newest.position() == position)
        })
    }

    /// Tells that everything accepted below `position` is durable now.
    pub fn stored(&mut self, position: u64) {
        self.durable = self.durable.max(position.min(self.log.head()));
        while self.promised.front().is_some_and(|promised| promised.below <= self.durable) {
            for (index, timestamp) in self.promised.pop_front().into_iter().flat_map(|p| p.advances)
            {
                self.announce(index, timestamp);
            }
        }
        while let Some((by, index, timestamp)) = self.outlived.front().copied()
            && by < self.durable
        {
            self.outlived.pop_front();
            self.let_go(index, timestamp);
        }
    }

    /// How often the announced version vector has changed.
    pub fn vector_changes(&self) -> u64 {
        self.sources.changes()
    }

    /// The entries of the announced version vector that changed after its `changes`-th change, as
    /// counted by [`vector_changes`](Self::vector_changes): what a store has yet to write of it.
    pub fn announced_since(&self, changes: u64) -> impl Iterator<Item = (&SourceId, Timestamp)> {
        let changed = self.sources.changed_since(changes).map(|index| self.sources.get(index));
        changed.filter_map(|source| Some((&source.id, source.announced()?)))
    }
}
