//! Both ways, at connecting and live afterwards, with each side dialling.

use scuttlebutt::SessionConfig;
use scuttlebutt_net::Node;
use serde_json::json;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{
    Kind, address, assert_same, builder, clock_ticks, dialling, eventually, fresh_timestamp,
    listening, receives, write, write_at,
};

for_each_model!(we_listen, they_listen, over_unix_sockets, writes_from_both_at_once);

/// Writes made before the two met.
async fn write_apart<M: Kind>(js: &mut Js, node: &Node<M>) {
    for n in 0..8 {
        clock_ticks().await;
        if n % 2 == 0 {
            write(node, &M::change(n)).await;
        } else {
            js.write::<M>(&M::change(n)).await;
        }
    }
}

/// What both wrote apart arrives, and then each write as it is made.
async fn meet<M: Kind>(js: &mut Js, node: &Node<M>) {
    assert_same(js, node).await;
    for n in 8..30 {
        let change = M::change(n);
        // The original tells no later time than the wall clock's.
        clock_ticks().await;
        if n % 3 == 0 {
            js.write::<M>(&change).await;
            receives(node, &change).await;
        } else {
            write(node, &change).await;
            js.receives(&change).await;
        }
    }
    assert_same(js, node).await;
    let counts = js.wait(json!({ "connected": 1, "syncs": 1 })).await;
    assert_eq!(counts["errors"], 0, "{counts}");
    assert_eq!(counts["connected"], 1, "{counts}");
}

async fn we_listen<M: Kind>() {
    let node = listening::<M>("ours", SessionConfig::default()).await;
    let mut js = Js::start::<M>("theirs", &[]).await;
    write_apart(&mut js, &node).await;
    js.connect(&address(&node)).await;
    meet(&mut js, &node).await;
    node.shutdown().await;
    js.wait(json!({ "open": 0 })).await;
}

async fn they_listen<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = builder::<M>("ours").start().await.unwrap();
    write_apart(&mut js, &node).await;
    let peer = node.add_peer(&js.address().await).unwrap();
    meet(&mut js, &node).await;
    let status = peer.synced().await.unwrap();
    let session = status.session.unwrap();
    assert_eq!(session.peer.as_deref(), Some("theirs"));
    assert!(!session.has_extensions);
    node.shutdown().await;
    js.wait(json!({ "open": 0 })).await;
}

async fn over_unix_sockets<M: Kind>() {
    let folder = crate::files::Folder::new();
    let (ours, theirs) = (folder.path("ours"), folder.path("theirs"));
    let mut js = Js::start::<M>("theirs", &["--listen", &format!("unix:{theirs}")]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    write(&node, &M::change(0)).await;
    js.receives(&M::change(0)).await;

    let listener = node.listen(&format!("unix:{ours}")).await.unwrap();
    let mut other = Js::start::<M>("others", &[]).await;
    other.connect(&listener.address().to_string()).await;
    clock_ticks().await;
    other.write::<M>(&M::change(1)).await;
    js.receives(&M::change(1)).await;
    assert_same(&mut js, &node).await;
    assert_same(&mut other, &node).await;
}

/// Neither waits for the other; afterwards both hold the same.
async fn writes_from_both_at_once<M: Kind>() {
    let node = listening::<M>("ours", SessionConfig::default()).await;
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.connect(&address(&node)).await;
    for n in 0..200 {
        if n % 2 == 0 {
            write_at(&node, &M::change(n), fresh_timestamp());
        } else {
            js.write_at(&M::change(n), fresh_timestamp()).await;
        }
    }
    assert_same(&mut js, &node).await;
    let announced = || node.read_replica(scuttlebutt::Replica::version_vector);
    eventually(|| announced().len() == 2, || format!("{:?}", announced())).await;
}
