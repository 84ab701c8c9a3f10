//! A list of who is believed, changed in place: whole, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;

use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Timestamp};
use scuttlebutt_security::{TrustList, regular_file};
use scuttlebutt_store::Selection;

use crate::exit::Failure;
use crate::{control, data};

/// The text of a list.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::failed(format!("{}: {error}", path.display()));
    // With all its rules, before anything is done.
    TrustList::read(path).map_err(|error| wrong(&error))?;
    let file = regular_file::open(path).map_err(|error| wrong(&error))?;
    io::read_to_string(file).map_err(|error| wrong(&error))
}

/// Puts another text in the place of a list, at once and whole, for the same readers.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    let written = fs::metadata(path).and_then(|metadata| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(beside)?;
        file.set_permissions(metadata.permissions())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(beside, path)
    });
    written.map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(beside);
        }
        Failure::failed(format!("{}: {error}; {} is as it was", beside.display(), path.display()))
    })
}

/// An id as the user writes it, which may be as it stands on a list.
pub(crate) fn id(text: &str) -> Result<SourceId, Failure> {
    let id = match text.starts_with('"') {
        true => {
            JsString::from_json_literal(text).map_err(|error| Failure::usage(error.to_string()))?
        }
        false => JsString::from(text),
    };
    SourceId::new(id).map_err(|error| Failure::usage(error.to_string()))
}

/// The newest update of a source that a data directory holds, whether or not a node has it open.
pub(crate) async fn newest(dir: &Path, id: &SourceId) -> Result<Option<Timestamp>, Failure> {
    if let Some(running) = control::find(dir).await? {
        return running.newest(id).await;
    }
    if !data::is_there(dir) {
        return Err(Failure::failed(format!(
            "{}: there is no data; name the directory of a node with --data DIR",
            dir.display()
        )));
    }
    let selection = Selection { source: Some(id.clone()), ..Selection::default() };
    data::with_store_to_read(dir, move |store| {
        let mut newest = None;
        store.read(&selection, |_, update| {
            newest = newest.max(Some(update.timestamp()));
            ControlFlow::Continue(())
        })?;
        Ok(newest)
    })
    .await
}
