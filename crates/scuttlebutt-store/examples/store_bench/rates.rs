//! How many updates become durable in a second, by 1, 16 and 256 writers, beside the bare engine and
//! a bare file that write as many per sync.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::Thread;
use std::time::{Duration, Instant};

use redb::Database;
use scuttlebutt::{EventLog, Replica};
use scuttlebutt_store::{Options, Store, StoreLimits};

use crate::{BARE, EVENT, Result, State, commit, median, sample_line};

/// How often each rate is measured; the median counts.
const TURNS: usize = 5;

/// A replica with its store, shared by its writers and the one thread that commits.
struct Shared<M> {
    state: Mutex<State<M>>,
    written: Condvar,
    durable: AtomicU64,
    is_over: AtomicBool,
}

fn poisoned<T>(_: T) -> Box<dyn Error + Send + Sync> {
    "a thread panicked".into()
}

pub(crate) fn rates(dir: &Path, options: &Options, time: Duration) -> Result<()> {
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
