//! `scuttlebutt id`: a fresh source id, of the shape that npm scuttlebutt gives its own.

use std::io::Write;

use scuttlebutt::SourceId;

use crate::exit::Failure;
use crate::printer::print_at_once;

pub(crate) fn run() -> Result<(), Failure> {
    let id = SourceId::from_random(rand::random());
    print_at_once(|out| writeln!(out, "{id}"))
}
