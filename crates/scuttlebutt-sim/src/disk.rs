//! Where a node keeps what it must not forget.
//!
//! A simulated store: it keeps what a store keeps, is handed the batches that a store is handed, and
//! loses at a crash what a store may lose. It never sees what was not handed to it.

use std::collections::BTreeMap;

use scuttlebutt::{Model, Replica, SourceId, Timestamp, Update, VersionVector};
use scuttlebutt_store::Batch;

use crate::chance::Chance;

/// A disk in memory.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk {
    contents: Contents,
    /// What is on its way: the id is written first, then the batch.
    writing: Option<(SourceId, Batch)>,
    /// How it was at some earlier time, as a snapshot or a backup keeps it.
    earlier: Option<Box<Contents>>,
}

/// What is safe.
#[derive(Clone, Debug)]
struct Contents {
    id: SourceId,
    updates: BTreeMap<u64, Update>,
    vector: VersionVector,
    own_gap: Option<Timestamp>,
}

impl SimulatedDisk {
    pub(crate) fn new(id: SourceId) -> Self {
        let contents =
            Contents { id, updates: BTreeMap::new(), vector: VersionVector::new(), own_gap: None };
        Self { contents, writing: None, earlier: None }
    }

    /// The id under which the replica of this disk writes.
    pub(crate) fn id(&self) -> &SourceId {
        &self.contents.id
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Begins to write; [`finish`](Self::finish) ends it.
    pub(crate) fn begin(&mut self, id: SourceId, batch: Batch) {
        self.writing = Some((id, batch));
    }

    /// What was begun is safe. Answers it.
    pub(crate) fn finish(&mut self) -> Option<Batch> {
        let (id, batch) = self.writing.take()?;
        self.contents.id = id;
        self.contents.commit(&batch);
        Some(batch)
    }

    /// The machine stops. Of what was being written nothing is there, or the id alone, or all of it: a
    /// batch that is torn counts as none.
    pub(crate) fn crash(&mut self, chance: &mut Chance) {
        let Some((id, batch)) = self.writing.take() else { return };
        let steps_done = chance.below(3);
        if steps_done > 0 {
            self.contents.id = id;
        }
        if steps_done > 1 {
            self.contents.commit(&batch);
        }
    }

    /// Gives a replica, which must be empty, what is kept for it.
    pub(crate) fn load<M: Model>(&self, replica: &mut Replica<M>) {
        replica.wait_for_store();
        let Contents { updates, vector, own_gap, .. } = &self.contents;
        if let Some(up_to) = own_gap {
            replica.expect_own_gap(*up_to);
        }
        replica.restore_at(updates.iter().map(|(at, update)| (*at, update.clone())), vector);
        replica.doubt_identity();
    }

    pub(crate) fn updates(&self) -> impl Iterator<Item = &Update> {
        self.contents.updates.values()
    }

    /// Keeps a copy of how it is now.
    pub(crate) fn take_snapshot(&mut self) {
        self.earlier = Some(Box::new(self.contents.clone()));
    }

    /// Returns to the snapshot; answers whether there is one.
    pub(crate) fn set_back(&mut self) -> bool {
        let Some(earlier) = self.earlier.take() else { return false };
        self.contents = *earlier;
        self.writing = None;
        true
    }

    /// A copy for another node, of the snapshot if there is one, under the fresh id that a store takes
    /// when it finds itself elsewhere.
    pub(crate) fn copy(&self, id: SourceId) -> Self {
        let contents = self.earlier.as_deref().unwrap_or(&self.contents).clone();
        Self { contents: Contents { id, ..contents }, writing: None, earlier: None }
    }
}

impl Contents {
    fn commit(&mut self, batch: &Batch) {
        self.updates.extend(batch.positions().iter().cloned());
        for position in batch.released() {
            self.updates.remove(position);
        }
        for (source, timestamp) in batch.fallen() {
            self.vector.remove(source);
            if let Some(timestamp) = timestamp {
                self.vector.advance(source, *timestamp);
            }
        }
        self.own_gap = batch.own_gap();
        for (source, timestamp) in batch.vector() {
            self.vector.advance(source, *timestamp);
        }
    }
}
