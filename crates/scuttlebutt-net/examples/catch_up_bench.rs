//! How long a peer takes to catch up with a node that keeps its updates in a store, beside one that
//! keeps them in memory only.
//!
//!     cargo xtask bench store
//!     cargo run --release -p scuttlebutt-net --example catch_up_bench [DIRECTORY [UPDATES [ROUNDS]]]
//!
//! Both nodes hold the same UPDATES (100,000) and stand still but for answering. The store was closed
//! and opened again. In each of the ROUNDS (9) one empty peer after the other catches up with each
//! of them over loopback, the first one in turn.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use scuttlebutt::{LwwMap, Mode, SessionConfig, SourceId, Update, VersionVector};
use scuttlebutt_net::{Address, Node, fresh_id};
use scuttlebutt_store::{Options, Store};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let base = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let updates = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let rounds = arguments.next().map_or(Ok(9), |text| text.parse::<usize>())?.max(1);
    let dir = base.join(format!("scuttlebutt-catch-up-{}", std::process::id()));
    let measured = compare(&dir, updates, rounds).await;
    std::fs::remove_dir_all(&dir)?;
    measured
}

async fn compare(dir: &Path, updates: usize, rounds: usize) -> Result<()> {
    let filled = stored(dir).await?;
    fill(&filled, updates)?;
    filled.flush().await?;
    filled.shutdown().await;
    let in_memory = Node::builder(LwwMap::new()).start().await?;
    fill(&in_memory, updates)?;
    let nodes = [in_memory, stored(dir).await?];
    let mut addresses: Vec<Address> = Vec::new();
    for node in &nodes {
        addresses.push(node.listen("127.0.0.1:0").await?.address().clone());
    }
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            times[which].push(catch_up(&addresses[which], updates).await?);
        }
    }
    for node in nodes {
        node.shutdown().await;
    }
    let [in_memory, stored] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        (times[0], times[times.len() / 2], times[times.len() - 1])
    });
    println!("catching up with {updates} updates over loopback, {rounds} rounds, in ms");
    for (name, (min, median, max)) in [("memory only", in_memory), ("with a store", stored)] {
        println!("  {name:<14} least {min:.0}, median {median:.0}, most {max:.0}");
    }
    println!("  with a store {:.2} of memory only, by the medians", stored.1 / in_memory.1);
    Ok(())
}

async fn stored(dir: &Path) -> Result<Node<LwwMap>> {
    let (store, _) = Store::open(dir, Options::new("map", fresh_id()))?;
    Ok(Node::builder(LwwMap::new()).store(store).start().await?)
}

/// As `interop_bench` makes them: keys of 14 bytes, values of 64 bytes of JSON.
fn fill(node: &Node<LwwMap>, updates: usize) -> Result<()> {
    node.write_replica(|replica| {
        let mut held = VersionVector::new();
        for n in 0..updates {
            let value = format!("{n} ");
            let at = 1_700_000_000_000 + n;
            let line = format!("[[\"key-{n:010}\",\"{value:v<62}\"],{at},\"source\"]");
            let update = Update::from_json(&line)?;
            held.advance(update.source(), update.timestamp());
            replica.remote_update(f64::MAX, update);
        }
        replica.promise(&held);
        Ok(())
    })
}

/// How long an empty peer takes, in milliseconds, from before dialling until it holds everything.
async fn catch_up(address: &Address, updates: usize) -> Result<f64> {
    let id = SourceId::from_random([updates as u64; 3]);
    let peer = Node::builder(LwwMap::new()).id(id).start().await?;
    let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    let started = Instant::now();
    peer.connect_once(address, config).await?;
    let ms = started.elapsed().as_secs_f64() * 1_000.0;
    if peer.read(LwwMap::len) != updates {
        return Err("the peer caught up with less than everything".into());
    }
    peer.shutdown().await;
    Ok(ms)
}
