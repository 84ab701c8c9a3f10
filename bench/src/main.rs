//! The benchmarks' driver, and our own ends of them: `cargo xtask bench` builds and runs it.

mod cases;
mod driver;
mod output;
mod results;
mod roles;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Parser, Subcommand};

use driver::{Context, Machine, program_version};
use results::Run;
use sizes::Scale;

/// Benchmarks of scuttlebutt, beside the npm package and what a user might pick instead.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure the cases
    Run(Options),
    /// Write a document from a file of results
    Report {
        /// What a run has left
        results: PathBuf,
        /// The document to write; its pictures go into a folder beside it
        document: PathBuf,
    },
    /// Take part in a case, as told on standard input
    #[command(hide = true)]
    Role { role: String, arguments: Vec<String> },
}

/// What to measure, and with what.
#[derive(Args)]
struct Options {
    /// Which cases: letters such as `a,i` [default: all]
    #[arg(long, value_delimiter = ',')]
    only: Vec<char>,
    /// How much of everything
    #[arg(long, value_enum, default_value_t = Scale::Full)]
    scale: Scale,
    /// How often each is measured [default: as the scale says]
    #[arg(long)]
    rounds: Option<usize>,
    /// Where the results and pictures go
    #[arg(long)]
    out: PathBuf,
    /// The folder with the npm package
    #[arg(long)]
    interop: PathBuf,
    /// The program with the alternatives
    #[arg(long)]
    alternatives: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Run(options) => run(options),
        Task::Report { results, document } => report(&results, &document),
        Task::Role { role, arguments } => roles::play(&role, &arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn report(results: &Path, document: &Path) -> Result<()> {
    let text = fs::read_to_string(results).with_context(|| results.display().to_string())?;
    output::write_report(&serde_json::from_str(&text)?, document)
}

fn run(options: Options) -> Result<()> {
    if let Some(unknown) =
        options.only.iter().find(|letter| cases::ALL.iter().all(|(known, _)| known != *letter))
    {
        bail!("there is no case {unknown}; there are a to i");
    }
    let machine = Machine::look(versions(&options)?);
    println!("{}, {} cores, load {}", machine.cpu, machine.cores, machine.load);
    let sizes = options.scale.sizes();
    let mut context = Context {
        rounds: options.rounds.unwrap_or(sizes.rounds).max(1),
        until: Instant::now(),
        sizes,
        interop: options.interop,
        alternatives: options.alternatives,
    };
    fs::create_dir_all(&options.out)?;
    let file = options.out.join("results.json");
    let scale = format!("{:?}", options.scale).to_lowercase();
    let mut run = Run { machine, scale, rounds: context.rounds, cases: Vec::new() };
    let mut failed = Vec::new();
    for (letter, measure) in cases::ALL {
        if !options.only.is_empty() && !options.only.contains(&letter) {
            continue;
        }
        println!("\ncase {letter}, for at most about {:?}", context.sizes.case_time);
        let begun = Instant::now();
        context.until = begun + context.sizes.case_time;
        match measure(&context) {
            Ok(case) => {
                output::print(&case);
                let picture = options.out.join(format!("{letter}.svg"));
                output::draw(&case, &picture).map_err(|error| anyhow::anyhow!("{error}"))?;
                run.cases.push(case);
                // After each case: what comes later may fail.
                fs::write(&file, serde_json::to_vec_pretty(&run)?)?;
            }
            Err(error) => {
                println!("case {letter} failed: {error:#}");
                failed.push(letter.to_string());
            }
        }
        println!("\ncase {letter} took {:.1} s", begun.elapsed().as_secs_f64());
    }
    println!("\nresults: {}", file.display());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Of what takes part, beside the compiler.
fn versions(options: &Options) -> Result<Vec<(String, String)>> {
    let mut versions = vec![("node".to_owned(), program_version("node"))];
    let lock = options.interop.join("package-lock.json");
    let lock: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&lock).context("the npm package's lock file")?)?;
    let npm = &lock["packages"]["node_modules/scuttlebutt"]["version"];
    versions.push(("npm scuttlebutt".to_owned(), npm.as_str().unwrap_or("unknown").to_owned()));
    if let Some(program) = &options.alternatives {
        let said = program_version(&program.to_string_lossy());
        for line in said.lines() {
            let (name, version) = line.split_once(' ').unwrap_or((line, ""));
            versions.push((name.to_owned(), version.to_owned()));
        }
    }
    Ok(versions)
}
