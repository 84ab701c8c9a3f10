//! 100,000 updates from 100 sources, each way.

use scuttlebutt::{EventLog, LwwMap, SessionConfig};
use serde_json::json;

use crate::files::Folder;
use crate::js::Js;
use crate::ours::{
    Kind, address, apply, assert_equal, builder, dialling, eventually, lines, listening,
};

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

/// The same over files: theirs read by us, ours read by them.
async fn through_files<M: Kind>() {
    let folder = Folder::new();
    let (theirs, ours) = (folder.path("theirs"), folder.path("ours"));
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.run("bulk", json!({ "updates": UPDATES, "sources": SOURCES })).await;
    js.run("save", json!({ "file": theirs })).await;

    let node = builder::<M>("ours").start().await.unwrap();
    let file = tokio::fs::File::open(&theirs).await.unwrap();
    let imported = node.load_from(file).await.unwrap();
    assert!(imported.is_complete, "{imported:?}");
    assert_eq!(imported.tally.updates_applied, UPDATES, "{imported:?}");
    assert_equal(&js.lines().await, &lines(&node));

    let file = tokio::fs::File::create(&ours).await.unwrap();
    assert_eq!(node.save_to(file).await.unwrap(), UPDATES);
    let mut reader = Js::start::<M>("reader", &[]).await;
    let answer = reader.run("load", json!({ "file": ours })).await;
    assert_eq!((&answer["synced"], &answer["errors"]), (&json!(true), &json!([])));
    assert_equal(&reader.lines().await, &lines(&node));
}

#[tokio::test]
async fn a_map_through_files() {
    through_files::<LwwMap>().await;
}

#[tokio::test]
async fn events_through_files() {
    through_files::<EventLog>().await;
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
