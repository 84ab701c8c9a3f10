//! What is written by one process is read by another: each model, each transport, each format.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use common::{Running, SocketPath, done, fails};
use serde_json::{Value, json};

#[test]
fn a_map_is_written_read_watched_and_dumped() {
    let (serve, peer) = Running::serve(&[]);
    let watch = Running::watch(&["--peer", &peer]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{}\n");

    assert_eq!(done(&["set", "--peer", &peer, "greeting", "\"hello\""]), "");
    done(&["set", "--peer", &peer, "-s", "name", "tab\there"]);
    done(&["set", "--peer", &peer, "temperature", "-3.50"]);
    done(&["set", "--peer", &peer, "greeting", "null"]);

    for process in [&serve, &watch] {
        for (key, value) in [
            ("\"greeting\"", "\"hello\""),
            ("\"name\"", "\"tab\\there\""),
            ("\"temperature\"", "-3.5"),
            ("\"greeting\"", "null"),
        ] {
            let line = process.line();
            let columns: Vec<_> = line.split('\t').collect();
            assert_eq!((columns.len(), columns[0], columns[1]), (4, key, value));
            assert!(columns[2].parse::<f64>().is_ok(), "{line}");
            assert_eq!(columns[3].len(), 41, "{line}");
        }
    }

    let state = done(&["dump", "--peer", &peer]);
    assert_eq!(state, "{\"name\":\"tab\\there\",\"temperature\":-3.5}\n");
    let updates = done(&["dump", "--peer", &peer, "--updates"]);
    let changes: Vec<Value> = updates
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")[0].clone())
        .collect();
    let written =
        [json!(["name", "tab\there"]), json!(["temperature", -3.5]), json!(["greeting", null])];
    assert_eq!(changes, written, "in the order of writing, the removal included");

    assert_eq!(done(&["get", "--peer", &peer, "name"]), "\"tab\\there\"\n");
    assert_eq!(done(&["get", "--peer", &peer, "-r", "name"]), "tab\there\n");
    let none = format!("{peer} has no value at \"greeting\"");
    fails(&["get", "--peer", &peer, "greeting"], 1, &none);
}

#[test]
fn events_are_emitted_watched_and_dumped_over_a_unix_socket() {
    let socket = SocketPath::new();
    let serve =
        Running::start(&["serve", "--memory", "--model", "events", "--unix", socket.path()]);
    assert_eq!(serve.line(), format!("listening unix {}", socket.path()));
    let peer = socket.address();
    let watch = Running::watch(&["--peer", &peer, "--model", "events", "--json"]);

    assert_eq!(done(&["emit", "--peer", &peer, "joined", "\"ada\"", "-3"]), "");
    done(&["emit", "--peer", &peer, "-s", "said", "good morning"]);
    done(&["emit", "--peer", &peer, "tick"]);

    let events = "[\"joined\",\"ada\",-3]\n[\"said\",\"good morning\"]\n[\"tick\"]\n";
    assert_eq!(done(&["dump", "--peer", &peer, "--model", "events"]), events);
    assert!(serve.line().starts_with("\"joined\"\t[\"ada\",-3]\t"));
    for (event, arguments) in
        [("joined", json!(["ada", -3])), ("said", json!(["good morning"])), ("tick", json!([]))]
    {
        let line: Value = serde_json::from_str(&watch.line()).expect("JSON");
        assert_eq!((&line["event"], &line["arguments"]), (&json!(event), &arguments));
        assert!(line["timestamp"].is_number() && line["source"].is_string());
    }
}

#[test]
fn a_value_is_set_got_watched_and_dumped() {
    let (serve, peer) = Running::serve(&["--model", "value"]);
    let of_value = |command: &'static str| vec![command, "--peer", &peer, "--model", "value"];
    fails(&of_value("get"), 1, "has no value yet");
    assert_eq!(done(&of_value("dump")), "null\n");
    let watch = Running::watch(&of_value("watch")[1..]);

    done(&[&of_value("set")[..], &["{\"b\":1,\"a\":[]}"]].concat());
    let text = "{\"b\":1,\"a\":[]}";
    for process in [&serve, &watch] {
        assert!(process.line().starts_with(&format!("{text}\t")));
    }
    assert_eq!(done(&of_value("get")), format!("{text}\n"));
    assert_eq!(done(&of_value("dump")), format!("{text}\n"));
}

#[test]
fn every_line_of_serve_is_json_if_asked_for() {
    let socket = SocketPath::new();
    let unix = ["--tcp", "127.0.0.1:0", "--unix", socket.path(), "--json"];
    let serve = Running::start(&[&["serve", "--memory"], &unix[..]].concat());
    let lines = [serve.line(), serve.line()];
    done(&["set", "--peer", &socket.address(), "k", "[1]"]);
    done(&["set", "--peer", &socket.address(), "k", "null"]);

    let [tcp, unix] = lines.map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
    assert_eq!(tcp["listening"], "tcp");
    assert!(tcp["address"].as_str().is_some_and(|a| !a.ends_with(":0")));
    assert_eq!(unix, json!({"listening": "unix", "address": socket.path()}));
    for value in [json!([1]), Value::Null] {
        let line: Value = serde_json::from_str(&serve.line()).expect("JSON");
        assert_eq!((&line["key"], &line["value"]), (&json!("k"), &value));
        assert!(line["timestamp"].is_number() && line["source"].is_string());
        assert_eq!(line.as_object().map(|members| members.len()), Some(4));
    }
}

#[test]
fn nodes_pass_on_what_they_are_told() {
    let (_first, a) = Running::serve(&[]);
    let (second, b) = Running::serve(&["--peer", &a]);
    done(&["set", "--peer", &a, "k", "1"]);
    assert!(second.line().starts_with("\"k\"\t1\t"));
    done(&["set", "--peer", &b, "k", "2"]);
    assert!(second.line().starts_with("\"k\"\t2\t"));
    while done(&["get", "--peer", &a, "k"]) != "2\n" {}
    let watch = Running::watch(&["--peer", &a, "--history"]);
    // The value before may be told of as one that was missed.
    let line = Some(watch.line()).filter(|line| line != "missed 1");
    assert!(line.unwrap_or_else(|| watch.line()).starts_with("\"k\"\t2\t"));
}

#[test]
fn a_write_wins_over_a_value_from_a_clock_that_is_ahead() {
    let (serve, peer) = Running::serve(&[]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let in_an_hour = now.expect("after 1970").as_millis() + 3_600_000;
    let mut stream = TcpStream::connect(&peer).expect("it listens");
    let lines = format!(
        "{{\"id\":\"JS\",\"clock\":{{}}}}\n[[\"k\",\"ahead\"],{in_an_hour},\"JS\"]\n\"SYNC\"\n"
    );
    stream.write_all(lines.as_bytes()).expect("it reads");
    assert!(serve.line().starts_with("\"k\"\t\"ahead\"\t"));

    done(&["set", "--peer", &peer, "k", "\"later\""]);
    assert_eq!(done(&["get", "--peer", &peer, "k"]), "\"later\"\n");
    // The peer that was ahead hears of it too.
    let heard = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("[[\"k\",\"later\"]"));
    assert!(heard);
}

#[test]
fn watch_comes_back_when_the_peer_does() {
    let socket = SocketPath::new();
    let serve = Running::start(&["serve", "--memory", "--unix", socket.path()]);
    serve.line();
    let peer = socket.address();
    let watch = Running::watch(&["--peer", &peer]);
    drop(serve);
    watch.wait_for_log("cannot reach");

    let serve = Running::start(&["serve", "--memory", "--unix", socket.path()]);
    serve.line();
    done(&["set", "--peer", &peer, "k", "1"]);
    assert!(watch.line().starts_with("\"k\"\t1\t"));
}

#[test]
fn a_read_only_node_follows_and_refuses_writers() {
    let (_source, source) = Running::serve(&[]);
    done(&["set", "--peer", &source, "k", "1"]);
    let (_read_only, peer) = Running::serve(&["--read-only"]);
    fails(
        &["set", "--peer", &peer, "k", "2"],
        6,
        "the peer did not accept the update: it is read-only",
    );
    fails(&["get", "--peer", &peer, "k"], 1, "no value");
    fails(&["set", "--peer", &peer, "k", "null"], 6, "read-only");
}

/// A peer as the original is with `{tail: false}`: it leaves after each sync, sends only what a
/// digest lacks, and acknowledges nothing. Answers its address.
fn leaving_after_sync() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut held: Vec<Value> = vec![];
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.write_all(b"{\"id\":\"JS\",\"clock\":{}}\n");
            for line in BufReader::new(stream.try_clone().expect("a handle")).lines() {
                let Ok(line) = line else { break };
                match serde_json::from_str(&line).expect("JSON") {
                    update @ Value::Array(_) => held.push(update),
                    Value::Object(digest) => {
                        let is_lacking = |update: &&Value| {
                            let newest = &digest["clock"][update[2].as_str().expect("a source")];
                            newest.as_f64() < update[1].as_f64()
                        };
                        for update in held.iter().filter(is_lacking) {
                            let _ = writeln!(stream, "{update}");
                        }
                        let _ = stream.write_all(b"\"SYNC\"\n");
                    }
                    _ => break,
                }
            }
        }
    });
    address
}

#[test]
fn delivery_is_proven_to_a_peer_that_leaves_after_each_sync() {
    let peer = leaving_after_sync();
    done(&["set", "--peer", &peer, "k", "1"]);
    assert_eq!(done(&["get", "--peer", &peer, "k"]), "1\n");
}
