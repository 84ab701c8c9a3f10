//! What a user might pick instead, doing its nearest equal of what `scuttlebutt-bench` measures. Every
//! answer is a line of JSON, as that program expects.
//!
//! ```text
//! alternatives catch-up LIBRARY KEYS   one side encodes all it has, the other applies it
//! alternatives memory LIBRARY          fill, overwrite, remove: as told in lines of JSON on stdin
//! alternatives --version               the libraries' versions
//! ```
//!
//! All keys are written in one transaction, which is kinder to these libraries than one for each
//! update, as our side has it.

mod automerge_map;
mod chitchat_map;
mod loro_map;
mod yrs_map;

use std::io::BufRead;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

/// A map in a document of one of the libraries.
trait Document {
    /// Writes each of these keys, all at once.
    fn write(&mut self, keys: &mut dyn Iterator<Item = (String, String)>) -> Result<()>;
    /// Removes each of these keys, all at once.
    fn remove(&mut self, keys: &mut dyn Iterator<Item = String>) -> Result<()>;
    /// Number of keys.
    fn len(&mut self) -> usize;
    /// The value of a key.
    fn get(&mut self, key: &str) -> Option<String>;
    /// Everything, encoded for one who has nothing.
    fn encode(&mut self) -> Result<Vec<u8>>;
    /// Takes in what another has encoded.
    fn apply(&mut self, bytes: &[u8]) -> Result<()>;
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--version"] => versions(),
        ["catch-up", "chitchat", keys] => println!("{}", chitchat_map::catch_up(keys.parse()?)?),
        ["catch-up", library, keys] => println!("{}", catch_up(library, keys.parse()?)?),
        ["memory", library] => memory(library)?,
        _ => bail!("usage: see the head of its source"),
    }
    Ok(())
}

fn versions() {
    let lock = include_str!("../Cargo.lock");
    for name in ["automerge", "chitchat", "loro", "yrs"] {
        let start = format!("name = \"{name}\"\nversion = \"");
        let version = lock.split(&start).nth(1).and_then(|rest| rest.split('"').next());
        println!("{name} {}", version.unwrap_or("unknown"));
    }
}

fn empty(library: &str, id: u64) -> Result<Box<dyn Document>> {
    Ok(match library {
        "automerge" => Box::new(automerge_map::new()),
        "loro" => Box::new(loro_map::new()),
        "yrs" => Box::new(yrs_map::new(id)),
        _ => bail!("there is no library {library}"),
    })
}

/// As `scuttlebutt_bench::workload` has it.
fn key(number: u64) -> String {
    format!("key-{number:010}")
}

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// As `scuttlebutt_bench::workload` has it.
fn value(number: u64, overwritten: u64) -> String {
    let mut text = format!("{number} {overwritten} ");
    let mut drawn =
        (number as u32).wrapping_mul(2_654_435_761) ^ (overwritten as u32).wrapping_mul(40_503) | 1;
    while text.len() < 62 {
        drawn ^= drawn << 13;
        drawn ^= drawn >> 17;
        drawn ^= drawn << 5;
        for shift in (0..30).step_by(5) {
            text.push(char::from(LETTERS[(drawn >> shift) as usize % LETTERS.len()]));
        }
    }
    text.truncate(62);
    text
}

fn catch_up(library: &str, keys: u64) -> Result<Value> {
    let mut server = empty(library, 1)?;
    server.write(&mut (0..keys).map(|n| (key(n), value(n, 0))))?;
    let mut client = empty(library, 2)?;
    let begun = Instant::now();
    let bytes = server.encode()?;
    client.apply(&bytes)?;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(client.len() as u64 == keys, "{library}: keys are missing");
    for n in 0..keys {
        ensure!(client.get(&key(n)) == Some(value(n, 0)), "{library}: the states differ");
    }
    Ok(json!({ "ms": ms, "bytes": bytes.len() }))
}

fn memory(library: &str) -> Result<()> {
    let mut document = empty(library, 1)?;
    let mut keys = 0;
    for line in std::io::stdin().lock().lines() {
        let what: Value = serde_json::from_str(&line?)?;
        match what["do"].as_str().unwrap_or_default() {
            "fill" => {
                keys = what["keys"].as_u64().unwrap_or(0);
                document = empty(library, 1)?;
                document.write(&mut (0..keys).map(|n| (key(n), value(n, 0))))?;
            }
            "overwrite" => {
                let times = what["times"].as_u64().unwrap_or(0);
                document.write(&mut (0..keys).map(|n| (key(n), value(n, times))))?;
            }
            "remove" => document.remove(&mut (0..keys).filter(|n| n % 10 != 0).map(key))?,
            other => bail!("cannot do {other}"),
        }
        println!("{}", json!({ "keys": document.len() }));
    }
    Ok(())
}
