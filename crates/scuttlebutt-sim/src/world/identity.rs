//! Under which ids nodes write, and what happens to disks that makes an id doubtful: they are set back
//! to earlier states, and copied.

use scuttlebutt::{SourceId, Update, VersionVector};

use super::{Event, Node, NodeKind, World};
use crate::subject::Subject;

impl<S: Subject> World<'_, S> {
    /// An id that nobody has had.
    pub(super) fn fresh_id(&mut self, index: usize) -> SourceId {
        let node = &mut self.nodes[index];
        node.ids_drawn += 1;
        SourceId::new(format!("n{index}.{}", node.ids_drawn)).expect("an id")
    }

    /// A node hears what a peer announces.
    pub(super) fn hear(&mut self, index: usize, vector: &VersionVector) {
        let now_ms = self.wall_ms(index);
        let Some(replica) = &mut self.nodes[index].replica else { return };
        if replica.is_identity_disputed_by(vector, now_ms) {
            self.renew_id(index);
        } else {
            replica.confirm_identity();
        }
    }

    /// From now on a node writes under a fresh id, as far as it may still change.
    pub(super) fn renew_id(&mut self, index: usize) {
        if self.nodes[index].kind == NodeKind::Original {
            return;
        }
        let Some(left) = self.nodes[index].renewals_left.checked_sub(1) else {
            self.coverage.hit("state: no identity left");
            return;
        };
        let id = self.fresh_id(index);
        self.coverage.hit("state: identity renewed");
        self.note(format_args!("node {index} writes as {id} from now on"));
        let node = &mut self.nodes[index];
        node.renewals_left = left;
        node.ids.insert(id.clone());
        if let Some(replica) = &mut node.replica {
            replica.renew_identity(id);
        }
    }

    /// An update was written. The clock of a node that was set back may be behind what it forgot, if it
    /// followed others that are ahead, or the wall clock stepped back. Then whoever has what was forgotten
    /// believes to have what is written now as well; and if it gets the same name, nobody can tell which
    /// of the two is meant.
    pub(super) fn add_to_truth(&mut self, index: usize, update: &Update) {
        if !self.truth.add(update) {
            self.coverage.hit("state: one name, two updates");
            self.truth.mark_forged(update.source());
            self.is_tainted = true;
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
