//! Peers that take nothing, that say nothing, or that take their time with it. And honest ones, which
//! are idle.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Running, done, eventually};
use crate::{BINARY, DIGEST, connect, peak_bytes, wait_for_end};

#[test]
fn a_peer_that_reads_nothing_costs_nothing() {
    let (serve, address) = Running::serve(&[]);
    done(&["set", "--peer", &address, "--string", "k", &"v".repeat(100_000)]);
    let mut slow = connect(&address);
    let before = peak_bytes(&serve);
    // Asks for the history ten thousand times and never reads an answer: a gigabyte in all.
    slow.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let _ = slow.write_all(&b"{\"clock\":{}}\n".repeat(10_000));
    assert!(done(&["get", "--peer", &address, "k"]).len() > 100_000);
    let grown = peak_bytes(&serve).saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB", grown >> 10);
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off() {
    let (serve, address) = Running::serve(&["--limit", "write_wait_ms_max=300"]);
    // More than the system takes off the daemon's hands.
    for key in 0..8 {
        let big = "v".repeat(1_000_000);
        let mut peer = connect(&address);
        peer.write_all(DIGEST).expect("writes");
        peer.write_all(format!("[[\"k{key}\",\"{big}\"],{}1,\"S\"]\n", key + 1).as_bytes())
            .expect("writes");
        eventually("it is there", || {
            let mut get = crate::common::run(&["get", "--peer", &address, &format!("k{key}")]);
            get.out.truncate(2);
            get.out == "\"v"
        });
    }
    let mut slow = connect(&address);
    slow.write_all(DIGEST).expect("writes");
    serve.wait_for_log("the peer took nothing of what waits for it in 300 ms");
}

#[test]
fn a_peer_that_says_nothing_is_cut_off() {
    let (serve, address) = Running::serve(&["--limit", "digest_wait_ms_max=300"]);
    let begun = Instant::now();
    wait_for_end(connect(&address));
    assert!(begun.elapsed() >= Duration::from_millis(250));
    // One that only ever begins to say something is no better off.
    let mut slow = connect(&address);
    slow.write_all(b"{\"id\":").expect("writes");
    wait_for_end(slow);
    drop(serve);
}

#[test]
fn a_line_that_comes_byte_by_byte_is_cut_off() {
    let (serve, address) = Running::serve(&["--limit", "line_wait_ms_max=300"]);
    // In a frame no byte ends a line.
    let lines = ([DIGEST, b"[[\"k\",\""].concat(), b"x");
    let frames = ([BINARY, b"\x80\x08\x00\x00\"\""].concat(), b"\n");
    for (beginning, more) in [lines, frames] {
        let mut slow = connect(&address);
        slow.write_all(&beginning).expect("writes");
        let begun = Instant::now();
        while slow.write_all(more).is_ok() {
            assert!(begun.elapsed() < PATIENCE, "it is let go on");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    serve.wait_for_log("the peer did not go on with a line in 300 ms");
}

#[test]
fn an_idle_peer_stays() {
    let waits = ["write_wait_ms_max", "line_wait_ms_max", "digest_wait_ms_max"];
    let waits = waits.map(|name| format!("{name}=1000"));
    let limits: Vec<_> = waits.iter().flat_map(|limit| ["--limit", limit]).collect();
    let (serve, address) = Running::serve(&limits);
    let watch = Running::watch(&["--peer", &address]);
    let mut raw = connect(&address);
    raw.write_all(DIGEST).expect("writes");
    std::thread::sleep(Duration::from_millis(2_500));
    done(&["set", "--peer", &address, "k", "1"]);
    assert!(watch.line().starts_with("\"k\"\t1\t"));
    raw.write_all(b"[[\"l\",2],1,\"S\"]\n").expect("writes");
    assert!(watch.line().starts_with("\"l\"\t2\t"), "the same connections");
    drop(serve);
}

/// The kernel says which timer a socket has: the one that probes a silent peer, so that a connection
/// whose other end is gone comes to an end.
#[test]
fn half_open_connections_are_probed() {
    const KEEPALIVE: &str = "02";
    let (serve, address) = Running::serve(&[]);
    let mut peer = connect(&address);
    peer.write_all(DIGEST).expect("writes");
    let hex = |port: u16| format!(":{port:04X}");
    let from =
        hex(address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port"));
    let to = hex(peer.local_addr().expect("connected").port());
    eventually("a probe is planned", || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
        table.lines().any(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            matches!(fields[..], [_, local, remote, _, _, timer, ..]
                if local.ends_with(&from) && remote.ends_with(&to) && timer.starts_with(KEEPALIVE))
        })
    });
    drop(serve);
}
