//! Nodes over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{eventually, impatient};
use scuttlebutt::{
    Direction, EventLog, Limits, LwwMap, Mode, PeerLag, Refusal, SessionConfig, SessionError,
    SourceId,
};
use scuttlebutt_net::{Address, DeliveryError, LinkError, Node, Notice, PeerState, Rotation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Map = Node<LwwMap>;

async fn server() -> (Map, String) {
    let node = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await.unwrap();
    let address = node.listeners()[0].address().to_string();
    (node, address)
}

async fn client(address: &str) -> Map {
    Node::builder(LwwMap::new()).limits(impatient()).peer(address).start().await.unwrap()
}

async fn set(node: &Map, key: &str, value: i32) {
    node.update(LwwMap::set(key, &value).unwrap()).await.unwrap();
}

/// Waits until a node shows `expected`.
async fn shows(node: &Map, expected: &str) {
    let mut changes = node.subscribe();
    let shown = async {
        while node.read(LwwMap::to_json) != expected {
            changes.next().await.expect("the node is running");
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), shown).await.is_err() {
        panic!("shows {} instead of {expected}", node.read(LwwMap::to_json));
    }
}

#[tokio::test]
async fn a_line_of_nodes_converges_and_vectors_become_equal() {
    let (left, address) = server().await;
    set(&left, "left", 1).await;
    let middle =
        Node::builder(LwwMap::new()).peer(&address).listen("127.0.0.1:0").start().await.unwrap();
    let right = client(&middle.listeners()[0].address().to_string()).await;
    set(&right, "right", 2).await;
    for node in [&left, &middle, &right] {
        shows(node, r#"{"left":1,"right":2}"#).await;
    }
    let vector = |node: &Map| node.read_replica(|replica| replica.version_vector());
    eventually("equal vectors", || {
        vector(&left) == vector(&middle) && vector(&middle) == vector(&right)
    })
    .await;
    assert_eq!(vector(&left).len(), 2);
}

/// Two nodes agree on frames, and know how far the other has come; one that is told not to speaks JSON
/// with the same peer.
#[tokio::test]
async fn nodes_speak_binary_unless_told_not_to() {
    let (hub, address) = server().await;
    let json = SessionConfig { announce_binary: false, ..SessionConfig::default() };
    let builder = Node::builder(LwwMap::new()).sessions(json).limits(impatient());
    let in_json = builder.peer(&address).start().await.unwrap();
    let in_frames = client(&address).await;
    for n in 0..500 {
        set(&hub, &format!("key-{n}"), n).await;
    }
    let all = hub.read(LwwMap::to_json);
    shows(&in_json, &all).await;
    shows(&in_frames, &all).await;
    let of = |node: &Map| node.sessions().pop().expect("it is linked");
    eventually("an acknowledgement of everything", || {
        let lags: Vec<_> = hub.sessions().into_iter().map(|session| session.lag).collect();
        lags.len() == 2 && lags.contains(&None) && lags.contains(&Some(PeerLag::default()))
    })
    .await;
    assert_eq!(of(&in_json).lag, None);
    assert_eq!(of(&in_frames).lag, Some(PeerLag::default()));
    let received = [&in_frames, &in_json].map(|node| of(node).bytes_received);
    assert!(received[0] * 2 < received[1], "{received:?} bytes");
}

#[tokio::test]
async fn a_peer_is_dialled_until_it_is_there_and_again_when_it_returns() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap().to_string();
    drop(reserved);

    let node = client(&address).await;
    let peer = node.peers().remove(0);
    eventually("a failure", || peer.status().failures > 1).await;
    assert!(matches!(peer.status().last_error, Some(LinkError::Dial { .. })));
    set(&node, "k", 1).await;

    for round in 0..3 {
        let server = Node::builder(LwwMap::new()).listen(&address).start().await.unwrap();
        shows(&server, r#"{"k":1}"#).await;
        peer.synced().await.ok();
        eventually("sync", || peer.status().state == PeerState::Synced).await;
        assert_eq!(peer.status().failures, 0, "round {round}");
        server.shutdown().await;
        assert_eq!(server.session_count(), 0);
    }
}

#[tokio::test]
async fn shutdown_sends_what_was_accepted() {
    let (server, address) = server().await;
    let node = client(&address).await;
    node.peers()[0].synced().await.unwrap();
    for n in 0..20_000 {
        set(&node, &format!("key-{n}"), n).await;
    }
    node.shutdown().await;
    assert_eq!(server.read(LwwMap::len), 20_000);
    assert!(node.update(LwwMap::remove("k")).await.is_err(), "a node that was shut down");
    assert!(node.subscribe().next().await.is_none());
}

#[tokio::test]
async fn a_file_that_is_appended_to_is_written_anew_and_always_whole() {
    let folder = std::env::temp_dir().join(format!("appended-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("map.jsonl");
    let node = Node::builder(LwwMap::new()).start().await.unwrap();
    let appending = {
        let (node, path) = (node.clone(), path.clone());
        let rotation = Rotation { bytes_min: 2_000, growth_min: 2 };
        tokio::spawn(async move { node.append_to(path, rotation).await })
    };
    eventually("the file", || path.exists()).await;
    let mut sizes = Vec::new();
    for n in 0..1_000 {
        set(&node, "key", n).await;
        if n % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let text = std::fs::read_to_string(&path).unwrap();
            sizes.push(text.len());
            // Whoever reads while it is written to may see half a line, at the end and nowhere else.
            let whole = &text[..text.rfind('\n').unwrap() + 1];
            let reader = Node::builder(LwwMap::new()).start().await.unwrap();
            let loaded = reader.load_from(whole.as_bytes()).await.unwrap();
            assert!(loaded.is_complete && loaded.refused.is_none(), "{loaded:?}");
        }
    }
    node.shutdown().await;
    appending.await.unwrap().unwrap();
    assert!(!sizes.is_sorted(), "never written anew: {sizes:?}");
    assert!(sizes.iter().all(|size| *size < 4_000), "{sizes:?}");

    let reader = Node::builder(LwwMap::new()).start().await.unwrap();
    reader.load_from(&std::fs::read(&path).unwrap()[..]).await.unwrap();
    assert_eq!(reader.read(LwwMap::to_json), r#"{"key":999}"#);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_ends_everything() {
    let (server, address) = server().await;
    let node = client(&address).await;
    node.peers()[0].synced().await.unwrap();
    assert_eq!(server.session_count(), 1);
    drop(node);
    eventually("the session's end", || server.session_count() == 0).await;
    let address: Address = address.parse().unwrap();
    drop(server);
    eventually("the listener's end", || std::net::TcpStream::connect(address.to_string()).is_err())
        .await;
}

#[tokio::test]
async fn listeners_and_peers_come_and_go() {
    let directory = std::env::temp_dir().join(format!("scuttlebutt-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("node.sock");
    let unix = format!("unix:{}", path.display());

    let (server, tcp) = server().await;
    let listener = server.listen(&unix).await.unwrap();
    assert_eq!(server.listeners().len(), 2);
    assert!(server.listen(&unix).await.is_err(), "in use");

    let node = client(&tcp).await;
    let over_unix = node.add_peer(&unix).unwrap();
    over_unix.synced().await.unwrap();
    node.peers()[0].synced().await.unwrap();
    assert_eq!((node.peers().len(), server.session_count()), (2, 2));

    over_unix.remove();
    eventually("one session", || server.session_count() == 1).await;
    eventually("one peer", || node.peers().len() == 1).await;
    listener.close().await;
    assert!(!path.exists());
    set(&node, "k", 1).await;
    shows(&server, r#"{"k":1}"#).await;

    // What a process that was killed leaves behind is taken over.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    server.listen(&unix).await.unwrap();
    // But nothing that is no socket.
    server.shutdown().await;
    std::fs::write(&path, "precious").unwrap();
    let other = Node::builder(LwwMap::new()).start().await.unwrap();
    assert!(other.listen(&unix).await.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn a_slow_subscriber_is_told_how_much_it_missed() {
    let node = Node::builder(LwwMap::new()).start().await.unwrap();
    let mut changes = node.subscribe();
    for n in 0..1_000 {
        set(&node, "hot", n).await;
    }
    assert_eq!(changes.next().await, Some(Notice::Missed(999)));
    let Some(Notice::Changed { update, is_local: true }) = changes.next().await else {
        panic!("the last write is left");
    };
    assert_eq!(update.change(), r#"["hot",999]"#);
}

#[tokio::test]
async fn every_event_is_delivered_once_also_after_reconnecting() {
    let server = Node::builder(EventLog::new()).listen("127.0.0.1:0").start().await.unwrap();
    let address = server.listeners()[0].address().clone();
    let node = Node::builder(EventLog::new())
        .limits(impatient())
        .peer(&address.to_string())
        .start()
        .await
        .unwrap();
    let mut changes = node.subscribe();
    let mut seen = Vec::new();
    for n in 0..300 {
        server.update(EventLog::emit("n", &(n,)).unwrap()).await.unwrap();
        if n % 100 == 50 {
            // Cuts every connection, whatever is under way.
            for listener in server.listeners() {
                listener.close().await;
            }
            node.peers()[0].remove();
            eventually("cut", || server.session_count() == 0).await;
            server.listen(&address.to_string()).await.unwrap();
            node.add_peer(&address.to_string()).unwrap();
        }
    }
    while seen.len() < 300 {
        let notice = tokio::time::timeout(Duration::from_secs(20), changes.next()).await.unwrap();
        match notice.unwrap() {
            Notice::Changed { update, .. } => seen.push(update.change().to_owned()),
            Notice::Missed(n) => panic!("{n} events were missed"),
            Notice::Withdrawn => panic!("nothing was withdrawn"),
        }
    }
    let expected: Vec<_> = (0..300).map(|n| format!("[\"n\",{n}]")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn delivery_is_proven_or_denied() {
    let (server, address) = server().await;
    let node = client(&address).await;
    let peer = node.peers().remove(0);
    let written = node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    node.deliver(&written, &peer).await.unwrap();
    assert_eq!(server.read(|map| map.get::<i32>("k")).unwrap(), Some(1));

    let read_only = SessionConfig { direction: Direction::SendOnly, ..SessionConfig::default() };
    let listener = server.listen_with(&"127.0.0.1:0".parse().unwrap(), read_only).await.unwrap();
    let node = client(&listener.address().to_string()).await;
    let peer = node.peers().remove(0);
    // In sync, so that the write is later than what the server holds.
    peer.synced().await.unwrap();
    let refused = node.update(LwwMap::set("k", &2).unwrap()).await.unwrap();
    let denied = node.deliver(&refused, &peer).await;
    assert!(matches!(denied, Err(DeliveryError::NotAccepted)), "{denied:?}");
    assert_eq!(server.read(|map| map.get::<i32>("k")).unwrap(), Some(1));
    assert_eq!(node.read(|map| map.get::<i32>("k")).unwrap(), Some(2));
}

#[tokio::test]
async fn a_session_can_run_over_any_stream_and_leave_after_catching_up() {
    let (server, _) = server().await;
    set(&server, "k", 1).await;
    let node = Node::builder(LwwMap::new()).start().await.unwrap();
    set(&node, "j", 2).await;
    let (here, there) = tokio::io::duplex(16);
    let once = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    let (left, right) = tokio::join!(
        node.attach(here, "a pipe", once),
        server.attach(there, "a pipe", SessionConfig::default()),
    );
    assert!(left.unwrap().is_synced && right.unwrap().is_synced);
    assert_eq!(node.read(LwwMap::to_json), r#"{"j":2,"k":1}"#);
    assert_eq!(server.read(LwwMap::to_json), r#"{"j":2,"k":1}"#);
}

#[tokio::test]
async fn a_stream_that_holds_back_what_is_written_is_flushed() {
    let (left, right) = (server().await.0, server().await.0);
    let (here, there) = tokio::io::duplex(1_000);
    for (node, stream) in [(&left, here), (&right, there)] {
        let (node, stream) = (node.clone(), tokio::io::BufStream::new(stream));
        tokio::spawn(async move { node.attach(stream, "", SessionConfig::default()).await });
    }
    for round in 1..4 {
        set(&left, "k", round).await;
        shows(&right, &format!(r#"{{"k":{round}}}"#)).await;
    }
}

/// Sends `bytes` to a listener and answers what came back until it closed the connection.
async fn send(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may hang up before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("hangs up in time");
    answer
}

#[tokio::test]
async fn whatever_one_peer_sends_the_others_are_served() {
    let (server, address) = server().await;
    set(&server, "k", 1).await;
    let healthy = client(&address).await;
    healthy.peers()[0].synced().await.unwrap();

    let digest = b"{\"id\":\"H\",\"clock\":{}}\n";
    let mut many_sources = b"{\"id\":\"H\",\"clock\":{".to_vec();
    for n in 0..1_000_000 {
        many_sources.extend_from_slice(format!("\"s{n}\":1,").as_bytes());
    }
    many_sources.pop();
    many_sources.extend_from_slice(b"}}\n");
    let deep = [&[b'['; 100_000][..], &[b']'; 100_000][..], b"\n"].concat();
    let closing: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("random bytes", (0..=255).rev().collect()),
        ("invalid UTF-8 outside a string", b"{\"id\":\"H\",\"clock\":{}}\n\xff\xfe\n".to_vec()),
        ("a malformed digest", b"{\"id\":\"H\"}\n".to_vec()),
        ("no JSON", [&digest[..], b"[1,\n"].concat()),
        ("deep nesting", [&digest[..], &deep].concat()),
        ("a million sources", many_sources),
        ("an endless line", vec![b'['; 100 << 20]),
    ];
    for (name, bytes) in closing {
        send(&address, &bytes).await;
        eventually(name, || server.session_count() == 1).await;
    }

    // These are no reason to hang up, and have no effect.
    let lines: [&[u8]; 6] = [
        b"[null,1,\"n\"]\n",
        b"[[\"__proto__\",1],1,\"n\"]\n",
        b"[[\"k\",2],1,\"__proto__\"]\n",
        b"[[\"k\",2],1e999,\"n\"]\n",
        b"[[\"k\",2],0,\"n\"]\n",
        b"{\"clock\":{\"__proto__\":5}}\n",
    ];
    let mut hostile = TcpStream::connect(&address).await.unwrap();
    hostile.write_all(digest).await.unwrap();
    for line in lines {
        hostile.write_all(line).await.unwrap();
    }
    hostile.write_all(b"[[\"valid\",\"\xff\"],5,\"n\"]\n").await.unwrap();
    shows(&healthy, "{\"k\":1,\"valid\":\"\u{FFFD}\"}").await;
    assert_eq!(server.session_count(), 2);

    // A line that breaks off ends its session alone.
    hostile.write_all(b"[[\"half\",").await.unwrap();
    hostile.shutdown().await.unwrap();
    eventually("the broken line's end", || server.session_count() == 1).await;
    set(&server, "k", 3).await;
    shows(&healthy, "{\"k\":3,\"valid\":\"\u{FFFD}\"}").await;
}

/// As a JavaScript client with `tail: false` does: it says all it has to say, and closes its half.
/// The history is larger than what the sockets take, so the end is heard of before all is written.
#[tokio::test]
async fn a_peer_that_closes_its_half_still_gets_the_whole_history() {
    let (server, address) = server().await;
    for n in 0..3_000 {
        let change = LwwMap::set(format!("key-{n}"), &"v".repeat(4_000)).unwrap();
        server.update(change).await.unwrap();
    }
    for round in 0..5 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"{\"id\":\"C\",\"clock\":{}}\n\"SYNC\"\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let lines = answer.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(lines, 3_002, "round {round}: a digest, the history, the end of it");
    }
}

#[tokio::test]
async fn a_peer_that_is_silent_is_hung_up_on() {
    let limits = Limits { digest_wait_ms_max: 50.0, ..Limits::default() };
    let server =
        Node::builder(LwwMap::new()).limits(limits).listen("127.0.0.1:0").start().await.unwrap();
    let address = server.listeners()[0].address().to_string();
    let answer = send(&address, b"").await;
    assert!(answer.starts_with(b"{\"id\":"));
}

#[tokio::test]
async fn what_a_peer_did_wrong_is_told() {
    let foreign = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = foreign.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = foreign.accept().await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let node = client(&address).await;
    let error = node.peers()[0].synced().await.unwrap_err();
    assert!(matches!(error, LinkError::Session(SessionError::Decode(_))), "{error:?}");
    assert_eq!(error.to_string(), "the peer speaks HTTP, not scuttlebutt");
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    let limits = Limits { sessions_max: 2, ..Limits::default() };
    let server =
        Node::builder(LwwMap::new()).limits(limits).listen("127.0.0.1:0").start().await.unwrap();
    let address = server.listeners()[0].address().to_string();
    let first = TcpStream::connect(&address).await.unwrap();
    let second = TcpStream::connect(&address).await.unwrap();
    eventually("two sessions", || server.session_count() == 2).await;
    assert!(send(&address, b"").await.is_empty());
    drop(first);
    eventually("one session", || server.session_count() == 1).await;
    let node = client(&address).await;
    node.peers()[0].synced().await.unwrap();
    drop(second);
}

#[tokio::test]
async fn strangers_take_no_room_from_the_peers_that_are_dialled() {
    let limits = Limits { sessions_max: 2, ..Limits::default() };
    let node =
        Node::builder(LwwMap::new()).limits(limits).listen("127.0.0.1:0").start().await.unwrap();
    let address = node.listeners()[0].address().to_string();
    let _strangers =
        [TcpStream::connect(&address).await.unwrap(), TcpStream::connect(&address).await.unwrap()];
    eventually("two sessions", || node.session_count() == 2).await;
    let friend = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await.unwrap();
    let peer = node.add_peer(&friend.listeners()[0].address().to_string()).unwrap();
    peer.synced().await.unwrap();
    let written = node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    node.deliver(&written, &peer).await.unwrap();
}

#[tokio::test]
async fn an_id_used_before_gets_its_updates_back_and_goes_on() {
    let id = SourceId::new("twin").unwrap();
    let node = |id| Node::builder(LwwMap::new()).id(id).listen("127.0.0.1:0").start();
    let one = node(id.clone()).await.unwrap();
    let other = node(id).await.unwrap();
    set(&one, "k", 1).await;
    other.add_peer(&one.listeners()[0].address().to_string()).unwrap();
    shows(&other, r#"{"k":1}"#).await;
    // The history's end promises it complete, so the twin may go on under the id.
    eventually("a settled identity", || {
        other.read_replica(|replica| !replica.is_identity_contested())
    })
    .await;
    set(&other, "k", 2).await;
    shows(&one, r#"{"k":2}"#).await;
}

#[test]
fn refusals_read_well() {
    let refusal = Refusal::Invalid("null is no change of a map".into());
    assert_eq!(
        refusal.to_string(),
        "the peer sent an update that this model does not understand: null is no change of a map"
    );
}

/// The bell rings once for many changes, when somebody has looked; nobody may wait for one that has rung.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_waits_hears_of_every_change() {
    const WRITERS: u32 = 4;
    const WRITES: u32 = 2_000;
    let node = Node::builder(EventLog::new()).listen("127.0.0.1:0").start().await.unwrap();
    let address = node.listeners()[0].address().to_string();
    let peer = Node::builder(EventLog::new()).peer(&address).start().await.unwrap();
    peer.peers()[0].synced().await.unwrap();
    let readers: Vec<_> = [&node, &node, &peer]
        .map(|node| {
            let mut changes = node.subscribe();
            tokio::spawn(async move {
                for nth in 0..WRITERS * WRITES {
                    let next = tokio::time::timeout(Duration::from_secs(20), changes.next()).await;
                    assert!(matches!(next, Ok(Some(Notice::Changed { .. }))), "{nth}: {next:?}");
                }
            })
        })
        .into();
    for writer in 0..WRITERS {
        let node = node.clone();
        tokio::spawn(async move {
            for n in 0..WRITES {
                node.update(EventLog::emit("n", &(writer, n)).unwrap()).await.unwrap();
                if n % (7 + writer) == 0 {
                    // Now and then everybody has caught up and waits.
                    tokio::time::sleep(Duration::from_micros(50)).await;
                }
            }
        });
    }
    for reader in readers {
        reader.await.unwrap();
    }
    node.shutdown().await;
    peer.shutdown().await;
}
