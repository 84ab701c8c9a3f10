//! How fast a store is, beside the engine it rests on and a bare file, in one run on one disk.
//!
//!     cargo xtask bench store
//!     cargo run --release -p scuttlebutt-store --example store_bench [DIRECTORY [SECONDS [UPDATES [CACHE_MIB]]]]
//!
//! The directory (by default the one for temporary files) must be on the disk that is of interest.
//! Each rate is measured five times for SECONDS (1), all else with UPDATES (1,000,000). The engine's
//! cache has CACHE_MIB, unless it is to be the default.

mod memory;
mod overwriting;
mod rates;
mod reopening;

use std::collections::VecDeque;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::thread::Thread;
use std::time::{Duration, Instant};

use redb::TableDefinition;
use scuttlebutt::{EventLog, Model, Replica, SourceId};
use scuttlebutt_store::{Batch, Options, Store, StoreLimits};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const BARE: TableDefinition<u64, &[u8]> = TableDefinition::new("updates");

/// An event whose update has about 120 bytes.
const EVENT: &str = "temperature of the kitchen as it was measured";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == memory::ROLE).is_some() {
        return memory::measure(&PathBuf::from(arguments.next().ok_or("no directory")?));
    }
    let base = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(1.0), |text| text.parse())?;
    let updates = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let dir = base.join(format!("scuttlebutt-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let mut limits = StoreLimits::default();
    if let Some(mib) = arguments.next() {
        limits.cache_bytes_max = mib.parse::<usize>()? << 20;
    }
    println!("cache of the engine: {} MiB\n", limits.cache_bytes_max >> 20);
    let options = options(limits);
    let run = rates::rates(&dir, &options, Duration::from_secs_f64(seconds))
        .and_then(|()| reopening::reopening(&dir, &options, updates))
        .and_then(|()| memory::memory(&dir, &options, updates))
        .and_then(|()| overwriting::overwriting(&dir, &options, updates));
    fs::remove_dir_all(&dir)?;
    run
}

fn options(limits: StoreLimits) -> Options {
    Options { limits, ..Options::new("events", id(1)) }
}

fn id(number: u64) -> SourceId {
    SourceId::from_random([1, 2, 3].map(|n| (n + number).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A replica with a store.
struct State<M> {
    replica: Replica<M>,
    vector_changes: u64,
    commits: u64,
    /// Who waits for which position to be durable, in their order.
    waiting: VecDeque<(u64, Thread)>,
}

impl<M: Model> State<M> {
    fn new(replica: Replica<M>) -> Self {
        let vector_changes = replica.vector_changes();
        Self { replica, vector_changes, commits: 0, waiting: VecDeque::new() }
    }

    fn collect(&mut self, limits: &StoreLimits) -> Batch {
        Batch::collect(&mut self.replica, self.vector_changes, limits)
    }

    fn stored(&mut self, batch: &Batch) {
        self.replica.stored(batch.end());
        self.vector_changes = batch.vector_changes();
        self.commits += 1;
    }

    fn take_served(&mut self) -> Vec<Thread> {
        let durable = self.replica.durable();
        let served = self.waiting.partition_point(|(position, _)| *position <= durable);
        self.waiting.drain(..served).map(|(_, thread)| thread).collect()
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn sample_line() -> Result<Vec<u8>> {
    let mut replica = Replica::new(id(1), EventLog::new());
    let update = replica.local_update(1.7e12, EventLog::emit(EVENT, &[12_345])?)?;
    Ok(update.to_json().into_bytes())
}

fn batch_updates() -> usize {
    StoreLimits::default().batch_updates_max
}

fn commit<M: Model>(store: &Store, state: &mut State<M>) -> Result<Duration> {
    let started = Instant::now();
    let batch = state.collect(&StoreLimits::default());
    store.commit(&batch)?;
    state.stored(&batch);
    Ok(started.elapsed())
}
