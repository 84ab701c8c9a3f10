//! Many subscribers in one process, which speak the original's protocol and keep no replica: what
//! they cost does not hide what the hub costs. Of each connection it is known what state it shows.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::TcpStream as Blocking;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use scuttlebutt_bench::workload;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{Role, number, runtime, unknown};

const DIGEST: &[u8] = b"{\"id\":\"S\",\"clock\":{}}\n";
const LOOK: Duration = Duration::from_micros(200);

pub(super) struct Subscribers {
    runtime: Runtime,
    shown: Vec<Arc<Shown>>,
    /// Connected, and reading nothing.
    silent: Vec<Blocking>,
}

/// What one connection was shown.
#[derive(Default)]
struct Shown {
    /// The sum of the weights of what stands at each key.
    state: AtomicU64,
    updates: AtomicU64,
}

impl Subscribers {
    pub(super) fn new() -> Result<Self> {
        // As many as the system allows; too few for a case show there.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        Ok(Self { runtime: runtime()?, shown: Vec::new(), silent: Vec::new() })
    }

    fn connect(&mut self, port: u64, count: u64) -> Result<Value> {
        for _ in 0..count {
            let shown = Arc::<Shown>::default();
            self.shown.push(shown.clone());
            let stream = self.runtime.block_on(async {
                let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).await?;
                stream.set_nodelay(true)?;
                stream.write_all(DIGEST).await?;
                Ok::<_, std::io::Error>(stream)
            })?;
            self.runtime.spawn(read(stream, shown));
        }
        Ok(json!({ "connections": self.shown.len() }))
    }

    fn connect_silent(&mut self, port: u64) -> Result<Value> {
        let mut stream = Blocking::connect(("127.0.0.1", port as u16))?;
        stream.write_all(DIGEST)?;
        self.silent.push(stream);
        Ok(json!({}))
    }

    /// Lets those who read nothing read after all.
    fn listen_again(&mut self) -> Result<Value> {
        for stream in self.silent.drain(..) {
            stream.set_nonblocking(true)?;
            let shown = Arc::<Shown>::default();
            self.shown.push(shown.clone());
            let _guard = self.runtime.enter();
            self.runtime.spawn(read(TcpStream::from_std(stream)?, shown));
        }
        Ok(json!({}))
    }

    /// Waits until all show the same state, the one asked for.
    fn wait(&self, state: u64) -> Result<Value> {
        let begun = Instant::now();
        while !self.shown.iter().all(|shown| shown.state.load(Relaxed) == state) {
            if begun.elapsed() > Duration::from_secs(3_600) {
                return Err(anyhow!("subscribers do not show the hub's state"));
            }
            std::thread::sleep(LOOK);
        }
        let updates: u64 = self.shown.iter().map(|shown| shown.updates.load(Relaxed)).sum();
        Ok(json!({ "updates": updates }))
    }
}

async fn read(mut stream: TcpStream, shown: Arc<Shown>) {
    let mut held: HashMap<u64, u64> = HashMap::new();
    let mut buffer = Vec::new();
    while let Ok(1..) = read_some(&mut stream, &mut buffer).await {
        let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else { continue };
        let (mut change, mut updates) = (0_u64, 0);
        for line in buffer[..end].split(|byte| *byte == b'\n') {
            let (Some(key), Some(text)) = (workload::key_number(line), workload::change_in(line))
            else {
                continue;
            };
            let new = workload::weight(text);
            let old = held.insert(key, new).unwrap_or(0);
            change = change.wrapping_add(new).wrapping_sub(old);
            updates += 1;
        }
        buffer.drain(..=end);
        if buffer.is_empty() {
            buffer = Vec::new();
        }
        shown.updates.fetch_add(updates, Relaxed);
        shown.state.fetch_add(change, Relaxed);
    }
}

async fn read_some(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    // Nothing is held for a connection on which nothing comes.
    stream.readable().await?;
    buffer.reserve(64 << 10);
    stream.read_buf(buffer).await
}

impl Role for Subscribers {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        match name {
            "connect" => self.connect(number(what, "port")?, number(what, "count")?),
            "connect-silent" => self.connect_silent(number(what, "port")?),
            "listen-again" => self.listen_again(),
            "wait" => {
                let state = what["state"].as_str().context("no state")?;
                self.wait(state.parse()?)
            }
            _ => Err(unknown(name)),
        }
    }
}
