//! Runs seeds, on all processors; `cargo xtask sim` builds and starts this.

mod plot;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use scuttlebutt_sim::small_worlds::{SMALL_WORLDS, explore};
use scuttlebutt_sim::{Scenario, Totals, run, shrink};

/// Run whole clusters in virtual time, from seeds.
///
/// Without options: 1,000 seeds, beginning at one drawn from the clock. A seed that fails is told
/// with the line that replays it. From 500 seeds on, a kind of fault, outcome or event that never
/// happened is a failure too; the rarest kind counts from 10,000 on.
#[derive(Parser)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed; by default one that was not run before
    #[arg(long)]
    from: Option<u64>,
    /// Run this seed alone
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Run the first hundred seeds, the same every time
    #[arg(long, conflicts_with_all = ["seeds", "from", "seed"])]
    fixed: bool,
    /// Visit every state of a few small worlds instead
    #[arg(long, conflicts_with_all = ["seeds", "from", "seed", "fixed"])]
    small_worlds: bool,
    /// Run each seed twice, and fail when the two runs differ
    #[arg(long)]
    twice: bool,
    /// Go on after a seed that fails, and count those that do
    #[arg(long, conflicts_with = "seed")]
    keep_going: bool,
    /// Print who sent what to whom
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Draw the run into this SVG file: how far each node was behind, bytes, and what happened when
    #[arg(long, requires = "seed", value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Make a failing seed smaller before telling of it
    #[arg(long)]
    shrink: bool,
    /// Number of threads; by default one for each processor
    #[arg(long)]
    threads: Option<usize>,
}

impl Options {
    fn threads(&self) -> usize {
        self.threads
            .or_else(|| std::thread::available_parallelism().ok().map(Into::into))
            .unwrap_or(1)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        None if options.small_worlds => small_worlds(&options),
        Some(seed) => one(seed, &options),
        None => many(&options),
    }
}

fn one(seed: u64, options: &Options) -> ExitCode {
    let mut scenario = Scenario::from_seed(seed);
    if options.shrink && run(scenario.clone(), false).violation.is_some() {
        scenario =
            shrink(scenario, 500, |candidate| run(candidate.clone(), false).violation.is_some());
    }
    let report = run(scenario, options.trace || options.plot.is_some());
    if options.trace {
        for line in &report.account {
            println!("{line}");
        }
    }
    if let Some(path) = &options.plot {
        if let Err(error) = plot::draw(&report, path) {
            eprintln!("error: {} cannot be drawn: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("drawn to {}", path.display());
    }
    println!("{:#?}", report.scenario);
    println!("{} events in {} virtual ms", report.events, report.virtual_ms);
    println!("trace hash {:016x}", report.trace_hash);
    match report.violation {
        None => {
            println!("seed {seed} passed");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("seed {seed} FAILED after {} virtual ms: {}", violation.at_ms, violation.what);
            ExitCode::FAILURE
        }
    }
}

/// How many seeds are run every time, whatever else is drawn.
const FIXED: u64 = 100;

fn many(options: &Options) -> ExitCode {
    let first = options.from.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as u64) % 1_000_000_000_000
    });
    let seeds: Vec<u64> = if options.fixed {
        (1..=FIXED).collect()
    } else {
        (first..first.saturating_add(options.seeds)).collect()
    };
    let threads = options.threads();
    if let (Some(first), Some(last)) = (seeds.first(), seeds.last()) {
        println!("{} seeds, {first} to {last}, on {threads} threads", seeds.len());
    }
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(0);
    let total = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&seed) = usize::try_from(nth).ok().and_then(|nth| seeds.get(nth))
                    else {
                        break;
                    };
                    if !options.keep_going && failed.load(Ordering::Relaxed) > 0 {
                        break;
                    }
                    let report = run(Scenario::from_seed(seed), false);
                    if options.twice
                        && run(Scenario::from_seed(seed), false).trace_hash != report.trace_hash
                    {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!("seed {seed} FAILED: two runs of it differ");
                    }
                    if let Some(violation) = &report.violation {
                        failed.fetch_add(1, Ordering::Relaxed);
                        println!(
                            "seed {seed} FAILED after {} virtual ms: {}\nreplay: cargo xtask sim \
                             --seed {seed}   (--shrink makes it smaller, --trace tells all)",
                            violation.at_ms, violation.what
                        );
                    }
                    total.lock().unwrap_or_else(PoisonError::into_inner).add(&report);
                    if (nth + 1).is_multiple_of(1_000) {
                        println!("{} seeds after {} s", nth + 1, begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{total} in {} s", begun.elapsed().as_secs());
    let missing = total.missing();
    if !missing.is_empty() {
        println!("FAILED: never happened: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    let failed = failed.into_inner();
    if failed > 0 {
        println!("FAILED: {failed} seeds");
        return ExitCode::FAILURE;
    }
    println!("all passed");
    ExitCode::SUCCESS
}

fn small_worlds(options: &Options) -> ExitCode {
    let next = AtomicUsize::new(0);
    let has_failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..options.threads() {
            scope.spawn(|| {
                while let Some(world) = SMALL_WORLDS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let census = explore(world);
                    println!("{:<48}{:>4} s {census}", world.name, begun.elapsed().as_secs());
                    let is_proved = census.violation.is_none() && !census.is_cut_short;
                    has_failed.fetch_or(!is_proved, Ordering::Relaxed);
                }
            });
        }
    });
    if has_failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
