//! Local updates in two steps, so that signing, which may take long, happens away from the replica: a
//! draft has a name and no effect, a published update has both.
//!
//! The replica remembers nothing of its drafts but that their timestamps are used. Order is what it
//! insists on: a draft is good as long as nothing was published under a later name.

use std::sync::Arc;

use super::merging::Merged;
use super::outcome::{LocalUpdateError, SignError, Signer};
use super::{Link, Replica};
use crate::model::Model;
use crate::update::{Change, Update};

/// A local update that is named and not signed: see [`Replica::draft`].
pub struct Draft {
    update: Update,
    signer: Option<Arc<dyn Signer>>,
}

impl Draft {
    /// Has the replica's signer sign it, if there is one.
    ///
    /// # Errors
    /// What the signer says.
    pub fn sign(self) -> Result<SignedDraft, SignError> {
        let signed = match self.signer {
            Some(signer) => self.update.signed(&signer.sign(&self.update)?),
            None => self.update,
        };
        Ok(SignedDraft(signed))
    }
}

impl std::fmt::Debug for Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Draft").field(&self.update).finish()
    }
}

/// A local update that is ready to be [published](Replica::publish).
#[derive(Debug)]
pub struct SignedDraft(Update);

impl<M: Model> Replica<M> {
    /// Writes `change` as this replica's own update and applies it. `now_ms` is the wall clock, in
    /// milliseconds since the epoch; the update's timestamp is later if that is what it takes to be
    /// later than everything accepted before (invariant I4), so the write always takes effect here.
    ///
    /// # Errors
    /// [`LocalUpdateError`]; nothing has changed then.
    #[doc(alias = "localUpdate")]
    pub fn local_update(
        &mut self,
        now_ms: f64,
        change: Change,
    ) -> Result<Update, LocalUpdateError> {
        let clock = self.clock.clone();
        let written = self
            .draft(now_ms, &change)
            .and_then(|draft| Ok(draft.sign()?))
            .and_then(|signed| self.publish(now_ms, signed));
        if written.is_err() {
            self.clock = clock;
        }
        written
    }

    /// The first half of a [`local_update`](Self::local_update) whose signature takes long: names the
    /// update. Sign it wherever, several at a time, and [`publish`](Self::publish) them in the order in
    /// which they were drafted. One that is never published uses up its timestamp and leaves no other
    /// trace.
    ///
    /// ```
    /// use scuttlebutt::{LocalUpdateError, LwwMap, Replica, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let [first, second] = [1, 2].map(|n| replica.draft(100.0, &LwwMap::set("k", &n).unwrap()).unwrap());
    /// assert!(replica.model().is_empty());
    ///
    /// let (first, second) = (first.sign()?, second.sign()?);
    /// replica.publish(101.0, second)?;
    /// assert_eq!(replica.publish(101.0, first), Err(LocalUpdateError::Overtaken));
    /// assert_eq!(replica.model().to_json(), r#"{"k":2}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`LocalUpdateError`], as far as it can be told before there is a signature.
    pub fn draft(&mut self, now_ms: f64, change: &Change) -> Result<Draft, LocalUpdateError> {
        if self.awaits_own_history(now_ms) {
            return Err(LocalUpdateError::OwnHistoryAwaited);
        }
        self.check_clock(now_ms)?;
        if let Some(signer) = &self.signer
            && *signer.id() != self.id
        {
            let (id, signer) = (self.id.clone(), signer.id().clone());
            return Err(LocalUpdateError::NotTheSigner { id, signer });
        }
        let timestamp = self.clock.tick(now_ms).ok_or(LocalUpdateError::TimeExhausted)?;
        let update = Update::new(change, timestamp, self.id.clone());
        if self.signer.is_some() {
            // Rather now than when it was signed in vain.
            self.check_depth(&update)?;
            self.check_room(&update, self.sources.find(&self.id))?;
        }
        Ok(Draft { update, signer: self.signer.clone() })
    }

    /// By how many milliseconds the timestamp of the next write will be ahead of the wall clock, if that
    /// is more than peers accept ([`Limits::clock_skew_ms_max`](crate::Limits::clock_skew_ms_max)): a
    /// peer whose clock agrees with `now_ms` puts everything off that this replica writes. So either the
    /// wall clock is behind now, or it was ahead when the newest update was written.
    ///
    /// ```
    /// use scuttlebutt::{LocalUpdateError, LwwMap, Replica, SourceId};
    ///
    /// const YEAR_MS: f64 = 365.0 * 24.0 * 3_600_000.0;
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.local_update(100.0 + YEAR_MS, LwwMap::set("k", &1)?)?;
    /// assert_eq!(replica.clock_lead_ms(100.0), Some(YEAR_MS));
    /// let refused = replica.local_update(100.0, LwwMap::set("k", &2)?);
    /// assert_eq!(refused, Err(LocalUpdateError::ClockAhead { lead_ms: YEAR_MS }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clock_lead_ms(&self, now_ms: f64) -> Option<f64> {
        let lead_ms = self.clock.lead_ms(now_ms);
        (lead_ms > self.limits.clock_skew_ms_max).then_some(lead_ms)
    }

    /// Refuses to write what peers would put off for long, unless it shows that the wall clock is what is
    /// wrong: then they will not.
    fn check_clock(&self, now_ms: f64) -> Result<(), LocalUpdateError> {
        let is_clock_behind = self.clock.others_lead_ms(now_ms) > self.limits.clock_skew_ms_max;
        // A clock that reads nonsense says nothing about the past.
        match self.clock_lead_ms(now_ms).filter(|_| now_ms > 0.0 && !is_clock_behind) {
            Some(lead_ms) => Err(LocalUpdateError::ClockAhead { lead_ms }),
            None => Ok(()),
        }
    }

    /// The second half of a [`local_update`](Self::local_update): applies a draft of this replica's own.
    /// What was accepted from elsewhere since it was drafted may be later, and supersede it.
    ///
    /// # Errors
    /// [`LocalUpdateError`]; nothing has changed then. [`LocalUpdateError::Overtaken`] when it comes out
    /// of order: whoever lets something later go first has to draft it anew.
    pub fn publish(
        &mut self,
        now_ms: f64,
        SignedDraft(update): SignedDraft,
    ) -> Result<Update, LocalUpdateError> {
        if self.awaits_own_history(now_ms) {
            return Err(LocalUpdateError::OwnHistoryAwaited);
        }
        self.tell_time(now_ms);
        let own = self.sources.find(&self.id);
        let newest = own.and_then(|index| self.sources.get(index).newest());
        if *update.source() != self.id
            || newest.is_some_and(|newest| newest.timestamp >= update.timestamp())
        {
            return Err(LocalUpdateError::Overtaken);
        }
        self.check_depth(&update)?;
        self.check_room(&update, own)?;
        if let Merged::Invalid(reason) = self.merge(update.clone(), own, Link::LOCAL) {
            return Err(LocalUpdateError::Invalid(reason));
        }
        self.announce_own();
        self.follow_head();
        Ok(update)
    }
}
