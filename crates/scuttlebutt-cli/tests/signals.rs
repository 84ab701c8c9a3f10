//! Signals and closed pipes: an end in good order, and never a panic.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use common::{Running, command, done};

#[test]
fn a_signal_ends_serve_and_watch_in_good_order() {
    for signal in ["INT", "TERM"] {
        let (mut serve, peer) = Running::serve(&[]);
        let mut watch = Running::watch(&["--peer", &peer]);
        watch.signal(signal);
        assert_eq!(watch.wait().code(), Some(0), "watch, {signal}");
        serve.signal(signal);
        assert_eq!(serve.wait().code(), Some(0), "serve, {signal}");
    }
}

#[test]
fn what_was_accepted_before_a_signal_is_delivered_and_printed() {
    for signal in ["INT", "TERM"] {
        let (_far, far) = Running::serve(&[]);
        let (mut near, peer) = Running::serve(&["--peer", &far]);
        near.wait_for_log("in sync");
        let keys: Vec<_> = (0..5).map(|i| format!("key-{i}")).collect();
        for key in &keys {
            done(&["set", "--peer", &peer, key, "1"]);
        }
        near.signal(signal);
        assert_eq!(near.wait().code(), Some(0));

        let printed = near.rest();
        assert_eq!(printed.len(), keys.len());
        for (line, key) in printed.iter().zip(&keys) {
            assert!(line.starts_with(&format!("\"{key}\"\t")), "{line}");
            assert_eq!(done(&["get", "--peer", &far, key]), "1\n");
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    // A peer that takes the connection and never leaves it holds up the good order.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    let (mut serve, _) = Running::serve(&["--peer", &address]);
    let (mut stream, _) = silent.accept().expect("it dials");
    // It has said something: there is a session to end.
    stream.read_exact(&mut [0]).expect("a digest");
    serve.signal("TERM");
    serve.wait_for_log("shutting down");
    std::thread::sleep(std::time::Duration::from_millis(100));
    serve.signal("TERM");
    assert_eq!(serve.wait().code(), Some(128 + 15));
}

#[test]
fn a_signal_ends_watch_before_it_has_caught_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound").to_string();
    let mut watch = Running::start(&["watch", "--peer", &address]);
    let _stream = silent.accept().expect("it dials");
    watch.signal("INT");
    assert_eq!(watch.wait().code(), Some(0));
}

#[test]
fn a_closed_stdout_ends_serve_quietly() {
    let mut child = command(&["serve", "--memory", "--tcp", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let peer = line.trim_end().trim_start_matches("listening tcp ");
    done(&["set", "--peer", peer, "k", "1"]);
    let output = child.wait_with_output().expect("it ends");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(!err.contains("panic"), "{err}");
}

#[test]
fn a_closed_stdout_ends_the_others_quietly() {
    let (_serve, peer) = Running::serve(&[]);
    // More than a pipe holds.
    let long = "x".repeat(100_000);
    for key in ["a", "b"] {
        done(&["set", "--peer", &peer, "-s", key, &long]);
    }
    for args in [
        &["dump", "--peer", &peer][..],
        &["dump", "--updates", "--peer", &peer],
        &["get", "a", "--peer", &peer],
        &["completions", "bash"],
        &["id"],
    ] {
        let mut child = command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{args:?}");
    }
}
