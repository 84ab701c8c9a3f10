//! `scuttlebutt inspect`: what a data directory holds, and whether it is whole.

use std::io::Write;

use scuttlebutt_store::{Store, StoreLimits};

use crate::cli::Inspect;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::inventory;
use crate::printer::print_at_once;

pub(crate) async fn run(args: Inspect) -> Result<(), Failure> {
    let dir = args.data.data;
    let inventory = match control::find(&dir).await? {
        Some(running) => running.inspect().await?,
        None => {
            let inspected =
                data::off_the_runtime(move || Store::inspect_dir(&dir, &StoreLimits::default()));
            inventory::to_json(&inspected.await?.map_err(|error| data::failure(&error))?)
        }
    };
    print_at_once(|out| match args.json {
        true => writeln!(out, "{inventory}"),
        false => write!(out, "{}", inventory::to_text(&inventory)),
    })?;
    match inventory["damage"].as_str() {
        Some(damage) => Err(Failure::failed(format!("the data is damaged: {damage}"))),
        None => Ok(()),
    }
}
