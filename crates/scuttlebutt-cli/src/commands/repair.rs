//! `scuttlebutt repair`: what is damaged is dropped, and, if asked, what others promised.

use std::path::Path;

use clap::ValueEnum;
use scuttlebutt_net::fresh_id;
use scuttlebutt_store::{Options, Store, StoreError};

use crate::cli::Repair;
use crate::commands::future;
use crate::control;
use crate::data;
use crate::exit::Failure;
use crate::model::ModelName;
use crate::printer::print_result;

pub(crate) async fn run(args: Repair) -> Result<(), Failure> {
    let dir = args.data.data;
    if control::find(&dir).await?.is_some() {
        return Err(Failure::failed(format!("{}: in use by a node; stop it first", dir.display())));
    }
    let (at, named) = (dir.clone(), args.model);
    let model = data::off_the_runtime(move || model(&at, named)).await??;
    let at = dir.clone();
    let repaired =
        data::off_the_runtime(move || data::repair(&at, &Options::new(model, fresh_id())));
    let is_damaged = repaired.await?.map_err(|error| data::failure(&error))?;
    if !is_damaged && !args.distrust_vector && args.rewrite_future.is_none() {
        print_result("nothing is damaged")?;
    }
    if args.distrust_vector {
        let entries = data::with_store(&dir, |store| store.distrust_vector()).await?;
        print_result(format_args!(
            "{entries} promises forgotten: peers are asked for everything again"
        ))?;
    }
    match args.rewrite_future {
        Some(whose) => future::rewrite(&dir, whose, &args.key, &args.network).await,
        None => Ok(()),
    }
}

/// What the file says, and where that is damaged, the user.
fn model(dir: &Path, named: Option<ModelName>) -> Result<String, Failure> {
    let named = named.and_then(|model| Some(model.to_possible_value()?.get_name().to_owned()));
    match Store::model_in(dir) {
        Ok(held) => Ok(held),
        Err(error @ (StoreError::Damaged { .. } | StoreError::NotAStore { .. })) => named
            .ok_or_else(|| {
                Failure::usage(format!(
                    "{error}; what kind of data it is cannot be read: name it with --model"
                ))
            }),
        Err(error) => Err(data::failure(&error)),
    }
}
