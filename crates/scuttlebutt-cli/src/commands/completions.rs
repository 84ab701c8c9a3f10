//! `scuttlebutt completions`: what a shell needs to complete commands and options.

use std::io::Write;

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::exit::Failure;
use crate::printer::print_at_once;

pub(crate) fn run(args: &Completions) -> Result<(), Failure> {
    // Into memory first: the generator panics when its output is closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "scuttlebutt", &mut script);
    print_at_once(|out| out.write_all(&script))
}
