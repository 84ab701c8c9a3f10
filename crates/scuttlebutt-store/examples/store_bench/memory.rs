//! How much memory a map takes that was loaded from a store. Measured in a process of its own, which
//! has done nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use scuttlebutt::{LwwMap, Replica};
use scuttlebutt_store::{Options, Store};

use crate::{Result, State, batch_updates, commit, id, options};

/// The first argument of the process that is measured.
pub(crate) const ROLE: &str = "--measure-memory";

/// Fills a store with `keys` keys, and lets another process load it.
pub(crate) fn memory(dir: &Path, options: &Options, keys: u64) -> Result<()> {
    let dir = dir.join("memory");
    let (store, _) = Store::open(&dir, options.clone())?;
    let mut state = State::new(store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?);
    let mut bytes = 0;
    for n in 1..=keys {
        let change = LwwMap::set(format!("key-{n:010}"), &format!("a value of its own, {n:020}"))?;
        bytes += state.replica.local_update(1.7e12, change)?.line_len();
        if n % batch_updates() as u64 == 0 || n == keys {
            commit(&store, &mut state)?;
        }
    }
    drop((store, state));
    println!(
        "memory of a map of {keys} keys, {:.0} bytes each on the wire",
        bytes as f64 / keys as f64
    );
    let measured = Command::new(std::env::current_exe()?).arg(ROLE).arg(&dir).status()?;
    if measured.success() { Ok(()) } else { Err("the process that is measured failed".into()) }
}

/// Loads the map in `dir`, and prints what that has cost.
pub(crate) fn measure(dir: &Path) -> Result<()> {
    let (store, _) = Store::open(dir, options(Default::default()))?;
    let before = memory_bytes("VmRSS")?;
    let started = std::time::Instant::now();
    let replica = store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?;
    let time = started.elapsed();
    let keys = replica.model().len() as u64;
    assert_eq!(*replica.id(), id(1));
    let per_key = |bytes: u64| (bytes - before) / keys.max(1);
    println!(
        "  loaded in {time:.2?}; {} bytes per key resident afterwards, {} at most meanwhile, the \
         engine's cache included\n",
        per_key(memory_bytes("VmRSS")?),
        per_key(memory_bytes("VmHWM")?),
    );
    Ok(())
}

/// A line of what the system says of this process.
fn memory_bytes(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("/proc/self/status does not say")?.parse::<u64>()? << 10)
}
