//! `scuttlebutt id`: the source id of a key, or a fresh one, of the shape that npm scuttlebutt gives its
//! own.

use std::io::Write;

use scuttlebutt::{Signer, SourceId};

use crate::cli::{ClusterArgs, Id};
use crate::exit::Failure;
use crate::key::Key;
use crate::printer::print_at_once;

pub(crate) fn run(args: &Id) -> Result<(), Failure> {
    let id = match Key::named(&args.key, &ClusterArgs::default())? {
        Some(key) => key.id().clone(),
        None => SourceId::from_random(rand::random()),
    };
    print_at_once(|out| writeln!(out, "{id}"))
}
