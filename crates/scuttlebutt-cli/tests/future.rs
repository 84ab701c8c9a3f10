//! A node that wrote while its clock was a year ahead: what it says, and the way back.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::{SystemTime, UNIX_EPOCH};

use common::{Folder, Running, done, eventually, fails, run};
use scuttlebutt::{LwwMap, Replica, SourceId, Update};
use scuttlebutt_store::{Batch, Options, Store, StoreLimits};

const YEAR_MS: f64 = 365.0 * 86_400_000.0;

fn get(peer: &str, key: &str) -> String {
    run(&["get", "--peer", peer, key]).out
}

/// A directory whose node wrote `early` with a right clock, and then `k` a year ahead.
fn written_ahead(dir: &str, of_another: bool) {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as f64;
    let id = SourceId::new("ME").unwrap();
    let (store, _) = Store::open(dir, Options::new("map", id)).unwrap();
    let mut replica = store.load(Replica::new(store.id(), LwwMap::new()), |_| ()).unwrap();
    replica.local_update(now_ms, LwwMap::set("early", &1).unwrap()).unwrap();
    replica.local_update(now_ms, LwwMap::set("k", &0).unwrap()).unwrap();
    replica.local_update(now_ms + YEAR_MS, LwwMap::set("k", &1).unwrap()).unwrap();
    if of_another {
        let theirs = Update::from_json(&format!("[[\"j\",1],{},\"B\"]", now_ms + YEAR_MS)).unwrap();
        replica.remote_update(now_ms + YEAR_MS, theirs);
    }
    store.commit(&Batch::collect(&mut replica, 0, &StoreLimits::default())).unwrap();
}

#[test]
fn a_node_whose_clock_was_ahead_says_so_and_comes_back_with_everything() {
    let folder = Folder::new();
    let (dir, other) = (folder.file("data"), folder.file("other"));
    written_ahead(&dir, false);
    let (_other, peer) = Running::serve(&["--data", &other]);
    let (node, _) = Running::serve(&["--data", &dir, "--peer", &peer]);
    node.wait_for_log("365.0 days ahead of this machine's clock");
    fails(&["set", "--data", &dir, "later", "2"], 6, "repair --rewrite-future");
    eventually("what was written in time", || get(&peer, "early") == "1\n");
    fails(&["repair", "--rewrite-future", "--data", &dir], 1, "in use by a node");
    drop(node);

    let told = done(&["repair", "--rewrite-future", "--data", &dir]);
    assert!(told.contains("1 updates from the future are written anew"), "{told}");
    let (node, _) = Running::serve(&["--data", &dir, "--peer", &peer]);
    eventually("what was written ahead", || get(&peer, "k") == "1\n");
    done(&["set", "--data", &dir, "k", "2"]);
    eventually("what is written now", || get(&peer, "k") == "2\n");
    drop(node);
    let told = done(&["repair", "--rewrite-future", "--data", &dir]);
    assert!(told.contains("nothing is from the future"), "{told}");
}

#[test]
fn where_others_are_ahead_too_the_clock_is_doubted_first() {
    let folder = Folder::new();
    let dir = folder.file("data");
    written_ahead(&dir, true);
    fails(&["repair", "--rewrite-future", "--data", &dir], 1, "is this machine's clock right?");
    let told = done(&["repair", "--rewrite-future=all", "--data", &dir]);
    assert!(told.contains("2 updates from the future are written anew"), "{told}");
    let (_node, address) = Running::serve(&["--data", &dir]);
    assert_eq!([get(&address, "k"), get(&address, "j")], ["1\n", "1\n"]);
}
