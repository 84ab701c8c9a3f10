//! What is held, judged again after the rules have changed: who may write, or up to when.
//!
//! Whatever is not believed any more is dropped, and what it had superseded counts again, as far as it is
//! still here; the rest others may hold. So the announced vector falls back to what is certain without
//! what was dropped (invariant I2), and sessions ask again. Nothing here knows the rules.

use std::collections::BTreeMap;

use super::forks::Forks;
use super::places::Places;
use super::{LIFE_MAX, Replica, Source, SourceIndex};
use crate::model::Model;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;

/// How a replica stands to rules that have changed while it lived.
#[derive(Clone, Debug, Default)]
pub(super) struct Rulings {
    /// How often the rules have changed.
    pub(super) count: u64,
    /// How often something was dropped thereby.
    pub(super) withdrawals: u64,
    /// Own updates up to here may have been let go because of something that was dropped. They come
    /// back as others' do, and what is written here is announced only as far as is certain, until a peer
    /// promises what was written here up to there.
    pub(super) own_gap: Option<Timestamp>,
    /// The entries of the announced vector that have fallen since a store last asked.
    pub(super) fallen: BTreeMap<SourceId, Option<Timestamp>>,
}

impl<M: Model> Replica<M> {
    /// Judges everything held again: what `is_trusted` does not hold of is dropped, and answered here, in
    /// the order of arrival. Call it when the rules by which a [verifier](Self::verify_with) judges have
    /// changed, also if they only allow more now: what was refused before is asked for again.
    ///
    /// `now_ms` is the wall clock. `empty` is a model as this replica's was at the beginning; it is told again of all that is left. What
    /// this replica wrote under its present id stays. What waits for a verdict is asked about anew.
    ///
    /// A dropped update may have superseded others that were let go here or never came. They may be held
    /// elsewhere, so the [version vector](Self::version_vector) falls back for every source to where nothing
    /// can be missing, and each session announces it to its peer once more. Readers of
    /// [changes](Self::changes) are told by [`ChangeCursor::take_withdrawn`](crate::ChangeCursor::take_withdrawn);
    /// a store by [`take_released`](Self::take_released) and [`take_fallen`](Self::take_fallen).
    /// It costs O(updates held).
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, SourceId, Update};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// replica.remote_update(200.0, Update::from_json(r#"[["k",2],200,"eve"]"#)?);
    /// assert_eq!(replica.model().to_json(), r#"{"k":2}"#);
    ///
    /// let eve = SourceId::new("eve")?;
    /// let dropped = replica.rejudge(300.0, LwwMap::new(), |update| *update.source() != eve);
    /// assert_eq!(dropped.len(), 1);
    /// assert_eq!(replica.model().to_json(), "{}", "the first value was let go; others may have it");
    /// assert!(replica.version_vector().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rejudge(
        &mut self,
        now_ms: f64,
        empty: M,
        is_trusted: impl Fn(&Update) -> bool,
    ) -> Vec<Update> {
        self.tell_time(now_ms);
        self.rulings.count += 1;
        self.waiting.ask_anew();
        let stays = |update: &Update| *update.source() == self.id || is_trusted(update);
        let dropped: Vec<Update> = self
            .log
            .from(0)
            .filter(|(_, entry)| !stays(&entry.update))
            .map(|(_, entry)| entry.update.clone())
            .collect();
        if !dropped.is_empty() {
            let certain = self.certain_without(stays);
            self.rulings.withdrawals += 1;
            // Where a history goes on, of what it had come to nothing is sent again.
            self.places = Places::default();
            self.life = self.life.map(|life| life.wrapping_add(1) & LIFE_MAX);
            self.rebuild(now_ms, empty, is_trusted);
            self.fall_back(&certain);
            // What was written here and waits to be durable was among the promises.
            self.announce_own();
        }
        dropped
    }

    /// How often [`rejudge`](Self::rejudge) was called: sessions then ask their peers again.
    pub(crate) fn rulings(&self) -> u64 {
        self.rulings.count
    }

    /// Of each source, the newest update that `stays` holds of before the first place where one was let go:
    /// of what is announced, nothing up to there can be missing.
    fn certain_without(&self, stays: impl Fn(&Update) -> bool) -> Vec<Option<Timestamp>> {
        let is_held = |position| self.log.get(position).is_some_and(|entry| stays(&entry.update));
        let certain = |(_, source): (SourceIndex, &Source)| {
            let whole = source.after(None).take_while(|slot| !slot.gap_before());
            whole.filter(|slot| is_held(slot.position())).last().map(|slot| slot.timestamp)
        };
        self.sources.iter().map(certain).collect()
    }

    /// Takes everything that stays in again, each at its position.
    fn rebuild(&mut self, now_ms: f64, empty: M, is_trusted: impl Fn(&Update) -> bool) {
        self.model = empty;
        self.model.time_passes(now_ms);
        self.forks = Forks::default();
        self.outlived.clear();
        self.promised.clear();
        self.sources.clear_slots();
        let before = std::mem::take(&mut self.log);
        let head = before.head();
        for (position, entry) in before.into_entries() {
            let stays = entry.update.source() == &self.id || is_trusted(&entry.update);
            self.log.skip_to(position);
            if stays {
                self.merge(entry.update, Some(entry.source), entry.via);
            }
            if self.log.head() <= position {
                // Dropped, or superseded by one that came before it.
                self.log.skip_to(position + 1);
                if let Some(released) = &mut self.released {
                    released.push(position);
                }
            }
        }
        self.log.skip_to(head);
        self.unsendable.retain(|position, _| self.log.get(*position).is_some());
        for position in self.unsendable.keys() {
            if let Some(entry) = self.log.get(*position) {
                self.sources.get_mut(entry.source).withhold(entry.update.timestamp());
            }
        }
        if !self.model.never_supersedes() {
            self.sources.note_gaps();
        }
    }

    fn fall_back(&mut self, certain: &[Option<Timestamp>]) {
        for (number, certain) in (0..).zip(certain) {
            let index = SourceIndex(number);
            let source = self.sources.get(index);
            let newest = source.newest().map(|newest| newest.timestamp);
            if source.id == self.id && newest > *certain {
                self.rulings.own_gap = self.rulings.own_gap.max(newest);
            }
            if source.announced() > *certain {
                self.rulings.fallen.insert(source.id.clone(), *certain);
                self.sources.fall_back(index, *certain);
            }
        }
        self.follow_head();
    }

    /// The entries of the announced version vector that have [fallen](Self::rejudge) since the last call, for
    /// a store: to the timestamp beside them, or to nothing. Whoever kept the higher ones would promise too
    /// much after the next start, so they go with the next batch.
    pub fn take_fallen(&mut self) -> Vec<(SourceId, Option<Timestamp>)> {
        std::mem::take(&mut self.rulings.fallen).into_iter().collect()
    }

    /// Up to where own updates may be missing here since something was [dropped](Self::rejudge) that had
    /// superseded them. Until a peer promises them, what is written under this id spreads and is not
    /// announced as complete; a fresh id helps, where one can be had.
    pub fn own_gap(&self) -> Option<Timestamp> {
        self.rulings.own_gap
    }

    /// For a store that is about to give back what it kept: it was written when there was this
    /// [gap](Self::own_gap). Call it before [`restore`](Self::restore_at).
    pub fn expect_own_gap(&mut self, up_to: Timestamp) {
        self.rulings.own_gap = Some(up_to);
    }
}
