//! Nodes whose verifier takes its time, or cannot say: over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "not every test of nodes dials again")]
mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::eventually;
use scuttlebutt::{Limits, LwwMap, Mode, SessionConfig, Trust, Update, Verifier};
use scuttlebutt_net::Node;
use tokio::io::AsyncWriteExt;

/// Believes what ends in "good". Of sources that begin with "far" it knows nothing until it is told.
#[derive(Default)]
struct Keys {
    is_reachable: AtomicBool,
    asked: AtomicUsize,
    calls: AtomicUsize,
    threads: Mutex<BTreeSet<String>>,
}

impl Verifier for Keys {
    fn verify(&self, update: &Update) -> Trust {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let is_far = update.source().to_string().starts_with("far");
        if is_far && !self.is_reachable.load(Ordering::Relaxed) {
            return Trust::Later;
        }
        match update.extras().last().map(String::as_str) {
            Some("\"good\"") => Trust::Trusted,
            _ => Trust::Untrusted,
        }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.threads.lock().unwrap().insert(format!("{:?}", std::thread::current().id()));
        updates.iter().map(|update| self.verify(update)).collect()
    }
}

async fn asking(keys: &Arc<Keys>, limits: Limits) -> Node<LwwMap> {
    Node::builder(LwwMap::new())
        .verify_with(keys.clone())
        .limits(limits)
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap()
}

/// Says all this to the node and stays.
async fn say(node: &Node<LwwMap>, lines: &str) -> tokio::net::TcpStream {
    let address = node.listeners()[0].address().to_string();
    let mut stream =
        tokio::net::TcpStream::connect(address.trim_start_matches("tcp://")).await.unwrap();
    stream.write_all(lines.as_bytes()).await.unwrap();
    stream
}

fn line(key: &str, at: u32, source: &str, signature: &str) -> String {
    format!("[[\"{key}\",1],{at},\"{source}\",\"{signature}\"]\n")
}

#[tokio::test]
async fn the_verifier_is_asked_in_batches_off_the_event_loop() {
    let keys = Arc::new(Keys::default());
    let node = asking(&keys, Limits::default()).await;
    let mut lines = "{\"id\":\"P\",\"clock\":{\"A\":9999},\"ext\":{\"marks\":1}}\n".to_owned();
    for at in 1..=5_000 {
        lines += &line(&format!("k{at}"), at, "A", if at % 7 == 0 { "bad" } else { "good" });
    }
    let _stream = say(&node, &(lines + "\"SYNC\"\n")).await;
    let good = 5_000 - 5_000 / 7;
    eventually("everything is judged", || node.read(LwwMap::len) == good).await;
    assert_eq!(keys.asked.load(Ordering::Relaxed), 5_000, "each once");
    let calls = keys.calls.load(Ordering::Relaxed);
    assert!(calls < 1_000, "{calls} calls");
    let here = format!("{:?}", std::thread::current().id());
    assert!(!keys.threads.lock().unwrap().contains(&here));
    let vector = node.read_replica(|replica| replica.version_vector());
    assert!(vector.is_empty(), "of what was refused in part nothing is promised");
    node.shutdown().await;
}

#[tokio::test]
async fn only_the_source_whose_key_is_out_of_reach_waits() {
    let keys = Arc::new(Keys::default());
    let limits = Limits { verify_delay_ms_max: 200, ..Limits::default() };
    let node = asking(&keys, limits).await;
    let digest = "{\"id\":\"P\",\"clock\":{\"A\":1,\"far\":9},\"ext\":{\"marks\":1}}\n";
    let lines =
        [line("f", 1, "far", "good"), line("f", 2, "far", "bad"), line("g", 3, "far", "good")];
    let _stream = say(&node, &(digest.to_owned() + &lines.concat())).await;
    let _other = say(&node, &(digest.to_owned() + &line("a", 1, "A", "good") + "\"SYNC\"\n")).await;
    eventually("others do not wait", || node.read(|map| map.contains("a"))).await;
    let asked = keys.asked.load(Ordering::Relaxed);
    eventually("it is asked again", || keys.asked.load(Ordering::Relaxed) >= asked + 6).await;
    assert_eq!(node.read(LwwMap::len), 1);
    keys.is_reachable.store(true, Ordering::Relaxed);
    eventually("the answer comes", || node.read(LwwMap::len) == 3).await;
    node.shutdown().await;
}

/// One that catches up and leaves has everything when it leaves, promises included.
#[tokio::test]
async fn a_sync_is_over_when_the_verdicts_have_come() {
    let keys = Arc::new(Keys::default());
    let server = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await.unwrap();
    for at in 1..=500 {
        let update =
            Update::from_json(line(&format!("k{at}"), at, "A", "good").trim_end()).unwrap();
        server.write_replica(|replica| replica.remote_update(1e12, update));
    }
    server.write_replica(|replica| {
        let a = scuttlebutt::SourceId::new("A").unwrap();
        replica.promise(&[(a, scuttlebutt::Timestamp::MAX)].into_iter().collect());
    });
    let client = Node::builder(LwwMap::new()).verify_with(keys).start().await.unwrap();
    let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    let listener = server.listeners()[0].clone();
    client.connect_once(listener.address(), config).await.unwrap();
    assert_eq!(client.read(LwwMap::len), 500);
    let vectors = [&client, &server].map(|node| node.read_replica(|r| r.version_vector()));
    assert_eq!(vectors[0], vectors[1]);
    client.shutdown().await;
    server.shutdown().await;
}

/// A file is read no faster than it is verified, and loaded when its last verdict has come.
#[tokio::test]
async fn a_file_is_loaded_when_it_is_verified() {
    let keys = Arc::new(Keys::default());
    let limits = Limits { waiting_updates_max: 3_000, ..Limits::default() };
    let node = asking(&keys, limits).await;
    let mut file = "{\"id\":\"A\",\"clock\":{\"A\":9999}}\n".to_owned();
    for at in 1..=9_999 {
        file += &line(&format!("k{at}"), at, "A", if at == 5_000 { "bad" } else { "good" });
    }
    let imported = node.load_from(std::io::Cursor::new(file + "\"SYNC\"\n")).await.unwrap();
    assert!(imported.is_complete);
    assert_eq!(imported.tally.updates_crowded, 0);
    assert_eq!(imported.tally.updates_unverified, 1);
    assert_eq!(node.read(LwwMap::len), 9_998);
    node.shutdown().await;
}

/// I8: who sends faster than the verifier answers is not read from.
#[tokio::test]
async fn i8_a_flood_waits_outside() {
    struct Slow;
    impl Verifier for Slow {
        fn verify(&self, _: &Update) -> Trust {
            Trust::Untrusted
        }
        fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
            std::thread::sleep(Duration::from_millis(20));
            vec![Trust::Untrusted; updates.len()]
        }
    }
    let limits = Limits {
        unasked_updates_max: 100,
        verify_batch_updates_max: 50,
        input_bytes_max: 1 << 12,
        ..Limits::default()
    };
    let node = Node::builder(LwwMap::new())
        .verify_with(Slow)
        .limits(limits)
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let mut flood: String = "{\"clock\":{}}\n".to_owned();
    for at in 1..=20_000 {
        flood += &line("k", at, &format!("s{at}"), "forged");
    }
    let address = node.listeners()[0].address().to_string();
    let address = address.trim_start_matches("tcp://").to_owned();
    let flooder = tokio::spawn(async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(flood.as_bytes()).await;
        stream
    });
    let mut most = 0;
    for _ in 0..100 {
        most = most.max(node.read_replica(|replica| replica.updates_waiting()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(most > 0);
    // What is unasked, one portion more, and what is being asked.
    assert!(most <= 100 + (1 << 12) / 20 + 4 * 50, "{most} wait");
    flooder.abort();
    node.shutdown().await;
}

/// Who sends forgeries is listened to at a pace, and others are not kept waiting by that.
#[tokio::test]
async fn forgeries_are_refused_at_a_pace() {
    let keys = Arc::new(Keys::default());
    let limits = Limits {
        unverified_per_second_max: 500,
        input_bytes_max: 1 << 12,
        verify_batch_updates_max: 50,
        ..Limits::default()
    };
    let node = asking(&keys, limits).await;
    let mut flood = "{\"clock\":{}}\n".to_owned();
    for at in 1..=100_000 {
        flood += &line("k", at, &format!("s{at}"), "forged");
    }
    let address = node.listeners()[0].address().to_string();
    let flooder = tokio::spawn(async move {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(flood.as_bytes()).await;
        stream
    });
    let begun = std::time::Instant::now();
    eventually("a forgery is looked at", || keys.asked.load(Ordering::Relaxed) > 0).await;
    let honest: String = (1..=1_000).map(|at| line(&format!("k{at}"), at, "A", "good")).collect();
    let _stream = say(&node, &format!("{{\"clock\":{{}}}}\n{honest}")).await;
    eventually("the honest are heard", || node.read(LwwMap::len) == 1_000).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let forged = keys.asked.load(Ordering::Relaxed) - 1_000;
    // What is read and asked about before the first verdict comes is not paid for before it is read.
    let allowed = 500.0 * begun.elapsed().as_secs_f64() + 1_000.0;
    assert!((forged as f64) < allowed, "{forged} of {allowed}");
    flooder.abort();
    node.shutdown().await;
}

/// Each node hears another side first, from peers that promise that there is nothing else.
#[tokio::test]
async fn a_fork_is_known_to_both_nodes_once_they_are_linked() {
    let keys = Arc::new(Keys::default());
    let (a, b) = (asking(&keys, Limits::default()).await, asking(&keys, Limits::default()).await);
    let digest = "{\"id\":\"P\",\"clock\":{\"A\":5},\"ext\":{\"marks\":1}}\n";
    let [one, two] = [1, 2].map(|value| format!("[[\"k\",{value}],5,\"A\",\"good\"]\n"));
    let say_all = |lines: &str| format!("{digest}{lines}\"SYNC\"\n");
    let to_a = say(&a, &say_all(&two)).await;
    let to_b = say(&b, &say_all(&one)).await;
    let covers = |node: &Node<LwwMap>| node.read_replica(|replica| replica.version_vector().len());
    eventually("both are promised all of A", || covers(&a) == 1 && covers(&b) == 1).await;
    b.add_peer(&a.listeners()[0].address().to_string()).unwrap();
    eventually("they are in sync", || b.sessions().iter().any(|session| session.is_synced)).await;
    assert_eq!((a.forks().len(), b.forks().len()), (0, 0), "neither asks for what it covers");

    let again = say(&a, &say_all(&one)).await;
    eventually("both know", || !a.forks().is_empty() && !b.forks().is_empty()).await;
    assert_eq!(a.forks(), b.forks());
    assert_eq!(a.forks()[0].to_json_lines(), format!("{one}{two}"));
    let met = |node: &Node<LwwMap>| node.sessions().iter().map(|s| s.forks_met).sum::<u64>();
    assert_eq!((met(&a), met(&b)), (1, 1));
    assert_eq!(a.read(LwwMap::to_json), "{\"k\":2}");
    assert_eq!(b.read(LwwMap::to_json), "{\"k\":2}");
    drop((to_a, to_b, again));
    a.shutdown().await;
    b.shutdown().await;
}
