//! A process that is killed while it writes forgets nothing that it was told is stored.
//!
//! The victim is this test program itself: it writes as fast as it can and prints the number of
//! each write that the store has confirmed. `SCUTTLEBUTT_SEED` repeats a run's moments.

#![allow(clippy::unwrap_used, reason = "a test that unwraps says: this cannot fail here")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Stored, StoredLog, TempDir, options};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use scuttlebutt::EventLog;
use scuttlebutt_store::{Durability, Options, Store, StoreLimits};

const DIR: &str = "SCUTTLEBUTT_STORE_VICTIM";
const ROUNDS: u64 = 12;

#[test]
fn killed_while_buffered() {
    survives_kills("killed_while_buffered", Durability::Buffered);
}

#[test]
fn killed_while_synced() {
    survives_kills("killed_while_synced", Durability::Synced);
}

fn open(dir: &std::path::Path, durability: Durability) -> (StoredLog, bool) {
    let (store, opened) =
        Store::open(dir, Options { durability, model: "events".to_owned(), ..options("A") })
            .unwrap();
    assert_eq!(opened.renewed, None, "the machine did not stop, and it is no copy");
    (Stored::load(store).unwrap(), opened.recovered)
}

fn survives_kills(test: &str, durability: Durability) {
    if let Ok(dir) = std::env::var(DIR) {
        victim(dir.as_ref(), durability);
    }
    let seed = std::env::var("SCUTTLEBUTT_SEED")
        .map_or_else(|_| rand::rng().next_u64(), |seed| seed.parse().unwrap());
    println!("SCUTTLEBUTT_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let dir = TempDir::new(test);
    let mut recoveries = 0;
    let mut confirmed = 0;
    for _ in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let life = Duration::from_micros(chance.random_range(1_000..150_000));
        let reader = std::thread::spawn(move || {
            let numbers = output.lines().map_while(Result::ok).filter_map(|line| {
                line.strip_prefix("confirmed ").and_then(|number| number.parse::<u64>().ok())
            });
            numbers.max().unwrap_or(0)
        });
        std::thread::sleep(life);
        child.kill().unwrap();
        child.wait().unwrap();
        confirmed = confirmed.max(reader.join().unwrap());

        let (back, recovered) = open(dir.path(), durability);
        recoveries += u32::from(recovered);
        let numbers: Vec<u64> = back
            .replica
            .model()
            .iter()
            .map(|event| event.arguments[0].parse::<u64>().unwrap())
            .collect();
        let expected: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, expected, "a whole beginning of what was written");
        assert!(numbers.len() as u64 >= confirmed, "{} of {confirmed}", numbers.len());
        let newest = back.replica.newest_held(back.replica.id());
        assert_eq!(back.replica.version_vector().timestamp(back.replica.id()), newest);
    }
    println!("{confirmed} confirmed, {recoveries} recoveries in {ROUNDS} kills");
    assert!(confirmed > 0, "no kill came late enough to mean anything");
    assert!(recoveries > 0, "no kill came while the file was open");
}

/// Writes for ever.
fn victim(dir: &std::path::Path, durability: Durability) -> ! {
    let (mut log, _) = open(dir, durability);
    let mut chance = rand::rng();
    let mut number = log.replica.model().len() as u64;
    loop {
        for _ in 0..chance.random_range(1..50) {
            number += 1;
            let now = number as f64;
            log.replica.local_update(now, EventLog::emit("event", &[number]).unwrap()).unwrap();
        }
        log.flush(&StoreLimits::default()).unwrap();
        println!("confirmed {number}");
        std::io::stdout().flush().unwrap();
    }
}
