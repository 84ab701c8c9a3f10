//! The node's side: answers requests until the node ends.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::json::JsString;
use scuttlebutt::{Change, Direction, LocalUpdateError, SessionConfig, SourceId, Timestamp};
use scuttlebutt_net::{Node, UpdateError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Answer, Held, REQUEST_BYTES_MAX, Request, socket};
use crate::early::Early;
use crate::file;
use crate::inventory;
use crate::model::Shown;

/// Requests that are answered at a time; further ones wait.
const REQUESTS_MAX: usize = 8;

/// How long a client may take to send its request, or to stop sending after a failure.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The socket, which goes with this.
pub(crate) struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Answers requests at the socket of `dir`, whose store this node has open: so whatever is there is
/// left from an earlier one.
pub(crate) fn listen<M: Shown>(
    node: Node<M>,
    dir: &Path,
    early: Arc<Early>,
) -> io::Result<Control> {
    let path = socket(dir);
    let listener = bind(&path)?;
    let task = tokio::spawn(accept(node, early, listener));
    Ok(Control { path, task })
}

/// Binds a socket that nobody but the owner may open, whatever the umask: it is made in a directory
/// that nobody else may enter, and moved to its place once it is closed to others.
fn bind(path: &Path) -> io::Result<UnixListener> {
    // Shorter than the name of the socket: paths of sockets must not be long.
    let room = path.with_file_name("new.sock");
    match std::fs::remove_dir_all(&room) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&room)?;
    let draft = room.join("s");
    let bound = UnixListener::bind(&draft).and_then(|listener| {
        std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&draft, path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_dir_all(&room);
    bound
}

async fn accept<M: Shown>(node: Node<M>, early: Arc<Early>, listener: UnixListener) {
    let requests = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(permit) = requests.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (node, early) = (node.clone(), early.clone());
                tokio::spawn(async move {
                    if let Err(error) = answer(&node, &early, stream, permit).await {
                        tracing::debug!("a request was broken off: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("the control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer<M: Shown>(
    node: &Node<M>,
    early: &Early,
    stream: UnixStream,
    permit: OwnedSemaphorePermit,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    let read = async { (&mut reader).take(REQUEST_BYTES_MAX).read_line(&mut line).await };
    tokio::time::timeout(WAIT_MAX, read).await??;
    let done = match serde_json::from_str(&line) {
        Ok(Request::Export) => return node.save_to(writer).await.map(|_| ()),
        Ok(Request::Read) => {
            // It may stay for long; the node's bound on sessions counts it.
            drop(permit);
            let held = Held::new(M::NAME, node.read(Shown::retention));
            send(&mut writer, &Answer::Done(serde_json::to_value(held)?)).await?;
            let stream = tokio::io::join(reader, writer);
            let config = SessionConfig { direction: Direction::SendOnly, ..Default::default() };
            let ended = node.attach(stream, "the control socket", config).await;
            return ended.map(|_| ()).map_err(io::Error::other);
        }
        Ok(Request::Import { skip_invalid }) => {
            import(node, early, &mut reader, skip_invalid).await
        }
        Ok(Request::Backup(dir)) => {
            on_store(node, move |store| {
                let backup = store.backup(&dir)?;
                Ok(json!({ "updates": backup.updates }))
            })
            .await
        }
        Ok(Request::Inspect) => {
            on_store(node, |store| Ok(inventory::to_json(&store.inspect()?))).await
        }
        Ok(Request::Newest(literal)) => newest(node, &literal),
        Ok(Request::Write { model, change }) => write(node, &model, &change).await,
        Err(error) => Err(Answer::Failed(format!("no request: {error}"))),
    };
    send(&mut writer, &done.map_or_else(|failed| failed, Answer::Done)).await?;
    writer.shutdown().await?;
    // Whoever is still sending would not read the answer.
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(&mut reader, &mut nowhere);
    let _ = tokio::time::timeout(WAIT_MAX, rest).await;
    Ok(())
}

fn newest<M: Shown>(node: &Node<M>, literal: &str) -> Result<Value, Answer> {
    let id = JsString::from_json_literal(literal).map_err(failed)?;
    let id = SourceId::new(id).map_err(failed)?;
    let newest = node.read_replica(|replica| replica.newest_held(&id));
    Ok(json!({ "newest": newest.map(Timestamp::as_millis) }))
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> io::Result<()> {
    writer.write_all(format!("{}\n", serde_json::to_string(answer)?).as_bytes()).await
}

fn failed(error: impl std::fmt::Display) -> Answer {
    Answer::Failed(error.to_string())
}

async fn import<M: Shown>(
    node: &Node<M>,
    early: &Early,
    reader: impl AsyncRead + Unpin,
    skip_invalid: bool,
) -> Result<Value, Answer> {
    let imported = early.import(node, reader, skip_invalid).await.map_err(failed)?;
    node.flush().await.map_err(failed)?;
    Ok(file::Summary::of(&imported).to_json())
}

async fn write<M: Shown>(node: &Node<M>, model: &str, change: &str) -> Result<Value, Answer> {
    if model != M::NAME {
        return Err(Answer::OtherModel(M::NAME.to_owned()));
    }
    let change = Change::from_json(change).map_err(failed)?;
    let written = node.update(change).await.map_err(|error| match &error {
        UpdateError::Refused(LocalUpdateError::Invalid(_)) => Answer::Invalid(error.to_string()),
        UpdateError::Refused(LocalUpdateError::Full(_)) => Answer::Refused(error.to_string()),
        error => failed(error),
    })?;
    Ok(json!({ "timestamp": written.timestamp().as_millis() }))
}

async fn on_store<M: Shown>(
    node: &Node<M>,
    work: impl FnOnce(&scuttlebutt_store::Store) -> Result<Value, scuttlebutt_store::StoreError>
    + Send
    + 'static,
) -> Result<Value, Answer> {
    let store = node.store().ok_or_else(|| failed("the node is shutting down"))?;
    tokio::task::spawn_blocking(move || work(&store)).await.map_err(failed)?.map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn the_socket_is_never_open_to_others() {
        let dir = std::env::temp_dir().join(format!("control-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let (path, ended) = (socket(&dir), AtomicBool::new(false));
        let is_open = |path: &Path| {
            std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
        };
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| {
                let mut seen = false;
                while !ended.load(Ordering::Relaxed) {
                    seen |= is_open(&path);
                }
                seen
            });
            for _ in 0..500 {
                let listener = bind(&path).expect("a socket");
                assert!(!is_open(&path));
                drop(listener);
            }
            ended.store(true, Ordering::Relaxed);
            assert!(!seen.join().expect("no panic"), "others could have opened it");
        });
        std::fs::remove_dir_all(&dir).expect("it is there");
    }
}
