//! A mesh of ours with a replica of the original at each corner: no link breaks, so nothing may be missing
//! anywhere. The original drops what comes late of a source, and nobody sends it again.

use std::time::Duration;

use scuttlebutt::{EventLog, SessionConfig};

use crate::js::{Js, PATIENCE};
use crate::ours::{Kind, address, listening};

const WRITES: u64 = 150;

#[tokio::test]
async fn each_corner_gets_all_that_the_others_write() {
    let mut nodes = Vec::new();
    for id in ["AAA", "MMM", "ZZZ"] {
        let node = listening::<EventLog>(id, SessionConfig::default()).await;
        for other in &nodes {
            node.add_peer(&address(other)).unwrap().synced().await.unwrap();
        }
        nodes.push(node);
    }
    let mut corners = Vec::new();
    for (node, id) in nodes.iter().zip(["js-A", "js-M", "js-Z"]) {
        let mut js = Js::start::<EventLog>(id, &[]).await;
        js.connect(&address(node)).await;
        corners.push(js);
    }
    // Each of them hears it from two sides: so they come to know that they repeat each other.
    let mut written = Vec::new();
    for nth in 0..WRITES {
        for (corner, js) in corners.iter_mut().enumerate() {
            let change = format!("[\"event\",{corner},{nth}]");
            js.write::<EventLog>(&change).await;
            written.push(change);
        }
        tokio::time::sleep(Duration::from_millis(nth * 7 % 9)).await;
    }
    for js in &mut corners {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let lines = js.lines().await;
            let missing: Vec<&String> =
                written.iter().filter(|change| !crate::js::holds(&lines, change)).collect();
            if missing.is_empty() {
                break;
            }
            let is_late = tokio::time::Instant::now() > deadline - PATIENCE / 2;
            assert!(!is_late, "{} lacks {missing:?}", js.id());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    for node in &nodes {
        assert_eq!(node.read(EventLog::state).matches("\"event\"").count(), written.len());
    }
}
