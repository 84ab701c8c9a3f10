//! The command `scuttlebutt`: a replica to start, read, watch and write from a terminal.
//!
//! It parses, prints and chooses exit codes. What it never does: decide what an update means, or
//! touch a socket or a frame; that is the work of `scuttlebutt` and `scuttlebutt-net`.
//!
//! Nothing is printed by macros that panic where nobody reads: stdout is `printer.rs`, stderr `log_writer.rs`
//! and [`exit::tell`].
//!
//! Exit codes are listed by [`exit::Code`], and each command explains itself in its `--help`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod change;
mod cli;
mod client;
mod commands;
mod control;
mod data;
mod early;
mod exit;
mod file;
mod follow;
mod input;
mod inventory;
mod key;
mod links;
mod log;
mod log_writer;
mod model;
mod printer;
mod progress;
mod signals;
mod source;
mod terminal;
mod trust;
mod trust_file;
mod withdrawn;
mod writing;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Failure;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::usage(&error),
    };
    let log = log::start(cli.log.as_deref(), cli.command.default_log());
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(format!("cannot start: {error}")).report(),
    };
    let ended = runtime.block_on(run(cli.command));
    // What is still going on, a lookup of a name for example, is not waited for.
    runtime.shutdown_background();
    log.finish();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => commands::serve::run(args).await,
        Command::Dump(args) => commands::dump::run(args).await,
        Command::Watch(args) => commands::watch::run(args).await,
        Command::Get(args) => commands::get::run(args).await,
        Command::Set(args) => commands::set::run(args).await,
        Command::Emit(args) => commands::emit::run(args).await,
        Command::Export(args) => commands::export::run(args).await,
        Command::Import(args) => commands::import::run(args).await,
        Command::Backup(args) => commands::backup::run(args).await,
        Command::Inspect(args) => commands::inspect::run(args).await,
        Command::Compact(args) => commands::compact::run(args).await,
        Command::Repair(args) => commands::repair::run(args).await,
        Command::Cert(args) => commands::cert::run(args),
        Command::Keygen(args) => commands::keygen::run(args).await,
        Command::Verify(args) => commands::verify::run(args).await,
        Command::Id(args) => commands::id::run(&args),
        Command::Key(args) => commands::key::run(args).await,
        Command::Trust(args) => commands::trust::run(args).await,
        Command::Completions(args) => commands::completions::run(&args),
    }
}
