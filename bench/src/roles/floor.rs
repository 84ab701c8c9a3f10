//! The floor of a first catch-up: the same bytes off a socket, split by serde_json, into a hash map.
//! It knows nothing of versions, order, or a second peer. Its server only writes what it has ready.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use scuttlebutt_bench::{paths, workload};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Role, number, unknown};

#[derive(Default)]
pub(super) struct Floor {
    bytes: u64,
    held: HashMap<String, Entry>,
}

/// What is kept of an update.
struct Entry {
    value: Box<RawValue>,
    _timestamp: f64,
    _source: Box<str>,
}

impl Floor {
    /// Serves the bytes that a node of ours sends.
    fn serve(keys: u64, sources: u64) -> Result<Value> {
        let history = paths::history(keys, sources).map_err(|error| anyhow!("{error}"))?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                // A client that is gone has what it wanted.
                let _ = stream.write_all(&history);
            }
        });
        Ok(json!({ "port": port }))
    }

    fn connect(&mut self, port: u64) -> Result<Value> {
        let begun = Instant::now();
        let stream = TcpStream::connect(("127.0.0.1", port as u16))?;
        let mut reader = BufReader::with_capacity(64 << 10, stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = reader.read_until(b'\n', &mut line)?;
            self.bytes += count as u64;
            if count == 0 || line == b"\"SYNC\"\n" {
                break;
            }
            if !line.starts_with(b"[") {
                continue;
            }
            let (change, timestamp, source): (&RawValue, f64, &str) =
                serde_json::from_slice(&line)?;
            let (key, value): (&str, &RawValue) = serde_json::from_str(change.get())?;
            let entry =
                Entry { value: value.to_owned(), _timestamp: timestamp, _source: source.into() };
            self.held.insert(key.to_owned(), entry);
        }
        Ok(json!({ "ms": begun.elapsed().as_secs_f64() * 1e3 }))
    }

    /// Whether it holds what was filled in.
    fn check(&self, keys: u64) -> Result<Value> {
        let is_whole = self.held.len() as u64 == keys
            && (0..keys).all(|n| {
                let wanted = format!("\"{}\"", workload::value(n, 0));
                self.held.get(&workload::key(n)).is_some_and(|held| held.value.get() == wanted)
            });
        if is_whole { Ok(json!({})) } else { Err(anyhow!("the floor program lacks something")) }
    }
}

impl Role for Floor {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        match name {
            "serve" => Self::serve(number(what, "keys")?, number(what, "sources")?),
            "connect" => self.connect(number(what, "port")?),
            "bytes" => Ok(json!({ "received": self.bytes, "sent": 0 })),
            "check" => self.check(number(what, "keys")?),
            _ => Err(unknown(name)),
        }
    }
}
