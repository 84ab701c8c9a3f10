//! A process under test: started, listened to, killed.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scuttlebutt::Update;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node in a process of its own; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    address: watch::Receiver<Option<String>>,
    heard: Arc<Mutex<Heard>>,
}

/// What it has said so far.
#[derive(Default)]
struct Heard {
    acknowledged: Vec<Update>,
    errors: Vec<String>,
}

impl Daemon {
    /// Starts a program. With a limit, no file of its may grow beyond so many bytes.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        file_bytes_max: Option<u64>,
    ) -> Result<Self, String> {
        let mut command = match file_bytes_max {
            None => Command::new(program),
            Some(bytes) => {
                let mut shell = Command::new("sh");
                // Writes fail then, instead of ending the process.
                let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", bytes / 512);
                shell.args(["-c", &script, "sh"]).arg(program);
                shell
            }
        };
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{program:?}: {error}"))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (found, address) = watch::channel(None);
        if let (Some(out), Some(err)) = (out, err) {
            let listening = heard.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(out).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Some(at) = line.strip_prefix("listening tcp ") {
                        found.send_replace(Some(at.to_owned()));
                    } else if let Some(update) = line.strip_prefix("ack ") {
                        // The last line of a process that is killed may be cut.
                        if let Ok(update) = Update::from_json(update) {
                            lock(&listening).acknowledged.push(update);
                        }
                    } else if let Some(error) = line.strip_prefix("error ") {
                        lock(&listening).errors.push(error.to_owned());
                    }
                }
            });
            let listening = heard.clone();
            tokio::spawn(async move {
                let mut lines = BufReader::new(err).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.starts_with("error: ") || line.contains("panicked") {
                        lock(&listening).errors.push(line);
                    }
                }
            });
        }
        Ok(Self { child, address, heard })
    }

    /// Waits until it listens.
    pub(crate) async fn address(&mut self) -> Result<String, String> {
        let found = async {
            let address = self.address.wait_for(Option::is_some).await.ok()?;
            address.clone()
        };
        let found = tokio::time::timeout(PATIENCE, found).await.ok().flatten();
        found.ok_or_else(|| format!("it never listened: {:?}", self.errors()))
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What went wrong, in its own words.
    pub(crate) fn errors(&self) -> Vec<String> {
        lock(&self.heard).errors.clone()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// SIGKILL. Answers what it had acknowledged.
    pub(crate) async fn kill(mut self) -> Vec<Update> {
        let _ = self.child.kill().await;
        // What it had printed is still in the pipe.
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::mem::take(&mut lock(&self.heard).acknowledged)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
