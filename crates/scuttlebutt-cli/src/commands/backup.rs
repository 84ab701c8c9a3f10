//! `scuttlebutt backup`: a copy of a data directory, also while a node uses it.

use crate::cli::Backup;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::printer::print_result;

pub(crate) async fn run(args: Backup) -> Result<(), Failure> {
    let (dir, destination) = (&args.data.data, data::absolute(&args.destination)?);
    let updates = match control::find(dir).await? {
        Some(running) => {
            running.backup(&destination).await?["updates"].as_u64().unwrap_or_default()
        }
        None => {
            data::with_store_to_read(dir, move |store| store.backup(&destination)).await?.updates
        }
    };
    print_result(format_args!("{updates} updates copied to {}", args.destination.display()))
}
