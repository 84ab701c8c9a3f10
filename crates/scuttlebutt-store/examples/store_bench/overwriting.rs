//! What is written to the disk when the same keys are overwritten again and again.

use std::fs;
use std::os::unix::fs::MetadataExt;
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
        let (asked_before, disk_before) = (bytes_asked()?, bytes_to_disk(&dir));
        for n in 1..=updates {
            // A stride that visits every key, and no key twice within 1000 writes.
            let key = format!("a key with some length, number {}", n * 7 % 1_000);
            let change = LwwMap::set(key, &format!("a value of its own, {n}"))?;
            bytes += state.replica.local_update(1.7e12, change)?.line_len() as u64;
            if n % group == 0 || n == updates {
                time += commit(&store, &mut state)?;
            }
        }
        let asked = bytes_asked()? - asked_before;
        let to_disk = bytes_to_disk(&dir).zip(disk_before).map(|(after, before)| after - before);
        let held = store.inspect()?;
        println!(
            "  {group} per commit: {time:.1?}; {bytes} bytes of updates, {asked} written ({:.2} x), {} \
             by the disk's own account; file {} bytes with {} updates in {} live bytes",
            asked as f64 / bytes as f64,
            to_disk.map_or("unknown".to_owned(), |to_disk| to_disk.to_string()),
            held.file_bytes,
            held.updates,
            held.live_bytes,
        );
    }
    Ok(())
}

/// Bytes that this process asked to be written. What it caused to be sent to disks (`write_bytes` in the same
/// place) counts a page by the piece of memory it is cached in, which may be many times as long.
fn bytes_asked() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/io")?;
    let line = text.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok(line.ok_or("/proc/self/io has no wchar")?.parse()?)
}

/// Bytes that everybody wrote to the disk which `dir` is on, with what the file system adds, if it is a disk.
fn bytes_to_disk(dir: &Path) -> Option<u64> {
    let device = fs::metadata(dir).ok()?.dev();
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00);
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let sectors: u64 = text.split_whitespace().nth(6)?.parse().ok()?;
    Some(512 * sectors)
}
