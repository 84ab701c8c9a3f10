//! Whether there is room for an update: what a replica holds at most, and what it takes on at all.
//!
//! It takes on nothing that it could not pass on to a peer with the same bounds. Being full degrades: what
//! takes the place of something that is held is accepted all the same. Nothing is changed here.

use super::{Replica, SourceIndex};
use crate::json::{self, JsonErrorKind};
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::model::{Model, Verdict};
use crate::update::Update;

/// Updates beyond [`Limits::held_bytes_max`] whose predecessors have to be held a while longer may take
/// one byte for so many of it.
const SPARE_SHARE: usize = 8;

impl<M: Model> Replica<M> {
    /// The updates that are held and shown and cannot be sent to anybody, with what they exceed: their
    /// store was written under other bounds. Nothing is announced of their sources from there on. They go
    /// once something supersedes them.
    ///
    /// ```
    /// use scuttlebutt::{Limits, LwwMap, Replica, SourceId, Update, VersionVector};
    ///
    /// let limits = Limits { update_bytes_max: 30, ..Limits::default() };
    /// let mut replica = Replica::with_limits(SourceId::new("A")?, LwwMap::new(), limits);
    /// let stored = Update::from_json(r#"[["k","longer than what may be sent"],100,"B"]"#)?;
    /// replica.restore([stored], &VersionVector::new());
    /// assert_eq!(replica.unsendable().count(), 1);
    ///
    /// replica.local_update(200.0, LwwMap::set("k", "short")?)?;
    /// assert_eq!(replica.unsendable().count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsendable(&self) -> impl Iterator<Item = (&Update, LimitExceeded)> {
        self.unsendable
            .iter()
            .filter_map(|(position, exceeded)| Some((&self.log.get(*position)?.update, *exceeded)))
    }

    /// Refuses what no peer with the same bounds would take, whatever the room.
    pub(super) fn check_form(&self, update: &Update) -> Result<(), LimitExceeded> {
        let limits = &self.limits;
        if update.source().json_literal().len() > limits.source_bytes_max {
            return Err(LimitExceeded::new(Bound::SourceBytes, limits.source_bytes_max));
        }
        if update.line_len() - 1 > limits.longest_update() {
            return Err(LimitExceeded::new(Bound::UpdateBytes, limits.longest_update()));
        }
        Ok(())
    }

    /// Refuses what nests too deep. What a session has read does not.
    pub(super) fn check_depth(&self, update: &Update) -> Result<(), LimitExceeded> {
        let depth_max = self.limits.nesting_depth_max;
        let opening = |bytes| memchr::memchr2_iter(b'[', b'{', bytes).count();
        // The update is an array itself. Most have fewer brackets in all than may be open at once.
        let (change, extras) = (update.change_bytes(), update.extras_bytes());
        if change.len() + extras.len() < depth_max || opening(change) + opening(extras) < depth_max
        {
            return Ok(());
        }
        match json::canonicalize(update.to_json().as_bytes(), self.limits.text()) {
            Err(error) if matches!(error.kind, JsonErrorKind::TooDeep { .. }) => {
                Err(LimitExceeded::new(Bound::NestingDepth, depth_max))
            }
            _ => Ok(()),
        }
    }

    /// Refuses what would exceed a bound. `known` is the number of the update's source, if it has one
    /// already.
    pub(super) fn check_room(
        &self,
        update: &Update,
        known: Option<SourceIndex>,
    ) -> Result<(), LimitExceeded> {
        self.check_form(update)?;
        let limits = &self.limits;
        if known.is_none() {
            if self.sources.len() >= limits.sources_max {
                return Err(LimitExceeded::new(Bound::Sources, limits.sources_max));
            }
            let literal = update.source().json_literal();
            if self.sources.literal_bytes() + literal.len() > limits.sources_bytes_max {
                return Err(LimitExceeded::new(Bound::SourcesBytes, limits.sources_bytes_max));
            }
        }
        // Beside what counts there is the newest of each source, and what is superseded and not yet let go.
        let uncounted_max = limits.sources_max.saturating_add(limits.forks_max);
        let are_too_many = self.log.live() >= limits.updates_max;
        if self.log.len() >= limits.updates_max.saturating_add(uncounted_max) {
            return Err(LimitExceeded::new(Bound::Updates, limits.updates_max));
        }
        let bytes = self.log.bytes() + self.sources.bytes() + update.heap_bytes();
        let are_too_large = bytes > limits.held_bytes_max;
        if bytes > limits.held_bytes_max.saturating_add(spare_bytes(limits)) {
            return Err(LimitExceeded::new(Bound::HeldBytes, limits.held_bytes_max));
        }
        if !are_too_many && !are_too_large {
            return Ok(());
        }
        let (updates, bytes) = self.freed_by(update);
        if are_too_many && updates == 0 {
            Err(LimitExceeded::new(Bound::Updates, limits.updates_max))
        } else if are_too_large && bytes < update.heap_bytes() {
            Err(LimitExceeded::new(Bound::HeldBytes, limits.held_bytes_max))
        } else {
            Ok(())
        }
    }

    /// How many updates that are held the model would not need any more with this one, and how many bytes
    /// they have.
    fn freed_by(&self, update: &Update) -> (usize, usize) {
        let superseding = match self.model.preview(update).0 {
            Verdict::Kept { superseding } => superseding,
            // It takes no place of its own.
            Verdict::Superseded | Verdict::Invalid(_) => return (1, usize::MAX),
        };
        let entry = |index, timestamp| {
            let slot = self.sources.get(index).slot(timestamp)?;
            self.log.get(slot.position()).filter(|entry| entry.is_live())
        };
        superseding
            .iter()
            .filter_map(|id| entry(self.sources.find(&id.source)?, id.timestamp))
            .fold((0, 0), |(updates, bytes), entry| {
                (updates + 1, bytes + entry.update.heap_bytes())
            })
    }
}

fn spare_bytes(limits: &Limits) -> usize {
    (limits.held_bytes_max / SPARE_SHARE).max(limits.longest_update())
}
