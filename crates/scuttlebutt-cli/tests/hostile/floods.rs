//! Many connections, from one place and from several, before and after they have said something.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::{Running, SocketPath, done, eventually, run};
use crate::{DIGEST, connect, connect_from, held_bytes, peak_bytes, wait_for_end};

/// Whether the daemon has said something: it does so to whom it lets in.
fn is_let_in(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(1))
}

#[test]
fn connections_of_one_address_are_bounded_and_others_get_in() {
    let (serve, address) = Running::serve(&["--limit", "sessions_per_address_max=10"]);
    let mut flood: Vec<_> = (0..10).map(|_| connect_from(2, &address)).collect();
    assert!(flood.iter_mut().all(is_let_in));
    for _ in 0..50 {
        wait_for_end(connect_from(2, &address));
    }
    serve.wait_for_log("127.0.0.2 has 10 connections, the limit for one address");
    done(&["set", "--peer", &address, "k", "1"]);
    // Whoever leaves makes room.
    drop(flood.pop());
    eventually("there is room", || is_let_in(&mut connect_from(2, &address)));
}

#[test]
fn connections_are_bounded_in_all_and_those_there_are_go_on() {
    let (serve, address) = Running::serve(&["--limit", "sessions_max=20"]);
    let watch = Running::watch(&["--peer", &address]);
    let mut flood: Vec<_> = (2..21).map(|host| connect_from(host, &address)).collect();
    assert!(flood.iter_mut().all(is_let_in));
    wait_for_end(connect_from(30, &address));
    serve.wait_for_log("the node has 20 sessions, its limit");
    flood[0].write_all(DIGEST).expect("writes");
    flood[0].write_all(b"[[\"k\",1],1,\"S\"]\n").expect("writes");
    assert!(watch.line().starts_with("\"k\"\t1\t"));
}

#[test]
fn a_flood_of_connections_logs_little() {
    let (serve, address) = Running::serve(&["--limit", "sessions_per_address_max=1"]);
    let _first = connect_from(2, &address);
    for _ in 0..1_000 {
        drop(connect_from(2, &address));
    }
    done(&["set", "--peer", &address, "k", "1"]);
    let lines = serve.rest_of_log();
    let of_flood = lines.iter().filter(|line| line.contains("the limit for one address")).count();
    assert!((1..500).contains(&of_flood), "{of_flood} lines");
}

#[test]
fn a_connection_that_has_said_nothing_costs_little() {
    const CONNECTIONS: u64 = 1_000;
    let (serve, address) = Running::serve(&[]);
    let before = held_bytes(&serve);
    let mut flood: Vec<_> = (0..CONNECTIONS).map(|_| connect(&address)).collect();
    assert!(flood.iter_mut().all(is_let_in));
    let each = held_bytes(&serve).saturating_sub(before) / CONNECTIONS;
    assert!(each < 24 << 10, "{each} bytes");
    done(&["set", "--peer", &address, "k", "1"]);
}

#[test]
fn a_handshake_that_does_not_go_on_costs_little_and_ends() {
    const CONNECTIONS: u64 = 500;
    let folder = crate::common::Folder::new();
    let dir = folder.file("certs");
    done(&["cert", "ca", "--dir", &dir]);
    done(&["cert", "node", "ada", "--dir", &dir]);
    let (cert, ca) = (folder.file("certs/ada.pem"), folder.file("certs/ca.pem"));
    let certificates = ["--cert", &cert, "--ca", &ca];
    let listen = ["serve", "--memory", "--tls", "127.0.0.1:0"];
    let limit = ["--limit", "handshake_wait_ms_max=8000"];
    let serve = Running::start(&[&listen[..], &certificates, &limit].concat());
    let line = serve.line();
    let address = line.strip_prefix("listening tls ").expect("the address comes first");
    let before = held_bytes(&serve);
    let mut flood: Vec<_> = (0..CONNECTIONS).map(|_| connect(address)).collect();
    for stream in &mut flood {
        // Says that a handshake of 16 KiB follows, and sends half of it.
        stream.write_all(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03").expect("writes");
        stream.write_all(&[0; 8_000]).expect("writes");
    }
    let tls = format!("tls://{address}");
    done(&[&["set", "--peer", &tls, "k", "1"][..], &certificates].concat());
    let each = held_bytes(&serve).saturating_sub(before) / CONNECTIONS;
    assert!(each < 64 << 10, "{each} bytes");
    for stream in flood {
        wait_for_end(stream);
    }
}

#[test]
fn lines_that_are_not_ended_share_one_bound() {
    let socket = SocketPath::new();
    let limits = ["--limit", "unfinished_bytes_max=50000000", "--unix", socket.path()];
    let (serve, address) = Running::serve(&limits);
    done(&["set", "--peer", &address, "k", "1"]);
    let part = [b"[[\"k\",\"".to_vec(), vec![b'x'; 12_000_000]].concat();
    let mut flood = vec![];
    for _ in 0..40 {
        let mut stream = connect(&address);
        let _ = stream.write_all(DIGEST);
        // Cut off with the rest unsent, where it is too much.
        let _ = stream.write_all(&part);
        flood.push(stream);
    }
    serve.wait_for_log("Limits::unfinished_bytes_max");
    let peak = peak_bytes(&serve);
    assert!(peak < 160 << 20, "{} MiB of the 480 that were sent", peak >> 20);
    // Short lines pass meanwhile.
    assert_eq!(done(&["get", "--peer", &socket.address(), "k"]), "1\n");
    done(&["set", "--peer", &socket.address(), "k", "2"]);
    drop(flood);
    eventually("long lines pass again", || {
        run(&["set", "--peer", &address, "--string", "l", &"v".repeat(100_000)]).code == Some(0)
    });
}
