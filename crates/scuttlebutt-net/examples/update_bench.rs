//! How many updates a node accepts in a second from 1, 16 and 256 tasks that each wait until theirs
//! is durable: without a store, and with each durability.
//!
//!     cargo xtask bench store
//!     cargo run --release -p scuttlebutt-net --example update_bench [DIRECTORY [SECONDS]]
//!
//! Each rate is measured five times for SECONDS (1), in turns.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scuttlebutt::EventLog;
use scuttlebutt_net::{Node, fresh_id};
use scuttlebutt_store::{Durability, Options, Store};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How often each rate is measured; the median counts.
const TURNS: usize = 5;

/// An event whose update has about 120 bytes.
const EVENT: &str = "temperature of the kitchen as it was measured";

const KINDS: [(&str, Option<Durability>); 3] = [
    ("no store", None),
    ("buffered", Some(Durability::Buffered)),
    ("synced", Some(Durability::Synced)),
];

const WRITERS: [usize; 3] = [1, 16, 256];

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let dir = base.join(format!("scuttlebutt-update-bench-{}", std::process::id()));
    let measured = compare(&dir, Duration::from_secs_f64(seconds)).await;
    std::fs::remove_dir_all(&dir)?;
    measured
}

async fn compare(dir: &Path, time: Duration) -> Result<()> {
    let mut rates = KINDS.map(|_| WRITERS.map(|_| Vec::new()));
    for turn in 0..TURNS {
        for ((name, durability), rates) in KINDS.into_iter().zip(&mut rates) {
            for (writers, rates) in WRITERS.into_iter().zip(rates) {
                let dir = dir.join(format!("{name}-{writers}-{turn}"));
                rates.push(rate(&dir, durability, writers, time).await?);
            }
        }
    }
    println!("durable updates per second through a node, by 1, 16 and 256 tasks");
    for ((name, _), rates) in KINDS.into_iter().zip(rates) {
        let [one, some, many] = rates.map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates[rates.len() / 2]
        });
        println!("  {name:<8} {one:>9.0} {some:>9.0} {many:>9.0}");
    }
    Ok(())
}

async fn rate(
    dir: &Path,
    durability: Option<Durability>,
    writers: usize,
    time: Duration,
) -> Result<f64> {
    let mut builder = Node::builder(EventLog::new());
    if let Some(durability) = durability {
        let options = Options { durability, ..Options::new("bench", fresh_id()) };
        builder = builder.store(Store::open(dir, options)?.0);
    }
    let node = builder.start().await?;
    let started = Instant::now();
    let tasks: Vec<_> =
        (0..writers).map(|_| tokio::spawn(write(node.clone(), started + time))).collect();
    let mut count = 0;
    for task in tasks {
        count += task.await??;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    node.shutdown().await;
    Ok(rate)
}

async fn write(node: Node<EventLog>, until: Instant) -> Result<u64> {
    let mut count = 0;
    while Instant::now() < until {
        node.update(EventLog::emit(EVENT, &[count])?).await?;
        count += 1;
    }
    Ok(count)
}
