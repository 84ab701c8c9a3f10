//! The way back for a replica that wrote while its clock was far ahead: what peers would put off until its
//! time comes is taken out, and written anew.
//!
//! A model cannot forget an update, so this fills a new replica from the old one. It decides nothing about
//! whether the clock is right now; whoever calls it does.

use super::{LocalUpdateError, Replica};
use crate::model::Model;
use crate::update::{Change, Update};
use crate::version_vector::VersionVector;

/// Whose updates from the future are written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Those of the replica that wrote them. Those of others are left out.
    Own,
    /// Everybody's, as if this replica had written them.
    Everybodys,
}

impl<M: Model> Replica<M> {
    /// The updates held, each with its position in the order of arrival: for a store that is written anew.
    pub fn held(&self) -> impl Iterator<Item = (u64, &Update)> {
        self.log.from(0).map(|(position, entry)| (position, &entry.update))
    }

    /// The updates held that a peer whose clock agrees with `now_ms` puts off: those from more than
    /// [`Limits::clock_skew_ms_max`](crate::Limits::clock_skew_ms_max) ahead.
    pub fn ahead_of(&self, now_ms: f64) -> impl Iterator<Item = &Update> {
        let horizon_ms = now_ms + self.limits.clock_skew_ms_max;
        let held = self.log.from(0).map(|(_, entry)| &entry.update);
        held.filter(move |update| update.timestamp().as_millis() > horizon_ms)
    }

    /// Takes back what `old` holds, but for what is [ahead](Self::ahead_of) of `now_ms`: of that it
    /// writes `whose` anew, in their order and at the present time. Answers how many these are. For a replica
    /// that is empty and writes under a fresh id, or with the key of `old`.
    ///
    /// Nothing is announced of what others wrote, so that peers are asked for all of it again: what the
    /// updates from the future superseded is not here any more, and may be wanted. Where a peer accepted
    /// updates from the future, because its clock was ahead as well, it has to go back in the same way. If
    /// it does not, they come back from there when their time has come, and supersede what was
    /// written until then.
    ///
    /// ```
    /// use scuttlebutt::{Ahead, LwwMap, Replica, SourceId};
    ///
    /// const YEAR_MS: f64 = 365.0 * 24.0 * 3_600_000.0;
    /// let mut old = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// old.local_update(100.0, LwwMap::set("j", &1)?)?;
    /// old.local_update(100.0 + YEAR_MS, LwwMap::set("k", &1)?)?;
    ///
    /// let mut replica = Replica::new(SourceId::new("B")?, LwwMap::new());
    /// assert_eq!(replica.return_to_present(200.0, &old, Ahead::Own)?, 1);
    /// assert_eq!(replica.model().to_json(), r#"{"j":1,"k":1}"#);
    /// assert_eq!(replica.clock_lead_ms(200.0), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LocalUpdateError`] of the first that cannot be written. This replica is then of no use.
    pub fn return_to_present(
        &mut self,
        now_ms: f64,
        old: &Self,
        whose: Ahead,
    ) -> Result<usize, LocalUpdateError> {
        let horizon_ms = now_ms + old.limits.clock_skew_ms_max;
        let is_ahead = |update: &Update| update.timestamp().as_millis() > horizon_ms;
        let held = old.log.from(0).map(|(_, entry)| &entry.update);
        self.restore(held.filter(|update| !is_ahead(update)).cloned(), &VersionVector::new());
        let live = old.log.from(0).filter(|(_, entry)| entry.is_live());
        let mut again: Vec<&Update> = live
            .map(|(_, entry)| &entry.update)
            .filter(|update| is_ahead(update))
            .filter(|update| whose == Ahead::Everybodys || *update.source() == old.id)
            .collect();
        again.sort_by(|a, b| a.cmp_order(b));
        for update in &again {
            self.local_update(now_ms, Change::from_canonical(update.change().to_owned()))?;
        }
        Ok(again.len())
    }
}
