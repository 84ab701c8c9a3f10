//! A replica that is filled, overwritten and emptied, for the system to say what it takes; and a
//! store in which few keys are overwritten often.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use scuttlebutt::{LwwMap, Replica};
use scuttlebutt_bench::{paths, workload};
use scuttlebutt_net::Node;
use scuttlebutt_store::{Durability, Options, Store};
use serde_json::{Value, json};

use super::{Role, number, runtime, unknown};

const NOW_MS: f64 = 1_700_000_000_000.0;

#[derive(Default)]
pub(super) struct Memory {
    replica: Option<Replica<LwwMap>>,
    keys: u64,
}

impl Memory {
    fn fill(&mut self, keys: u64) -> Result<Value, Box<dyn std::error::Error>> {
        self.keys = keys;
        self.replica = Some(paths::replica("memory")?);
        self.write(0)
    }

    fn write(&mut self, overwritten: u64) -> Result<Value, Box<dyn std::error::Error>> {
        let replica = self.replica.as_mut().ok_or("nothing is filled in")?;
        for n in 0..self.keys {
            replica.local_update(NOW_MS, workload::change(n, overwritten))?;
        }
        Ok(json!({ "keys": replica.model().len() }))
    }

    /// Removes nine of ten keys.
    fn remove(&mut self) -> Result<Value, Box<dyn std::error::Error>> {
        let replica = self.replica.as_mut().ok_or("nothing is filled in")?;
        for n in (0..self.keys).filter(|n| n % 10 != 0) {
            replica.local_update(NOW_MS, LwwMap::remove(workload::key(n)))?;
        }
        Ok(json!({ "keys": replica.model().len() }))
    }

    /// Bytes of a store after `count` overwrites of ten keys, a thousand at a time.
    fn store(dir: &Path, count: u64) -> Result<Value> {
        let runtime = runtime()?;
        let id = scuttlebutt::SourceId::new("memory")?;
        let mut options = Options::new("map", id);
        options.durability = Durability::Buffered;
        let (store, _) = Store::open(dir, options)?;
        runtime.block_on(async {
            let node = Node::builder(LwwMap::new()).store(store).start().await?;
            for begin in (0..count).step_by(1_000) {
                node.write_replica(|replica| {
                    for n in begin..(begin + 1_000).min(count) {
                        replica.local_update(NOW_MS, workload::change(n % 10, n / 10))?;
                    }
                    Ok::<_, scuttlebutt::LocalUpdateError>(())
                })?;
                node.flush().await?;
            }
            node.shutdown().await;
            Ok::<_, anyhow::Error>(())
        })?;
        let mut bytes = 0;
        for file in fs::read_dir(dir)? {
            bytes += file?.metadata()?.len();
        }
        let mut options = Options::new("map", scuttlebutt::SourceId::new("again")?);
        options.durability = Durability::Buffered;
        let (store, _) = Store::open(dir, options)?;
        let replica = store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?;
        let last = format!("\"{}\"", workload::value(9, count / 10 - 1));
        if replica.model().len() != 10 || replica.model().get_raw(workload::key(9)) != Some(&last) {
            return Err(anyhow!("the store does not hold what was written last"));
        }
        Ok(json!({ "bytes": bytes }))
    }
}

impl Role for Memory {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        let done = match name {
            "fill" => self.fill(number(what, "keys")?),
            "overwrite" => self.write(number(what, "times")?),
            "remove" => self.remove(),
            "store" => {
                let dir = PathBuf::from(what["dir"].as_str().context("no dir")?);
                return Self::store(&dir, number(what, "count")?);
            }
            _ => return Err(unknown(name)),
        };
        done.map_err(|error| anyhow!("{error}"))
    }
}
