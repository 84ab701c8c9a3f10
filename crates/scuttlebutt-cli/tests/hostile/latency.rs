//! How long an update of one honest peer takes to another, beside peers that keep the daemon busy.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::Running;
use crate::{DIGEST, connect};

/// A flood that lasts until it is dropped.
struct Flood(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Flood {
    /// Sends this again and again, with a pause after each time.
    fn start(address: &str, bytes: Vec<u8>, pause: Duration) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut stream = connect(address);
        let mut unread = stream.try_clone().expect("another handle");
        std::thread::spawn(move || std::io::copy(&mut unread, &mut std::io::sink()));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            let _ = stream.write_all(DIGEST);
            while !over.load(Ordering::Relaxed) && stream.write_all(&bytes).is_ok() {
                std::thread::sleep(pause);
            }
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
        Self(is_over, Some(thread))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        let _ = self.1.take().map(std::thread::JoinHandle::join);
    }
}

/// One that is in sync, and what it hears.
fn honest(address: &str, id: &str) -> (TcpStream, BufReader<TcpStream>) {
    let mut stream = connect(address);
    let digest = format!("{{\"id\":\"{id}\",\"clock\":{{}}}}\n");
    stream.write_all(digest.as_bytes()).expect("writes");
    let mut lines = BufReader::new(stream.try_clone().expect("another handle"));
    while next(&mut lines) != "\"SYNC\"\n" {}
    // What comes now is live: nobody waits for what may come before it.
    stream.write_all(b"\"SYNC\"\n").expect("writes");
    (stream, lines)
}

fn next(lines: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "the node has hung up");
    line
}

/// The median of how long an update took, in milliseconds.
fn latency_ms(address: &str) -> u128 {
    let (mut writer, _) = honest(address, "W");
    let (_, mut reader) = honest(address, "R");
    let mut taken: Vec<_> = (1..=40)
        .map(|nth| {
            std::thread::sleep(Duration::from_millis(25));
            let begun = Instant::now();
            let update = format!("[[\"honest\",{nth}],{nth},\"W\"]\n");
            writer.write_all(update.as_bytes()).expect("writes");
            while next(&mut reader) != update {}
            begun.elapsed().as_millis()
        })
        .collect();
    taken.sort_unstable();
    eprintln!("honest latency: median {} ms, most {} ms", taken[20], taken[39]);
    taken[20]
}

#[test]
fn long_lines_that_mean_nothing_hold_up_nobody() {
    let (_serve, address) = Running::serve(&[]);
    let line = ["\"", &"\\u0041".repeat(1 << 20), "\"\n"].concat().into_bytes();
    let _floods = [(); 3].map(|()| Flood::start(&address, line.clone(), Duration::ZERO));
    std::thread::sleep(Duration::from_secs(1));
    let latency = latency_ms(&address);
    assert!(latency < 50, "{latency} ms");
}

#[test]
fn digests_over_many_sources_hold_up_nobody() {
    let (_serve, address) = Running::serve(&[]);
    let mut sources = connect(&address);
    sources.write_all(DIGEST).expect("writes");
    for source in 0..10_000 {
        let update = format!("[[\"k\",{source}],{},\"S{source}\"]\n", source + 1);
        sources.write_all(update.as_bytes()).expect("writes");
    }
    let mut heard = BufReader::new(sources.try_clone().expect("another handle"));
    sources.write_all(b"\"SYNC\"\n{\"clock\":{}}\n").expect("writes");
    while next(&mut heard) != "\"SYNC\"\n" {}
    let _flood =
        Flood::start(&address, b"{\"clock\":{}}\n".repeat(4).to_vec(), Duration::from_millis(50));
    std::thread::sleep(Duration::from_secs(1));
    let latency = latency_ms(&address);
    assert!(latency < 50, "{latency} ms");
}
