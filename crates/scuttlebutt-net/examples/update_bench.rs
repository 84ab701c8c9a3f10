//! How many updates a node accepts in a second from 1, 16 and 256 tasks that each wait until theirs
//! is durable: without a store, and with each durability. Beside it, what the bare engine and a bare
//! file do with as many lines of that length to a sync, in one thread that does nothing else.
//!
//!     cargo xtask bench store
//!     cargo run --release -p scuttlebutt-net --example update_bench [DIRECTORY [SECONDS]]
//!
//! Each rate is measured five times for SECONDS (1), in turns.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::TableDefinition;
use scuttlebutt::EventLog;
use scuttlebutt_net::{Node, fresh_id};
use scuttlebutt_store::{Durability, Options, Store};
use tokio::task::spawn_blocking;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How often each rate is measured; the median counts.
const TURNS: usize = 5;

/// An event whose update has about 120 bytes.
const EVENT: &str = "temperature of the kitchen as it was measured";

#[derive(Clone, Copy)]
enum Kind {
    Node(Option<Durability>),
    Engine,
    File,
}

const KINDS: [(&str, Kind); 5] = [
    ("no store", Kind::Node(None)),
    ("buffered", Kind::Node(Some(Durability::Buffered))),
    ("synced", Kind::Node(Some(Durability::Synced))),
    ("bare engine", Kind::Engine),
    ("append and sync", Kind::File),
];

const BARE: TableDefinition<u64, &[u8]> = TableDefinition::new("updates");

/// As long as the line of an update of [`EVENT`].
const LINE: [u8; 120] = [b'x'; 120];

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
        for (writer, writers) in WRITERS.into_iter().enumerate() {
            for ((name, kind), rates) in KINDS.into_iter().zip(&mut rates) {
                let dir = dir.join(format!("{name}-{writers}-{turn}"));
                std::fs::create_dir_all(&dir)?;
                rates[writer].push(match kind {
                    Kind::Node(durability) => rate(&dir, durability, writers, time).await?,
                    Kind::Engine => {
                        spawn_blocking(move || engine_rate(&dir, writers, time)).await??
                    }
                    Kind::File => spawn_blocking(move || file_rate(&dir, writers, time)).await??,
                });
            }
        }
    }
    println!(
        "durable updates per second through a node, by 1, 16 and 256 tasks; ratios are medians"
    );
    for ((name, _), rates) in KINDS.iter().zip(&rates) {
        let [one, some, many] = rates.each_ref().map(|rates| median(rates.clone()));
        println!("  {name:<16} {one:>9.0} {some:>9.0} {many:>9.0}");
    }
    let [.., synced, engine, _] = &rates;
    let [one, _, many] = synced;
    println!("  synced, 256 tasks to 1: {:.1}", ratio(many, one));
    println!("  synced to bare engine, 256: {:.2}", ratio(many, &engine[2]));
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The median of the ratios within each turn, since a disk changes its pace from one to the next.
fn ratio(a: &[f64], b: &[f64]) -> f64 {
    median(a.iter().zip(b).map(|(a, b)| a / b).collect())
}

fn engine_rate(dir: &Path, group: usize, time: Duration) -> Result<f64> {
    let database = redb::Database::create(dir.join("bare.redb"))?;
    let started = Instant::now();
    let mut position = 0;
    while started.elapsed() < time {
        let transaction = database.begin_write()?;
        let mut table = transaction.open_table(BARE)?;
        for _ in 0..group {
            table.insert(position, LINE.as_slice())?;
            position += 1;
        }
        drop(table);
        transaction.commit()?;
    }
    Ok(position as f64 / started.elapsed().as_secs_f64())
}

fn file_rate(dir: &Path, group: usize, time: Duration) -> Result<f64> {
    let mut file = File::create(dir.join("bare"))?;
    let started = Instant::now();
    let mut lines = 0;
    while started.elapsed() < time {
        file.write_all(&LINE.repeat(group))?;
        file.sync_data()?;
        lines += group;
    }
    Ok(lines as f64 / started.elapsed().as_secs_f64())
}

async fn rate(
    dir: &Path,
    durability: Option<Durability>,
    writers: usize,
    time: Duration,
) -> Result<f64> {
    let mut builder = Node::builder(EventLog::new());
    if let Some(durability) = durability {
        let options = Options { durability, ..Options::new("events", fresh_id()) };
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
