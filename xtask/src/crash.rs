//! Kills real nodes on the real disk, again and again. What is killed, when, and what must be left is
//! the driver's own business: `crates/scuttlebutt-cli/examples/crash`.

use anyhow::Result;
use clap::Args;

use crate::shell::{self, cargo, program, target_dir};

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How often to kill
    #[arg(long, default_value_t = 50)]
    pub(crate) rounds: u32,
    /// Draw the same kills as an earlier run
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many bits to flip, one at a time, in what each kill leaves
    #[arg(long, default_value_t = 0)]
    pub(crate) flips: u32,
}

/// Builds the command and the driver as users run them, and starts the driver.
pub(crate) fn run(options: &Options) -> Result<()> {
    let build = ["build", "--quiet", "--release", "--package", "scuttlebutt-cli"];
    shell::run(cargo(&build).args(["--bin", "scuttlebutt", "--example", "crash"]))?;
    let release = target_dir().join("release");
    let mut driver = program(&release.join("examples/crash").to_string_lossy(), &[]);
    driver.arg("--binary").arg(release.join("scuttlebutt"));
    driver.args(["--rounds", &options.rounds.to_string()]);
    driver.args(["--flips", &options.flips.to_string()]);
    if let Some(seed) = options.seed {
        driver.args(["--seed", &seed.to_string()]);
    }
    shell::run(&mut driver)
}
