//! `scuttlebutt keygen`: a secret key for signing.

use std::io::Write;

use scuttlebutt_security::key_file::Existing;

use crate::cli::Keygen;
use crate::data::off_the_runtime;
use crate::exit::Failure;
use crate::key;
use crate::printer::print_at_once;

pub(crate) async fn run(args: Keygen) -> Result<(), Failure> {
    // A long RSA key takes seconds.
    off_the_runtime(move || make(&args)).await?
}

fn make(args: &Keygen) -> Result<(), Failure> {
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    match args.rsa {
        None => {
            let id = key::make(&args.file, existing)?;
            print_at_once(|out| writeln!(out, "{id}"))
        }
        Some(bits) => {
            let (id, public) = key::make_rsa(&args.file, bits, existing)?;
            print_at_once(|out| writeln!(out, "{id}\n{}", public.display()))
        }
    }
}
