//! A network of nodes that sign, over sockets: the npm package, ours, and between them a relay that
//! knows no keys.

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};

use common::{PATIENCE, directory, node, secret, table};
use scuttlebutt::LwwMap;
use scuttlebutt_net::Node;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// The package, which listens. Its process ends with it.
struct Npm {
    child: Child,
    reports: Lines<BufReader<ChildStderr>>,
}

impl Npm {
    /// With the port.
    fn start() -> (Self, u64) {
        let keys = directory();
        let mut child = node(&["listen", keys.to_str().expect("UTF-8"), "pem-768", "openssh-1024"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need Node.js 20 or later as `node`");
        let reports = BufReader::new(child.stderr.take().expect("is piped")).lines();
        let mut npm = Self { child, reports };
        let port = npm.report(|report| report["port"].as_u64());
        (npm, port)
    }

    /// The first report from now on that this finds something in. Blocks.
    fn report<T>(&mut self, find: impl Fn(&Value) -> Option<T>) -> T {
        let mut reports = self.reports.by_ref().map(|line| line.expect("Node reports"));
        let found = reports.find_map(|line| find(&serde_json::from_str(&line).expect("JSON")));
        found.expect("Node goes on")
    }
}

impl Drop for Npm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes to be");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_a_forged_update_is_refused_by_both_and_true_ones_arrive() {
    let (mut npm, npm_port) = Npm::start();
    let npm_id = secret("pem-768").id().to_string();
    let ours = Node::builder(LwwMap::new())
        .sign_with(secret("openssh-1024"))
        .verify_with(table(&["openssh-1024", "pem-768"]))
        .listen("127.0.0.1:0");
    let ours = ours.start().await.expect("it listens");
    let relay = Node::builder(LwwMap::new()).listen("127.0.0.1:0");
    let relay = relay.start().await.expect("it listens");

    // Before it hears anything true, the relay is told something in the names of both.
    let relay_address = relay.listeners()[0].address().to_string();
    let mut forger = TcpStream::connect(relay_address.trim_start_matches("tcp://")).await.unwrap();
    let forged = [
        format!(r#"[["forged","npm"],7,"{npm_id}","Zm9yZ2Vk"]"#),
        format!(r#"[["forged too","ours"],7,"{}","Zm9yZ2Vk"]"#, ours.id()),
    ];
    let lines = format!("{{\"id\":\"F\",\"clock\":{{}}}}\n{}\n\"SYNC\"\n", forged.join("\n"));
    forger.write_all(lines.as_bytes()).await.unwrap();
    until(|| relay.read(LwwMap::len) == 2).await;

    relay.add_peer(&ours.listeners()[0].address().to_string()).expect("an address");
    relay.add_peer(&format!("127.0.0.1:{npm_port}")).expect("an address");
    let refused = npm.report(|report| (report["event"] == "unverified").then(|| report.clone()));
    assert_eq!(refused["line"], forged[1]);

    until(|| ours.read(|map| map.contains("from npm"))).await;
    let value = ours.read(|map| map.get_raw("from npm").map(str::to_owned));
    assert_eq!(value.as_deref(), Some(r#"{"2":"\ud800 é","b":1e+21}"#));
    let written = LwwMap::set("from ours", &json!({ "b": 1e-7, "3": "é\u{7f}\u{2028}" }));
    let written = ours.update(written.expect("a change")).await.expect("it is signed").to_json();
    let applied = json!({ "event": "applied", "line": written });
    npm.report(|report| (*report == applied).then_some(()));

    assert!(relay.read(|map| map.contains("forged") && map.contains("forged too")));
    assert!(!ours.read(|map| map.contains("forged") || map.contains("forged too")));
    drop((forger, npm));
    for node in [ours, relay] {
        node.shutdown().await;
    }
}
