//! The nodes that may come in by their keys, and what each may do. The list can be replaced while
//! nodes use it: who is struck off is cut off.

use std::collections::BTreeMap;
use std::sync::Arc;

use scuttlebutt::Direction;
use tokio::sync::watch;

use super::node_key::NodeKey;

/// Keys of nodes that are admitted, and the direction of sessions with each. Clones are the same list.
///
/// ```
/// use scuttlebutt::Direction;
/// use scuttlebutt_net::{Admitted, NodeKey};
///
/// let [ada, ben] = [NodeKey::from_bytes([1; 32]), NodeKey::from_bytes([2; 32])];
/// let admitted: Admitted = [ada].into_iter().collect();
/// let same = admitted.clone();
/// same.replace([(ben, Direction::SendOnly)]); // Ben may read and not write
/// assert!(admitted.contains(&ben) && !admitted.contains(&ada));
/// ```
#[derive(Clone, Debug)]
pub struct Admitted(Arc<watch::Sender<BTreeMap<NodeKey, Direction>>>);

impl Admitted {
    /// From now on these count. Sessions with nodes that are no longer among them end; the direction of
    /// those that there are stays.
    pub fn replace(&self, keys: impl IntoIterator<Item = (NodeKey, Direction)>) {
        self.0.send_replace(keys.into_iter().collect());
    }

    /// Whether this node is admitted.
    #[must_use]
    pub fn contains(&self, key: &NodeKey) -> bool {
        self.0.borrow().contains_key(key)
    }

    /// The place of this node on the list, if it has one.
    pub(crate) fn place_of(&self, key: NodeKey) -> Option<Place> {
        let direction = *self.0.borrow().get(&key)?;
        Some(Place { list: self.clone(), key, direction })
    }
}

impl FromIterator<(NodeKey, Direction)> for Admitted {
    fn from_iter<I: IntoIterator<Item = (NodeKey, Direction)>>(keys: I) -> Self {
        Self(Arc::new(watch::Sender::new(keys.into_iter().collect())))
    }
}

impl FromIterator<NodeKey> for Admitted {
    /// These nodes may do whatever the listener allows.
    fn from_iter<I: IntoIterator<Item = NodeKey>>(keys: I) -> Self {
        keys.into_iter().map(|key| (key, Direction::Both)).collect()
    }
}

/// Why a connection was let in: a node's place on a list.
pub(crate) struct Place {
    list: Admitted,
    pub(crate) key: NodeKey,
    pub(crate) direction: Direction,
}

impl Place {
    /// Waits until the node is struck off.
    pub(crate) async fn lost(&self) {
        let mut keys = self.list.0.subscribe();
        // The sender is in the list, so this does not fail.
        let _ = keys.wait_for(|keys| !keys.contains_key(&self.key)).await;
    }
}
