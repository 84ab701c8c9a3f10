//! What must hold in every state of a small world, and what once nothing moves any more.

use scuttlebutt::{LwwMap, Replica, Update, UpdateId, VersionVector};

use super::state::{Checked, State};
use crate::subject::{MapSubject, Subject};

impl State<'_> {
    /// Nothing is invented or shown twice.
    pub(super) fn show(&mut self) -> Checked {
        for node in &mut self.nodes {
            let Some(replica) = &node.replica else { continue };
            for changed in replica.changes(&mut node.cursor) {
                let id = changed.update.id();
                if !self.truth.iter().any(|(true_id, _)| *true_id == id) {
                    return Err(format!("{} shows {id:?}, which nobody wrote", replica.id()));
                }
                if !node.shown.insert(id.clone()) {
                    return Err(format!("{} shows {id:?} twice", replica.id()));
                }
            }
            node.cursor.take_missed();
        }
        Ok(())
    }

    /// What must hold in every state.
    pub(super) fn check(&self) -> Checked {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            let vector = replica.version_vector();
            for (id, key) in &self.truth {
                let is_covered = self.covers(replica, id, key);
                if vector.includes(&id.source, id.timestamp) && !is_covered {
                    return Err(format!(
                        "I2: {} announces {vector:?} but holds neither {id:?} nor what supersedes it",
                        replica.id()
                    ));
                }
                if node.shown.contains(id) && !is_covered {
                    return Err(format!("{} has lost {id:?}, which it showed", replica.id()));
                }
            }
        }
        Ok(())
    }

    /// Whether a replica holds an update or one that supersedes it, in the log as in the model.
    fn covers(&self, replica: &Replica<LwwMap>, id: &UpdateId, key: &str) -> bool {
        let is_held = self
            .truth
            .iter()
            .any(|(other, other_key)| *other_key == key && other >= id && replica.is_live(other));
        is_held && replica.model().entry(key).is_some_and(|entry| entry.update.id() >= *id)
    }

    /// I1: those who are linked show and announce the same, and all of what they have.
    pub(super) fn check_at_rest(&self) -> Checked {
        for [left, right] in self.world.links {
            let (Some(left), Some(right)) =
                (&self.nodes[*left].replica, &self.nodes[*right].replica)
            else {
                continue;
            };
            let nothing = VersionVector::new();
            let held = left.updates_since(&nothing).chain(right.updates_since(&nothing));
            let mut held: Vec<&Update> = held.collect();
            held.sort_by_key(|update| update.id());
            let expected = MapSubject.expected(&held);
            for replica in [left, right] {
                let shown = replica.model().to_json();
                if shown != expected {
                    return Err(format!("I1: {} shows {shown}, not {expected}", replica.id()));
                }
            }
            let vectors = [left.version_vector(), right.version_vector()];
            if vectors[0] != vectors[1] {
                return Err(format!(
                    "I1: {} announces {:?}, {} announces {:?}",
                    left.id(),
                    vectors[0],
                    right.id(),
                    vectors[1]
                ));
            }
        }
        Ok(())
    }
}
