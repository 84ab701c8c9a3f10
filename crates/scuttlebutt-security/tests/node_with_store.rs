//! A node that signs and keeps what it holds: its id is its key's, before and after.

use std::path::{Path, PathBuf};

use scuttlebutt::{LwwMap, Replica, SourceId, Trust, Verifier};
use scuttlebutt_net::{Node, StartError, fresh_id};
use scuttlebutt_security::{Ed25519Key, Ed25519Verifier};
use scuttlebutt_store::{Options, Store, StoreError};

/// A directory that goes away.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn store(path: &Path, id: &SourceId) -> Store {
    Store::open(path, Options::new("map", id.clone())).expect("a good store").0
}

async fn start(store: Store, key: Ed25519Key) -> Result<Node<LwwMap>, StartError> {
    let builder = Node::builder(LwwMap::new()).sign_with(key).verify_with(Ed25519Verifier);
    builder.store(store).start().await
}

#[tokio::test]
async fn a_stored_node_goes_on_signing_under_its_key() {
    let name = format!("signing-node-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let key = Ed25519Key::from_seed(&[7; 32]);
    for n in [1, 2] {
        let node = start(store(&directory.0, key.id()), key.clone()).await.expect("starts");
        let change = LwwMap::set(format!("k{n}"), &n).expect("a change");
        let written = node.update(change).await.expect("is signed");
        assert_eq!((written.source(), &node.id()), (key.id(), key.id()));
        let are_signed = |replica: &Replica<LwwMap>| {
            let verdicts =
                replica.updates_since(&Default::default()).map(|u| Ed25519Verifier.verify(u));
            verdicts.map(|verdict| assert_eq!(verdict, Trust::Trusted)).count()
        };
        assert_eq!(node.read_replica(are_signed), n);
        node.shutdown().await;
    }
    // The store of one key is no good for another.
    let other = Ed25519Key::from_seed(&[8; 32]);
    let refused = start(store(&directory.0, other.id()), other).await.err().expect("is refused");
    assert!(matches!(refused, StartError::Store(StoreError::WrongReplica { .. })), "{refused}");
}

/// Without a key, the store's own id is kept and nothing is signed.
#[tokio::test]
async fn a_node_without_a_key_signs_nothing() {
    let name = format!("unsigning-node-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let id = fresh_id();
    let builder = Node::builder(LwwMap::new()).store(store(&directory.0, &id));
    let node = builder.start().await.expect("starts");
    let written = node.update(LwwMap::set("k", &1).expect("a change")).await.expect("is written");
    assert!(written.extras().is_empty() && *written.source() == id);
    node.shutdown().await;
}
