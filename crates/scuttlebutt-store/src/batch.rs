//! What a store has yet to write, taken from a replica in one go.

use scuttlebutt::{Model, Replica, SourceId, Timestamp, Update};

use crate::limits::StoreLimits;

/// What is written next. Cheap to collect, since updates share their text: do that under the lock
/// that guards the replica, and [`Store::commit`](crate::Store::commit) outside of it.
///
/// ```
/// use scuttlebutt::{LwwMap, Replica, SourceId};
/// use scuttlebutt_store::{Batch, StoreLimits};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// replica.wait_for_store();
/// for n in 1..=3 {
///     replica.local_update(f64::from(n), LwwMap::set("k", &n)?)?;
/// }
/// let batch = Batch::collect(&mut replica, 0, &StoreLimits::default());
/// assert_eq!(batch.end(), 3);
/// assert_eq!(batch.updates(), 1, "the first two were superseded before they were written");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) updates: Vec<(u64, Update)>,
    pub(crate) vector: Vec<(SourceId, Timestamp)>,
    pub(crate) released: Vec<u64>,
    pub(crate) fallen: Vec<(SourceId, Option<Timestamp>)>,
    pub(crate) own_gap: Option<Timestamp>,
    end: u64,
    vector_changes: u64,
}

impl Batch {
    /// Takes what `replica` has for its store: the next updates within the bounds, the entries of the
    /// announced version vector that changed after its `vector_changes_seen`-th change (0 at first,
    /// then [`vector_changes`](Self::vector_changes) of the batch before, or
    /// [`Replica::vector_changes`] after loading), those that have fallen, and the positions of what may be
    /// deleted.
    ///
    /// What is collected must be committed, or the store be opened again: the replica names each
    /// position that may be deleted, and each entry that has fallen, once.
    pub fn collect<M: Model>(
        replica: &mut Replica<M>,
        vector_changes_seen: u64,
        limits: &StoreLimits,
    ) -> Self {
        let released = replica.take_released();
        let fallen = replica.take_fallen();
        let mut bytes = 0;
        let mut unstored = replica.unstored_at().peekable();
        let mut updates: Vec<(u64, Update)> = Vec::new();
        while let Some((position, update)) = unstored.peek() {
            bytes += update.line_len();
            let is_full =
                updates.len() >= limits.batch_updates_max || bytes > limits.batch_bytes_max;
            if is_full && !updates.is_empty() {
                break;
            }
            updates.push((*position, (*update).clone()));
            unstored.next();
        }
        let end = unstored.peek().map_or(replica.head(), |(position, _)| *position);
        drop(unstored);
        if end == replica.head() {
            // What supersedes an update is in this batch too, or durable: nobody will miss it, unless
            // it is the evidence for its source.
            updates.retain(|(position, _)| replica.is_worth_storing(*position));
        }
        let vector = replica
            .announced_since(vector_changes_seen)
            .map(|(source, timestamp)| (source.clone(), timestamp))
            .collect();
        let vector_changes = replica.vector_changes();
        let own_gap = replica.own_gap();
        Self { updates, vector, released, fallen, own_gap, end, vector_changes }
    }

    /// The same, but for the version vector, which the next batch then has: `vector_changes_seen` is what
    /// it was collected with. A vector that the store has of some time ago promises less than was
    /// announced, which is never wrong, and only has peers send again what is held already; written with
    /// every batch it is a good part of the cost of small ones.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId};
    /// use scuttlebutt_store::{Batch, StoreLimits};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.local_update(1.0, LwwMap::set("k", &1)?)?; // announced at once: it does not wait for a store
    /// let batch = Batch::collect(&mut replica, 0, &StoreLimits::default()).without_vector(0);
    /// assert!(batch.vector().is_empty());
    /// let next = Batch::collect(&mut replica, batch.vector_changes(), &StoreLimits::default());
    /// assert_eq!(next.vector().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn without_vector(self, vector_changes_seen: u64) -> Self {
        Self { vector: Vec::new(), vector_changes: vector_changes_seen, ..self }
    }

    /// The position to hand to [`Replica::stored`] once the batch is committed.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How often the vector had changed when the batch was collected.
    #[must_use]
    pub fn vector_changes(&self) -> u64 {
        self.vector_changes
    }

    /// Number of updates to write. When there are none, the batch may wait: what it says of the
    /// version vector and of deletions only saves work after the next start.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.updates.len()
    }

    /// The updates to write, each with its position. For stores of another kind than this crate's, as
    /// are [`vector`](Self::vector) and [`released`](Self::released).
    #[must_use]
    pub fn positions(&self) -> &[(u64, Update)] {
        &self.updates
    }

    /// The entries of the announced version vector to write.
    #[must_use]
    pub fn vector(&self) -> &[(SourceId, Timestamp)] {
        &self.vector
    }

    /// The entries of the version vector that have fallen: to be set, or deleted, before those of
    /// [`vector`](Self::vector) are written.
    #[must_use]
    pub fn fallen(&self) -> &[(SourceId, Option<Timestamp>)] {
        &self.fallen
    }

    /// What to hand to [`Replica::expect_own_gap`] before the replica is read back, if anything.
    #[must_use]
    pub fn own_gap(&self) -> Option<Timestamp> {
        self.own_gap
    }

    /// The positions of the updates to delete.
    #[must_use]
    pub fn released(&self) -> &[u64] {
        &self.released
    }

    /// Whether there is nothing to write at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
            && self.vector.is_empty()
            && self.released.is_empty()
            && self.fallen.is_empty()
    }
}
