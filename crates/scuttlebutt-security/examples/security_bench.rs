//! Our ends of `cargo xtask bench security`: what signed updates cost from one process to another. The
//! original's ends are in `interop/security-bench.js`, which this speaks and prints like.
//!
//! ```text
//! security_bench keys DIR
//!     makes the keys that the others use
//! security_bench writer COUNT DIR KEY [--rate PER_SECOND]
//!     prints {"listening":PORT}; once a peer is in sync, writes COUNT updates, signed with KEY: from a
//!     task for each processor, as fast as they can, or from one at a rate
//! security_bench reader COUNT DIR KEY
//!     prints {"listening":PORT}; at a line HOST:PORT on stdin connects there, verifies and applies, and
//!     prints {"ms":..,"refused":..,"kb_before":..,"kb_after":..} when it has COUNT updates
//! security_bench rejecter SECONDS DIR KEY
//!     the same without a peer, when so much time is over
//! security_bench forger DIR HOST:PORT
//!     sends updates that KEY `ed25519` did not sign, as fast as they are taken
//! ```
//!
//! KEY is `ed25519`, `rsa-768` or `rsa-2048`. The time runs from the moment in which both are in sync.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scuttlebutt::{Change, Limits, LwwMap, Signer, Update};
use scuttlebutt_net::{Builder, Node};
use scuttlebutt_security::key_file::{self, Existing};
use scuttlebutt_security::rsa_sha1::{KeyTable, PublicKey, SecretKey};
use scuttlebutt_security::{Ed25519Key, Ed25519Verifier};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What takes longer has hung.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Lines that a forger has ready.
const FORGED_LINES: u32 = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = async {
        match &words[..] {
            ["keys", dir] => keys(Path::new(dir)),
            ["writer", count, dir, key] => write(count.parse()?, Path::new(dir), key, None).await,
            ["writer", count, dir, key, "--rate", rate] => {
                write(count.parse()?, Path::new(dir), key, Some(rate.parse()?)).await
            }
            ["reader", count, dir, key] => read(count.parse()?, Path::new(dir), key).await,
            ["rejecter", seconds, dir, key] => {
                reject(Duration::from_secs_f64(seconds.parse()?), Path::new(dir), key).await
            }
            ["forger", dir, to] => forge(Path::new(dir), to).await,
            _ => Err("see the head of the source of security_bench".into()),
        }
    };
    tokio::time::timeout(TIMEOUT, run).await?
}

fn keys(dir: &Path) -> Result<()> {
    let random = &mut rand::rng();
    key_file::write(&dir.join("ed25519"), &Ed25519Key::generate(random).to_text(), Existing::Keep)?;
    for bits in [768, 2048] {
        let key = SecretKey::generate(bits)?;
        key_file::write(&dir.join(format!("rsa-{bits}")), &key.to_text()?, Existing::Keep)?;
        std::fs::write(dir.join(format!("rsa-{bits}.pub.pem")), key.public().pem())?;
    }
    Ok(())
}

fn ed25519(dir: &Path) -> Result<Ed25519Key> {
    Ok(Ed25519Key::from_text(&key_file::read(&dir.join("ed25519"))?)?)
}

fn signing(dir: &Path, key: &str) -> Result<Builder<LwwMap>> {
    let node = Node::builder(LwwMap::new());
    Ok(match key {
        "ed25519" => node.sign_with(ed25519(dir)?),
        rsa => node.sign_with(SecretKey::from_text(&key_file::read(&dir.join(rsa))?, None)?),
    })
}

fn verifying(dir: &Path, key: &str) -> Result<Builder<LwwMap>> {
    let node = Node::builder(LwwMap::new());
    if key == "ed25519" {
        return Ok(node.verify_with(Ed25519Verifier));
    }
    let mut table = KeyTable::new(1);
    table.insert(PublicKey::from_pem(&std::fs::read(dir.join(format!("{key}.pub.pem")))?)?)?;
    Ok(node.verify_with(table))
}

/// As `interop/security-bench.js` makes them.
fn change(n: u64) -> Result<Change> {
    Ok(LwwMap::set(format!("key-{n:010}"), &format!("{:v<62}", format!("{n} ")))?)
}

async fn listen(node: &Node<LwwMap>) -> Result<()> {
    let listener = node.listen("127.0.0.1:0").await?;
    let address = listener.address().to_string();
    println!("{{\"listening\":{}}}", address.rsplit(':').next().unwrap_or_default());
    Ok(())
}

async fn write(count: u64, dir: &Path, key: &str, rate: Option<f64>) -> Result<()> {
    let node = signing(dir, key)?.start().await?;
    listen(&node).await?;
    while !node.sessions().iter().any(|session| session.is_synced) {
        sleep(Duration::from_millis(1)).await;
    }
    match rate {
        Some(rate) => write_at(&node, count, rate).await?,
        None => write_together(&node, count).await?,
    }
    // Killed by whoever started it.
    sleep(TIMEOUT).await;
    Ok(())
}

async fn write_at(node: &Node<LwwMap>, count: u64, rate: f64) -> Result<()> {
    let start = Instant::now();
    for n in 0..count {
        node.update(change(n)?).await?;
        let due = start + Duration::from_secs_f64(n as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
    }
    Ok(())
}

/// From a task for each processor, which sign at the same time.
async fn write_together(node: &Node<LwwMap>, count: u64) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..std::thread::available_parallelism()?.get() {
        let (node, next) = (node.clone(), next.clone());
        writers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= count {
                    return Ok::<_, String>(());
                }
                let change = change(n).map_err(|error| error.to_string())?;
                node.update(change).await.map_err(|error| error.to_string())?;
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    Ok(())
}

async fn read(count: usize, dir: &Path, key: &str) -> Result<()> {
    let node = verifying(dir, key)?.start().await?;
    listen(&node).await?;
    let mut line = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
    let mut changes = node.subscribe();
    let before = (refused(&node), resident_kb()?);
    node.add_peer(line.trim())?.synced().await?;
    let start = Instant::now();
    while node.read(LwwMap::len) < count {
        changes.next().await;
    }
    report(&node, start, before)
}

async fn reject(time: Duration, dir: &Path, key: &str) -> Result<()> {
    // What refusing costs, and not how slowly such a peer is listened to.
    let limits = Limits { unverified_per_second_max: u32::MAX, ..Limits::default() };
    let node = verifying(dir, key)?.limits(limits).start().await?;
    listen(&node).await?;
    while refused(&node) == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    // What a connection takes is no growth.
    sleep(time / 4).await;
    let before = (refused(&node), resident_kb()?);
    let start = Instant::now();
    sleep(time).await;
    report(&node, start, before)
}

fn report(node: &Node<LwwMap>, start: Instant, before: (u64, u64)) -> Result<()> {
    let ms = start.elapsed().as_secs_f64() * 1_000.0;
    let (refused, after) = (refused(node) - before.0, resident_kb()?);
    println!(
        "{{\"ms\":{ms},\"refused\":{refused},\"kb_before\":{},\"kb_after\":{after}}}",
        before.1
    );
    Ok(())
}

fn refused(node: &Node<LwwMap>) -> u64 {
    node.sessions().iter().map(|session| session.refused).sum()
}

fn resident_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

async fn forge(dir: &Path, to: &str) -> Result<()> {
    let key = ed25519(dir)?;
    let mut lines = String::new();
    for n in 0..FORGED_LINES {
        let update =
            Update::from_json(&format!(r#"[["forged {n}",{n}],{},"{}"]"#, n + 1, key.id()))?;
        // A signature as good as any to look at, of another text.
        let other = Update::from_json(&format!(r#"[["true {n}",{n}],{},"{}"]"#, n + 1, key.id()))?;
        lines += &update.signed(&key.sign(&other)?).to_json();
        lines.push('\n');
    }
    let (mut reader, mut writer) = TcpStream::connect(to).await?.into_split();
    tokio::spawn(async move {
        let mut nowhere = vec![0; 1 << 16];
        while reader.read(&mut nowhere).await.is_ok_and(|count| count > 0) {}
    });
    writer.write_all(b"{\"id\":\"forger\",\"clock\":{}}\n").await?;
    println!("{{\"forging\":true}}");
    while writer.write_all(lines.as_bytes()).await.is_ok() {}
    Ok(())
}
