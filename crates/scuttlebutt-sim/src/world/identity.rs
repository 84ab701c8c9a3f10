//! Under which ids nodes write, and what happens to disks that makes an id doubtful: they are set back
//! to earlier states, and copied.

use scuttlebutt::{Limits, SourceId, Update};

use super::{Checked, Event, Node, World, limits};
use crate::disk::SimulatedDisk;
use crate::subject::Subject;

impl<S: Subject> World<'_, S> {
    /// An id that nobody has had.
    pub(super) fn fresh_id(&mut self, index: usize) -> SourceId {
        let node = &mut self.nodes[index];
        node.ids_drawn += 1;
        SourceId::new(format!("n{index}.{}", node.ids_drawn)).expect("an id")
    }

    /// Something came in at a node, or is about to be written: it takes a fresh id if it has to.
    pub(super) fn renew_id_if_due(&mut self, index: usize) -> Checked {
        let now_ms = self.wall_ms(index);
        let due = self.nodes[index].replica.as_ref().is_some_and(|it| it.is_renewal_due(now_ms));
        if !due {
            return Ok(());
        }
        let id = self.fresh_id(index);
        self.coverage.hit("state: identity renewed");
        self.note(format_args!("node {index} writes as {id} from now on"));
        let node = &mut self.nodes[index];
        node.ids.insert(id.clone());
        let Some(replica) = &mut node.replica else { return Ok(()) };
        let (contested, begin) = (replica.id().clone(), replica.head());
        let again = replica.renew_identity(now_ms, id);
        for (position, update) in (begin..).zip(&again) {
            self.wrote(index, position, update)?;
        }
        if !again.is_empty() {
            self.coverage.hit("state: written again");
            // What is written again stands for them. Nobody who lacks the first writing is told of it.
            self.hide_writes_of_this_life(index, &contested);
        }
        again.last().map_or(Ok(()), |last| self.check_effect(index, last))
    }

    /// Others may believe that what a node wrote in this life under an id does not exist.
    fn hide_writes_of_this_life(&mut self, index: usize, id: &SourceId) {
        for update in self.nodes[index].written.iter().filter(|update| update.source == *id) {
            self.truth.hide(update);
        }
    }

    /// A node whose id another has as well stops before it heard of it: what it wrote in this life it
    /// will not write again.
    pub(super) fn hide_if_shared(&mut self, index: usize) {
        let id = self.nodes[index].replica.as_ref().map(|replica| replica.id().clone());
        if let Some(id) = id.filter(|id| self.truth.is_shared(id)) {
            self.coverage.hit("state: shared id kept to the end");
            self.hide_writes_of_this_life(index, &id);
        }
    }

    /// Whether a node is about to take a fresh id.
    pub(super) fn is_renewal_near(&self, index: usize) -> bool {
        let Limits { identity_renewal_wait_ms_min, own_history_wait_ms_max, .. } = limits();
        let wait_ms = identity_renewal_wait_ms_min.max(own_history_wait_ms_max);
        let soon_ms = self.wall_ms(index) + wait_ms;
        let is_due = |it: &scuttlebutt::Replica<S::Model>| it.is_renewal_due(soon_ms);
        self.nodes[index].replica.as_ref().is_some_and(is_due)
    }

    /// An update was written. The clock of a node that was set back may be behind what it forgot, if it
    /// followed others that are ahead, or the wall clock stepped back. Then whoever has what was forgotten
    /// believes to have what is written now as well; and if it gets the same name, nobody can tell which
    /// of the two is meant.
    pub(super) fn add_to_truth(&mut self, index: usize, update: &Update) {
        if !self.truth.add(update) {
            self.coverage.hit("state: one name, two updates");
            self.truth.mark_shared(update.source());
            // The original's keep the side that comes first.
            self.is_tainted |= self.scenario.originals > 0;
        }
        let mut forgotten = self.nodes[index].forgotten.iter();
        if forgotten.any(|id| id.source == *update.source() && id.timestamp > update.timestamp()) {
            self.coverage.hit("state: written behind what was forgotten");
            self.truth.hide(&update.id());
        }
    }

    /// A node with a disk stops, and returns with an earlier state of it.
    pub(super) fn set_back(&mut self, index: usize) {
        self.mark("disk set back", format_args!("node {index} stops, and its disk is set back"));
        self.stop(index);
        let node = &mut self.nodes[index];
        let Some(disk) = &mut node.disk else { return };
        if disk.set_back() {
            self.coverage.hit("fault: disk set back");
            node.acknowledged.clear();
            for id in &node.ids {
                let of_it = disk.updates().filter(|update| update.source() == id);
                let newest = of_it.map(Update::timestamp).max();
                let forgotten =
                    self.truth.of(id).filter(|update| Some(update.timestamp()) > newest);
                node.forgotten.extend(forgotten.map(Update::id));
            }
        }
        self.plan_restart(index);
    }

    /// A node stops, and returns with a copy of another's disk.
    pub(super) fn copy_disk(&mut self, from: usize, to: usize) {
        let id = self.fresh_id(to);
        let Some(copy) = self.nodes[from].disk.as_ref().map(|disk| disk.copy(id)) else { return };
        self.coverage.hit("fault: disk copied");
        self.mark(
            "disk copied",
            format_args!("node {to} stops, and gets a copy of node {from}'s disk"),
        );
        self.stop(to);
        let node = &mut self.nodes[to];
        node.disk = Some(copy);
        node.ids.clear();
        node.acknowledged.clear();
        node.forgotten.clear();
        self.plan_restart(to);
    }

    /// A node stops, and returns with a copy of another's disk that passes for that one: both write under
    /// one id until they hear of it.
    pub(super) fn clone_disk(&mut self, from: usize, to: usize) {
        let Some(twin) = self.nodes[from].disk.as_ref().map(SimulatedDisk::twin) else { return };
        self.coverage.hit("fault: disk cloned");
        self.mark(
            "disk cloned",
            format_args!("node {to} stops, and gets a clone of node {from}'s disk"),
        );
        self.stop(to);
        self.truth.mark_shared(twin.id());
        let node = &mut self.nodes[to];
        node.ids = [twin.id().clone()].into();
        node.disk = Some(twin);
        node.acknowledged.clear();
        node.forgotten.clear();
        self.plan_restart(to);
    }

    pub(super) fn plan_restart(&mut self, index: usize) {
        let wait_us = self.chance.between(1_000, 1_000_000);
        self.schedule(self.now_us + wait_us, Event::Restart(index));
    }

    /// One that announces later writes than it forgot, under the same id, hides those from whoever
    /// believes it.
    pub(crate) fn note_hidden(&mut self, index: usize) {
        let node = &self.nodes[index];
        if node.forgotten.is_empty() {
            return;
        }
        let Some(replica) = &node.replica else { return };
        let announced = replica.version_vector().timestamp(replica.id());
        let is_hidden = |id: &&scuttlebutt::UpdateId| {
            id.source == *replica.id() && Some(id.timestamp) <= announced && !replica.is_live(id)
        };
        let hidden: Vec<_> = node.forgotten.iter().filter(is_hidden).cloned().collect();
        for id in hidden {
            let is_live = |node: &Node<S::Model>| {
                node.replica.as_ref().is_some_and(|replica| replica.is_live(&id))
            };
            if self.nodes.iter().any(is_live) {
                self.coverage.hit("state: forgotten update hidden");
            }
            self.nodes[index].forgotten.remove(&id);
            self.truth.hide(&id);
        }
    }
}
