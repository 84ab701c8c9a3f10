//! `scuttlebutt compact`: gives space that a data directory no longer needs back to the file system.

use crate::cli::Compact;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::printer::print_result;

pub(crate) async fn run(args: Compact) -> Result<(), Failure> {
    let dir = &args.data.data;
    if control::find(dir).await?.is_some() {
        return Err(Failure::failed(format!(
            "{}: in use by a node; stop it first (what it frees it uses again itself)",
            dir.display()
        )));
    }
    let compacted = data::with_store(dir, |store| {
        let size = |store: &scuttlebutt_store::Store| {
            std::fs::metadata(store.path()).map_or(0, |metadata| metadata.len())
        };
        let before = size(store);
        store.compact()?;
        Ok((before, size(store)))
    });
    let (before, after) = compacted.await?;
    print_result(format_args!("{before} bytes before, {after} bytes after"))
}
