//! Our ends of `cargo xtask bench interop`: the time that the first sync of N keys takes. The
//! original's ends are in `interop/bench.js`, which this speaks and prints like.
//!
//! ```text
//! interop_bench server N [--sources S] [--listen PORT]
//!     holds N keys; prints {"listening":PORT}, then serves until its stdin ends
//! interop_bench client N --connect HOST:PORT [--dump FILE]
//!     is empty; prints {"ms":..,"keys":..} when it has N keys and is in sync
//! ```
//!
//! The time runs from before dialling. `--dump` writes the history, a line per update, afterwards.

use std::error::Error;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use scuttlebutt::{LwwMap, SourceId, Update, VersionVector};
use scuttlebutt_net::Node;
use tokio::io::AsyncReadExt;

/// A sync that takes longer has hung.
const TIMEOUT: Duration = Duration::from_secs(600);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [role, count, flags @ ..] = &arguments[..] else {
        return Err(
            "usage: interop_bench server|client N [flags]; see the head of its source".into()
        );
    };
    let flag = |name| flags.chunks(2).find(|pair| pair[0] == name).and_then(|pair| pair.get(1));
    let count: u32 = count.parse()?;
    match &role[..] {
        "server" => {
            let sources = flag("--sources").map_or(Ok(1), |text| text.parse())?;
            let port = flag("--listen").map_or("0", |text| text);
            serve(count.into(), sources, port).await
        }
        "client" => {
            let to = flag("--connect").ok_or("--connect HOST:PORT is missing")?;
            let dump = flag("--dump").map(String::as_str);
            tokio::time::timeout(TIMEOUT, sync(count, to, dump)).await?
        }
        _ => Err(format!("\"{role}\" is neither server nor client").into()),
    }
}

async fn serve(count: u64, sources: u64, port: &str) -> Result<(), Box<dyn Error>> {
    let node = Node::builder(LwwMap::new()).id(SourceId::new("server")?).start().await?;
    node.write_replica(|replica| {
        let mut held = VersionVector::new();
        for n in 0..count {
            let update = Update::from_json(&line(n, sources))?;
            held.advance(update.source(), update.timestamp());
            replica.remote_update(f64::MAX, update);
        }
        replica.promise(&held);
        Ok::<_, scuttlebutt::UpdateError>(())
    })?;
    let listener = node.listen(&format!("127.0.0.1:{port}")).await?;
    let address = listener.address().to_string();
    println!("{{\"listening\":{}}}", address.rsplit(':').next().unwrap_or_default());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// As `interop/bench.js` makes them: keys of 14 bytes, values of 64 bytes of JSON.
fn line(n: u64, sources: u64) -> String {
    let value = format!("{n} ");
    let at = 1_700_000_000_000 + n;
    format!("[[\"key-{n:010}\",\"{value:v<62}\"],{at},\"source-{}\"]", n % sources)
}

async fn sync(count: u32, to: &str, dump: Option<&str>) -> Result<(), Box<dyn Error>> {
    let node = Node::builder(LwwMap::new()).id(SourceId::new("client")?).start().await?;
    let mut changes = node.subscribe();
    let start = Instant::now();
    let peer = node.add_peer(to)?;
    peer.synced().await?;
    // What makes the history complete may come after the sync.
    while node.read(LwwMap::len) < count as usize {
        changes.next().await;
    }
    let ms = start.elapsed().as_secs_f64() * 1_000.0;

    if let Some(file) = dump {
        let mut history = String::new();
        node.read_replica(|replica| {
            for update in replica.updates_since(&VersionVector::new()) {
                writeln!(history, "{}", update.to_json())?;
            }
            Ok::<_, std::fmt::Error>(())
        })?;
        std::fs::write(file, history)?;
    }
    println!("{{\"ms\":{ms},\"keys\":{}}}", node.read(LwwMap::len));
    Ok(())
}
