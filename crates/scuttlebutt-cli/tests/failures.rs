//! Each way to fail has its exit code, a message that says who is at fault, and a bound in time.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use common::{Running, SocketPath, done, fails, run};

/// Every command that needs a peer.
fn with_peer(peer: &str) -> Vec<Vec<&str>> {
    [&["dump"][..], &["watch"], &["get", "k"], &["set", "k", "1"], &["emit", "e"]]
        .map(|command| [command, &["--peer", peer, "--timeout", "1"]].concat())
        .to_vec()
}

/// Answers each connection with these bytes once something has come, and keeps it open.
fn answering(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut open = vec![];
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(bytes);
            open.push(stream);
        }
    });
    address
}

#[test]
fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let hint = "is a node listening there? (scuttlebutt serve)";
    for command in with_peer(&address) {
        let start = Instant::now();
        fails(&command, 3, &format!("cannot reach {address}: connection refused; {hint}"));
        assert!(start.elapsed() < Duration::from_millis(900), "{command:?}");
    }
    let socket = SocketPath::new();
    for command in with_peer(&socket.address()) {
        fails(&command, 3, "there is no such socket");
    }
}

#[test]
fn http() {
    let peer = answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    for command in with_peer(&peer) {
        fails(&command, 4, "speaks HTTP, not scuttlebutt; is the address right?");
    }
}

#[test]
fn tls() {
    let alert = answering(&[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46]);
    let handshake = answering(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]);
    for peer in [alert, handshake] {
        fails(&["dump", "--peer", &peer], 4, "speaks TLS, not scuttlebutt");
    }
}

#[test]
fn other_bytes() {
    let peer = answering(b"\x00\xff\x1b[2J hello");
    fails(&["dump", "--peer", &peer], 4, "an unknown protocol");
    let peer = answering(b"{\"id\":\"x\",\"clock\":{}}\n");
    fails(&["set", "--peer", &peer, "--timeout", "1", "k", "1"], 5, "history");
    let peer = answering(b"\"SYNC\"\n");
    fails(&["dump", "--peer", &peer, "--timeout", "1"], 5, "did not say what it holds within 1s");
    let peer = answering(b"{\"id\":\"x\"}\n");
    fails(&["set", "--peer", &peer, "k", "1"], 4, "digest without a usable");
}

#[test]
fn silence_ends_at_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peer = silent.local_addr().expect("bound").to_string();
    std::thread::scope(|scope| {
        for command in with_peer(&peer) {
            scope.spawn(move || {
                let start = Instant::now();
                fails(&command, 5, "said nothing within 1s");
                assert!(start.elapsed() < Duration::from_secs(3), "{command:?}");
            });
        }
    });
}

#[test]
fn a_peer_that_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let peer = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 1_000]);
        }
    });
    for command in with_peer(&peer) {
        fails(&command, 4, &format!("{peer}: the peer closed the connection"));
    }
}

#[test]
fn another_model() {
    let (_value, value) = Running::serve(&["--model", "value"]);
    let (_events, events) = Running::serve(&["--model", "events"]);
    let (holds_value, holds_events) =
        ("holds one value; dump and watch show it with --model value", "holds events; dump and");
    for (command, message) in [
        (&["dump", "--peer", &value][..], holds_value),
        (&["dump", "--peer", &value, "--model", "events"], holds_value),
        (&["watch", "--peer", &events], holds_events),
        (&["get", "--peer", &events, "k"], holds_events),
        (&["set", "--peer", &value, "k", "1"], "nothing is written"),
        (&["emit", "--peer", &value, "e"], "nothing is written"),
    ] {
        fails(command, 4, message);
    }
    assert_eq!(done(&["dump", "--peer", &value, "--model", "value"]), "null\n");
}

/// An address where a history is told as the original tells it, which does not name its model.
fn telling(updates: &str) -> String {
    let history = format!("{{\"id\":\"JS\",\"clock\":{{}}}}\n{updates}\"SYNC\"\n");
    answering(Box::leak(history.into_boxed_str()).as_bytes())
}

#[test]
fn another_model_that_is_not_named() {
    let value = telling("[7,5,\"JS\"]\n");
    let events = telling("[[\"moved\",1,2],5,\"JS\"]\n");
    let message = "seems to serve another model";
    fails(&["dump", "--peer", &value], 4, &format!("{message} (value?)"));
    fails(&["dump", "--peer", &value, "--model", "events"], 4, &format!("{message} (value?)"));
    fails(&["dump", "--peer", &events], 4, &format!("{message} (events?)"));
    fails(&["watch", "--peer", &events], 4, message);
    fails(&["get", "--peer", &events, "moved"], 4, message);
    // Nothing is written by mistake.
    fails(&["set", "--peer", &value, "k", "1"], 4, message);
    fails(&["emit", "--peer", &value, "e"], 4, message);

    // Some of it fits: a warning, and what there is.
    let both = telling("[[\"moved\",1,2],5,\"JS\"]\n[[\"k\",1],6,\"JS\"]\n");
    let ended = run(&["dump", "--peer", &both]);
    assert_eq!((ended.code, &*ended.out), (Some(0), "{\"k\":1,\"moved\":1}\n"));
    assert!(ended.err.starts_with("warning: 1 of 2 updates of "), "{}", ended.err);
}

#[test]
fn the_command_line_makes_no_sense() {
    let peer = ["--peer", "127.0.0.1:1"];
    let hello = "did you mean '\"hello\"'?";
    for (command, message) in [
        (&["set", "k", "hello"][..], hello),
        (&["set", "k", "don't"], r#"did you mean '"don'\''t"'?"#),
        (&["emit", "e", "1", "hello"], hello),
        (&["set", "k"], "Give KEY and JSON"),
        (&["set", "--model", "value", "k", "1"], "a value has no keys"),
        (&["set", "--model", "events", "k", "1"], "possible values: map, value"),
        (&["get"], "Name a key"),
        (&["get", "--model", "value", "k"], "a value has no keys"),
        (&["dump", "--timeout", "0"], "a number of seconds above 0"),
        (&["dump", "--timeout", "NaN"], "a number of seconds above 0"),
        (&["dump", "--model", "set"], "possible values: map, events, value"),
        (&["dump", "--log", "=,="], "invalid"),
    ] {
        fails(&[command, &peer].concat(), 2, message);
    }
    for (command, message) in [
        (&["dump"][..], "--peer <ADDR>"),
        (&["dump", "--peer", "localhost"], "\"localhost\" is no address: the port is missing"),
        (&["serve", "--tcp", "unix:/tmp/x"], "use --unix PATH"),
        (&["serve", "--tcp", "localhost:70000"], "below 65536"),
        (&["serve", "--memory", "--id", "__proto__"], "__proto__"),
        (&["serve", "--memory", "--id", ""], "must not be empty"),
        (&["fetch"], "unrecognized subcommand"),
    ] {
        fails(command, 2, message);
    }
}

#[test]
fn a_number_that_would_change_is_refused_unless_that_is_asked_for() {
    let (_map, map) = Running::serve(&[]);
    let (_value, value) = Running::serve(&["--model", "value"]);
    let (_events, events) = Running::serve(&["--model", "events"]);
    let of_map = ["set", "--peer", &map, "k"];
    let of_value = ["set", "--peer", &value, "--model", "value"];
    let of_events = ["emit", "--peer", &events, "e", "1"];
    done(&[&of_map[..], &["1"]].concat());
    for (command, text, stored) in [
        (&of_map[..], "9007199254740993", "9007199254740992"),
        (&of_map, "1e400", "null"),
        (&of_map, "{\"a\":[-1e400]}", "{\"a\":[null]}"),
        (&of_value, "18446744073709551615", "18446744073709552000"),
        (&of_events, "0.1000000000000000055511151231257827", "0.1"),
    ] {
        let message = format!("What would be stored is {stored}; --lossy stores it all the same");
        fails(&[command, &[text]].concat(), 2, &message);
    }
    assert_eq!(done(&["dump", "--peer", &map]), "{\"k\":1}\n");
    assert_eq!(done(&["dump", "--peer", &value, "--model", "value"]), "null\n");

    done(&[&of_map[..], &["--lossy", "9007199254740993"]].concat());
    assert_eq!(done(&["get", "--peer", &map, "k"]), "9007199254740992\n");
    done(&[&of_events[..], &["--lossy", "1e400"]].concat());
    let dumped = done(&["dump", "--peer", &events, "--model", "events"]);
    assert_eq!(dumped, "[\"e\",1,null]\n");
    fails(&[&of_map[..], &["--lossy", "--string", "1"]].concat(), 2, "cannot be used with");
}

#[test]
fn a_long_argument_is_not_repeated() {
    let long = "x".repeat(100_000);
    for command in [
        &["set", "--peer", "127.0.0.1:1", "k", &long][..],
        &["set", "--peer", "127.0.0.1:1", &long],
        &["get", "--peer", "127.0.0.1:1", "k", "--timeout", &long],
        &["dump", "--peer", &long],
        &["serve", "--memory", "--id", &long],
        &["serve", "--memory", "--limit", &long],
        &[&long],
    ] {
        let ended = run(command);
        assert_eq!(ended.code, Some(2));
        assert!((20..1_500).contains(&ended.err.len()), "{}", &ended.err[..1_500]);
    }
    let (_serve, peer) = Running::serve(&[]);
    let ended = run(&["get", "--peer", &peer, &long]);
    assert!(ended.code == Some(1) && ended.err.len() < 300, "{}", ended.err);
}

#[test]
fn what_the_model_refuses() {
    let (_serve, peer) = Running::serve(&[]);
    fails(&["set", "--peer", &peer, "__proto__", "1"], 2, "__proto__");
    assert_eq!(done(&["dump", "--peer", &peer, "--updates"]), "");
}

#[test]
fn an_address_in_use() {
    let (_serve, address) = Running::serve(&[]);
    let message = format!("cannot listen on {address}: ");
    fails(&["serve", "--memory", "--tcp", &address], 1, &message);
    fails(&["serve", "--memory", "--tcp", &address], 1, "--tcp 127.0.0.1:0 takes any free port");
    fails(
        &["serve", "--memory", "--unix", "/nonexistent/x.sock"],
        1,
        "cannot listen on unix:/nonexistent",
    );
}
