//! What the hot paths cost in allocations and bytes, for `cargo xtask bench counts`; and one of them
//! alone, for whoever counts its instructions.
//!
//! ```text
//! counts                       prints {"PATH":{"allocations":..,"bytes":..},..} for each operation
//! counts PATH idle|work        prepares a path and stops there, or does the work too
//! ```

use std::collections::BTreeMap;
use std::error::Error;

use scuttlebutt_bench::paths;
use serde_json::{Value, json};

/// Enough that what happens once, such as growing a table, is spread thin; few enough for an
/// interpreter of instructions.
const OPERATIONS: u64 = 4_096;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => count_allocations(),
        [name, what @ ("idle" | "work")] => {
            let (_, prepare) = paths::ALL
                .into_iter()
                .find(|(known, _)| known == name)
                .ok_or_else(|| format!("there is no path {name}"))?;
            let work = prepare(OPERATIONS)?;
            if *what == "work" {
                work();
            } else {
                std::mem::forget(work);
            }
            Ok(())
        }
        _ => Err("usage: counts [PATH idle|work]".into()),
    }
}

fn count_allocations() -> Result<(), Box<dyn Error>> {
    let mut counts = BTreeMap::new();
    for (name, prepare) in paths::ALL {
        let work = prepare(OPERATIONS)?;
        let info = allocation_counter::measure(work);
        let each = |count: u64| count as f64 / OPERATIONS as f64;
        let value: Value =
            json!({ "allocations": each(info.count_total), "bytes": each(info.bytes_total) });
        counts.insert(name, value);
    }
    println!("{}", serde_json::to_string(&json!({ "operations": OPERATIONS, "paths": counts }))?);
    Ok(())
}
