//! A node of ours that holds, writes, listens and dials as it is told. `interop/measure.js` is the
//! same for the original.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use scuttlebutt::{Limits, LwwMap, SessionConfig, SourceId};
use scuttlebutt_bench::{paths, workload};
use scuttlebutt_net::{Node, Notice};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::runtime::Runtime;

use super::{Role, number, runtime, unknown};

/// How often a condition is looked at. Short beside whatever is measured by it.
const LOOK: Duration = Duration::from_micros(50);

/// A wait that takes longer has hung; the driver gives up earlier.
const HUNG: Duration = Duration::from_secs(3_600);

pub(super) struct Peer {
    node: Node<LwwMap>,
    dialled: Vec<scuttlebutt_net::Peer>,
    /// Dropped after the node.
    runtime: Runtime,
}

impl Peer {
    /// `form` is `json`, `binary` or `compressed`.
    pub(super) fn new(id: &str, form: &str) -> Result<Self> {
        let runtime = runtime()?;
        let (announce_binary, compress) = (form != "json", form == "compressed");
        let config = SessionConfig { announce_binary, compress, ..SessionConfig::default() };
        // All who connect come from one address here.
        let default = Limits::default();
        let limits = Limits { sessions_per_address_max: default.sessions_max, ..default };
        let builder =
            Node::builder(LwwMap::new()).id(SourceId::new(id)?).sessions(config).limits(limits);
        let node = runtime.block_on(builder.start())?;
        Ok(Self { node, dialled: Vec::new(), runtime })
    }

    fn fill(&self, keys: u64, sources: u64) -> Result<Value> {
        let filled = self.node.write_replica(|replica| paths::fill(replica, keys, sources));
        filled.map_err(|error| anyhow!("{error}"))?;
        Ok(json!({ "keys": self.keys() }))
    }

    fn keys(&self) -> u64 {
        self.node.read(LwwMap::len) as u64
    }

    fn listen(&self) -> Result<Value> {
        let listener = self.runtime.block_on(self.node.listen("127.0.0.1:0"))?;
        let address = listener.address().to_string();
        let port: u16 = address.rsplit(':').next().context("no port")?.parse()?;
        Ok(json!({ "port": port }))
    }

    /// Dials, and waits until it is in sync and holds so many keys.
    fn connect(&mut self, port: u64, keys: u64) -> Result<Value> {
        let _guard = self.runtime.enter();
        let begun = Instant::now();
        let peer = self.node.add_peer(&format!("127.0.0.1:{port}"))?;
        self.runtime.block_on(peer.synced())?;
        self.wait(|peer| peer.keys() >= keys)?;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        self.dialled.push(peer);
        Ok(json!({ "ms": ms }))
    }

    fn disconnect(&mut self) -> Result<Value> {
        for peer in self.dialled.drain(..) {
            peer.remove();
        }
        self.wait(|peer| peer.node.session_count() == 0)?;
        Ok(json!({}))
    }

    fn wait(&self, is_reached: impl Fn(&Self) -> bool) -> Result<()> {
        let begun = Instant::now();
        while !is_reached(self) {
            if begun.elapsed() > HUNG {
                return Err(anyhow!("what was waited for has not come"));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Writes `count` updates over `over` keys from number `from` on, one after the other.
    fn write(&self, what: &Value) -> Result<Value> {
        let [count, over, from] =
            ["count", "over", "from"].map(|name| number(what, name)).map(|n| n.unwrap_or(0));
        let overwritten = what["overwritten"].as_u64().unwrap_or(0);
        let node = self.node.clone();
        let begun = Instant::now();
        let writing = self.runtime.spawn(async move {
            for n in 0..count {
                let over = over.max(1);
                node.update(workload::change(from + n % over, overwritten + n / over)).await?;
            }
            Ok::<_, scuttlebutt_net::UpdateError>(())
        });
        self.runtime.block_on(writing)??;
        Ok(json!({ "ms": begun.elapsed().as_secs_f64() * 1e3 }))
    }

    /// Waits until a key was overwritten so many times, and so many keys are there.
    fn wait_for(&self, what: &Value) -> Result<Value> {
        let keys = what["keys"].as_u64().unwrap_or(0);
        let last = what["key"].as_u64().map(|key| {
            let text =
                format!("\"{}\"", workload::value(key, what["overwritten"].as_u64().unwrap_or(0)));
            (workload::key(key), text)
        });
        self.wait(|peer| {
            peer.node.read(|map| {
                map.len() as u64 >= keys
                    && last
                        .as_ref()
                        .is_none_or(|(key, text)| map.get_raw(key.as_str()) == Some(text.as_str()))
            })
        })?;
        Ok(json!({ "keys": self.keys() }))
    }

    /// A fingerprint of all keys and values.
    fn state(&self) -> Value {
        let mut hash = Sha1::new();
        self.node.read(|map| {
            for entry in map.iter() {
                hash.update(entry.key.as_str().unwrap_or_default().as_bytes());
                hash.update(b"=");
                hash.update(entry.value.as_bytes());
                hash.update(b"\n");
            }
        });
        let text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        json!({ "keys": self.keys(), "sha1": text })
    }

    /// Bytes of the sessions there are.
    fn bytes(&self) -> Value {
        let sessions = self.node.sessions();
        let received: u64 = sessions.iter().map(|session| session.bytes_received).sum();
        let sent: u64 = sessions.iter().map(|session| session.bytes_sent).sum();
        json!({ "received": received, "sent": sent })
    }

    /// Answers each write of the key 0 with one of the key 1, without being asked again.
    fn pong(&self) -> Value {
        let node = self.node.clone();
        // Before this is answered: what is asked next must not be missed.
        let mut changes = node.subscribe();
        self.runtime.spawn(async move {
            let mut answered = 0;
            while let Some(notice) = changes.next().await {
                if matches!(&notice, Notice::Changed { is_local: false, .. }) {
                    answered += 1;
                    if node.update(workload::change(1, answered)).await.is_err() {
                        break;
                    }
                }
            }
        });
        json!({})
    }

    fn ping(&self, count: u64) -> Result<Value> {
        let node = self.node.clone();
        let pinging = self.runtime.spawn(async move {
            let mut changes = node.subscribe();
            let mut micros = Vec::new();
            for n in 0..count {
                let begun = Instant::now();
                node.update(workload::change(0, n)).await?;
                while let Some(Notice::Changed { is_local: true, .. } | Notice::Missed(_)) =
                    changes.next().await
                {}
                micros.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            Ok::<_, scuttlebutt_net::UpdateError>(micros)
        });
        let micros = self.runtime.block_on(pinging)??;
        Ok(json!({ "us": micros }))
    }
}

impl Role for Peer {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        match name {
            "fill" => self.fill(number(what, "keys")?, number(what, "sources")?),
            "listen" => self.listen(),
            "connect" => self.connect(number(what, "port")?, number(what, "keys")?),
            "disconnect" => self.disconnect(),
            "write" => self.write(what),
            "wait" => self.wait_for(what),
            "state" => Ok(self.state()),
            "bytes" => Ok(self.bytes()),
            "pong" => Ok(self.pong()),
            "ping" => self.ping(number(what, "count")?),
            _ => Err(unknown(name)),
        }
    }
}
