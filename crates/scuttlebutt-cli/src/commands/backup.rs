//! `scuttlebutt backup`: a copy of a data directory, also while a node uses it.

use crate::cli::Backup;
use crate::control;
use crate::data;
use crate::exit::Failure;

pub(crate) async fn run(args: Backup) -> Result<(), Failure> {
    let (dir, destination) = (&args.data.data, data::absolute(&args.destination)?);
    let updates = match control::find(dir).await? {
        Some(running) => {
            running.backup(&destination).await?["updates"].as_u64().unwrap_or_default()
        }
        None => data::with_store(dir, move |store| store.backup(&destination)).await?.updates,
    };
    println!("{updates} updates copied to {}", args.destination.display());
    Ok(())
}
