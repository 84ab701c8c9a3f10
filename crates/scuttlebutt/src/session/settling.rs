//! What a session holds back while updates that it brought wait for verdicts: the peer's promises.
//!
//! A promise covers what was sent before it, so it counts once all of that is trusted, and not at all if
//! some of it was refused: the same as when verdicts come at once (`receiving.rs`), only later. What is
//! held back keeps its place among the updates; nothing here decides about updates.

use std::collections::{BTreeSet, VecDeque};

use super::{Refusal, Session, SessionEvent};
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::model::Model;
use crate::place::Place;
use crate::replica::{Outcome, Replica, Settled, Ticket};
use crate::version_vector::VersionVector;

/// What the peer has sent, in order, from the first update on that waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsettled {
    items: VecDeque<Item>,
    /// The updates among these. One that comes again is waited for already.
    tickets: BTreeSet<Ticket>,
    promises: usize,
    entries: usize,
}

#[derive(Clone, Debug)]
enum Item {
    /// An update, and the how-manieth in frames it was.
    Update(Ticket, u64),
    Promise(Promise),
}

/// What the peer says it has passed on.
#[derive(Clone, Debug, Default)]
pub(super) struct Promise {
    pub(super) vector: VersionVector,
    pub(super) worth: Worth,
    /// It is the end of a history.
    pub(super) ends_history: bool,
    /// The history got so far.
    pub(super) place: Option<Place>,
}

/// What a promise is worth, in ascending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    /// It is the clock of a peer of the original's kind.
    #[default]
    Clock,
    /// What was superseded may have been left out.
    WithGaps,
    /// Nothing was left out.
    Gapless,
}

impl Unsettled {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Entries of promises that are held back.
    pub(super) fn promised_entries(&self) -> usize {
        self.entries
    }

    pub(super) fn update_waits(&mut self, ticket: Ticket, nth: u64) {
        if self.tickets.insert(ticket) {
            self.items.push_back(Item::Update(ticket, nth));
        }
    }

    /// The how-manieth in frames the first update was that waits.
    pub(super) fn first_waiting(&self) -> Option<u64> {
        self.items.iter().find_map(|item| match item {
            Item::Update(_, nth) => Some(*nth),
            Item::Promise(_) => None,
        })
    }

    /// Holds a promise back. With too many of them, the last one waits for this one, which only delays
    /// it.
    fn hold(&mut self, mut promise: Promise, promises_max: usize, entries_max: usize) {
        let is_last = |item: &Item| matches!(item, Item::Promise(_));
        if (self.promises >= promises_max || self.entries >= entries_max)
            && let Some(at) = self.items.iter().rposition(is_last)
            && let Some(Item::Promise(last)) = self.items.remove(at)
        {
            self.promises -= 1;
            self.entries -= last.vector.len();
            promise.vector.join(&last.vector);
            promise.worth = promise.worth.min(last.worth);
            promise.ends_history |= last.ends_history;
            promise.place = promise.place.or(last.place);
        }
        self.promises += 1;
        self.entries += promise.vector.len();
        self.items.push_back(Item::Promise(promise));
    }

    fn pop(&mut self) {
        match self.items.pop_front() {
            Some(Item::Update(ticket, _)) => {
                self.tickets.remove(&ticket);
            }
            Some(Item::Promise(promise)) => {
                self.promises -= 1;
                self.entries -= promise.vector.len();
            }
            None => {}
        }
    }

    /// Something was refused: of what was promised since, nothing counts.
    fn void(&mut self) {
        self.entries = 0;
        for item in &mut self.items {
            if let Item::Promise(promise) = item {
                (promise.vector, promise.place) = (VersionVector::new(), None);
            }
        }
    }
}

/// What is said of an update of which nobody remembers what became of it.
fn forgotten(limits: &Limits) -> Outcome {
    let limit = limits.verdicts_remembered_max;
    Outcome::Crowded(LimitExceeded::new(Bound::VerdictsRemembered, limit))
}

impl Session {
    /// Whether [`settle`](Self::settle) would do anything: a verdict has come on an update that this
    /// session brought, and what the peer said since waits for that.
    #[must_use]
    pub fn has_verdicts<M: Model>(&self, replica: &Replica<M>) -> bool {
        match self.unsettled.items.front() {
            _ if self.is_closed => false,
            None => false,
            Some(Item::Promise(_)) => true,
            Some(Item::Update(ticket, _)) => replica.settled(*ticket) != Settled::No,
        }
    }

    /// Whether the peer is to be asked anew, by other rules.
    pub(super) fn has_new_rules<M: Model>(&self, replica: &Replica<M>) -> bool {
        self.rulings != replica.rulings() && self.config.announces()
    }

    /// The replica has judged anew what it holds: what the peer promised before, for what was announced
    /// before, counts no more, and what was refused may be accepted now.
    pub(super) fn follow_rules<M: Model>(&mut self, replica: &Replica<M>) {
        if std::mem::replace(&mut self.rulings, replica.rulings()) != replica.rulings() {
            self.receiving.update_put_off();
            self.unsettled.void();
            self.resumed = None;
            self.is_digest_due |= self.config.announces();
        }
    }

    /// Takes note of the verdicts on updates that this session brought: what the peer promised counts
    /// then, or does not. To be called whenever [`has_verdicts`](Self::has_verdicts), which may become
    /// true when the replica's [revision](Replica::revision) changes; only sessions of a replica whose
    /// verifier answers [`Trust::Later`](crate::Trust::Later) have any.
    pub fn settle<M: Model>(&mut self, replica: &mut Replica<M>) {
        self.follow_rules(replica);
        while !self.is_closed {
            match self.unsettled.items.front_mut() {
                None => break,
                Some(Item::Promise(promise)) => {
                    let promise = std::mem::take(promise);
                    // What was counted is that of the promise that was there.
                    self.unsettled.entries -= promise.vector.len();
                    self.unsettled.pop();
                    self.obey(replica, &promise);
                }
                Some(Item::Update(ticket, _)) => {
                    let outcome = match replica.settled(*ticket) {
                        Settled::No => break,
                        Settled::Trusted => None,
                        Settled::Otherwise(outcome) => Some(outcome),
                        Settled::Forgotten => Some(forgotten(replica.limits())),
                    };
                    self.unsettled.pop();
                    match outcome {
                        None => self.tally.updates_trusted += 1,
                        Some(outcome) => self.settle_otherwise(replica, outcome),
                    }
                }
            }
        }
        self.note_handled(replica);
        self.close_if_over();
    }

    fn settle_otherwise<M: Model>(&mut self, replica: &Replica<M>, outcome: Outcome) {
        self.count(&outcome);
        match outcome {
            Outcome::Invalid(reason) => self.refused(Refusal::Invalid(reason.into_owned())),
            Outcome::Forked { proof, is_kept } => {
                self.emit(SessionEvent::Forked { proof, is_kept });
            }
            other => {
                self.receiving.update_put_off();
                self.unsettled.void();
                match other {
                    Outcome::Crowded(exceeded) => {
                        // It may well have been trusted. An honest peer has it still, and promises again.
                        self.ask_again(replica, 0.0);
                        self.refused(Refusal::Crowded(exceeded));
                    }
                    Outcome::Full(exceeded) => self.no_room(replica, None, exceeded),
                    _ => self.refused(Refusal::Unverified),
                }
            }
        }
    }

    /// The peer promises something: it counts now, or once what came before it is trusted.
    pub(super) fn promised<M: Model>(&mut self, replica: &mut Replica<M>, mut promise: Promise) {
        if self.unsettled.is_empty() {
            self.obey(replica, &promise);
            return;
        }
        // What nobody has written to us about has no evidence, now or then.
        promise.vector.retain(|source, _| replica.has_heard_of(source));
        let limits = replica.limits();
        self.unsettled.hold(promise, limits.pending_promises_max, limits.sources_max);
    }

    fn obey<M: Model>(&mut self, replica: &mut Replica<M>, promise: &Promise) {
        if self.config.direction.receives() {
            match promise.worth {
                Worth::Gapless => replica.credit(&promise.vector),
                Worth::WithGaps => replica.promise(&promise.vector),
                Worth::Clock => {
                    replica.promise_of_original(&promise.vector, self.receiving.peer());
                }
            }
            if let Some(place) = &promise.place {
                replica.note_place(place.clone());
            }
            if promise.ends_history {
                replica.history_received(self.link);
                if let Some(life) = self.peer_life {
                    replica.forget_place(life);
                }
            }
        }
        if promise.ends_history {
            self.has_heard_history = true;
            self.emit(SessionEvent::HistoryReceived);
            self.sync_if_done();
        }
    }
}
