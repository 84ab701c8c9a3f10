//! Which links are refused, and which are noticed to be dead.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{eventually, impatient};
use scuttlebutt::{
    Direction, EventLog, Label, Limits, LwwMap, Metadata, Model, SessionConfig, SessionError,
};
use scuttlebutt_net::{LinkError, Node, PeerState};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where a node listens.
fn address<M: Model + Send + 'static>(node: &Node<M>) -> String {
    node.listeners()[0].address().to_string()
}

/// Bounds by which a dead link is noticed within a second.
fn alert() -> Limits {
    Limits { heartbeat_ms_max: 200.0, heartbeat_ms_min: 50.0, ..impatient() }
}

#[tokio::test]
async fn nodes_of_different_models_refuse_each_other_and_both_know_why() {
    let map = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await.unwrap();
    map.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    // The dialling side is told, whichever of the two sees it first.
    for _ in 0..20 {
        let events = Node::builder(EventLog::new()).limits(impatient()).start().await.unwrap();
        events.update(EventLog::emit("happened", &[1]).unwrap()).await.unwrap();
        let peer = events.add_peer(&address(&map)).unwrap();
        let error = peer.synced().await.unwrap_err();
        let LinkError::Session(SessionError::OtherModel { ours, theirs }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!((ours.text(), theirs.text()), ("events".to_owned(), "map".to_owned()));
        assert_eq!(events.read(EventLog::len), 1);
        events.shutdown().await;
    }
    assert_eq!(map.read(LwwMap::to_json), r#"{"k":1}"#);
    eventually("no session is left", || map.session_count() == 0).await;
}

#[tokio::test]
async fn nodes_of_different_clusters_refuse_each_other_and_nameless_ones_are_let_in() {
    let of = |name: Option<&str>| {
        let builder = Node::builder(LwwMap::new()).limits(impatient()).listen("127.0.0.1:0");
        match name {
            Some(name) => builder.cluster(Label::new(name).unwrap()),
            None => builder,
        }
    };
    let red = of(Some("red")).start().await.unwrap();
    let blue = of(Some("blue")).peer(&address(&red)).start().await.unwrap();
    let error = blue.peers()[0].synced().await.unwrap_err();
    assert!(matches!(error, LinkError::Session(SessionError::OtherCluster { .. })), "{error:?}");
    for name in [Some("red"), None] {
        let other = of(name).peer(&address(&red)).start().await.unwrap();
        let session = other.peers()[0].synced().await.unwrap().session.unwrap();
        assert_eq!(session.cluster, Label::new("red").ok());
        assert_eq!(session.model, Label::new("map").ok());
    }
    // A listener with options of its own is of the node's cluster all the same.
    let options = SessionConfig { direction: Direction::SendOnly, ..SessionConfig::default() };
    let listener = red.listen_with(&"127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let peer = blue.add_peer(&listener.address().to_string()).unwrap();
    let error = peer.synced().await.unwrap_err();
    assert!(matches!(error, LinkError::Session(SessionError::OtherCluster { .. })), "{error:?}");
}

/// A relay that goes on until it is told to hang, with its sockets open.
async fn relay_to(target: String) -> (String, watch::Sender<bool>) {
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap().to_string();
    let (hang, hangs) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = relay.accept().await {
            let (target, mut hangs) = (target.clone(), hangs.clone());
            tokio::spawn(async move {
                let mut far = TcpStream::connect(target).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = hangs.wait_for(|hangs| *hangs) => {}
                }
                // Both sockets stay open.
                std::future::pending::<()>().await;
            });
        }
    });
    (address, hang)
}

/// Neither end is told: no packet says that the other is gone.
#[tokio::test]
async fn a_peer_that_says_nothing_more_is_noticed_and_one_that_is_idle_stays() {
    let start = || Node::builder(LwwMap::new()).limits(alert());
    let server = start().listen("127.0.0.1:0").start().await.unwrap();
    let (relay, hang) = relay_to(address(&server)).await;
    let node = start().peer(&relay).start().await.unwrap();
    let peer = node.peers()[0].clone();
    peer.synced().await.unwrap();

    // Many intervals pass, and what is heard is heartbeats.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = peer.status();
    assert_eq!((status.state, status.syncs), (PeerState::Synced, 1));
    let session = status.session.unwrap();
    assert!(
        session.has_heartbeat && session.silent_for < Duration::from_millis(600),
        "{session:?}"
    );

    hang.send_replace(true);
    let hung_at = Instant::now();
    eventually("the silence is noticed", || peer.status().last_error.is_some()).await;
    let error = peer.status().last_error.unwrap();
    let expected = SessionError::Silent { waited_ms: 600.0 };
    assert!(matches!(&error, LinkError::Session(error) if *error == expected), "{error:?}");
    assert!(error.to_string().contains("it hangs, or the way to it is broken"), "{error}");
    assert!(hung_at.elapsed() < Duration::from_secs(5), "{:?}", hung_at.elapsed());
    eventually("the other end notices, too", || server.refusals().silent > 0).await;
}

/// Such a peer agrees on nothing. Here it takes nothing; to the system that is like one that is gone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_of_the_originals_kind_that_takes_nothing_is_left_to_the_system() {
    let node =
        Node::builder(LwwMap::new()).limits(alert()).listen("127.0.0.1:0").start().await.unwrap();
    let large = "x".repeat(1 << 20);
    for n in 0..12 {
        node.update(LwwMap::set(format!("key {n}").as_str(), &large).unwrap()).await.unwrap();
    }
    let mut original = TcpStream::connect(address(&node)).await.unwrap();
    original.write_all(b"{\"id\":\"J\",\"clock\":{}}\n").await.unwrap();
    eventually("the session is there", || node.session_count() == 1).await;
    assert!(!node.sessions()[0].has_heartbeat);
    // Well before `write_wait_ms_max`, which is five minutes.
    eventually("the session has ended", || node.session_count() == 0).await;
    drop(original);
}

/// What `createWriteStream()` does: it connects and says nothing.
#[tokio::test]
async fn a_listener_may_serve_peers_that_never_ask() {
    let limits = Limits { digest_wait_ms_max: 100.0, ..impatient() };
    let node = Node::builder(LwwMap::new()).limits(limits).start().await.unwrap();
    node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    let unasked = SessionConfig {
        direction: Direction::SendOnly,
        await_digest: false,
        metadata: Some(Metadata::from_json("{\"role\":\"hub\"}").unwrap()),
        ..SessionConfig::default()
    };
    let listener = node.listen_with(&"127.0.0.1:0".parse().unwrap(), unasked).await.unwrap();
    let mut silent = TcpStream::connect(listener.address().to_string()).await.unwrap();
    let mut said = String::new();
    while said.lines().count() < 3 {
        let mut bytes = [0; 1_024];
        let count = silent.read(&mut bytes).await.unwrap();
        said += str::from_utf8(&bytes[..count]).unwrap();
    }
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("\"meta\":{\"role\":\"hub\"}"), "{said}");
    assert!(lines[1].starts_with("[[\"k\",1],") && lines[2] == "\"SYNC\"", "{said}");
    // It stays, and is told what is new.
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.update(LwwMap::set("k", &2).unwrap()).await.unwrap();
    let mut bytes = [0; 1_024];
    let count = silent.read(&mut bytes).await.unwrap();
    assert!(bytes[..count].starts_with(b"[[\"k\",2],"));
}

/// An application typed by hand connects long before it says something.
#[tokio::test]
async fn a_patient_listener_lets_silent_peers_stay() {
    let limits = Limits { digest_wait_ms_max: 100.0, ..impatient() };
    let node = Node::builder(LwwMap::new()).limits(limits).start().await.unwrap();
    node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    for (is_patient, stays) in [(false, false), (true, true)] {
        let config = SessionConfig { is_patient, ..SessionConfig::default() };
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = node.listen_with(&any, config).await.unwrap();
        let mut idle = TcpStream::connect(listener.address().to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(node.session_count() == 1, stays);
        if stays {
            idle.write_all(b"{\"id\":\"J\",\"clock\":{}}\n").await.unwrap();
            let mut said = String::new();
            while !said.contains("\"SYNC\"") {
                let mut bytes = [0; 1_024];
                let count = idle.read(&mut bytes).await.unwrap();
                said += str::from_utf8(&bytes[..count]).unwrap();
            }
            assert!(said.contains("[[\"k\",1],"), "{said}");
        }
    }
}
