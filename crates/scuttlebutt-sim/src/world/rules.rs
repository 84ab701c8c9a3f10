//! Rules that change while the cluster runs: a source is believed no more, or not from some time on.
//!
//! Each node hears of it at a moment of its own, as whoever runs it gets round to it, and judges again what
//! it holds. In the end all have heard of everything.

use scuttlebutt::{Model, SourceId, Timestamp, Update, VersionVector};

use super::{Checked, Event, NodeKind, World};
use crate::checks::{excerpt, joined};
use crate::subject::Subject;

/// A source that is struck off the list, altogether or from some time on.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    source: SourceId,
    until: Option<Timestamp>,
}

impl Revocation {
    fn strikes(&self, update: &Update) -> bool {
        *update.source() == self.source && self.until < Some(update.timestamp())
    }
}

impl<S: Subject> World<'_, S> {
    /// Whether a node's rules, as they are, allow this update.
    pub(crate) fn allows(&self, index: usize, update: &Update) -> bool {
        self.allowed_by(self.nodes[index].rules, update)
    }

    fn allowed_by(&self, rules: usize, update: &Update) -> bool {
        !self.revocations[..rules].iter().any(|revoked| revoked.strikes(update))
    }

    /// A source is struck off, and everybody will hear of it.
    pub(super) fn revoke(&mut self) {
        let sources: Vec<SourceId> = self.truth.sources().cloned().collect();
        if sources.is_empty() {
            return;
        }
        let source = self.chance.pick(&sources).clone();
        let written: Vec<Timestamp> = self.truth.of(&source).map(Update::timestamp).collect();
        let until = match self.chance.happens(0.5) && !written.is_empty() {
            true => Some(*self.chance.pick(&written)),
            false => None,
        };
        self.coverage.hit(match until {
            Some(_) => "fault: source revoked from some time on",
            None => "fault: source revoked",
        });
        self.mark("revoked", format_args!("{source} is revoked, until {until:?}"));
        self.revocations.push(Revocation { source, until });
        for node in 0..self.nodes.len() {
            let wait_us = self.chance.between(0, 2_000_000);
            self.schedule(self.now_us + wait_us, Event::Reload(node));
        }
    }

    /// A node reads the rules as they are now, and judges again what it holds.
    pub(super) fn reload(&mut self, index: usize) -> Checked {
        let rules = self.revocations.len();
        if self.nodes[index].replica.is_none() || self.nodes[index].rules == rules {
            return Ok(());
        }
        self.nodes[index].rules = rules;
        self.rejudge(index)?;
        self.last_change_us = self.now_us;
        self.settle(index);
        self.ask(index);
        self.read_on(index);
        self.after_change(index)
    }

    /// Judges again what a node holds, which began to live just now or has new rules.
    pub(super) fn rejudge(&mut self, index: usize) -> Checked {
        let rules = self.nodes[index].rules;
        let Some(replica) = &self.nodes[index].replica else { return Ok(()) };
        let own = replica.id().clone();
        if self.revocations[..rules].iter().any(|revoked| revoked.source == own) {
            // Whoever runs it gives it another key.
            self.take_fresh_id(index);
        }
        let (now_ms, empty) = (self.wall_ms(index), self.subject.new_model());
        let Some(mut replica) = self.nodes[index].replica.take() else { return Ok(()) };
        let dropped = replica.rejudge(now_ms, empty, |update| self.allowed_by(rules, update));
        self.note(format_args!("node {index} has {rules} rules, drops {dropped:?}"));
        let has_gap = replica.own_gap().is_some();
        let nothing = VersionVector::new();
        let held: Vec<&Update> = replica.updates_since(&nothing).collect();
        let (shown, expected) =
            (replica.model().view(), self.subject.expected(&joined(held.iter().copied())));
        let is_ahead = held.iter().any(|update| update.timestamp().as_millis() > now_ms);
        let emitted = held.iter().map(|update| update.id()).collect();
        let mut cursor = self.nodes[index].cursor.clone();
        let had_read = cursor.position() > 0;
        let _ = replica.changes(&mut cursor).count();
        let is_told = cursor.take_withdrawn() == (had_read && !dropped.is_empty());
        let allowed = |id: &scuttlebutt::UpdateId| {
            self.truth.get(id).is_none_or(|update| self.allowed_by(rules, update))
        };
        let trusted = self.nodes[index].trusted.iter().filter(|id| allowed(id)).cloned().collect();
        let unstored = self.nodes[index].unstored.iter();
        let unstored = unstored.filter(|(_, id)| allowed(id)).cloned().collect();
        let node = &mut self.nodes[index];
        (node.trusted, node.unstored) = (trusted, unstored);
        // What waits is asked about once more.
        node.heard_of.clear();
        node.cursor = cursor;
        node.asked.clear();
        node.replica = Some(replica);
        if !dropped.is_empty() {
            node.emitted = emitted;
            node.checked = VersionVector::new();
            node.has_dropped = true;
            self.coverage.hit("state: something dropped");
        }
        // What is ahead of this node's clock counts for retention once its time has come.
        if shown != expected && !is_ahead {
            let (shown, expected) = (excerpt(&shown, &expected), excerpt(&expected, &shown));
            return self.violation(format!("node {index} shows {shown} instead of {expected}"));
        }
        if !is_told {
            return self
                .violation(format!("readers of node {index} are not told what was dropped"));
        }
        if has_gap {
            self.coverage.hit("state: own updates may be elsewhere");
            // One whose id was drawn draws another; one with a key keeps it.
            if index.is_multiple_of(2) && self.nodes[index].kind == NodeKind::Ours {
                self.take_fresh_id(index);
            }
        }
        Ok(())
    }

    fn take_fresh_id(&mut self, index: usize) {
        // It is whoever runs it that chooses, and not a peer: that is not counted.
        self.nodes[index].renewals_left += 1;
        self.renew_id(index);
        self.nodes[index].written_as.clear();
    }
}
