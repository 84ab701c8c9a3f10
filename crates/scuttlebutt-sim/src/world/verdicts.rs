//! Who vouches for updates: verdicts that come late and in any order, and keys that are out of reach.
//!
//! What was written by the source that it names is known to the oracle; a verifier asks nobody else.

use scuttlebutt::{Replica, SourceId, Ticket, Trust, Update, Verifier};

use super::{Checked, Event, World};
use crate::subject::Subject;

/// With so many verdicts due, a node reads no further.
pub(crate) const UNJUDGED_MAX: usize = 20;

/// Cannot say of anything.
struct AskLater;

impl Verifier for AskLater {
    fn verify(&self, _: &Update) -> Trust {
        Trust::Later
    }
}

impl<S: Subject> World<'_, S> {
    /// A replica that believes nobody at once, if there are verdicts in this run.
    pub(super) fn with_verifier(&self, replica: Replica<S::Model>) -> Replica<S::Model> {
        match self.scenario.verdicts {
            Some(_) => replica.verify_with(AskLater),
            None => replica,
        }
    }

    /// Whether the source that an update names wrote it.
    pub(crate) fn is_genuine(&self, update: &Update) -> bool {
        let id = update.id();
        self.truth.get(&id) == Some(update) || self.truth.has_two(&id)
    }

    /// Takes what a node wants to know; it is told some time later.
    pub(super) fn ask(&mut self, index: usize) {
        let Some(verdicts) = self.scenario.verdicts.clone() else { return };
        let node = &mut self.nodes[index];
        let Some(replica) = &mut node.replica else { return };
        let life = node.life;
        for question in replica.take_questions(usize::MAX) {
            let is_new = self.nodes[index].asked.insert(question.ticket, question.update.clone());
            if self.is_genuine(&question.update) && self.allows(index, &question.update) {
                let update = question.update.clone();
                self.nodes[index].heard_of.insert(update.id(), update);
            }
            if !self.is_calm && is_new.is_none() && self.chance.happens(verdicts.out_of_reach) {
                let until_us = self.now_us + self.chance.between(1_000, 3_000_000);
                let source = question.update.source().clone();
                self.nodes[index].out_of_reach.insert(source, until_us);
            }
            let (low, high) = verdicts.delay_ms;
            let high = if self.is_calm { low } else { high };
            let wait_us = self.chance.between(low * 1_000, high * 1_000);
            let event = Event::Verdict { node: index, life, ticket: question.ticket };
            self.schedule(self.now_us + wait_us, event);
        }
    }

    /// Whether a node reads nothing for now, because it is slow to verify what it has read. For a key
    /// that is out of reach nobody waits.
    pub(super) fn has_enough_to_verify(&self, index: usize) -> bool {
        let asked = self.nodes[index].asked.values();
        asked.filter(|update| !self.is_out_of_reach(index, update.source())).count() >= UNJUDGED_MAX
    }

    /// Lets arrive what a node has not read.
    pub(super) fn read_on(&mut self, index: usize) {
        if self.nodes[index].asked.len() <= UNJUDGED_MAX / 2 || !self.has_enough_to_verify(index) {
            for (link, epoch, to) in std::mem::take(&mut self.nodes[index].unread) {
                self.schedule(self.now_us, Event::Deliver { link, epoch, to });
            }
        }
    }

    fn is_out_of_reach(&self, index: usize, source: &SourceId) -> bool {
        let until_us = self.nodes[index].out_of_reach.get(source);
        !self.is_calm && until_us.is_some_and(|until_us| *until_us > self.now_us)
    }

    pub(super) fn verdict(&mut self, index: usize, life: u64, ticket: Ticket) -> Checked {
        if self.nodes[index].life != life || self.nodes[index].replica.is_none() {
            return Ok(());
        }
        let Some(update) = self.nodes[index].asked.get(&ticket).cloned() else { return Ok(()) };
        let (trust, name) = match self.is_genuine(&update) && self.allows(index, &update) {
            _ if self.is_out_of_reach(index, update.source()) => {
                (Trust::Later, "verdict: key out of reach")
            }
            true => (Trust::Trusted, "verdict: trusted"),
            false => (Trust::Untrusted, "verdict: untrusted"),
        };
        self.coverage.hit(name);
        self.note(format_args!("node {index}: {trust:?} {update:?}"));
        let node = &mut self.nodes[index];
        if trust != Trust::Later {
            node.asked.remove(&ticket);
            if trust == Trust::Trusted {
                node.trusted.insert(update.id());
            }
        }
        let is_blocked = node
            .asked
            .iter()
            .any(|(other, asked)| *other < ticket && asked.source() == update.source());
        let Some(replica) = &mut node.replica else { return Ok(()) };
        let (waited, revision) = (replica.updates_waiting(), replica.head());
        let was_contested = replica.is_identity_contested();
        replica.answer(ticket, trust);
        if is_blocked {
            self.coverage.hit("verdict: out of order");
            if (replica.updates_waiting(), replica.head()) != (waited, revision) {
                return self.violation(format!(
                    "I5: node {index} did not wait with {update:?} for what came before it"
                ));
            }
        }
        if !was_contested && replica.is_identity_contested() {
            self.coverage.hit("state: identity contested");
            self.renew_id(index);
        }
        self.last_change_us = self.now_us;
        self.settle(index);
        self.ask(index);
        self.read_on(index);
        self.after_change(index)
    }

    /// The sessions of a node take note of verdicts.
    pub(super) fn settle(&mut self, index: usize) {
        for link in 0..self.links.len() {
            for side in 0..2 {
                if self.links[link].nodes[side] != index {
                    continue;
                }
                if let (Some(replica), Some(session)) =
                    (&mut self.nodes[index].replica, &mut self.links[link].ends[side].session)
                    && session.has_verdicts(replica)
                {
                    session.settle(replica);
                    self.take_events(link, side);
                    self.pump(link, side);
                    self.cut_if_over(link);
                }
            }
        }
    }
}
