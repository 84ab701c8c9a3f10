//! What nodes do: start, stop, write, and keep on disk what they must not forget.

use scuttlebutt::{Direction, Replica, SourceId, Update, VersionVector};

use super::{Checked, Event, NodeKind, World, limits};
use crate::disk::Disk;
use crate::subject::Subject;

impl<S: Subject> World<'_, S> {
    /// A new life: with what the disk kept, or empty under a new id.
    pub(super) fn start(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let is_new = node.disk.is_none() || node.life == 0;
        node.life += 1;
        let generation = if node.disk.is_some() { 1 } else { node.life };
        let id = SourceId::new(format!("n{index}.{generation}")).expect("an id");
        let mut replica = Replica::with_limits(id, self.subject.new_model(), limits());
        node.is_syncing = false;
        node.checked = VersionVector::new();
        node.emitted.clear();
        node.greatest = None;
        if let Some(disk) = &node.disk {
            replica.wait_for_store();
            if !is_new {
                let (updates, vector) = disk.read();
                node.greatest = updates.iter().map(Update::timestamp).max();
                replica.restore(updates, &vector);
            }
        }
        node.emitted.extend(replica.updates_since(&VersionVector::new()).map(Update::id));
        node.cursor = replica.change_cursor();
        node.replica = Some(replica);
        let life = self.nodes[index].life;
        self.note(format_args!("node {index} starts, life {life}"));
    }

    pub(super) fn restart(&mut self, index: usize) -> Checked {
        if self.nodes[index].is_lost || self.nodes[index].replica.is_some() {
            return Ok(());
        }
        self.start(index);
        if let Some(disk) = &self.nodes[index].disk {
            let (stored, _) = disk.read();
            self.check_memory_kept(index)?;
            if let Some(replica) = &self.nodes[index].replica {
                self.truth.forget_unstored(replica.id(), &stored);
            }
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
        node.replica = None;
        if let Some(disk) = &mut node.disk {
            let before = disk.clone();
            disk.crash(&mut self.chance);
            if disk.read().0.len() < before.read().0.len() {
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
            let Some(replica) = &mut self.nodes[index].replica else { return Ok(()) };
            match replica.local_update(now_ms, change) {
                Ok(update) => {
                    self.note(format_args!("node {index} writes {update:?}"));
                    self.check_local_write(index, &update)?;
                    self.truth.add(&update);
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
        for link in 0..self.links.len() {
            for side in 0..2 {
                if self.links[link].nodes[side] == index {
                    self.pump(link, side);
                }
            }
        }
        Ok(())
    }

    pub(super) fn write_to_disk(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&mut node.disk, &node.replica) else { return };
        if node.is_syncing || replica.durable() == replica.head() {
            return;
        }
        for update in replica.unstored() {
            disk.append(update);
        }
        disk.append_vector(&replica.version_vector());
        node.is_syncing = true;
        let (life, position) = (node.life, replica.head());
        let wait_us = self.chance.around(self.scenario.sync_ms as f64 * 1_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Synced { node: index, life, position });
    }

    pub(super) fn disk_synced(&mut self, index: usize, life: u64, position: u64) -> Checked {
        let node = &mut self.nodes[index];
        let (Some(disk), Some(replica)) = (&mut node.disk, &mut node.replica) else {
            return Ok(());
        };
        if node.life != life {
            return Ok(());
        }
        disk.sync();
        node.is_syncing = false;
        replica.stored(position);
        let id = replica.id().clone();
        let durable = replica.version_vector().timestamp(&id);
        let last = node.acknowledged.last().map(|id| id.timestamp);
        if let Some(durable) = durable {
            let news = self.truth.between(&id, last, durable).map(Update::id).collect::<Vec<_>>();
            self.nodes[index].acknowledged.extend(news);
        }
        self.after_change(index)
    }
}
