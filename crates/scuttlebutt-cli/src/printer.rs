//! Lines to stdout, from a thread of its own.
//!
//! Whoever reads slowly holds up the thread and not the node. Each line is seen at once by a reader
//! who waits for it; lines that come faster than that share a write.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use tokio::sync::{mpsc, oneshot};

use crate::exit::Failure;

/// Lines that wait to be written; beyond them, whoever prints waits.
const LINES_WAITING_MAX: usize = 256;

/// Prints lines.
pub(crate) struct Printer {
    lines: mpsc::Sender<String>,
    ended: oneshot::Receiver<io::Result<()>>,
}

impl Printer {
    pub(crate) fn start() -> Self {
        let (lines, to_print) = mpsc::channel(LINES_WAITING_MAX);
        let (ending, ended) = oneshot::channel();
        std::thread::spawn(move || {
            // Nobody waits for it any more when the command was ended meanwhile.
            let _ = ending.send(print_all(to_print));
        });
        Self { lines, ended }
    }

    /// Prints a line, or answers that nobody reads any more.
    pub(crate) async fn print(&self, line: String) -> Result<(), Closed> {
        self.lines.send(line).await.map_err(|_| Closed)
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.lines.closed().await;
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        drop(self.lines);
        written(self.ended.await.unwrap_or(Ok(())))
    }
}

/// Stdout takes nothing more.
pub(crate) struct Closed;

fn print_all(mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.blocking_recv() {
        writeln!(out, "{line}")?;
        while let Ok(line) = lines.try_recv() {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Prints what `write` writes, in large portions.
pub(crate) fn print_at_once(
    write: impl FnOnce(&mut BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    written(write(&mut out).and_then(|()| out.flush()))
}

/// Prints the line that says what was done. That nobody can be told is a failure, unlike a reader who has seen
/// enough of many lines.
pub(crate) fn print_result(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
        Failure::failed(format!("it is done, but cannot be told: cannot write to stdout: {error}"))
    })
}

/// A reader that has seen enough, as `head` has, is no failure.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
