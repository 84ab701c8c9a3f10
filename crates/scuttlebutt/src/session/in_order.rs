//! What a peer of the original's kind is sent: each source in ascending order, and only as far as this
//! replica announces the source itself.
//!
//! Such a peer drops whatever is not newer than the newest that it has seen of a source, and from then on
//! tells others that it holds everything up to there. So it gets nothing that something older could still
//! follow: then it loses nothing, and its word is never worth less than what this replica was promised.
//!
//! Where nobody promises (the writer announces nothing, or whoever could promise is gone), an update is
//! sent all the same once it has waited for `Limits::unpromised_wait_ms_max`. Whose word counts after that
//! is decided in `replica/promises.rs`, not here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::Session;
use super::sending::Sending;
use crate::model::Model;
use crate::replica::{Entry, Link, Replica, Source, SourceIndex};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};
use crate::version_vector::VersionVector;

/// A walk over what may be sent, source by source, which goes on for as long as the session.
#[derive(Clone, Debug)]
pub(super) struct InOrder {
    link: Link,
    /// Where the order of arrival ended when the walk began.
    began_at: u64,
    /// Up to where the peer has each source: it said so, or it was sent that. Of a source that is not here
    /// it has all that was there when the walk began.
    sent: BTreeMap<SourceIndex, Option<Timestamp>>,
    /// What the peer said of sources of which less is held, or nothing yet.
    ahead: VersionVector,
    /// The sources of which something may be sent, by what comes next of them.
    next: BinaryHeap<Reverse<(Turn, SourceIndex)>>,
    queued: BTreeSet<SourceIndex>,
    /// `None` once it is sent.
    history: Option<History>,
    /// Up to which change of the announced vector its sources were queued.
    changes: u64,
    /// Up to where the order of arrival was looked at.
    looked_at: u64,
    waiting: Waiting,
}

/// When an update is sent: first the history, in the order in which the original sorts it, then what is
/// new, as it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Written(UpdateId),
    Arrived(u64),
}

/// What goes before "SYNC".
#[derive(Clone, Copy, Debug)]
struct History {
    /// All that has a position below: at first what was there when the peer's digest came, then also
    /// what came while that was sent, since it may have superseded some of it.
    end: u64,
    is_extended: bool,
}

/// What waits for a promise: positions and times, however much it is.
#[derive(Clone, Debug)]
struct Waiting {
    /// Half of what an update waits at most: it waits for one whole round at least.
    round_ms: f64,
    /// The first position that waits.
    from: Option<u64>,
    due_ms: Option<f64>,
    /// From here on it came since the last round.
    young_from: u64,
    /// What came before waits no more.
    released_below: u64,
    is_release_due: bool,
}

impl InOrder {
    /// The walk over what `vector` does not cover. Nothing below position `old_below` waits.
    pub(super) fn new<M: Model>(
        replica: &Replica<M>,
        link: Link,
        vector: &VersionVector,
        old_below: u64,
    ) -> Self {
        let waiting = Waiting {
            round_ms: replica.limits().unpromised_wait_ms_max / 2.0,
            from: None,
            due_ms: None,
            young_from: 0,
            released_below: old_below,
            is_release_due: false,
        };
        let mut walk = Self {
            link,
            began_at: replica.durable(),
            sent: BTreeMap::new(),
            ahead: replica.beyond_held(vector),
            next: BinaryHeap::new(),
            queued: BTreeSet::new(),
            history: Some(History { end: replica.durable(), is_extended: false }),
            changes: replica.vector_changes(),
            looked_at: old_below.min(replica.durable()),
            waiting,
        };
        for (index, covered) in replica.behind(vector) {
            walk.sent.insert(index, covered);
            walk.queue(replica, index);
        }
        walk
    }

    pub(super) fn is_history(&self) -> bool {
        self.history.is_some()
    }

    /// Called when there is nothing to send for now; answers what comes next.
    fn end_history<M: Model>(&mut self, replica: &Replica<M>) -> Next {
        let Some(history) = &mut self.history else { return Next::Nothing };
        if self.waiting.from.is_some_and(|from| from < history.end) {
            return Next::Nothing;
        }
        if !history.is_extended && history.end < replica.durable() {
            *history = History { end: replica.durable(), is_extended: true };
            return Next::More;
        }
        self.history = None;
        let is_moved = |index: SourceIndex, sent| {
            sent > replica.source(index).newest_before(self.began_at).map(|slot| slot.timestamp)
        };
        self.sent.retain(|index, sent| is_moved(*index, *sent));
        Next::HistorySent
    }

    /// Below which position updates may be sent.
    fn end<M: Model>(&self, replica: &Replica<M>) -> u64 {
        self.history.map_or(replica.durable(), |history| history.end)
    }

    /// Whether there may be something to send.
    pub(super) fn is_pending<M: Model>(&self, replica: &Replica<M>) -> bool {
        let end = self.end(replica);
        !self.next.is_empty()
            || self.waiting.is_release_due
            || self.changes < replica.vector_changes()
            || self.looked_at < end
            || self.is_history() && self.waiting.from.is_none_or(|from| from >= end)
    }

    /// When what waits is to be looked at; at once, if the clock has yet to be.
    pub(super) fn due_ms(&self) -> Option<f64> {
        self.waiting.from.map(|_| self.waiting.due_ms.unwrap_or(0.0))
    }

    /// A round: what came before the last one waits no more.
    pub(super) fn release_due(&mut self, now_ms: f64) {
        let waiting = &mut self.waiting;
        // A clock that was set back has nothing wait for longer.
        let due_ms = waiting.due_ms.map(|due| due.min(now_ms + waiting.round_ms));
        if waiting.from.is_none() || due_ms > Some(now_ms) {
            waiting.due_ms = due_ms;
            return;
        }
        if due_ms.is_some() {
            waiting.released_below = waiting.young_from;
            waiting.is_release_due = true;
        }
        waiting.due_ms = Some(now_ms + waiting.round_ms);
        waiting.young_from = self.looked_at;
    }

    /// Nothing waits any more: the session is to end.
    pub(super) fn release_all(&mut self) {
        self.waiting.released_below = u64::MAX;
        self.waiting.is_release_due = true;
    }

    fn sent(&self, index: SourceIndex, source: &Source) -> Option<Timestamp> {
        let ahead = if self.ahead.is_empty() { None } else { self.ahead.timestamp(&source.id) };
        let sent = self.sent.get(&index).copied();
        let from_before = || source.newest_before(self.began_at).map(|slot| slot.timestamp);
        sent.unwrap_or_else(from_before).max(ahead)
    }

    /// What it takes, but for what the peer is ahead with.
    pub(super) fn held_bytes(&self) -> usize {
        self.sent.len() * 2 * size_of::<(SourceIndex, Option<Timestamp>)>()
            + self.next.len() * (size_of::<(Turn, SourceIndex)>() + 2 * size_of::<SourceIndex>())
    }

    /// How many sources the peer is ahead with.
    pub(super) fn entries(&self) -> usize {
        self.ahead.len()
    }

    fn may_send<M: Model>(&self, replica: &Replica<M>, position: u64, entry: &Entry) -> bool {
        let source = replica.source(entry.source);
        position < self.end(replica)
            && (source.announced() >= Some(entry.update.timestamp())
                || source.id == *replica.id()
                || position < self.waiting.released_below)
    }

    /// Queues a source if something of it may be sent.
    fn queue<M: Model>(&mut self, replica: &Replica<M>, index: SourceIndex) {
        let source = replica.source(index);
        let sent = self.sent(index, source);
        if let Some(slot) = source.after(sent).next()
            && let Some(entry) = replica.entry(slot.position())
            && self.may_send(replica, slot.position(), entry)
            && self.queued.insert(index)
        {
            let turn = match self.is_history() {
                true => Turn::Written(entry.update.id()),
                false => Turn::Arrived(slot.position()),
            };
            self.next.push(Reverse((turn, index)));
        }
    }

    /// Queues what has come to be sendable since the last look.
    fn look<M: Model>(&mut self, replica: &Replica<M>) {
        for index in replica.sources_announced_since(self.changes) {
            self.queue(replica, index);
        }
        self.changes = replica.vector_changes();
        let end = self.end(replica);
        while let Some((position, entry)) = replica.next_from(self.looked_at)
            && position < end
        {
            self.looked_at = position + 1;
            if self.may_send(replica, position, entry) {
                self.queue(replica, entry.source);
            } else if entry.via != self.link {
                self.waiting.from.get_or_insert(position);
            }
        }
        self.looked_at = self.looked_at.max(end);
    }

    /// Queues what waits no more, up to the first that goes on waiting.
    fn release<M: Model>(&mut self, replica: &Replica<M>) {
        self.waiting.is_release_due = false;
        while let Some(from) = self.waiting.from {
            self.waiting.from = None;
            let next = replica.next_from(from).filter(|(position, _)| *position < self.looked_at);
            let Some((position, entry)) = next else { break };
            if self.may_send(replica, position, entry) {
                self.queue(replica, entry.source);
            } else if entry.via != self.link {
                self.waiting.from = Some(position);
                break;
            }
            self.waiting.from = Some(position + 1);
        }
    }

    /// The next update for the peer. `known` counts those on the way that the peer brought itself.
    fn next<'r, M: Model>(
        &mut self,
        replica: &'r Replica<M>,
        known: &mut u64,
    ) -> Option<(&'r Update, &'r SourceId)> {
        self.look(replica);
        if self.waiting.is_release_due || self.next.is_empty() {
            self.release(replica);
        }
        while let Some(Reverse((_, index))) = self.next.pop() {
            self.queued.remove(&index);
            let source = replica.source(index);
            let Some(slot) = source.after(self.sent(index, source)).next() else { continue };
            let Some(entry) = replica.entry(slot.position()) else { continue };
            if !self.may_send(replica, slot.position(), entry) {
                continue;
            }
            self.sent.insert(index, Some(slot.timestamp));
            self.queue(replica, index);
            if !replica.is_sendable(slot.position()) {
                continue;
            }
            // In answer to a digest all is sent that it does not cover, whoever brought it.
            if entry.via == self.link && !self.is_history() {
                *known += 1;
            } else if replica.is_needed(entry) {
                return Some((&entry.update, &source.id));
            }
        }
        None
    }
}

/// What comes when there is no update to send for now.
enum Next {
    Nothing,
    /// There is more to look at.
    More,
    HistorySent,
}

impl Session {
    /// Puts the next thing for a peer of the original's kind into `out` or the carry; answers whether
    /// there was any.
    pub(super) fn produce_in_order<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        loop {
            let Sending::InOrder(walk) = &mut self.sending else { return false };
            if let Some((update, source)) =
                walk.next(replica, &mut self.tally.updates_known_to_peer)
            {
                match walk.is_history() {
                    true => self.tally.updates_sent_catching_up += 1,
                    false => self.tally.updates_sent_live += 1,
                }
                self.write_update(update, source, out, left);
                return true;
            }
            match walk.end_history(replica) {
                Next::More => {}
                Next::HistorySent => {
                    self.history_sent();
                    return true;
                }
                Next::Nothing => {
                    if self.is_leaving && !walk.is_history() {
                        self.sending = Sending::Finished;
                    }
                    return false;
                }
            }
        }
    }
}
