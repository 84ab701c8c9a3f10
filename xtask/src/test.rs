//! The one test command: every check that a change has to pass, in the order
//! in which they fail fastest. A failed step does not hide the ones after it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::bench;
use crate::crash;
use crate::fuzz;
use crate::shell::{self, cargo, program, root, target_dir};
use crate::sim;
use crate::tally::Tally;
use crate::tools::{self, Install};
use crate::wasm;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out what is slow: documentation, fuzzers, simulated clusters, crashes, wasm, licences
    #[arg(long)]
    quick: bool,
}

enum End {
    Passed,
    Skipped(String),
}

/// Not a member of the workspace.
const FUZZ: &str = "fuzz/Cargo.toml";

/// Nor this: only whoever measures builds it.
const ALTERNATIVES: &str = "bench/alternatives/Cargo.toml";

/// What is off by default and tested all the same.
const FEATURES: &str = "--features=scuttlebutt-security/rsa-sha1,scuttlebutt-cli/rsa-sha1";

/// Runs all steps, then says what happened in each and how many tests ran.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::default();
    let mut tally = Tally::default();

    report.step("tools", || {
        tools::openssl()?;
        tools::node().map(passed)
    });
    report.step("npm packages", || npm_packages().map(passed));
    report.step("format", || {
        shell::run(&mut cargo(&["fmt", "--all", "--check"]))?;
        for manifest in [FUZZ, ALTERNATIVES] {
            shell::run(&mut cargo(&["fmt", "--manifest-path", manifest, "--check"]))?;
        }
        Ok(End::Passed)
    });
    report.step("lints", || {
        let lints = ["clippy", "--workspace", FEATURES, "--all-targets", "--", "-Dwarnings"];
        shell::run(&mut cargo(&lints))?;
        for package in ["-p=scuttlebutt-security", "-p=scuttlebutt-cli"] {
            let without = ["clippy", package, "--all-targets", "--", "-Dwarnings"];
            shell::run(&mut cargo(&without))?;
        }
        let mut fuzzers = cargo(&["clippy", "--manifest-path", FUZZ, "--target-dir"]);
        fuzzers.arg(target_dir().join("fuzz")).args(["--all-targets", "--", "-Dwarnings"]);
        shell::run(&mut fuzzers).map(passed)
    });
    if !options.quick {
        report.step("documentation", || {
            let mut doc = cargo(&["doc", "--workspace", FEATURES, "--no-deps"]);
            shell::run(doc.env("RUSTDOCFLAGS", "-Dwarnings")).map(passed)
        });
    }
    report.step("tests", || {
        // All of them, so that the closing count is the whole truth.
        let mut test = cargo(&["test", "--workspace", FEATURES, "--no-fail-fast"]);
        shell::run_reading(&mut test, |line| tally.read(line)).map(passed)
    });
    report.step("interop tests", || {
        let mut test = program("npm", &["test"]);
        test.current_dir(root().join("interop"));
        shell::run_reading(&mut test, |line| tally.read(line)).map(passed)
    });
    report.step("fuzzers' corpora", || {
        let mut test = cargo(&["test", "--manifest-path", FUZZ, "--target-dir"]);
        test.arg(target_dir().join("fuzz"));
        shell::run_reading(&mut test, |line| tally.read(line)).map(passed)
    });
    report.step("counts", counts);
    if !options.quick {
        report.step("fuzzers", fuzzers);
        report.step("simulated clusters", || {
            // The same seeds every time, then fresh ones, each twice: the same seed has to tell the
            // same story.
            sim::simulate(&["--fixed"])?;
            sim::simulate(&["--seeds", "500", "--twice"]).map(passed)
        });
        report.step("crashes", || {
            crash::run(&crash::Options { rounds: 50, seed: None, flips: 10 }).map(passed)
        });
        report.step("wasm", wasm_build);
        report.step("licences and sources", licences);
    }

    report.print();
    println!("{tally}");
    report.verdict()
}

/// Installs what the lock file names, unless that was done since it last changed.
pub(crate) fn npm_packages() -> Result<()> {
    let interop = root().join("interop");
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    // npm leaves this copy when it is done, so an interrupted installation is not taken for one.
    let installed = changed(&interop.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed > changed(&interop.join("package-lock.json")) {
        println!("up to date");
        return Ok(());
    }
    shell::run(program("npm", &["ci"]).current_dir(interop))
}

fn wasm_build() -> Result<End> {
    let install = Install::only_in_ci();
    if install == Install::Never && !wasm::is_available() {
        return Ok(End::Skipped(wasm::how_to_install()));
    }
    wasm::run(install).map(passed)
}

/// Allocations everywhere, instructions where there is something to count them with.
fn counts() -> Result<End> {
    let left_out = bench::counts::run(&bench::counts::Options::default())?;
    Ok(left_out.map_or(End::Passed, End::Skipped))
}

/// Half a minute for each two of them.
fn fuzzers() -> Result<End> {
    if !fuzz::is_available() && !tools::in_ci() {
        return Ok(End::Skipped(fuzz::how_to_install()));
    }
    fuzz::run(&fuzz::Options::smoke()).map(passed)
}

/// Advisories are left to a schedule: they change while the code does not.
fn licences() -> Result<End> {
    if tools::found("cargo-deny").is_none() {
        let how = "`cargo install cargo-deny --locked` (takes some minutes)";
        return Ok(End::Skipped(how.to_owned()));
    }
    let deny = ["deny", "check", "bans", "licenses", "sources"];
    shell::run(&mut cargo(&deny)).map(passed)
}

fn passed((): ()) -> End {
    End::Passed
}

/// What became of each step, and how long it took.
#[derive(Default)]
struct Report {
    steps: Vec<(&'static str, Duration, Result<End>)>,
}

impl Report {
    fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<End>) {
        println!("\n== {name}");
        let start = Instant::now();
        let end = work();
        if let Err(error) = &end {
            println!("FAILED: {error:#}");
        }
        self.steps.push((name, start.elapsed(), end));
    }

    fn print(&self) {
        println!("\n== summary");
        for (name, took, end) in &self.steps {
            let end = match end {
                Ok(End::Passed) => "ok".to_owned(),
                Ok(End::Skipped(how)) => format!("skipped; to run it: {how}"),
                Err(error) => format!("FAILED: {error:#}"),
            };
            println!("{:>7.1} s  {name}: {end}", took.as_secs_f64());
        }
    }

    fn verdict(&self) -> Result<()> {
        let failed = self.steps.iter().filter(|(_, _, end)| end.is_err());
        let names: Vec<_> = failed.map(|(name, ..)| *name).collect();
        if !names.is_empty() {
            bail!("failed: {}", names.join(", "));
        }
        Ok(())
    }
}
