//! What nodes do: start, stop, write, and keep on disk what they must not forget.

use scuttlebutt::{Direction, Replica, VersionVector};
use scuttlebutt_store::{Batch, StoreLimits};

use super::{Checked, Event, NodeKind, World, limits, limits_of};
use crate::original::Original;
use crate::subject::Subject;

/// So few that catching up takes several batches.
pub(crate) const BATCH_UPDATES_MAX: usize = 64;

impl<S: Subject> World<'_, S> {
    /// A new life: with what the disk kept, or empty under a new id.
    pub(super) fn start(&mut self, index: usize) {
        if self.nodes[index].kind == NodeKind::Original {
            let original = Original::new(self.fresh_id(index), self.subject.new_model());
            self.nodes[index].original = Some(original);
            self.note(format_args!("node {index} starts, of the original's kind"));
            return;
        }
        let kept_id = self.nodes[index].disk.as_ref().map(|disk| disk.id().clone());
        let id = kept_id.unwrap_or_else(|| self.fresh_id(index));
        let node = &mut self.nodes[index];
        node.life += 1;
        node.is_rest_planned = false;
        node.renewals_left = limits().identity_renewals_max;
        node.ids.insert(id.clone());
        node.written_as.clear();
        node.checked = VersionVector::new();
        node.emitted.clear();
        node.greatest = None;
        node.asked.clear();
        node.heard_of.clear();
        node.trusted.clear();
        node.out_of_reach.clear();
        node.unread.clear();
        let limits = limits_of(self.nodes[index].compresses);
        let replica = Replica::with_limits(id, self.subject.new_model(), limits);
        let life = (index as u64) << 32 | self.nodes[index].life;
        let mut replica = self.with_verifier(replica).in_life(life);
        let node = &mut self.nodes[index];
        if let Some(disk) = &node.disk {
            disk.load(&mut replica);
            node.greatest = disk.updates().map(scuttlebutt::Update::timestamp).max();
            node.vector_changes = replica.vector_changes();
        }
        node.emitted.extend(replica.updates_since(&VersionVector::new()).map(|update| update.id()));
        node.cursor = replica.change_cursor();
        node.replica = Some(replica);
        self.nodes[index].rules = self.revocations.len();
        let life = self.nodes[index].life;
        self.note(format_args!("node {index} starts, life {life}"));
    }

    pub(super) fn restart(&mut self, index: usize) -> Checked {
        if self.nodes[index].is_lost || self.nodes[index].is_running() {
            return Ok(());
        }
        self.start(index);
        if !self.revocations.is_empty() {
            self.rejudge(index)?;
        }
        if let Some(disk) = &self.nodes[index].disk {
            let stored: std::collections::BTreeSet<_> =
                disk.updates().map(|update| update.id()).collect();
            for (_, id) in std::mem::take(&mut self.nodes[index].unstored) {
                if !stored.contains(&id) {
                    self.truth.remove(&id);
                }
            }
            self.check_memory_kept(index)?;
        }
        for link in 0..self.links.len() {
            if self.links[link].nodes.contains(&index) {
                self.plan_connect(link);
            }
        }
        self.after_change(index)
    }

    /// A node stops where it stands.
    pub(super) fn stop(&mut self, index: usize) {
        for link in 0..self.links.len() {
            if self.links[link].nodes.contains(&index) && self.links[link].is_up {
                self.cut(link);
            }
        }
        let node = &mut self.nodes[index];
        node.original = None;
        let Some(replica) = node.replica.take() else { return };
        if let Some(disk) = &mut node.disk {
            disk.crash(&mut self.chance);
            let held = disk.updates().count();
            if held < replica.updates_held() {
                self.coverage.hit("fault: disk lost what was not synced");
            }
        }
    }

    pub(super) fn write(&mut self, index: usize) -> Checked {
        if self.is_calm || self.nodes[index].is_lost {
            return Ok(());
        }
        self.plan_write(index);
        // One that never sends would keep its writes for itself.
        if self.nodes[index].kind == NodeKind::OneWay(Direction::ReceiveOnly) {
            return Ok(());
        }
        let count = self.chance.between(1, self.scenario.burst_max);
        for _ in 0..count {
            let now_ms = self.wall_ms(index);
            let change = self.subject.change(&mut self.chance, self.scenario.keys);
            let node = &mut self.nodes[index];
            if let Some(original) = &mut node.original {
                match original.write(now_ms, &change) {
                    Some(update) => {
                        self.note(format_args!("node {index} writes {update:?}"));
                        self.add_to_truth(index, &update);
                    }
                    None => self.coverage.hit("peer: original lost its own write"),
                }
                continue;
            }
            let Some(replica) = &mut node.replica else { return Ok(()) };
            match replica.local_update(now_ms, change) {
                Ok(update) => {
                    if node.disk.is_some() {
                        node.unstored.push((replica.head() - 1, update.id()));
                    }
                    node.written_as.insert(update.source().clone());
                    self.note(format_args!("node {index} writes {update:?}"));
                    self.check_local_write(index, &update)?;
                    self.add_to_truth(index, &update);
                }
                Err(error) => return self.violation(format!("a local write was refused: {error}")),
            }
        }
        self.after_change(index)
    }

    /// What follows from a change of a node's replica.
    pub(super) fn after_change(&mut self, index: usize) -> Checked {
        self.check_node(index)?;
        self.write_to_disk(index);
        self.pump_all(index);
        Ok(())
    }

    /// Moves what a node has to say to anybody.
    pub(super) fn pump_all(&mut self, index: usize) {
        for link in 0..self.links.len() {
            for side in 0..2 {
                if self.links[link].nodes[side] == index {
                    self.pump(link, side);
                }
            }
        }
    }

    /// Updates and ids are written at once; what only saves work after the next start waits.
    fn write_to_disk(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&node.disk, &node.replica) else { return };
        if disk.is_writing() {
            return;
        }
        if replica.durable() < replica.head() || replica.id() != disk.id() {
            self.write_batch(index);
        } else if replica.vector_changes() > node.vector_changes && !node.is_rest_planned {
            node.is_rest_planned = true;
            let (life, wait_us) = (node.life, limits().store_delay_ms_max * 1_000);
            self.schedule(self.now_us + wait_us, Event::WriteRest { node: index, life });
        }
    }

    pub(super) fn write_rest(&mut self, index: usize, life: u64) {
        let node = &mut self.nodes[index];
        if node.life != life {
            return;
        }
        node.is_rest_planned = false;
        if node.disk.as_ref().is_some_and(|disk| !disk.is_writing()) {
            self.write_batch(index);
        }
    }

    fn write_batch(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&mut node.disk, &mut node.replica) else { return };
        let limits = StoreLimits { batch_updates_max: BATCH_UPDATES_MAX, ..StoreLimits::default() };
        disk.begin(replica.id().clone(), Batch::collect(replica, node.vector_changes, &limits));
        let life = node.life;
        let wait_us = self.chance.around(self.scenario.sync_ms as f64 * 1_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Synced { node: index, life });
    }

    pub(super) fn disk_synced(&mut self, index: usize, life: u64) -> Checked {
        let node = &mut self.nodes[index];
        if node.life != life {
            return Ok(());
        }
        let (Some(disk), Some(replica)) = (&mut node.disk, &mut node.replica) else {
            return Ok(());
        };
        let Some(batch) = disk.finish() else { return Ok(()) };
        let faults = &self.scenario.faults;
        if (faults.set_back.is_some() || faults.copied.is_some()) && self.chance.happens(0.1) {
            disk.take_snapshot();
        }
        node.vector_changes = batch.vector_changes();
        replica.stored(batch.end());
        let stored = node.unstored.partition_point(|(position, _)| *position < batch.end());
        node.acknowledged.extend(node.unstored.drain(..stored).map(|(_, id)| id));
        self.after_change(index)
    }
}
