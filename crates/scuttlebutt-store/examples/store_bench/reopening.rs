//! How long it takes to open what was written, beside the bare engine's full scan.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase};
use scuttlebutt::{EventLog, Replica};
use scuttlebutt_store::{FILE_NAME, Options, Store};

use crate::{BARE, EVENT, Result, State, batch_updates, commit, id, sample_line};

pub(crate) fn reopening(dir: &Path, options: &Options, updates: u64) -> Result<()> {
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
