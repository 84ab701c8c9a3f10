//! The nodes that may come in by their keys. The list can be replaced while nodes use it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use super::node_key::NodeKey;

/// Keys of nodes that are admitted. Clones are the same list.
///
/// ```
/// use scuttlebutt_net::{Admitted, NodeKey};
///
/// let [ada, ben] = [NodeKey::from_bytes([1; 32]), NodeKey::from_bytes([2; 32])];
/// let admitted: Admitted = [ada].into_iter().collect();
/// let same = admitted.clone();
/// same.replace([ben]);
/// assert!(admitted.contains(&ben) && !admitted.contains(&ada));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Admitted(Arc<RwLock<BTreeSet<NodeKey>>>);

impl Admitted {
    /// From now on these count. Connections that there are go on.
    pub fn replace(&self, keys: impl IntoIterator<Item = NodeKey>) {
        let keys = keys.into_iter().collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whether this node is admitted.
    #[must_use]
    pub fn contains(&self, key: &NodeKey) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }
}

impl FromIterator<NodeKey> for Admitted {
    fn from_iter<I: IntoIterator<Item = NodeKey>>(keys: I) -> Self {
        Self(Arc::new(RwLock::new(keys.into_iter().collect())))
    }
}
