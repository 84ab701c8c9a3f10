//! The node's side: answers requests until the node ends.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::Change;
use scuttlebutt_net::Node;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::{Answer, REQUEST_BYTES_MAX, Request, socket};
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
pub(crate) fn listen<M: Shown>(node: Node<M>, dir: &Path) -> io::Result<Control> {
    let path = socket(dir);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(accept(node, listener));
    Ok(Control { path, task })
}

async fn accept<M: Shown>(node: Node<M>, listener: UnixListener) {
    let requests = Arc::new(Semaphore::new(REQUESTS_MAX));
    loop {
        let Ok(permit) = requests.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let node = node.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(&node, stream).await {
                        tracing::debug!("a request was broken off: {error}");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("the control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn answer<M: Shown>(node: &Node<M>, stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = String::new();
    let read = async { (&mut reader).take(REQUEST_BYTES_MAX).read_line(&mut line).await };
    tokio::time::timeout(WAIT_MAX, read).await??;
    let done = match serde_json::from_str(&line) {
        Ok(Request::Export) => return node.save_to(writer).await.map(|_| ()),
        Ok(Request::Import) => import(node, &mut reader).await,
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
        Ok(Request::Write { model, change }) => write(node, &model, &change).await,
        Err(error) => Err(format!("no request: {error}")),
    };
    let answer = match done {
        Ok(value) => Answer::Done(value),
        Err(error) => Answer::Failed(error),
    };
    writer.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes()).await?;
    writer.shutdown().await?;
    // Whoever is still sending would not read the answer.
    let mut nowhere = tokio::io::sink();
    let rest = tokio::io::copy(&mut reader, &mut nowhere);
    let _ = tokio::time::timeout(WAIT_MAX, rest).await;
    Ok(())
}

async fn import<M: Shown>(
    node: &Node<M>,
    reader: impl tokio::io::AsyncRead + Unpin,
) -> Result<Value, String> {
    let imported = node.load_from(reader).await.map_err(|error| error.to_string())?;
    node.flush().await.map_err(|error| error.to_string())?;
    Ok(file::Summary::of(&imported).to_json())
}

async fn write<M: Shown>(node: &Node<M>, model: &str, change: &str) -> Result<Value, String> {
    if model != M::NAME {
        return Err(format!("the node holds a {}: use --model {}", M::NAME, M::NAME));
    }
    let change = Change::from_json(change).map_err(|error| error.to_string())?;
    let written = node.update(change).await.map_err(|error| error.to_string())?;
    Ok(json!({ "timestamp": written.timestamp().as_millis() }))
}

async fn on_store<M: Shown>(
    node: &Node<M>,
    work: impl FnOnce(&scuttlebutt_store::Store) -> Result<Value, scuttlebutt_store::StoreError>
    + Send
    + 'static,
) -> Result<Value, String> {
    let store = node.store().ok_or("the node is shutting down")?;
    tokio::task::spawn_blocking(move || work(&store))
        .await
        .map_err(|panic| panic.to_string())?
        .map_err(|error| error.to_string())
}
