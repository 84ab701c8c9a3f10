//! The workspace's own commands: `cargo xtask --help` lists them. What a person
//! types here is what CI runs. One file per task; this one only chooses.

mod bench;
mod crash;
mod fuzz;
mod mutants;
mod shell;
mod sim;
mod tally;
mod test;
mod tools;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and test, interop with the npm package included
    Test(test::Options),
    /// Build the core crate for wasm32 and check that it asks nothing of its host
    Wasm,
    /// Run whole clusters in virtual time, from seeds
    #[command(disable_help_flag = true)]
    Sim(sim::Options),
    /// Kill nodes that write to the disk, and look at what is left
    Crash(crash::Options),
    /// Fuzz what reads bytes from outside
    Fuzz(fuzz::Options),
    /// Put deliberate faults into a copy of the core and demand that the tests notice each
    Mutants(mutants::Options),
    /// Measure, beside the npm package, what a user might pick instead, or the bare engine
    Bench {
        #[command(subcommand)]
        task: Option<bench::Task>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Bench { task } => bench::run(&task.unwrap_or_default()),
        Task::Crash(options) => crash::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::Sim(options) => sim::run(&options),
        Task::Wasm => wasm::run(tools::Install::WhenRoot),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
