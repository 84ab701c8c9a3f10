//! `scuttlebutt key`: another key for a node.

use std::io::Write;
use std::path::{Path, PathBuf};

use scuttlebutt::Signer;
use scuttlebutt_net::fresh_id;
use scuttlebutt_security::key_file::Existing;
use scuttlebutt_security::{Term, TrustList, is_ed25519_id};

use crate::cli::{ClusterArgs, KeyArgs, KeyCommand, Keys, Rotate};
use crate::exit::Failure;
use crate::key::{self, Key};
use crate::printer::print_at_once;
use crate::{control, data, trust_file};

pub(crate) async fn run(args: Keys) -> Result<(), Failure> {
    match args.command {
        KeyCommand::Rotate(args) => rotate(args).await,
    }
}

/// Everything that can go wrong without a change comes first. After each change the node can be started: with
/// the old key, or, once that has its end on the list, with the new one.
async fn rotate(args: Rotate) -> Result<(), Failure> {
    let (key_path, list) = (args.key.display(), args.list.display());
    let named = KeyArgs { key: Some(args.key.clone()), passphrase_file: None };
    let old = Key::named(&named, &ClusterArgs::default())?.map(|key| key.id().clone());
    let old = old
        .filter(is_ed25519_id)
        .ok_or_else(|| Failure::usage(format!("{key_path}: only an Ed25519 key can be rotated")))?;
    let text = trust_file::read(&args.list)?;
    if control::find(&args.data).await?.is_some() {
        return Err(Failure::failed(format!(
            "a node has {} open: stop it first, so that it writes nothing more with the old key",
            args.data.display()
        )));
    }
    let newest = trust_file::newest(&args.data, &old).await?;
    let (kept, fresh) = (beside(&args.key, ".old"), beside(&args.key, ".next"));
    if kept.exists() {
        return Err(Failure::failed(format!(
            "{}: there is an older key; put it away first",
            kept.display()
        )));
    }
    let ended = TrustList::revise(&text, &old, newest.map(Term::Until))
        .map_err(|error| Failure::failed(format!("{list}: {error}")))?
        .ok_or_else(|| {
            Failure::failed(format!("{list}: the id of the key, {old}, is not on it"))
        })?;

    let new = key::make(&fresh, Existing::Keep)?;
    let line_break = if ended.is_empty() || ended.ends_with('\n') { "" } else { "\n" };
    trust_file::replace(&args.list, &format!("{ended}{line_break}{new}\n"))?;
    let wanted = old.clone();
    let is_freed = data::with_store(&args.data, move |store| {
        if store.id() == wanted {
            // It belongs to no key until a node is started on it.
            store.set_id(fresh_id())?;
        }
        Ok(())
    });
    is_freed.await?;
    let renamed =
        std::fs::rename(&args.key, &kept).and_then(|()| std::fs::rename(&fresh, &args.key));
    renamed.map_err(|error| {
        Failure::failed(format!(
            "{key_path}: {error}; the new key is in {}, and the list has it already",
            fresh.display()
        ))
    })?;
    print_at_once(|out| {
        writeln!(out, "{new}")?;
        writeln!(out, "the new key is in {key_path}, the old one in {}", kept.display())?;
        match newest {
            Some(newest) => writeln!(out, "{list}: what {old} wrote until {newest} counts")?,
            None => writeln!(out, "{list}: {old} has written nothing, and is struck off")?,
        }
        writeln!(
            out,
            "give the list to every node, send each SIGHUP (kill -HUP PID), and start this one again"
        )
    })
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
