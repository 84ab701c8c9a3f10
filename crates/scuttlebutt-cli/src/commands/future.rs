//! `scuttlebutt repair --rewrite-future`: what was written while the clock was far ahead is written anew.
//!
//! It opens the store and puts another file in its place; which updates that has is the replica's business.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use scuttlebutt::{Ahead, EventLog, Limits, LwwMap, Register, Replica, Signer};
use scuttlebutt_net::fresh_id;
use scuttlebutt_store::{Options, Store, StoreError};

use crate::cli::{ClusterArgs, KeyArgs, Whose};
use crate::data;
use crate::exit::Failure;
use crate::key::Key;
use crate::model::{ModelName, Shown};
use crate::printer::print_result;

pub(crate) async fn rewrite(
    dir: &Path,
    whose: Whose,
    key: &KeyArgs,
    network: &ClusterArgs,
) -> Result<(), Failure> {
    let key = Key::named(key, network)?.map(Arc::new);
    let model = data::model_in(dir).await?;
    let dir = dir.to_owned();
    let told = data::off_the_runtime(move || match model {
        ModelName::Map => rewrite_model::<LwwMap>(&dir, whose, key),
        ModelName::Events => rewrite_model::<EventLog>(&dir, whose, key),
        ModelName::Value => rewrite_model::<Register>(&dir, whose, key),
    });
    print_result(told.await??)
}

fn rewrite_model<M: Shown>(
    dir: &Path,
    whose: Whose,
    key: Option<Arc<Key>>,
) -> Result<String, Failure> {
    let failed = |error: StoreError| data::failure(&error);
    let (store, _) = Store::open(dir, Options::new(M::NAME, fresh_id())).map_err(failed)?;
    data::check_key(&store, key.as_deref())?;
    // More than fits has to be read as well, so that it can be put right.
    let limits =
        Limits { updates_max: usize::MAX, held_bytes_max: usize::MAX, ..Limits::default() };
    let empty = |id| Replica::with_limits(id, M::default(), limits.clone());
    let old = store.load(empty(store.id()), |_| ()).map_err(failed)?;
    let now_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_millis() as f64);
    if old.ahead_of(now_ms).next().is_none() {
        return Ok("nothing is from the future".to_owned());
    }
    let sources: BTreeSet<_> = old.ahead_of(now_ms).map(|update| update.source()).collect();
    let others = sources.iter().filter(|source| **source != old.id()).count();
    if others > 0 && whose == Whose::Own {
        return Err(Failure::failed(format!(
            "{}: {others} other sources wrote from that far ahead, too: is this machine's clock right? If \
             it is, repair their nodes in the same way, or take over what they wrote with \
             --rewrite-future=all",
            dir.display()
        )));
    }
    let (mut new, ahead) = match &key {
        Some(key) => (empty(key.id().clone()).sign_with(key.clone()), Ahead::Own),
        None if whose == Whose::All => (empty(fresh_id()), Ahead::Everybodys),
        None => (empty(fresh_id()), Ahead::Own),
    };
    if key.is_some() && others > 0 {
        tracing::warn!(
            "with a key nobody is spoken for: what {others} other sources wrote from the future is left \
             out until they write it anew"
        );
    }
    let again = new
        .return_to_present(now_ms, &old, ahead)
        .map_err(|error| Failure::failed(format!("{}: {error}", dir.display())))?;
    let id = new.id().clone();
    let held = new.held().filter(|(position, _)| new.is_worth_storing(*position));
    let held = held.map(|(position, update)| (position, update.clone()));
    let (_, original) = store.replace(id.clone(), held).map_err(failed)?;
    Ok(format!(
        "{again} updates from the future are written anew; the node writes as {id} from now on, and asks \
         its peers for everything again; the file as it was is kept as {}",
        original.display()
    ))
}
