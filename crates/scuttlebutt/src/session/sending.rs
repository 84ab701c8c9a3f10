//! What a session has yet to send: positions in the log, never copies of updates (invariant I6).

use std::collections::BTreeMap;

use super::in_order::InOrder;
use crate::limits::Limits;
use crate::model::Model;
use crate::place::Place;
use crate::replica::delta::Delta;
use crate::replica::{Replica, SourceIndex};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};
use crate::version_vector::VersionVector;

/// How far the sending side of a session has come.
#[derive(Clone, Debug)]
pub(super) enum Sending {
    /// The peer has not said what it holds.
    AwaitingDigest,
    /// Walking what the peer lacked when it said so.
    CatchingUp(CatchUp),
    /// Following the order of arrival.
    Live,
    /// All of it source by source, to a peer of the original's kind.
    InOrder(Box<InOrder>),
    /// Everything was sent, and the output is to end.
    Finished,
}

/// A walk over what the peer lacks, with marks on the way if it understands them.
#[derive(Clone, Debug)]
pub(super) struct CatchUp {
    delta: Delta,
    /// How far each source was sent; kept only for peers that understand marks.
    progress: Option<BTreeMap<SourceIndex, Progress>>,
    /// What is superseded is sent, too, as evidence.
    with_evidence: bool,
    /// Where the order of arrival ended when the walk began, before any break.
    begun_at: u64,
    /// What was passed over before the break is not known.
    is_resumed: bool,
    /// The last name of which everything was sent.
    came_to: Option<(Timestamp, SourceIndex)>,
    bytes_since_mark: usize,
    bytes_between_marks: usize,
    ended_at: Option<u64>,
    /// Up to where what has arrived since the walk began was looked at.
    looked_at: u64,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    /// Everything up to here was sent, with nothing passed over.
    complete: Option<Timestamp>,
    /// What the last mark said.
    marked: Option<Timestamp>,
    /// Something was passed over: its superseder is only known to be sent at the end.
    has_gap: bool,
}

/// Marks within a catch-up take at most one byte in this many.
const MARK_SHARE: usize = 20;

impl CatchUp {
    pub(super) fn new<M: Model>(
        replica: &Replica<M>,
        vector: &VersionVector,
        with_marks: bool,
        with_evidence: bool,
        place: Option<Place>,
        forks_from: u64,
    ) -> Self {
        Self {
            delta: match with_marks {
                true => replica.delta_with_forks(vector, place.as_ref(), forks_from),
                false => replica.delta(vector, place.as_ref()),
            },
            begun_at: place.as_ref().map_or(replica.durable(), |place| place.since),
            is_resumed: place.is_some(),
            came_to: None,
            progress: with_marks.then(BTreeMap::new),
            with_evidence,
            bytes_since_mark: 0,
            bytes_between_marks: replica.limits().mark_bytes_min,
            ended_at: None,
            looked_at: replica.durable(),
        }
    }

    /// The position in the order of arrival up to which everything belongs to the history: at first
    /// where it stood when the walk came to its end.
    pub(super) fn ended(&mut self, durable: u64) -> u64 {
        *self.ended_at.get_or_insert(durable)
    }

    /// Moves that position; answers whether it was elsewhere.
    pub(super) fn move_end(&mut self, durable: u64) -> bool {
        self.ended_at.replace(durable) != Some(durable)
    }

    /// The next update for the peer. To a peer that wants no evidence, or knows no promises, what was
    /// superseded is not sent, as in the original.
    pub(super) fn next<'r, M: Model>(
        &mut self,
        replica: &'r Replica<M>,
    ) -> Option<(&'r Update, &'r SourceId)> {
        loop {
            let step = replica.delta_next(&mut self.delta)?;
            let update = &step.entry.update;
            let is_sent = self.with_evidence || replica.is_needed(step.entry);
            match &mut self.progress {
                None => {}
                Some(progress) => {
                    let progress = progress.entry(step.entry.source).or_default();
                    // What was left out of what is not promised yet, its promise tells, and that is later
                    // than here.
                    let is_promised =
                        replica.source(step.entry.source).announced() >= Some(update.timestamp());
                    progress.has_gap |=
                        step.passed_over || !is_sent || !is_promised || self.is_resumed;
                    self.came_to =
                        step.completes.then_some((update.timestamp(), step.entry.source));
                    if !progress.has_gap && step.completes {
                        progress.complete = Some(update.timestamp());
                    }
                    self.bytes_since_mark += update.line_len();
                }
            }
            if is_sent {
                return Some((update, &replica.source(step.entry.source).id));
            }
        }
    }

    /// How far the walk has come, and where the order of arrival ended when it began.
    pub(super) fn place<M: Model>(&self, replica: &Replica<M>) -> Option<(UpdateId, u64)> {
        let (timestamp, index) = self.came_to?;
        let source = replica.source(index).id.clone();
        Some((UpdateId { timestamp, source }, self.begun_at))
    }

    /// What the positions take.
    pub(super) fn held_bytes(&self) -> usize {
        let progress = self.progress.as_ref().map_or(0, BTreeMap::len);
        self.delta.held_bytes() + progress * 2 * size_of::<(SourceIndex, Progress)>()
    }

    /// Whether enough was sent since the last mark.
    pub(super) fn is_mark_due(&self) -> bool {
        self.bytes_since_mark >= self.bytes_between_marks
    }

    /// What can be promised now and was not before: for each source as far as everything was sent,
    /// and not beyond what the replica itself announces.
    pub(super) fn take_mark<'r, M: Model>(
        &mut self,
        replica: &'r Replica<M>,
    ) -> Vec<(&'r SourceId, Timestamp)> {
        self.note_late(replica);
        let mut mark = Vec::new();
        for (index, progress) in self.progress.iter_mut().flatten() {
            let source = replica.source(*index);
            let promised = progress.complete.min(source.announced());
            if promised > progress.marked {
                progress.marked = promised;
                mark.extend(promised.map(|timestamp| (&source.id, timestamp)));
            }
        }
        mark
    }

    /// What has arrived since behind where the walk has come to in its source is yet to be sent, after
    /// the walk; until then nothing more of that source is promised.
    fn note_late<M: Model>(&mut self, replica: &Replica<M>) {
        let Some(progress) = &mut self.progress else { return };
        while let Some((position, entry)) = replica.next_from(self.looked_at) {
            self.looked_at = position + 1;
            if let Some(progress) = progress.get_mut(&entry.source)
                && progress.complete >= Some(entry.update.timestamp())
            {
                progress.complete = progress.marked;
                progress.has_gap = true;
            }
        }
    }

    /// Remembers how long the mark was, so that marks stay a small part of what is sent.
    pub(super) fn mark_sent(&mut self, bytes: usize, limits: &Limits) {
        self.bytes_since_mark = 0;
        self.bytes_between_marks = limits.mark_bytes_min.max(MARK_SHARE * bytes);
    }
}
