//! What is written to the disk when the same keys are overwritten again and again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use scuttlebutt::{LwwMap, Replica};
use scuttlebutt_store::{Options, Store};

use crate::{Result, State, batch_updates, commit};

pub(crate) fn overwriting(dir: &Path, options: &Options, updates: u64) -> Result<()> {
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
