//! Updates that wait for a verdict: kept aside, in the order in which they came (invariant I5).
//!
//! What waits moves nothing: it is in no log, no model, no vector. Whoever drives the replica takes the
//! questions from here, asks where it likes, and brings the answers in any order. Updates of one source
//! take effect in the order in which they came; those of different sources do not wait for each other.
//! Nothing here asks anybody, or knows how long an answer takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::forks::Known;
use super::{Link, Outcome, Replica, Trust};
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::model::Model;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;

/// The name of a question, unique within one life of a replica and greater for each that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// An update on which a verdict is wanted. Taken with [`Replica::take_questions`].
#[derive(Clone, Debug)]
pub struct Question {
    /// To be handed back with the answer.
    pub ticket: Ticket,
    /// Who wrote it?
    pub update: Update,
}

/// What became of an update that waited.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Settled {
    /// It waits still.
    No,
    /// It has taken effect, as if it had come now.
    Trusted,
    /// It had no effect, or one that a session has to tell.
    Otherwise(Outcome),
    /// Too long ago to know; it may have been refused.
    Forgotten,
}

#[derive(Clone, Debug)]
struct Item {
    ticket: Ticket,
    update: Update,
    /// The session that brought it first.
    via: Link,
    verdict: Option<Trust>,
}

/// What waits of one source, by arrival.
#[derive(Clone, Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    /// To find what is here already.
    by_time: BTreeSet<(Timestamp, Ticket)>,
    bytes: usize,
}

impl Queue {
    fn get(&mut self, ticket: Ticket) -> Option<&mut Item> {
        let at = self.items.binary_search_by_key(&ticket, |item| item.ticket).ok()?;
        self.items.get_mut(at)
    }
}

/// Everything that waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    queues: BTreeMap<SourceId, Queue>,
    sources: BTreeMap<Ticket, SourceId>,
    unasked: BTreeSet<Ticket>,
    next: u64,
    bytes: usize,
    answers: u64,
    /// What became of those of which a session has to hear.
    otherwise: BTreeMap<Ticket, Outcome>,
    forgotten_below: u64,
}

impl Waiting {
    pub(super) fn has(&self, source: &SourceId) -> bool {
        self.queues.contains_key(source)
    }

    /// The question that is asked about exactly this update already.
    pub(super) fn find(&self, update: &Update) -> Option<Ticket> {
        let queue = self.queues.get(update.source())?;
        let at = update.timestamp();
        let named = queue.by_time.range((at, Ticket(0))..=(at, Ticket(u64::MAX)));
        named.map(|(_, ticket)| *ticket).find(|ticket| {
            let found = queue.items.binary_search_by_key(ticket, |item| item.ticket);
            found.is_ok_and(|index| queue.items[index].update == *update)
        })
    }

    /// Takes in an update, with the verdict if that is known and only earlier ones keep it waiting.
    pub(super) fn push(
        &mut self,
        update: Update,
        via: Link,
        verdict: Option<Trust>,
        limits: &Limits,
    ) -> Result<Ticket, LimitExceeded> {
        let bytes = update.line_len();
        self.check_room(update.source(), bytes, limits)?;
        let ticket = Ticket(self.next);
        self.next += 1;
        self.bytes += bytes;
        self.sources.insert(ticket, update.source().clone());
        if verdict.is_none() {
            self.unasked.insert(ticket);
        }
        let queue = self.queues.entry(update.source().clone()).or_default();
        queue.bytes += bytes;
        queue.by_time.insert((update.timestamp(), ticket));
        queue.items.push_back(Item { ticket, update, via, verdict });
        Ok(ticket)
    }

    /// One update may always wait, in all and of each source, however long it is.
    fn check_room(
        &self,
        source: &SourceId,
        bytes: usize,
        limits: &Limits,
    ) -> Result<(), LimitExceeded> {
        let of_source = self.queues.get(source).map_or((0, 0), |q| (q.items.len(), q.bytes));
        let exceeds = |(count, held): (usize, usize), bound: usize| {
            count > 0 && held.saturating_add(bytes) > bound
        };
        let refused = |bound, limit| Err(LimitExceeded::new(bound, limit));
        if self.sources.len() >= limits.waiting_updates_max {
            return refused(Bound::WaitingUpdates, limits.waiting_updates_max);
        }
        if exceeds((self.sources.len(), self.bytes), limits.waiting_bytes_max) {
            return refused(Bound::WaitingBytes, limits.waiting_bytes_max);
        }
        if of_source.0 >= limits.waiting_updates_per_source_max {
            return refused(Bound::WaitingUpdatesPerSource, limits.waiting_updates_per_source_max);
        }
        if exceeds(of_source, limits.waiting_bytes_per_source_max) {
            return refused(Bound::WaitingBytesPerSource, limits.waiting_bytes_per_source_max);
        }
        Ok(())
    }

    /// Takes an answer; answers of which source something may take effect now.
    fn answer(&mut self, ticket: Ticket, trust: Trust) -> Option<SourceId> {
        let source = self.sources.get(&ticket)?.clone();
        let item = self.queues.get_mut(&source)?.get(ticket)?;
        if trust == Trust::Later {
            if item.verdict.is_none() {
                self.unasked.insert(ticket);
            }
            return None;
        }
        // The first answer counts.
        item.verdict.get_or_insert(trust);
        self.unasked.remove(&ticket);
        self.answers += 1;
        Some(source)
    }

    /// The first update of a source, if the verdict on it is known.
    fn pop(&mut self, source: &SourceId) -> Option<(Item, Trust)> {
        let queue = self.queues.get_mut(source)?;
        let trust = queue.items.front()?.verdict?;
        let item = queue.items.pop_front()?;
        let bytes = item.update.line_len();
        queue.bytes -= bytes;
        queue.by_time.remove(&(item.update.timestamp(), item.ticket));
        self.bytes -= bytes;
        self.sources.remove(&item.ticket);
        if queue.items.is_empty() {
            self.queues.remove(source);
        }
        Some((item, trust))
    }

    /// Remembers what became of an update, for the sessions that brought it.
    fn settle(&mut self, ticket: Ticket, outcome: Outcome, limits: &Limits) {
        if matches!(outcome, Outcome::Applied | Outcome::Superseded | Outcome::Stale) {
            return;
        }
        self.otherwise.insert(ticket, outcome);
        while self.otherwise.len() > limits.verdicts_remembered_max {
            if let Some((oldest, _)) = self.otherwise.pop_first() {
                self.forgotten_below = self.forgotten_below.max(oldest.0 + 1);
            }
        }
    }

    /// Asks about everything that waits under new names: an answer that is on its way was given by rules
    /// that count no more.
    pub(super) fn ask_anew(&mut self) {
        let Self { queues, sources, unasked, next, .. } = self;
        self.forgotten_below = *next;
        sources.clear();
        unasked.clear();
        self.otherwise.clear();
        for (source, queue) in queues {
            queue.by_time.clear();
            for item in &mut queue.items {
                (item.ticket, item.verdict) = (Ticket(*next), None);
                *next += 1;
                queue.by_time.insert((item.update.timestamp(), item.ticket));
                sources.insert(item.ticket, source.clone());
                unasked.insert(item.ticket);
            }
        }
        self.answers += 1;
    }

    fn settled(&self, ticket: Ticket) -> Settled {
        if self.sources.contains_key(&ticket) {
            Settled::No
        } else if let Some(outcome) = self.otherwise.get(&ticket) {
            Settled::Otherwise(outcome.clone())
        } else if ticket.0 < self.forgotten_below {
            Settled::Forgotten
        } else {
            Settled::Trusted
        }
    }

    /// How many answers there were.
    pub(super) fn answers(&self) -> u64 {
        self.answers
    }
}

impl<M: Model> Replica<M> {
    /// Up to `count` of the questions that nobody has taken yet, in the order in which the updates
    /// came. For whoever drives a replica whose verifier answers [`Trust::Later`].
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Outcome, Replica, SourceId, Trust, Update, Verifier};
    ///
    /// struct AskElsewhere;
    /// impl Verifier for AskElsewhere {
    ///     fn verify(&self, _: &Update) -> Trust {
    ///         Trust::Later
    ///     }
    /// }
    ///
    /// let replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let mut replica = replica.verify_with(AskElsewhere);
    /// let update = Update::from_json(r#"[["k",1],50,"B"]"#)?;
    /// assert!(matches!(replica.remote_update(100.0, update), Outcome::Waiting(_)));
    /// assert!(replica.model().is_empty());
    ///
    /// for question in replica.take_questions(100) {
    ///     // … look up the key of question.update.source(), verify …
    ///     replica.answer(question.ticket, Trust::Trusted);
    /// }
    /// assert_eq!(replica.model().to_json(), r#"{"k":1}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_questions(&mut self, count: usize) -> Vec<Question> {
        let waiting = &mut self.waiting;
        let taken = std::iter::from_fn(|| {
            let ticket = waiting.unasked.pop_first()?;
            let queue = waiting.queues.get_mut(waiting.sources.get(&ticket)?)?;
            Some(Question { ticket, update: queue.get(ticket)?.update.clone() })
        });
        taken.take(count).collect()
    }

    /// Number of questions that nobody has taken yet.
    pub fn questions(&self) -> usize {
        self.waiting.unasked.len()
    }

    /// Number of updates that wait: for a verdict, or for the verdict on an earlier one of their source.
    pub fn updates_waiting(&self) -> usize {
        self.waiting.sources.len()
    }

    /// Takes the verdict on an update that waits. It takes effect, or is refused, once nothing of its
    /// source that came before it waits. [`Trust::Later`] puts the question back. An answer that comes
    /// twice, or to a question that was never asked, changes nothing.
    pub fn answer(&mut self, ticket: Ticket, trust: Trust) {
        let Some(source) = self.waiting.answer(ticket, trust) else { return };
        while let Some((item, trust)) = self.waiting.pop(&source) {
            let outcome = match trust {
                Trust::Trusted => self.accept(item.update, item.via),
                _ if !matches!(self.known(&item.update), Known::No) => Outcome::Stale,
                _ => Outcome::Unverified,
            };
            self.waiting.settle(item.ticket, outcome, &self.limits);
        }
        if source == self.id && !self.waiting.has(&source) {
            // What was written here meanwhile was not announced: there could have been more before it.
            self.announce_own();
        }
    }

    /// What became of an update that a session brought.
    pub(crate) fn settled(&self, ticket: Ticket) -> Settled {
        self.waiting.settled(ticket)
    }

    /// Whether anything of a source is held, or waits.
    pub(crate) fn has_heard_of(&self, source: &SourceId) -> bool {
        self.sources.find(source).is_some() || self.waiting.has(source)
    }
}
