//! A node that signs and keeps what it holds: its id is its key's, before and after, and it does not
//! write while it may have forgotten what it wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use scuttlebutt::{LocalUpdateError, LwwMap, Replica, SourceId, Trust, Update, Verifier};
use scuttlebutt_net::{Node, StartError, UpdateError, fresh_id};
use scuttlebutt_security::{Ed25519Key, Ed25519Verifier};
use scuttlebutt_store::{FILE_NAME, LOCK_NAME, Options, Store};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A directory that goes away.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("{name}-{}", std::process::id())))
    }
}

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

async fn write(node: &Node<LwwMap>, key: &str) -> Result<Update, UpdateError> {
    node.update(LwwMap::set(key, &1).expect("a change")).await
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it comes to be");
}

#[tokio::test]
async fn a_stored_node_goes_on_signing_under_its_key() {
    let directory = Directory::new("signing-node");
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
}

/// A store that was made without a key goes on under one, as under a fresh id.
#[tokio::test]
async fn a_store_takes_the_id_of_a_key() {
    let directory = Directory::new("keyed-store");
    let key = Ed25519Key::from_seed(&[7; 32]);
    let drawn = fresh_id();
    let node =
        Node::builder(LwwMap::new()).store(store(&directory.0, &drawn)).start().await.unwrap();
    write(&node, "unsigned").await.unwrap();
    node.shutdown().await;

    let node = start(store(&directory.0, &drawn), key.clone()).await.unwrap();
    assert_eq!(write(&node, "signed").await.unwrap().source(), key.id());
    assert_eq!(node.read(LwwMap::len), 2);
    node.shutdown().await;
    assert_eq!(store(&directory.0, &drawn).id(), *key.id());
}

/// The directory is set back to an earlier state of itself: nothing about it tells, and the key stays. Once a
/// peer has announced what was forgotten, the node writes nothing until it has it back.
#[tokio::test]
async fn i3_a_signing_node_that_was_set_back_waits_for_what_it_wrote() {
    let directory = Directory::new("signing-set-back");
    let key = Ed25519Key::from_seed(&[7; 32]);
    let node = start(store(&directory.0, key.id()), key.clone()).await.unwrap();
    write(&node, "early").await.unwrap();
    node.shutdown().await;
    let snapshot = [FILE_NAME, LOCK_NAME].map(|name| {
        let file = directory.0.join(name);
        (file.clone(), std::fs::read(file).unwrap())
    });
    let node = start(store(&directory.0, key.id()), key.clone()).await.unwrap();
    let peer = Node::builder(LwwMap::new()).verify_with(Ed25519Verifier).start().await.unwrap();
    node.link(&peer);
    let late = write(&node, "late").await.unwrap();
    until(|| {
        peer.read_replica(|replica| replica.version_vector().timestamp(key.id()))
            == Some(late.timestamp())
    })
    .await;
    node.shutdown().await;
    // In place, so that they stay the same files.
    for (file, content) in snapshot {
        let mut set_back = std::fs::File::create(file).unwrap();
        std::io::Write::write_all(&mut set_back, &content).unwrap();
    }

    let node = start(store(&directory.0, key.id()), key.clone()).await.unwrap();
    let listener = node.listen("127.0.0.1:0").await.unwrap();
    let address = listener.address().to_string();
    // A peer that takes its time with its history.
    let mut slow = TcpStream::connect(address.trim_start_matches("tcp://")).await.unwrap();
    let digest =
        format!("{{\"id\":\"slow\",\"clock\":{{\"{}\":{}}}}}\n", key.id(), late.timestamp());
    slow.write_all(digest.as_bytes()).await.unwrap();
    until(|| node.read_replica(Replica::lacks_own_history)).await;
    let refused = write(&node, "too soon").await.unwrap_err();
    assert!(
        matches!(refused, UpdateError::Refused(LocalUpdateError::OwnHistoryAwaited)),
        "{refused}"
    );

    // It is killed meanwhile, and is not taken for one that lacks nothing.
    until(|| node.store().is_some_and(|store| store.id() != *key.id())).await;
    drop(slow);
    node.shutdown().await;
    let node = start(store(&directory.0, &fresh_id()), key.clone()).await.unwrap();
    assert_eq!(node.id(), *key.id());
    write(&node, "too soon").await.unwrap_err();
    node.link(&peer);
    until(|| node.read(|map| map.contains("late"))).await;
    until(|| !node.read_replica(Replica::lacks_own_history)).await;
    let again = write(&node, "again").await.unwrap();
    assert!(again.timestamp() > late.timestamp());
    let all = r#"{"again":1,"early":1,"late":1}"#;
    until(|| [&node, &peer].iter().all(|node| node.read(LwwMap::to_json) == all)).await;
    let vector = |node: &Node<LwwMap>| node.read_replica(Replica::version_vector);
    until(|| {
        vector(&node) == vector(&peer)
            && vector(&node).timestamp(key.id()) == Some(again.timestamp())
    })
    .await;
    node.shutdown().await;
    peer.shutdown().await;
    assert_eq!(store(&directory.0, &fresh_id()).id(), *key.id(), "it vouches for all again");
}

/// A copy of the data shows that it is one, so it waits from the start.
#[tokio::test]
async fn i3_a_signing_node_that_was_restored_from_a_backup_waits_for_a_peer() {
    let directory = Directory::new("signing-backup");
    let backup = Directory::new("signing-backup-copy");
    let key = Ed25519Key::from_seed(&[7; 32]);
    let node = start(store(&directory.0, key.id()), key.clone()).await.unwrap();
    write(&node, "early").await.unwrap();
    let peer = Node::builder(LwwMap::new()).start().await.unwrap();
    node.link(&peer);
    node.store().unwrap().backup(&backup.0).unwrap();
    write(&node, "late").await.unwrap();
    until(|| peer.read(LwwMap::len) == 2).await;
    node.shutdown().await;

    let node = start(store(&backup.0, &fresh_id()), key.clone()).await.unwrap();
    assert_eq!((node.id(), node.read(LwwMap::len)), (key.id().clone(), 1));
    write(&node, "too soon").await.unwrap_err();
    node.link(&peer);
    until(|| !node.read_replica(Replica::lacks_own_history)).await;
    write(&node, "again").await.unwrap();
    until(|| [&node, &peer].iter().all(|node| node.read(LwwMap::len) == 3)).await;
    node.shutdown().await;
    peer.shutdown().await;
}

/// Without a key, the store's own id is kept and nothing is signed.
#[tokio::test]
async fn a_node_without_a_key_signs_nothing() {
    let directory = Directory::new("unsigning-node");
    let id = fresh_id();
    let builder = Node::builder(LwwMap::new()).store(store(&directory.0, &id));
    let node = builder.start().await.expect("starts");
    let written = node.update(LwwMap::set("k", &1).expect("a change")).await.expect("is written");
    assert!(written.extras().is_empty() && *written.source() == id);
    node.shutdown().await;
}
