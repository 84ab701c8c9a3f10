//! The daemon under peers that mean it no good: it serves the others, and its memory stays bounded.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::{PATIENCE, Running, done};

/// The most the daemon may ever have held, measured by the kernel. An honest idle one holds about 8
/// MiB; a line may have 16 MiB (`Limits::line_bytes_max`), and is held in a few forms while it is
/// read.
const PEAK_BYTES_MAX: u64 = 192 << 20;

/// Sends bytes and waits until the daemon hangs up; it may do so before it has read everything.
fn send(address: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
}

fn peak_bytes(serve: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.id())).expect("runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib = peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kib * 1024
}

#[test]
fn hostile_peers_cost_bounded_memory_and_nothing_else() {
    let (serve, address) = Running::serve(&[]);
    done(&["set", "--peer", &address, "k", "1"]);

    let digest = b"{\"id\":\"H\",\"clock\":{}}\n";
    let mut many_sources = b"{\"id\":\"H\",\"clock\":{".to_vec();
    for n in 0..1_000_000 {
        many_sources.extend_from_slice(format!("\"s{n}\":1,").as_bytes());
    }
    many_sources.pop();
    many_sources.extend_from_slice(b"}}\n");
    let floods: [(&str, Vec<u8>); 9] = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("100 MB without a newline", vec![b'['; 100_000_000]),
        ("100 MB of one string", [b"\"".to_vec(), vec![b'x'; 100_000_000]].concat()),
        ("invalid UTF-8", [digest.to_vec(), vec![0xff; 1_000_000], b"\n".to_vec()].concat()),
        ("deep nesting", [digest.to_vec(), vec![b'['; 10_000_000], b"\n".to_vec()].concat()),
        ("a million sources", many_sources),
        ("a million digests", b"{\"clock\":{}}\n".repeat(1_000_000)),
        (
            "odd names",
            b"{\"clock\":{\"__proto__\":1}}\n[[\"__proto__\",1],1,\"n\"]\n[[\"k\",2],1,\"__proto__\"]\n[null,1,\"n\"]\n"
                .to_vec(),
        ),
    ];
    for (name, bytes) in &floods {
        send(&address, bytes);
        assert_eq!(done(&["get", "--peer", &address, "k"]), "1\n", "after {name}");
        let peak = peak_bytes(&serve);
        assert!(peak < PEAK_BYTES_MAX, "{name}: {} MiB", peak >> 20);
    }
}

#[test]
fn a_peer_that_reads_nothing_costs_nothing() {
    let (serve, address) = Running::serve(&[]);
    done(&["set", "--peer", &address, "--string", "k", &"v".repeat(100_000)]);
    let mut slow = TcpStream::connect(&address).expect("accepts");
    let before = peak_bytes(&serve);
    // Asks for the history ten thousand times and never reads an answer: a gigabyte in all.
    slow.set_write_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let _ = slow.write_all(&b"{\"clock\":{}}\n".repeat(10_000));
    assert!(done(&["get", "--peer", &address, "k"]).len() > 100_000);
    let grown = peak_bytes(&serve).saturating_sub(before);
    assert!(grown < 8 << 20, "{} KiB", grown >> 10);
}
