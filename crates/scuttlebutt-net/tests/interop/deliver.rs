//! The proof of delivery, to peers that acknowledge nothing.

use scuttlebutt::{EventLog, LwwMap, Register};
use scuttlebutt_net::DeliveryError;
use serde_json::json;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{Kind, assert_same, builder, dialling, holds, write};

for_each_model!(they_send_it_back, they_had_it_before_we_asked, they_come_up_later);

async fn they_send_it_back<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    let peer = node.peers()[0].clone();
    peer.synced().await.unwrap();
    for n in 0..5 {
        let update = write(&node, &M::change(n)).await;
        node.deliver(&update, &peer).await.unwrap();
        assert!(js.holds(&M::change(n)).await);
    }
    assert_same(&mut js, &node).await;
}

/// What went with the history is not sent back: it is asked for.
async fn they_had_it_before_we_asked<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = builder::<M>("ours").start().await.unwrap();
    let update = write(&node, &M::change(0)).await;
    let peer = node.add_peer(&js.address().await).unwrap();
    node.deliver(&update, &peer).await.unwrap();
    assert!(js.holds(&M::change(0)).await);
    assert_same(&mut js, &node).await;
}

async fn they_come_up_later<M: Kind>() {
    // An address that was free a moment ago.
    let gone = Js::listening::<M>("gone", &[]).await;
    let address = gone.address().await;
    gone.kill().await;
    let node = dialling::<M>("ours", &address).await;
    let update = write(&node, &M::change(0)).await;
    let peer = node.peers()[0].clone();
    peer.synced().await.unwrap_err();
    let delivering = {
        let node = node.clone();
        tokio::spawn(async move { node.deliver(&update, &peer).await })
    };
    let port = address.rsplit(':').next().unwrap();
    let mut js = Js::start::<M>("theirs", &["--listen", port]).await;
    delivering.await.unwrap().unwrap();
    assert!(js.holds(&M::change(0)).await);
}

async fn refused_by_a_server_that_only_sends<M: Kind>(options: &str) {
    let mut js = Js::listening::<M>("theirs", &["--options", options]).await;
    js.write::<M>(&M::change(0)).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    let peer = node.peers()[0].clone();
    crate::ours::receives(&node, &M::change(0)).await;
    // Another key, so that nothing supersedes it.
    let update = write(&node, &M::change(1)).await;
    let delivered = node.deliver(&update, &peer).await;
    assert!(matches!(delivered, Err(DeliveryError::NotAccepted)), "{delivered:?}");
    assert!(!js.holds(&M::change(1)).await);
    assert!(holds(&node, &M::change(1)));
}

#[tokio::test]
async fn a_map_that_only_sends() {
    refused_by_a_server_that_only_sends::<LwwMap>(r#"{"writable":false}"#).await;
    refused_by_a_server_that_only_sends::<LwwMap>(r#"{"writable":false,"clock":true}"#).await;
}

#[tokio::test]
async fn events_that_are_only_sent() {
    refused_by_a_server_that_only_sends::<EventLog>(r#"{"writable":false}"#).await;
}

/// What a newer write supersedes has nothing left to deliver.
#[tokio::test]
async fn superseded_at_once() {
    let js = Js::listening::<LwwMap>("theirs", &[]).await;
    let node = dialling::<LwwMap>("ours", &js.address().await).await;
    let peer = node.peers()[0].clone();
    let first = write(&node, r#"["k",1]"#).await;
    let second = write(&node, r#"["k",2]"#).await;
    node.deliver(&first, &peer).await.unwrap();
    node.deliver(&second, &peer).await.unwrap();

    let mut js = Js::listening::<Register>("theirs", &[]).await;
    let node = dialling::<Register>("ours", &js.address().await).await;
    let peer = node.peers()[0].clone();
    let first = write(&node, "1").await;
    let later = crate::ours::now_ms() + 60_000.0;
    js.write_at("2", later).await;
    crate::ours::receives(&node, "2").await;
    node.deliver(&first, &peer).await.unwrap();
    assert_same(&mut js, &node).await;
    js.wait(json!({ "open": 1 })).await;
}
