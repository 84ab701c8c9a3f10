//! The cases of the benchmarks, beside the npm package and what a user might pick instead. What is
//! measured, and how, is the business of `bench/`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::shell::{self, cargo, program, root, target_dir};
use crate::{test, tools};

/// What to measure.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only these cases: letters such as `a,i`
    #[arg(long)]
    only: Option<String>,
    /// Small sizes, for about a minute: to try things out, not to tell numbers
    #[arg(long)]
    quick: bool,
    /// How often each is measured
    #[arg(long)]
    rounds: Option<usize>,
    /// Leave out Yrs, Automerge, Loro and chitchat, which take minutes to build
    #[arg(long)]
    without_alternatives: bool,
}

/// Which results to write about.
#[derive(Args)]
pub(crate) struct ReportOptions {
    /// What a run has left [default: the last one's]
    results: Option<PathBuf>,
}

const PACKAGE: [&str; 5] =
    ["build", "--release", "--package", "scuttlebutt-bench", "--bin=scuttlebutt-bench"];

/// Measures, and leaves results and pictures in the target directory.
pub(crate) fn run(options: &Options) -> Result<()> {
    tools::node()?;
    test::npm_packages()?;
    shell::run(&mut cargo(&PACKAGE))?;
    let mut command = driver();
    command.arg("run").arg("--interop").arg(root().join("interop"));
    command.arg("--out").arg(target_dir().join("bench"));
    if !options.without_alternatives {
        command.arg("--alternatives").arg(alternatives()?);
    }
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    if options.quick {
        command.args(["--scale", "quick"]);
    }
    if let Some(rounds) = options.rounds {
        command.args(["--rounds", &rounds.to_string()]);
    }
    shell::run(&mut command)
}

/// Writes docs/benchmarks.md.
pub(crate) fn report(options: &ReportOptions) -> Result<()> {
    shell::run(&mut cargo(&PACKAGE))?;
    let last = || target_dir().join("bench/results.json");
    let results = options.results.as_ref().map_or_else(|| Ok(last()), std::path::absolute)?;
    let mut command = driver();
    shell::run(command.arg("report").arg(results).arg("docs/benchmarks.md"))
}

fn driver() -> std::process::Command {
    let path = target_dir().join("release/scuttlebutt-bench");
    program(&path.to_string_lossy(), &[])
}

/// Builds them: a workspace of their own.
fn alternatives() -> Result<PathBuf> {
    let target = target_dir().join("alternatives");
    let manifest = ["--locked", "--manifest-path", "bench/alternatives/Cargo.toml"];
    let mut build = cargo(&["build", "--release"]);
    shell::run(build.args(manifest).arg("--target-dir").arg(&target))?;
    Ok(target.join("release/scuttlebutt-bench-alternatives"))
}
