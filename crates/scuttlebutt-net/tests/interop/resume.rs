//! Connections that are cut, and servers that come back: afterwards nothing is missing.

use scuttlebutt::{ChangeCursor, EventLog, LwwMap, SessionConfig};
use scuttlebutt_net::Notice;
use serde_json::json;

use crate::files::Folder;
use crate::for_each_model;
use crate::js::Js;
use crate::ours::{
    Kind, address, apply, assert_same, builder, clock_ticks, dialling, eventually, fresh_timestamp,
    lines, listening, receives, write, write_at,
};
use crate::relay::{Cut, Relay};

for_each_model!(
    cut_while_live_and_apart,
    their_server_comes_back_with_a_file,
    their_server_comes_back_with_nothing,
);

/// Each within the history, most in the middle of a line. The original announces what arrived
/// before a cut, so the rest has to be longer than the next.
const CUTS: [u64; 4] = [1, 40_001, 50_013, 60_029];

/// Updates whose keys come back among the sources, so that later ones supersede earlier ones of
/// other sources.
fn crossing<M: Kind>(prefix: &str, count: u64) -> Vec<String> {
    let line = |n: u64| {
        let change = match M::NAME {
            "events" => format!("[\"{prefix}\",{n}]"),
            _ => format!("[\"{prefix}{}\",{n}]", n * 7 % 5_000),
        };
        format!("[{change},{},\"{prefix}-{}\"]", fresh_timestamp(), n % 9)
    };
    (0..count).map(line).collect()
}

async fn cut_where_we_dial<M: Kind>(cut: fn(u64) -> Cut) {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let relay = Relay::start(&js.address().await, &CUTS.map(cut)).await;
    let node = builder::<M>("ours").start().await.unwrap();
    let (many, few) = (crossing::<M>("many", 8_000), crossing::<M>("few", 20));
    match cut(0) {
        Cut::ToDialler(_) => {
            js.apply(&many).await;
            apply(&node, &few);
        }
        Cut::ToListener(_) => {
            js.apply(&few).await;
            apply(&node, &many);
        }
    }
    node.add_peer(relay.address()).unwrap();
    eventually(|| relay.made() > CUTS.len(), || relay.made().to_string()).await;
    assert_same(&mut js, &node).await;
}

async fn cut_where_they_dial<M: Kind>(cut: fn(u64) -> Cut) {
    let node = listening::<M>("ours", SessionConfig::default()).await;
    let relay = Relay::start(&address(&node), &CUTS.map(cut)).await;
    let mut js = Js::start::<M>("theirs", &[]).await;
    let (many, few) = (crossing::<M>("many", 8_000), crossing::<M>("few", 20));
    match cut(0) {
        Cut::ToDialler(_) => {
            js.apply(&few).await;
            apply(&node, &many);
        }
        Cut::ToListener(_) => {
            js.apply(&many).await;
            apply(&node, &few);
        }
    }
    for connection in 1..=CUTS.len() {
        js.connect(relay.address()).await;
        js.wait(json!({ "closed": connection })).await;
    }
    js.connect(relay.address()).await;
    assert_same(&mut js, &node).await;
}

#[tokio::test]
async fn their_history_is_cut_where_we_dial() {
    cut_where_we_dial::<LwwMap>(Cut::ToDialler).await;
    cut_where_we_dial::<EventLog>(Cut::ToDialler).await;
}

#[tokio::test]
async fn our_history_is_cut_where_we_dial() {
    cut_where_we_dial::<LwwMap>(Cut::ToListener).await;
    cut_where_we_dial::<EventLog>(Cut::ToListener).await;
}

#[tokio::test]
async fn their_history_is_cut_where_they_dial() {
    cut_where_they_dial::<LwwMap>(Cut::ToListener).await;
    cut_where_they_dial::<EventLog>(Cut::ToListener).await;
}

#[tokio::test]
async fn our_history_is_cut_where_they_dial() {
    cut_where_they_dial::<LwwMap>(Cut::ToDialler).await;
    cut_where_they_dial::<EventLog>(Cut::ToDialler).await;
}

/// Sockets destroyed while both write, and writes on both sides while apart.
async fn cut_while_live_and_apart<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let relay = Relay::start(&js.address().await, &[]).await;
    let node = dialling::<M>("ours", relay.address()).await;
    let mut n = 0;
    for round in 0..6 {
        // Not waited for: what is under way is lost with the connection.
        for _ in 0..20 {
            write_at(&node, &M::change(n), fresh_timestamp());
            js.write_at(&M::change(n + 1), fresh_timestamp()).await;
            n += 2;
        }
        if round % 2 == 0 {
            js.run("disconnect", json!({})).await;
            continue;
        }
        relay.break_off();
        js.wait(json!({ "open": 0 })).await;
        for _ in 0..20 {
            write_at(&node, &M::change(n), fresh_timestamp());
            js.write_at(&M::change(n + 1), fresh_timestamp()).await;
            n += 2;
        }
        relay.mend();
        assert_same(&mut js, &node).await;
    }
    assert_same(&mut js, &node).await;
}

/// Each event is told once, however often what carries it comes again.
#[tokio::test]
async fn events_are_delivered_once() {
    let mut js = Js::listening::<EventLog>("theirs", &[]).await;
    js.apply(&crossing::<EventLog>("t", 3_000)).await;
    let cuts = [20_000, 60_000, 90_000].map(Cut::ToDialler);
    let relay = Relay::start(&js.address().await, &cuts).await;
    let node = dialling::<EventLog>("ours", relay.address()).await;
    let mut subscription = node.subscribe_from(ChangeCursor::default());
    let mut told = Vec::new();
    while told.len() < 3_000 {
        let next = tokio::time::timeout(crate::js::PATIENCE, subscription.next()).await;
        match next.unwrap().unwrap() {
            Notice::Changed { update, .. } => told.push(update.to_json()),
            missed => panic!("{missed:?}"),
        }
    }
    assert_same(&mut js, &node).await;
    told.sort();
    let mut all = lines(&node);
    all.sort();
    assert_eq!(told, all);
}

/// Starts the server anew at the same address.
async fn restart<M: Kind>(js: Js) -> Js {
    let (id, address) = (js.id().to_owned(), js.address().await);
    let port = address.rsplit(':').next().unwrap().to_owned();
    js.kill().await;
    let again = Js::start::<M>(&id, &["--listen", &port]).await;
    again.address().await;
    again
}

/// Its file lacks what it wrote last: we give that back.
async fn their_server_comes_back_with_a_file<M: Kind>() {
    let folder = Folder::new();
    let file = folder.path("state");
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    for n in 0..20 {
        write_at(&node, &M::change(n), fresh_timestamp());
        js.write_at(&M::change(n + 100), fresh_timestamp()).await;
    }
    assert_same(&mut js, &node).await;
    js.run("save", json!({ "file": file })).await;
    js.write_at(&M::change(200), fresh_timestamp()).await;
    receives(&node, &M::change(200)).await;

    let mut js = restart::<M>(js).await;
    write(&node, &M::change(201)).await;
    let loaded = js.run("load", json!({ "file": file })).await;
    assert_eq!(loaded["errors"], json!([]));
    js.receives(&M::change(201)).await;
    assert_same(&mut js, &node).await;
    clock_ticks().await;
    js.write::<M>(&M::change(202)).await;
    receives(&node, &M::change(202)).await;
    assert_same(&mut js, &node).await;
}

async fn their_server_comes_back_with_nothing<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    for n in 0..20 {
        write_at(&node, &M::change(n), fresh_timestamp());
        js.write_at(&M::change(n + 100), fresh_timestamp()).await;
    }
    assert_same(&mut js, &node).await;

    let mut js = restart::<M>(js).await;
    write(&node, &M::change(200)).await;
    js.receives(&M::change(200)).await;
    assert_same(&mut js, &node).await;
    clock_ticks().await;
    js.write::<M>(&M::change(201)).await;
    receives(&node, &M::change(201)).await;
    assert_same(&mut js, &node).await;
}
