//! A hub with many subscribers on loopback: what it costs to hold and to serve them.
//!
//!     cargo run --release --example many_connections -- [CONNECTIONS] [UPDATES]
//!
//! The subscribers live in a second process and speak the original's protocol. Printed are the time
//! until all are in sync, the rate of a burst of updates to all of them, how long a single update
//! takes to reach all, and the hub's memory and processor time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement fails by panicking")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use scuttlebutt::{Limits, LwwMap};
use scuttlebutt_net::Node;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const KEYS: usize = 1_000;
const SINGLE_UPDATES: usize = 100;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(Ok(default), |text| text.parse::<usize>())
    };
    match arguments.first().map(String::as_str) {
        Some("subscribers") => subscribe(&arguments[1], number(2, 0)?, number(3, 0)?).await,
        _ => serve(number(0, 1_000)?, number(1, 1_000)?).await,
    }
}

async fn serve(connections: usize, updates: usize) -> Result<(), Box<dyn std::error::Error>> {
    let limits = Limits { sessions_max: connections, ..Limits::default() };
    let hub = Node::builder(LwwMap::new()).limits(limits).listen("127.0.0.1:0").start().await?;
    for key in 0..KEYS {
        hub.update(LwwMap::set(format!("key-{key:010}"), &"v".repeat(62))?).await?;
    }
    let (bytes_before, cpu_before) = (memory_bytes(), cpu_time());
    let begun = Instant::now();
    let mut child = tokio::process::Command::new(std::env::current_exe()?)
        .args(["subscribers", &hub.listeners()[0].address().to_string()])
        .args([connections.to_string(), updates.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut hear = async || said.next_line().await.ok().flatten().expect("the subscribers answer");

    hear().await;
    let synced = begun.elapsed();
    println!(
        "{connections} connections, {KEYS} keys each: in sync after {} ms",
        synced.as_millis()
    );
    println!(
        "  hub: {} ms of processor time, {} KiB of memory per connection",
        (cpu_time() - cpu_before).as_millis(),
        memory_bytes().saturating_sub(bytes_before) / 1024 / connections as u64
    );

    let (begun, cpu_before) = (Instant::now(), cpu_time());
    for update in 0..updates {
        hub.update(LwwMap::set(format!("live-{update:09}"), &"v".repeat(62))?).await?;
    }
    hear().await;
    let (elapsed, cpu) = (begun.elapsed(), cpu_time() - cpu_before);
    let deliveries = (connections * updates) as f64;
    println!(
        "burst of {updates} updates to each: {} ms, {:.0} deliveries/s, {:.0} per second of the \
         hub's processor time",
        elapsed.as_millis(),
        deliveries / elapsed.as_secs_f64(),
        deliveries / cpu.as_secs_f64()
    );

    let mut latencies = Vec::new();
    for _ in 0..SINGLE_UPDATES {
        let begun = Instant::now();
        hub.update(LwwMap::set("single", &1)?).await?;
        hear().await;
        latencies.push(begun.elapsed());
    }
    latencies.sort();
    println!(
        "one update to all: median {} us, worst {} us",
        latencies[SINGLE_UPDATES / 2].as_micros(),
        latencies[SINGLE_UPDATES - 1].as_micros()
    );
    Ok(())
}

/// The other process: says a line when all have the history, when all have the burst, and whenever
/// all have a single update.
async fn subscribe(
    address: &str,
    connections: usize,
    updates: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let (line_read, mut lines_read) = mpsc::channel::<usize>(1_024);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        let line_read = line_read.clone();
        tokio::spawn(async move {
            stream.write_all(b"{\"id\":\"S\",\"clock\":{}}\n").await.expect("sent");
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                let lines = buffer[..count].iter().filter(|byte| **byte == b'\n').count();
                line_read.send(lines).await.expect("counted");
            }
        });
    }
    let mut missing = 0;
    let mut stdout = tokio::io::stdout();
    // A digest, the keys and the end of history; then the burst; then single updates for ever.
    for lines in [KEYS + 2, updates].into_iter().chain(std::iter::repeat(1)) {
        missing += (lines * connections) as i64;
        while missing > 0 {
            let Some(lines) = lines_read.recv().await else {
                return Ok(());
            };
            missing -= lines as i64;
        }
        stdout.write_all(b"done\n").await?;
        stdout.flush().await?;
    }
    Ok(())
}

fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 =
        resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    kib * 1024
}

fn cpu_time() -> Duration {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanos += stat.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(nanos)
}
