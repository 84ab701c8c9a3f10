//! How fast the core is by itself, beside a plain pass of serde_json over the same bytes, and a copy
//! of them.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, anyhow};
use scuttlebutt::{Session, SessionConfig, Update};
use scuttlebutt_bench::{paths, workload};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Role, number, unknown};

pub(super) struct InProcess;

const NOW_MS: f64 = 1_800_000_000_000.0;
const PORTION_BYTES: usize = 64 << 10;

/// Operations per second.
fn rate(count: u64, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

impl InProcess {
    fn rates(count: u64) -> Result<Value, Box<dyn std::error::Error>> {
        let changes: Vec<_> = (0..count).map(|n| workload::change(n, 0)).collect();
        let mut replica = paths::replica("local")?;
        let begun = Instant::now();
        for change in changes {
            replica.local_update(NOW_MS, change)?;
        }
        let local = rate(count, begun);
        let written = replica.model().to_json();
        drop(replica);

        let updates = paths::updates(count, 1)?;
        let mut replica = paths::replica("remote")?;
        let begun = Instant::now();
        for update in updates {
            replica.remote_update(NOW_MS, update);
        }
        let remote = rate(count, begun);
        if replica.model().to_json() != written {
            return Err("what came from elsewhere is not what was written".into());
        }
        drop((replica, written));

        let lines: Vec<String> = (0..count).map(|n| workload::line(n, 1)).collect();
        let begun = Instant::now();
        for line in &lines {
            black_box(Update::from_json(line)?);
        }
        let decode = rate(count, begun);
        let begun = Instant::now();
        for line in &lines {
            let parsed: (&RawValue, f64, &str) = serde_json::from_str(line)?;
            black_box(parsed);
        }
        let serde_split = rate(count, begun);
        let begun = Instant::now();
        for line in &lines {
            let parsed: Value = serde_json::from_str(line)?;
            black_box(parsed);
        }
        let serde_tree = rate(count, begun);

        let updates =
            lines.iter().map(|line| Update::from_json(line)).collect::<Result<Vec<_>, _>>()?;
        // Pages that were touched before: else their first touch is most of what is measured.
        let mut out = vec![b' '; 256 * count as usize];
        out.clear();
        let begun = Instant::now();
        for update in &updates {
            update.write_line(&mut out);
        }
        let encode = rate(count, begun);
        let parsed: Vec<(&RawValue, f64, &str)> =
            lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
        let mut again = out.clone();
        again.clear();
        let begun = Instant::now();
        for update in &parsed {
            serde_json::to_writer(&mut again, update)?;
            again.push(b'\n');
        }
        let serde_encode = rate(count, begun);
        let begun = Instant::now();
        again.clear();
        for line in out.chunks(out.len() / count as usize) {
            again.extend_from_slice(line);
        }
        let copy = rate(count, begun);
        if again != out {
            return Err("a copy differs".into());
        }
        Ok(json!({
            "local": local, "remote": remote, "decode": decode, "encode": encode,
            "serde split": serde_split, "serde tree": serde_tree, "serde encode": serde_encode,
            "copy": copy,
        }))
    }

    /// A whole first catch-up, from one replica to another.
    fn catch_up(keys: u64, announce_binary: bool) -> Result<Value, Box<dyn std::error::Error>> {
        let mut server = paths::replica("server")?;
        paths::fill(&mut server, keys, 1)?;
        let mut client = paths::replica("client")?;
        let begun = Instant::now();
        let config = SessionConfig { announce_binary, ..SessionConfig::default() };
        let mut to_client = Session::new(&mut server, NOW_MS, config.clone());
        let mut to_server = Session::new(&mut client, NOW_MS, config);
        let (mut wire, mut bytes) = (Vec::with_capacity(PORTION_BYTES), 0);
        while to_client.has_output(&server) || to_server.has_output(&client) {
            bytes += to_client.transmit(&server, &mut wire, PORTION_BYTES);
            to_server.receive(&mut client, NOW_MS, &wire)?;
            wire.clear();
            bytes += to_server.transmit(&client, &mut wire, PORTION_BYTES);
            to_client.receive(&mut server, NOW_MS, &wire)?;
            wire.clear();
        }
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        if client.model().to_json() != server.model().to_json()
            || client.version_vector() != server.version_vector()
        {
            return Err("the replicas differ".into());
        }
        Ok(json!({ "ms": ms, "bytes": bytes }))
    }
}

impl Role for InProcess {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        let done = match name {
            "rates" => Self::rates(number(what, "count")?),
            "catch-up" => Self::catch_up(number(what, "keys")?, what["binary"] == true),
            _ => return Err(unknown(name)),
        };
        done.map_err(|error| anyhow!("{error}"))
    }
}
