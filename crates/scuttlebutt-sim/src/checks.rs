//! The rules, checked against the truth after every event and at the end.
//!
//! Each check is named after the invariant that it holds. None of them asks the log or the vector
//! how they came about; they only look at what is there.

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{
    Direction, ForkProof, Model, Replica, SourceId, Timestamp, Update, UpdateId, VersionVector,
};

use crate::original::Original;
use crate::subject::Subject;
use crate::truth::Truth;
use crate::world::{BATCH_UPDATES_MAX, Checked, Node, NodeKind, UNJUDGED_MAX, World, limits};

impl<S: Subject> World<'_, S> {
    /// I4: a local write is later than everything before, and takes effect.
    pub(crate) fn check_local_write(&mut self, index: usize, update: &Update) -> Checked {
        let node = &mut self.nodes[index];
        let greatest = node.greatest;
        node.greatest = greatest.max(Some(update.timestamp()));
        if greatest >= Some(update.timestamp()) {
            return self.violation(format!(
                "I4: node {index} wrote {update:?}, which is not later than {greatest:?}"
            ));
        }
        // A forged timestamp moves no clock.
        let latest = self.truth.newest().map_or(0.0, Timestamp::as_millis).max(self.wall_ms(index));
        if update.timestamp().as_millis() > latest + 1.0 {
            return self.violation(format!(
                "I5: node {index} wrote {update:?}, later than anybody's clock"
            ));
        }
        let node = &self.nodes[index];
        let is_live = node.replica.as_ref().is_some_and(|replica| replica.is_live(&update.id()));
        if !is_live {
            return self.violation(format!("I4: node {index} wrote {update:?} to no effect"));
        }
        Ok(())
    }

    /// What must hold of a node whenever something changed in it.
    pub(crate) fn check_node(&mut self, index: usize) -> Checked {
        self.note_hidden(index);
        self.check_changes(index)?;
        self.check_bounds(index)?;
        if !self.is_tainted {
            self.check_no_gaps(index)?;
        }
        Ok(())
    }

    /// Nothing is invented, altered or shown twice.
    fn check_changes(&mut self, index: usize) -> Checked {
        let mut cursor = self.nodes[index].cursor.clone();
        let mut seen = Vec::new();
        if let Some(replica) = &self.nodes[index].replica {
            let changes = replica.changes(&mut cursor);
            seen.extend(changes.map(|changed| (changed.update.clone(), changed.is_local)));
        }
        self.coverage.add("state: overwritten", cursor.take_missed());
        self.nodes[index].cursor = cursor;
        for (update, is_local) in seen {
            let is_believed = is_local || self.nodes[index].trusted.contains(&update.id());
            if self.scenario.verdicts.is_some() && !is_believed {
                return self.violation(format!(
                    "I5: node {index} shows {update:?}, for which nobody has vouched"
                ));
            }
            match self.truth.get(&update.id()) {
                None => {
                    return self
                        .violation(format!("node {index} shows {update:?}, which nobody wrote"));
                }
                Some(true_one) if *true_one != update && !self.truth.has_two(&update.id()) => {
                    return self.violation(format!(
                        "node {index} shows {update:?}, but what was written is {true_one:?}"
                    ));
                }
                Some(_) => {}
            }
            let node = &mut self.nodes[index];
            node.greatest = node.greatest.max(Some(update.timestamp()));
            if !node.emitted.insert(update.id()) && !self.truth.has_two(&update.id()) {
                return self.violation(format!("node {index} shows {update:?} twice"));
            }
        }
        Ok(())
    }

    /// I8: bounds are kept.
    fn check_bounds(&mut self, index: usize) -> Checked {
        let Some(replica) = &self.nodes[index].replica else { return Ok(()) };
        let limits = limits();
        let held = replica.updates_held();
        let ids = self.nodes[index].written_as.len();
        if ids > limits.identity_renewals_max + 1 {
            return self.violation(format!("I8: node {index} has written under {ids} ids"));
        }
        if held > limits.updates_max || self.nodes[index].checked.len() > limits.sources_max {
            return self.violation(format!("I8: node {index} holds {held} updates"));
        }
        Ok(())
    }

    /// I2: of every update of a source up to the announced timestamp that was ever made, the node
    /// holds it, or one that supersedes it. Looks at what was announced since the last time.
    fn check_no_gaps(&mut self, index: usize) -> Checked {
        let Some(replica) = &self.nodes[index].replica else { return Ok(()) };
        let vector = replica.version_vector();
        let mut uncovered = Vec::new();
        for (source, announced) in vector.iter() {
            let checked = self.nodes[index].checked.timestamp(source);
            if checked < Some(announced) && !self.truth.is_forged(source) {
                let missing = self.truth.between(source, checked, announced);
                uncovered.extend(
                    missing.filter(|update| {
                        !replica.is_live(&update.id()) && self.allows(index, update)
                    }),
                );
            }
        }
        uncovered.retain(|update| !self.truth.was_skipped_by_originals(&update.id()));
        if let Some(update) = first_lost(self.subject, replica, uncovered, &self.truth) {
            let at = vector.timestamp(update.source());
            return self.violation(format!(
                "I2: node {index} announces {}@{at:?} but holds neither {update:?} nor what \
                 supersedes it",
                update.source()
            ));
        }
        self.nodes[index].checked = vector;
        Ok(())
    }

    /// One of the original's kind has taken in what `sender` sent it, with the clock of that source at
    /// `before`. Where its clock went past an update
    /// that it neither holds nor holds a superseder of, it says more than it has until that has come: a
    /// history leaves out what is superseded, and it passes on the lines of one as they come.
    pub(crate) fn note_skipped(
        &mut self,
        index: usize,
        sender: usize,
        before: Option<Timestamp>,
        taken: &Update,
    ) {
        let Some(original) = self.nodes[index].original.as_ref().filter(|_| !self.is_tainted)
        else {
            return;
        };
        let passed = self.truth.between(taken.source(), before, taken.timestamp());
        // A removal adds nothing where there was nothing: whether it holds what superseded one shows only
        // beside a value that the removal would remove.
        let is_lost = |passed: &&Update| {
            let key = passed.change().strip_suffix("null]");
            let is_removed = |other: &&Update| {
                other.cmp_order(passed).is_lt()
                    && key.and_then(|key| other.change().strip_prefix(key)) != Some("null]")
                    && key.is_some_and(|key| other.change().starts_with(key))
            };
            let removed = self.truth.all().find(is_removed);
            let mut held = joined(original.history().chain(removed));
            let shown = self.subject.expected(&held);
            held.push(passed);
            held.sort_by(|a, b| a.cmp_order(b));
            self.subject.expected(&held) != shown
        };
        let passed = passed.filter(|passed| !original.holds(&passed.id()));
        let skipped: BTreeSet<_> = passed.filter(is_lost).map(Update::id).collect();
        if skipped.is_empty() {
            return;
        }
        self.coverage.hit(match self.nodes[sender].kind {
            NodeKind::Original => "state: an original skipped what an original had left out",
            _ => "state: an original skipped what we had left out",
        });
        self.note(format_args!("node {index} skips {skipped:?}"));
        self.truth.note_skipped(skipped);
    }

    /// I3: what a node acknowledged, or sent of its own, it has after a crash.
    pub(crate) fn check_memory_kept(&mut self, index: usize) -> Checked {
        let Node { replica: Some(replica), acknowledged, ids, forgotten, .. } = &self.nodes[index]
        else {
            return Ok(());
        };
        if self.nodes[index].has_dropped {
            // What was dropped may have superseded what it wrote, and have outlived it.
            return Ok(());
        }
        let ids = || ids.iter().filter(|id| !self.truth.is_forged(id));
        let acknowledged = acknowledged.iter().filter(|id| !self.truth.is_forged(&id.source));
        let acknowledged = acknowledged.filter_map(|id| self.truth.get(id));
        let acknowledged = acknowledged.filter(|update| self.allows(index, update)).collect();
        if let Some(update) = first_lost(self.subject, replica, acknowledged, &self.truth) {
            return self.violation(format!("I3: node {index} forgot {update:?}, acknowledged"));
        }
        for (other, node) in self.nodes.iter().enumerate() {
            let Some(their) = node.replica.as_ref().filter(|_| other != index) else { continue };
            let sent = ids()
                .flat_map(|id| self.truth.of(id))
                .filter(|update| their.is_live(&update.id()) && !forgotten.contains(&update.id()))
                .filter(|update| self.allows(index, update));
            if let Some(update) = first_lost(self.subject, replica, sent.collect(), &self.truth) {
                return self.violation(format!(
                    "I3: node {index} forgot {update:?}, which node {other} holds"
                ));
            }
        }
        Ok(())
    }

    /// What must be there in the end: all that anybody had when the faults stopped.
    pub(crate) fn survivors(&self) -> BTreeMap<UpdateId, Update> {
        let mut updates = BTreeMap::new();
        for index in 0..self.nodes.len() {
            let is_heard = self.nodes[index].kind != NodeKind::OneWay(Direction::ReceiveOnly);
            if let Some(replica) = self.nodes[index].replica.as_ref().filter(|_| is_heard) {
                for update in replica.updates_since(&VersionVector::new()) {
                    updates.insert(update.id(), update.clone());
                }
                // What waits is as good as held.
                updates.extend(self.nodes[index].heard_of.clone());
            }
            let originals = self.nodes[index].original.as_ref();
            for update in originals.into_iter().flat_map(Original::history) {
                updates.insert(update.id(), update.clone());
            }
        }
        updates
    }

    /// I1: at rest, everybody shows what the survivors had, and announces the same.
    pub(crate) fn check_convergence(&mut self, survivors: &BTreeMap<UpdateId, Update>) -> Checked {
        // With nobody left to pass things on, nobody is told anything.
        if self.is_tainted || self.relays().next().is_none() {
            return Ok(());
        }
        self.check_forks()?;
        if self.truth.hidden().next().is_some() {
            self.check_convergence_but_hidden(survivors)?;
            return self.check_vectors();
        }
        let updates: Vec<&Update> = survivors.values().collect();
        let expected = self.subject.expected(&updates);
        for index in 0..self.nodes.len() {
            if let Some(original) = &self.nodes[index].original {
                // What it drops of sources that nobody promised is as if it had it.
                let (excused, owed): (Vec<&Update>, Vec<&Update>) =
                    updates.iter().partition(|update| self.truth.was_released(update.source()));
                let holder = Excused { original, excused };
                if let Some(update) = first_lost(self.subject, &holder, owed, &self.truth) {
                    return self.violation(format!(
                        "I1: node {index}, of the original's kind, never got {update:?}"
                    ));
                }
            }
            let is_told = self.nodes[index].kind != NodeKind::OneWay(Direction::SendOnly);
            let Some(replica) = self.nodes[index].replica.as_ref().filter(|_| is_told) else {
                continue;
            };
            let shown = replica.model().view();
            // One that only receives may be the last to hold something, and tells nobody.
            let expected = match self.nodes[index].kind {
                NodeKind::OneWay(_) => {
                    let mut with_own = survivors.clone();
                    let nothing = VersionVector::new();
                    let held = replica.updates_since(&nothing);
                    with_own.extend(held.map(|update| (update.id(), update.clone())));
                    self.subject.expected(&with_own.values().collect::<Vec<_>>())
                }
                _ => expected.clone(),
            };
            if shown != expected {
                return self.violation(format!(
                    "I1: node {index} shows {} instead of {}",
                    excerpt(&shown, &expected),
                    excerpt(&expected, &shown)
                ));
            }
        }
        self.check_vectors()
    }

    /// I1 where a node that was set back announced later writes than it forgot: nobody shows what it
    /// does not hold, and whatever anybody lacks was forgotten so, or superseded by what was.
    fn check_convergence_but_hidden(&self, survivors: &BTreeMap<UpdateId, Update>) -> Checked {
        let shown_with_hidden = |updates: Vec<&Update>| {
            self.subject.expected(&joined(updates.into_iter().chain(self.truth.hidden())))
        };
        let nothing = VersionVector::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let is_told = node.kind != NodeKind::OneWay(Direction::SendOnly);
            let Some(replica) = node.replica.as_ref().filter(|_| is_told) else { continue };
            let held: Vec<&Update> = replica.updates_since(&nothing).collect();
            let all_held = joined(held.iter().copied());
            if replica.model().view() != self.subject.expected(&all_held) {
                return self.violation(format!("I1: node {index} shows what it does not hold"));
            }
            let mut expected: Vec<&Update> = survivors.values().collect();
            if matches!(node.kind, NodeKind::OneWay(_)) {
                expected.extend(&held);
            }
            let (found, expected) = (shown_with_hidden(held), shown_with_hidden(expected));
            if found != expected {
                return self.violation(format!(
                    "I1: node {index} lacks more than what was hidden: {} instead of {}",
                    excerpt(&found, &expected),
                    excerpt(&expected, &found)
                ));
            }
        }
        Ok(())
    }

    /// A fork of which anybody holds both sides is known to all, at rest. Models that let nothing go tell
    /// it exactly; with others the sides may be gone before they meet.
    fn check_forks(&mut self) -> Checked {
        if self.scenario.verdicts.is_none() || self.scenario.originals + self.scenario.one_way > 0 {
            return Ok(());
        }
        let mut reported = BTreeMap::new();
        for index in self.relays() {
            let Some(replica) = &self.nodes[index].replica else { continue };
            if !replica.model().never_supersedes() {
                return Ok(());
            }
            let forks: BTreeSet<String> =
                replica.forks().map(|proof| proof.to_json_lines()).collect();
            reported.insert(index, forks);
        }
        let all: BTreeSet<String> = reported.values().flatten().cloned().collect();
        let genuine: BTreeSet<String> = self.truth.forks().iter().flat_map(proof).collect();
        if let Some(invented) = all.iter().find(|fork| !genuine.contains(*fork)) {
            return self.violation(format!("a fork is reported that is none: {invented}"));
        }
        for (index, forks) in &reported {
            if let Some(unknown) = all.iter().find(|fork| !forks.contains(*fork)) {
                return self.violation(format!("node {index} does not report the fork {unknown}"));
            }
        }
        if !all.is_empty() {
            self.coverage.hit("state: fork known to all");
        }
        Ok(())
    }

    /// The second half of I1. Leaves out what I1 leaves out: sources under whose id somebody else
    /// wrote, and batches that can never be completed because whoever could promise them is gone.
    fn check_vectors(&mut self) -> Checked {
        let ours: Vec<usize> =
            self.relays().filter(|index| self.nodes[*index].kind == NodeKind::Ours).collect();
        let vectors: Vec<VersionVector> = ours
            .iter()
            .filter_map(|index| Some(self.nodes[*index].replica.as_ref()?.version_vector()))
            .collect();
        let mut joined = VersionVector::new();
        for vector in &vectors {
            joined.join(vector);
        }
        for (index, vector) in ours.iter().zip(&vectors) {
            for (source, at) in joined.iter() {
                let own = vector.timestamp(source);
                if own == Some(at) || self.truth.is_forged(source) {
                    continue;
                }
                // The original's replicas keep no evidence of superseded updates.
                let has_originals = self.scenario.originals + self.scenario.one_way > 0;
                if has_originals && self.holds_no_more(*index, source, own, at) {
                    continue;
                }
                return self.violation(format!(
                    "I1: node {index} announces {source}@{own:?}, another {source}@{at}"
                ));
            }
            let replica = self.nodes[*index].replica.as_ref();
            let is_behind = replica.is_some_and(|replica| {
                replica.updates_since(vector).any(|update| !self.truth.is_forged(update.source()))
            });
            if is_behind {
                self.coverage.hit("state: unannounced update held");
            }
        }
        Ok(())
    }

    /// Whether what a node announces of a source leaves out only what is superseded.
    fn holds_no_more(
        &self,
        index: usize,
        source: &SourceId,
        own: Option<Timestamp>,
        at: Timestamp,
    ) -> bool {
        let Some(replica) = &self.nodes[index].replica else { return true };
        let between = self.truth.between(source, own, at).collect();
        first_lost(self.subject, replica, between, &self.truth).is_none()
    }

    /// Progress: once the faults have stopped, everybody has everything within two seconds, in which
    /// links are dialled and what was stalled arrives, and then two round trips and two syncs of a
    /// disk for each hop.
    pub(crate) fn check_progress(&mut self) -> Checked {
        let hops = self.relays().count() as u64 + 2;
        let round_trip_us = 2 * (self.scenario.latency_ms.1 * 1_000 + 100);
        let has_disks = self.nodes.iter().any(|node| node.disk.is_some());
        let sync_us = if has_disks { self.scenario.sync_ms * 1_000 } else { 0 };
        let batches = (self.truth.len() / BATCH_UPDATES_MAX) as u64;
        // Verdicts take their time, and what could not even wait comes a second later.
        let verdicts_us = self.scenario.verdicts.as_ref().map_or(0, |verdicts| {
            let turns = (self.truth.len() / UNJUDGED_MAX) as u64 + 2 * hops;
            turns * (verdicts.delay_ms.0 + 20) * 1_000 + hops * 1_500_000
        });
        let patience_us = verdicts_us
            + 2_000_000
            + hops * (2 * round_trip_us + 2 * sync_us + HELD_BACK_US)
            + 2 * batches * sync_us;
        let took_us = self.last_change_us.saturating_sub(self.calm_since_us);
        if took_us > patience_us {
            return self.violation(format!(
                "no convergence within {} ms of calm: it took {} ms",
                patience_us / 1_000,
                took_us / 1_000
            ));
        }
        Ok(())
    }
}

/// How long something may be held back at each hop: two rounds of `Limits::relay_wait_ms_max`, and one more
/// that had begun.
const HELD_BACK_US: u64 = 60_000;

fn proof([one, other]: &[Update; 2]) -> Option<String> {
    Some(ForkProof::new(one.clone(), other.clone()).ok()?.to_json_lines())
}

/// Each of these updates once, in the order of (timestamp, source) and, within a fork, of their changes.
pub(crate) fn joined<'u>(updates: impl Iterator<Item = &'u Update>) -> Vec<&'u Update> {
    let mut updates: Vec<&Update> = updates.collect();
    updates.sort_by(|a, b| a.cmp_order(b));
    updates.dedup_by(|a, b| a.cmp_order(b).is_eq());
    updates
}

/// Whoever holds updates, of our kind or of the original's.
trait Holder {
    /// Whether it holds this one, and nothing that supersedes it.
    fn holds(&self, id: &UpdateId) -> bool;
    /// All of these.
    fn held(&self) -> Vec<&Update>;
}

impl<M: Model> Holder for Replica<M> {
    fn holds(&self, id: &UpdateId) -> bool {
        self.is_live(id)
    }

    fn held(&self) -> Vec<&Update> {
        self.updates_since(&VersionVector::new()).collect()
    }
}

impl<M: Model> Holder for Original<M> {
    fn holds(&self, id: &UpdateId) -> bool {
        Original::holds(self, id)
    }

    fn held(&self) -> Vec<&Update> {
        self.history().collect()
    }
}

/// One of the original's kind, as if it had these as well.
struct Excused<'a, M> {
    original: &'a Original<M>,
    excused: Vec<&'a Update>,
}

impl<M: Model> Holder for Excused<'_, M> {
    fn holds(&self, id: &UpdateId) -> bool {
        self.original.holds(id)
    }

    fn held(&self) -> Vec<&Update> {
        self.original.held().into_iter().chain(self.excused.iter().copied()).collect()
    }
}

/// The first of these updates that a replica neither holds nor holds a superseder of, and that is not
/// hidden or superseded by what is.
fn first_lost<'t, S: Subject>(
    subject: &S,
    holder: &impl Holder,
    updates: Vec<&'t Update>,
    truth: &Truth,
) -> Option<&'t Update> {
    let is_missing =
        |update: &&Update| !holder.holds(&update.id()) && !truth.is_hidden(&update.id());
    let missing: Vec<&Update> = updates.into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return None;
    }
    let held = joined(holder.held().into_iter().chain(truth.hidden()));
    let shown = subject.expected(&held);
    let shows_more = |missing: &[&Update]| {
        let mut with = [held.as_slice(), missing].concat();
        with.sort_by(|a, b| a.cmp_order(b));
        subject.expected(&with) != shown
    };
    // An update is superseded exactly if it would add nothing; so are all if together they would.
    if !shows_more(&missing) {
        return None;
    }
    missing.into_iter().find(|update| shows_more(std::slice::from_ref(update)))
}

/// Where two texts part.
pub(crate) fn excerpt(text: &str, other: &str) -> String {
    let at = text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let bytes = &text.as_bytes()[at.saturating_sub(20)..text.len().min(at + 60)];
    format!("…{}…", String::from_utf8_lossy(bytes))
}
