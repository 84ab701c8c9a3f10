//! Kills nodes that write to the disk, again and again, and looks at what is left: the example is
//! what `cargo xtask crash` runs.
//!
//! A node (the real `serve`, or a program that writes by itself with the library) is started on a
//! data directory that earlier rounds have left, converges with a peer that is never killed, and is
//! killed with SIGKILL in the middle of something. Then the directory is read: every update that was
//! acknowledged is there, every update that is there is whole, and the next round goes on with it.
//! In some rounds the file system refuses to let the file grow, as a full disk does. With `--flips`, bits
//! of what was left are flipped first, one after the other: none of them may lose anything in silence.

mod check;
mod daemon;
mod flips;
mod phase;
mod round;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};

use crate::round::Rounds;

/// Kill nodes that write to the disk, and look at what is left.
#[derive(Parser)]
struct Options {
    /// How often to kill
    #[arg(long, default_value_t = 50)]
    rounds: u32,
    /// Repeats a run, as far as chance goes: when exactly a kill strikes is up to the machine
    #[arg(long)]
    seed: Option<u64>,
    /// How many bits to flip, one at a time, in what each kill leaves
    #[arg(long, default_value_t = 0)]
    flips: u32,
    /// The command `scuttlebutt`
    #[arg(long)]
    binary: PathBuf,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// A node that writes by itself, to be killed; prints what is acknowledged
    #[command(hide = true)]
    Write(writer::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Role::Write(options)) = options.role {
        writer::run(options).await;
        return ExitCode::SUCCESS;
    }
    let seed = options.seed.unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64)
    });
    println!("{} rounds, --seed {seed}", options.rounds);
    let begun = Instant::now();
    let mut rounds = Rounds::new(options.binary, seed, options.flips);
    let mut kills = BTreeMap::new();
    for round in 1..=options.rounds {
        match rounds.next(round).await {
            Ok(kill) => *kills.entry(kill).or_insert(0_u32) += 1,
            Err(error) => {
                println!(
                    "FAILED in round {round}: {error}\nrepeat: --seed {seed} --flips {}",
                    options.flips
                );
                println!("what is left: {}", rounds.keep().display());
                return ExitCode::FAILURE;
            }
        }
    }
    for (kill, count) in kills {
        println!("{count:>6}  {kill}");
    }
    let (acknowledged, held) = rounds.counts();
    println!(
        "{} kills in {} s; {acknowledged} updates acknowledged, none lost; {held} updates found whole",
        options.rounds,
        begun.elapsed().as_secs()
    );
    if options.flips > 0 {
        let flips = rounds.flips();
        println!("{} flipped bits were harmless, {} told", flips.harmless, flips.told);
    }
    ExitCode::SUCCESS
}
