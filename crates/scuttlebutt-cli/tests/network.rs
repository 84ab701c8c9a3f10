//! Which nodes belong together, which are noticed to be gone, and peers that say little.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use common::{Folder, Running, done, eventually, fails, run};
use scuttlebutt_security::Ed25519Key;
use scuttlebutt_security::key_file::{self, Existing};

#[test]
fn nodes_and_commands_of_another_model_are_refused_by_name() {
    let (map, address) = Running::serve(&[]);
    done(&["set", "--peer", &address, "k", "1"]);
    let (events, _) = Running::serve(&["--model", "events", "--peer", &address]);
    events.wait_for_log(
        "the peer holds another model: it says \"map\", and this replica holds \"events\"",
    );
    map.wait_for_log(
        "the peer holds another model: it says \"events\", and this replica holds \"map\"",
    );
    for command in [
        &["dump", "--model", "events"][..],
        &["dump", "--model", "value"],
        &["emit", "happened", "1"],
        &["set", "--model", "value", "7"],
        &["get", "--model", "value"],
    ] {
        fails(&[command, &["--peer", &address]].concat(), 4, "map");
    }
    assert_eq!(done(&["dump", "--peer", &address]), "{\"k\":1}\n");
}

/// The original does not say what it holds; a map's node sees that it is sent events.
#[test]
fn a_peer_of_the_originals_kind_with_another_model_is_told() {
    let (map, address) = Running::serve(&[]);
    let mut original = TcpStream::connect(address).expect("it listens");
    original
        .write_all(b"{\"id\":\"J\",\"clock\":{}}\n[[\"happened\",1,2],5,\"J\"]\n\"SYNC\"\n")
        .expect("it reads");
    map.wait_for_log("does it hold another model?");
}

#[test]
fn clusters_keep_apart_and_who_names_none_is_let_in_and_told() {
    let (red, address) = Running::serve(&["--cluster", "red"]);
    let (blue, _) = Running::serve(&["--cluster", "blue", "--peer", &address]);
    blue.wait_for_log(
        "the peer belongs to another cluster: it says \"red\", and this replica belongs to \"blue\"",
    );
    red.wait_for_log("it says \"blue\", and this replica belongs to \"red\"");
    fails(
        &["set", "--peer", &address, "--cluster", "blue", "k", "1"],
        4,
        "is the address right, and --cluster?",
    );
    done(&["set", "--peer", &address, "--cluster", "red", "k", "1"]);
    assert_eq!(done(&["get", "--peer", &address, "k"]), "1\n");
    red.wait_for_log("the peer names no cluster, and is let into \"red\"");
    assert_eq!(run(&["serve", "--memory", "--cluster", ""]).code, Some(2));
}

/// One key, trusted by two networks: what it signed for one is not believed by the other.
#[test]
fn a_signed_update_cannot_be_played_to_another_cluster() {
    let folder = Folder::new();
    let (path, key) = (folder.file("ada.key"), Ed25519Key::from_seed(&[7; 32]));
    key_file::write(path.as_ref(), &key.to_text(), Existing::Keep).expect("writes");
    let list = folder.file("trusted");
    std::fs::write(&list, format!("{}\n", key.id())).expect("writes");
    let serve = |more: &[&str]| Running::serve(&[&["--trust", &list][..], more].concat());

    let (_red, red) = serve(&["--cluster", "red"]);
    let (blue, blue_address) = serve(&["--cluster", "blue"]);
    let (_old, old) = serve(&[]);
    let (_open, open) = serve(&["--cluster", "blue", "--accept-unbound"]);
    let in_red = ["--key", &path, "--cluster", "red"];
    done(&[&["set", "--peer", &red, "k", "1"], &in_red[..]].concat());
    let line = done(&["dump", "--updates", "--peer", &red]);
    assert!(line.starts_with("[[\"k\",1],"), "{line}");

    let mut replay = TcpStream::connect(&blue_address).expect("it listens");
    let said = format!("{{\"id\":\"J\",\"clock\":{{}}}}\n{line}\"SYNC\"\n");
    replay.write_all(said.as_bytes()).expect("it reads");
    blue.wait_for_log("whose signature is not known to be good");
    assert_eq!(done(&["dump", "--peer", &blue_address]), "{}\n");

    // What is checked by hand is judged likewise.
    let file = folder.file("updates.jsonl");
    std::fs::write(&file, &line).expect("writes");
    assert_eq!(run(&["verify", &file, "--trust", &list, "--cluster", "red"]).code, Some(0));
    for other in [&["--cluster", "blue"][..], &["--cluster", "blue", "--accept-unbound"], &[]] {
        let ended = run(&[&["verify", &file, "--trust", &list], other].concat());
        assert_eq!(ended.code, Some(1), "{other:?}");
        assert!(ended.out.contains("bad signature"), "{}", ended.out);
    }

    // A network that had no name once keeps what it signed then, if it says so.
    done(&["set", "--peer", &old, "k", "2", "--key", &path]);
    let line = done(&["dump", "--updates", "--peer", &old]);
    let said = format!("{{\"id\":\"J\",\"clock\":{{}}}}\n{line}\"SYNC\"\n");
    for (address, expected) in [(&open, "{\"k\":2}\n"), (&blue_address, "{}\n")] {
        let mut replay = TcpStream::connect(address).expect("it listens");
        replay.write_all(said.as_bytes()).expect("it reads");
        eventually("what counts is shown", || done(&["dump", "--peer", address]) == expected);
    }
}

/// It is stopped, its sockets stay open, and no packet says that it is gone.
#[test]
fn a_process_that_hangs_is_given_up_and_dialled_again() {
    let bound = ["--limit", "heartbeat_ms_max=1000"];
    let (server, address) = Running::serve(&bound);
    let (node, _) = Running::serve(&[&bound[..], &["--peer", &address]].concat());
    node.wait_for_log("in sync");
    server.signal("STOP");
    node.wait_for_log("the peer was silent for 3000 ms");
    server.signal("CONT");
    node.wait_for_log("in sync");
}

/// `createWriteStream()` of the original says nothing: it is sent header, history and SYNC.
#[test]
fn a_reader_that_never_asks_is_served_where_the_operator_says_so() {
    let (_serve, address) = Running::serve(&[
        "--tcp",
        "127.0.0.1:0,read-only,unasked",
        "--meta",
        "{\"role\":\"hub\"}",
        "--limit",
        "digest_wait_ms_max=200",
    ]);
    // The first listener is the usual one.
    let unasked = _serve.line();
    let unasked = unasked.strip_prefix("listening tcp ").expect("the second address");
    done(&["set", "--peer", &address, "k", "1"]);
    let mut lines = BufReader::new(TcpStream::connect(unasked).expect("it listens")).lines();
    let mut next = || lines.next().expect("a line").expect("it is sent");
    let header = next();
    assert!(header.contains("\"meta\":{\"role\":\"hub\"}"), "{header}");
    assert!(next().starts_with("[[\"k\",1],"));
    assert_eq!(next(), "\"SYNC\"");
    std::thread::sleep(std::time::Duration::from_millis(500));
    done(&["set", "--peer", &address, "k", "2"]);
    assert!(next().starts_with("[[\"k\",2],"));

    let wrong = ["serve", "--memory", "--tcp", "127.0.0.1:0,unasked"];
    fails(&wrong, 2, "`,read-only,unasked`");
    fails(&["serve", "--memory", "--meta", "{"], 2, "--meta");
}

#[test]
fn a_silent_peer_may_stay_where_the_operator_says_so() {
    for (place, stays) in [("127.0.0.1:0", false), ("127.0.0.1:0,patient", true)] {
        let serve = Running::start(&[
            "serve",
            "--memory",
            "--tcp",
            place,
            "--limit",
            "digest_wait_ms_max=200",
        ]);
        let line = serve.line();
        let address = line.strip_prefix("listening tcp ").expect("the address comes first");
        let mut idle = TcpStream::connect(address).expect("it listens");
        std::thread::sleep(std::time::Duration::from_millis(700));
        let said = idle.write_all(b"{\"id\":\"J\",\"clock\":{}}\n");
        let mut lines = BufReader::new(idle).lines().map_while(Result::ok);
        let is_served = said.is_ok() && lines.any(|line| line == "\"SYNC\"");
        assert_eq!(is_served, stays, "{place}");
    }
}
