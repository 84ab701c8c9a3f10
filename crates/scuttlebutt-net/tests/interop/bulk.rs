//! 100,000 updates from 100 sources, each way.

use scuttlebutt::{EventLog, LwwMap, SessionConfig};
use serde_json::json;

use crate::js::Js;
use crate::ours::{Kind, address, apply, assert_equal, dialling, eventually, lines, listening};

const UPDATES: u64 = 100_000;
const SOURCES: u64 = 100;

/// As the `bulk` command of `peer.js` makes them.
fn bulk<M: Kind>() -> Vec<String> {
    let line = |n: u64| {
        let change = match M::NAME {
            "events" => format!("[\"bulk\",\"bulk{n}\",{n}]"),
            _ => format!("[\"bulk{n}\",{n}]"),
        };
        let at = 1_700_000_000_000 + n;
        format!("[{change},{at},\"bulk-{}\"]", n % SOURCES)
    };
    (0..UPDATES).map(line).collect()
}

async fn from_them<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    js.run("bulk", json!({ "updates": UPDATES, "sources": SOURCES })).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    let held = || node.read_replica(scuttlebutt::Replica::updates_held);
    eventually(|| held() == UPDATES as usize, || held().to_string()).await;
    assert_equal(&js.lines().await, &lines(&node));
    let vector = node.read_replica(scuttlebutt::Replica::version_vector);
    assert_eq!(vector.len() as u64, SOURCES);
}

async fn to_them<M: Kind>() {
    let node = listening::<M>("ours", SessionConfig::default()).await;
    apply(&node, &bulk::<M>());
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.connect(&address(&node)).await;
    let counts = js.wait(json!({ "updates": UPDATES, "syncs": 1 })).await;
    assert_eq!(counts["stale"], 0, "nothing comes twice: {counts}");
    assert_equal(&js.lines().await, &lines(&node));
}

#[tokio::test]
async fn a_map_from_them() {
    from_them::<LwwMap>().await;
}

#[tokio::test]
async fn a_map_to_them() {
    to_them::<LwwMap>().await;
}

#[tokio::test]
async fn events_from_them() {
    from_them::<EventLog>().await;
}

#[tokio::test]
async fn events_to_them() {
    to_them::<EventLog>().await;
}
