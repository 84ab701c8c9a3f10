//! How fast a store is, beside the engine it rests on and a bare file, in one run on one disk.
//!
//!     cargo run --release -p scuttlebutt-store --example store_bench [DIRECTORY [SECONDS [UPDATES [CACHE_MIB]]]]
//!
//! The directory (by default the one for temporary files) must be on the disk that is of interest.
//! Each rate is measured five times for SECONDS (1); reopening is measured with UPDATES (1,000,000).
//! The engine's cache has CACHE_MIB, unless it is to be the default.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::Thread;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase, TableDefinition};
use scuttlebutt::{EventLog, LwwMap, Model, Replica, SourceId};
use scuttlebutt_store::{Batch, FILE_NAME, Options, Store, StoreLimits};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const BARE: TableDefinition<u64, &[u8]> = TableDefinition::new("updates");

/// How often each rate is measured; the median counts.
const TURNS: usize = 5;

/// An event whose update has about 120 bytes.
const EVENT: &str = "temperature of the kitchen as it was measured";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
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
    let run = rates(&dir, &options, Duration::from_secs_f64(seconds))
        .and_then(|()| reopening(&dir, &options, updates))
        .and_then(|()| overwriting(&dir, &options, updates));
    fs::remove_dir_all(&dir)?;
    run
}

fn options(limits: StoreLimits) -> Options {
    Options { limits, ..Options::new("bench", id(1)) }
}

fn id(number: u64) -> SourceId {
    SourceId::from_random([1, 2, 3].map(|n| (n + number).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

/// A replica with its store, shared by its writers and the one thread that commits.
struct Shared<M> {
    state: Mutex<State<M>>,
    written: Condvar,
    durable: AtomicU64,
    is_over: AtomicBool,
}

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

fn poisoned<T>(_: T) -> Box<dyn Error + Send + Sync> {
    "a thread panicked".into()
}

fn rates(dir: &Path, options: &Options, time: Duration) -> Result<()> {
    println!("durable updates per second (about 120 bytes each), synced\n");
    let line = sample_line()?;
    let kinds = [1, 16, 256];
    let mut all = kinds.map(|_| [const { Vec::new() }; 5]);
    // In turns, because disks have moods.
    for turn in 0..TURNS {
        for (writers, all) in kinds.into_iter().zip(&mut all) {
            let name = |kind| dir.join(format!("{kind}-{writers}-{turn}"));
            let (rate, group) = concurrent(&name("store"), options, writers, time)?;
            let alone = batched_rate(&name("alone"), options, group, time)?;
            let bare = bare_rate(&name("bare"), &line, group, time)?;
            let raw = raw_rate(&name("raw"), &line, group, time)?;
            for (all, one) in all.iter_mut().zip([rate, alone, bare, raw, group as f64]) {
                all.push(one);
            }
        }
    }
    let medians = all.map(|all| all.map(median));
    for (writers, [rate, alone, bare, raw, group]) in kinds.into_iter().zip(medians) {
        println!(
            "{writers:>4} writers {rate:>9.0}, {:.1} x one writer, {group} per commit\n     \
             the same groups without threads: store {alone:>9.0} ({:.2} of the bare engine), \
             bare engine {bare:>9.0}, append and sync {raw:>9.0}; writers {:.2} of the bare engine",
            rate / medians[0][0],
            alone / bare,
            rate / bare,
        );
    }
    println!();
    Ok(())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Updates per second that are durable, and how many one commit held on average.
fn concurrent(
    dir: &Path,
    options: &Options,
    writers: usize,
    time: Duration,
) -> Result<(f64, usize)> {
    let (store, _) = Store::open(dir, options.clone())?;
    let replica = store.load(Replica::new(store.id(), EventLog::new()), |_| ())?;
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(replica)),
        written: Condvar::new(),
        durable: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let (wake, served) = mpsc::channel::<Vec<Thread>>();
    let committer = std::thread::spawn({
        let shared = shared.clone();
        move || commit_all(&shared, &store, &wake)
    });
    let waker = std::thread::spawn(move || {
        served.iter().flatten().for_each(|thread| thread.unpark());
    });
    let started = Instant::now();
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || write_all(&shared, started + time))
        })
        .collect();
    let mut count = 0;
    for thread in threads {
        count += thread.join().map_err(poisoned)??;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    shared.is_over.store(true, Ordering::SeqCst);
    shared.written.notify_all();
    committer.join().map_err(poisoned)??;
    waker.join().map_err(poisoned)?;
    let commits = shared.state.lock().map_err(poisoned)?.commits;
    Ok((rate, (count as f64 / commits as f64).round().max(1.0) as usize))
}

fn write_all(shared: &Shared<EventLog>, until: Instant) -> Result<u64> {
    let mut count = 0;
    while Instant::now() < until {
        let mut state = shared.state.lock().map_err(poisoned)?;
        state.replica.local_update(1.7e12, EventLog::emit(EVENT, &[count])?)?;
        let position = state.replica.head();
        state.waiting.push_back((position, std::thread::current()));
        drop(state);
        shared.written.notify_one();
        while shared.durable.load(Ordering::SeqCst) < position {
            std::thread::park();
        }
        count += 1;
    }
    Ok(count)
}

fn commit_all(
    shared: &Shared<EventLog>,
    store: &Store,
    wake: &mpsc::Sender<Vec<Thread>>,
) -> Result<()> {
    let limits = StoreLimits::default();
    let mut state = shared.state.lock().map_err(poisoned)?;
    loop {
        let batch = state.collect(&limits);
        if batch.updates() > 0 {
            drop(state);
            store.commit(&batch)?;
            state = shared.state.lock().map_err(poisoned)?;
            state.stored(&batch);
            shared.durable.store(batch.end(), Ordering::SeqCst);
            // Waking hundreds of threads takes a while; the next commit does not wait for that.
            wake.send(state.take_served())?;
        } else if shared.is_over.load(Ordering::SeqCst) {
            return Ok(());
        } else {
            state = shared.written.wait(state).map_err(poisoned)?;
        }
    }
}

fn sample_line() -> Result<Vec<u8>> {
    let mut replica = Replica::new(id(1), EventLog::new());
    let update = replica.local_update(1.7e12, EventLog::emit(EVENT, &[12_345])?)?;
    Ok(update.to_json().into_bytes())
}

/// The store in one thread: what is left without handing over between threads.
fn batched_rate(dir: &Path, options: &Options, group: usize, time: Duration) -> Result<f64> {
    let (store, _) = Store::open(dir, options.clone())?;
    let mut state = State::new(store.load(Replica::new(store.id(), EventLog::new()), |_| ())?);
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < time {
        for _ in 0..group {
            state.replica.local_update(1.7e12, EventLog::emit(EVENT, &[count])?)?;
            count += 1;
        }
        commit(&store, &mut state)?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn bare_rate(path: &Path, line: &[u8], group: usize, time: Duration) -> Result<f64> {
    let database = Database::create(path)?;
    let (started, mut count) = (Instant::now(), 0u64);
    while started.elapsed() < time {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(BARE)?;
            for _ in 0..group {
                table.insert(count, line)?;
                count += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn raw_rate(path: &Path, line: &[u8], group: usize, time: Duration) -> Result<f64> {
    let mut file = File::create(path)?;
    let lines = line.repeat(group);
    let (started, mut count) = (Instant::now(), 0);
    while started.elapsed() < time {
        file.write_all(&lines)?;
        file.sync_data()?;
        count += group;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn reopening(dir: &Path, options: &Options, updates: u64) -> Result<()> {
    let (dir, bare) = (dir.join("reopen"), dir.join("bare-reopen"));
    let (text_bytes, filled) = fill(&dir, options, updates)?;
    fill_bare(&bare, updates, &sample_line()?)?;
    println!("reopening {updates} updates of {} bytes\n", text_bytes / updates);
    println!("  writing them, {} per commit, synced: {filled:.1?}", batch_updates());
    let file_bytes = fs::metadata(dir.join(FILE_NAME))?.len();
    let per_update = file_bytes as f64 / updates as f64;
    println!("  disk: {file_bytes} bytes, {per_update:.0} per update");
    for round in ["first", "second", "third"] {
        let started = Instant::now();
        let database = Database::open(&bare)?;
        let mut sum = 0u64;
        let transaction = database.begin_read()?;
        for row in transaction.open_table(BARE)?.range::<u64>(..)? {
            sum += row?.1.value().iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        let scan = started.elapsed();
        let started = Instant::now();
        for row in transaction.open_table(BARE)?.range::<u64>(..)? {
            sum += u64::from(crc32fast::hash(row?.1.value()) & 1);
        }
        let checked = started.elapsed();
        drop((transaction, database));

        let started = Instant::now();
        let (store, _) = Store::open(&dir, options.clone())?;
        let opened = started.elapsed();
        let started = Instant::now();
        let mut seen = 0;
        store.read(&Default::default(), |_, _| {
            seen += 1;
            std::ops::ControlFlow::Continue(())
        })?;
        let read = started.elapsed();
        let started = Instant::now();
        let replica = store.load(Replica::new(store.id(), EventLog::new()), |_| ())?;
        let loaded = started.elapsed();
        assert_eq!((seen, replica.updates_held() as u64), (updates, updates));
        println!(
            "  {round}: bare engine, full scan {scan:.2?}, with checksums {checked:.2?} (sum {sum}); open {opened:.1?}; every update \
             checked and decoded {read:.2?} ({:.2} x); loaded into a replica {loaded:.2?} ({:.2} x)",
            read.as_secs_f64() / scan.as_secs_f64(),
            loaded.as_secs_f64() / scan.as_secs_f64(),
        );
    }
    let killed = killed(&dir, options)?;
    println!("  open after a kill, which verifies the whole file: {killed:.1?}\n");
    Ok(())
}

/// Opens what a process leaves behind that is killed while the store is open.
fn killed(dir: &Path, options: &Options) -> Result<Duration> {
    let image = dir.join("killed");
    fs::create_dir(&image)?;
    let (store, _) = Store::open(dir, options.clone())?;
    fs::copy(store.path(), image.join(FILE_NAME))?;
    let started = Instant::now();
    let (_, opened) = Store::open(&image, Options { fresh_id: id(2), ..options.clone() })?;
    assert!(opened.recovered);
    Ok(started.elapsed())
}

fn batch_updates() -> usize {
    StoreLimits::default().batch_updates_max
}

fn fill(dir: &Path, options: &Options, updates: u64) -> Result<(u64, Duration)> {
    let (store, _) = Store::open(dir, options.clone())?;
    let mut state = State::new(store.load(Replica::new(store.id(), EventLog::new()), |_| ())?);
    let (mut bytes, mut time) = (0, Duration::ZERO);
    for n in 1..=updates {
        let event = EventLog::emit(EVENT, &[n])?;
        bytes += state.replica.local_update(1.7e12, event)?.line_len() as u64 - 1;
        if n % batch_updates() as u64 == 0 || n == updates {
            time += commit(&store, &mut state)?;
        }
    }
    Ok((bytes, time))
}

fn commit<M: Model>(store: &Store, state: &mut State<M>) -> Result<Duration> {
    let started = Instant::now();
    let batch = state.collect(&StoreLimits::default());
    store.commit(&batch)?;
    state.stored(&batch);
    Ok(started.elapsed())
}

fn fill_bare(path: &Path, updates: u64, line: &[u8]) -> Result<()> {
    let database = Database::create(path)?;
    for start in (0..updates).step_by(batch_updates()) {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(BARE)?;
            for position in start..updates.min(start + batch_updates() as u64) {
                table.insert(position, line)?;
            }
        }
        transaction.commit()?;
    }
    Ok(())
}

fn overwriting(dir: &Path, options: &Options, updates: u64) -> Result<()> {
    println!("{updates} overwrites of 1000 keys, synced\n");
    for group in [256, batch_updates() as u64] {
        let dir = dir.join(format!("overwrite-{group}"));
        let (store, _) = Store::open(&dir, options.clone())?;
        let mut state = State::new(store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?);
        let (mut bytes, mut time) = (0, Duration::ZERO);
        let before = bytes_written()?;
        for n in 1..=updates {
            // A stride that visits every key, and no key twice within 1000 writes.
            let key = format!("a key with some length, number {}", n * 7 % 1_000);
            let change = LwwMap::set(key, &format!("a value of its own, {n}"))?;
            bytes += state.replica.local_update(1.7e12, change)?.line_len() as u64;
            if n % group == 0 || n == updates {
                time += commit(&store, &mut state)?;
            }
        }
        let written = bytes_written()? - before;
        let held = store.inspect()?;
        println!(
            "  {group} per commit: {time:.1?}; {bytes} bytes of updates, {written} written to the disk \
             ({:.2} x); file {} bytes with {} updates in {} live bytes",
            written as f64 / bytes as f64,
            held.file_bytes,
            held.updates,
            held.live_bytes,
        );
    }
    Ok(())
}

/// Bytes that this process caused to be sent to disks.
fn bytes_written() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("/proc/self/io has no write_bytes")?.parse()?)
}
