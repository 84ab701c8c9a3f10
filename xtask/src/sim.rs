//! Whole clusters in virtual time, built for speed. What it does is the simulator's own business.

use anyhow::Result;
use clap::Args;

use crate::shell::{self, cargo};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Options of the simulator, such as --seeds 10000, --seed 7 --trace or --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds and runs the simulator.
pub(crate) fn run(options: &Options) -> Result<()> {
    simulate(&options.options.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The same, for other tasks.
pub(crate) fn simulate(options: &[&str]) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", "scuttlebutt-sim", "--"]);
    shell::run(command.args(options))
}
