//! Lines of the log to stderr, from a thread of their own.
//!
//! Nobody waits for the log: if stderr takes nothing (a pipe that nobody reads, a disk that is full), lines are
//! lost and counted, and the count is told once it takes something again. Nothing here panics.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Lines that wait to be written; beyond them they are lost.
const LINES_WAITING_MAX: usize = 1_024;

/// How long the end of the process waits for the last lines.
const LAST_LINES_WAIT: Duration = Duration::from_secs(1);

/// Where the log is written; clones write to the same place.
#[derive(Clone)]
pub(crate) struct LogWriter {
    waiting: SyncSender<Waiting>,
    lost: Arc<AtomicU64>,
}

enum Waiting {
    Line(Vec<u8>),
    /// Everything before it is written.
    Written(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread that writes to `out`.
    pub(crate) fn start(out: impl Write + Send + 'static) -> Self {
        let (waiting, to_write) = sync_channel(LINES_WAITING_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        std::thread::spawn(move || write_all(out, &to_write, &counted));
        Self { waiting, lost }
    }

    /// Waits for what was logged to be written, but not for long.
    pub(crate) fn finish(&self) {
        let (written, is_written) = sync_channel(1);
        if self.waiting.try_send(Waiting::Written(written)).is_ok() {
            let _ = is_written.recv_timeout(LAST_LINES_WAIT);
        }
    }
}

impl Write for LogWriter {
    /// Takes one line, or loses it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.waiting.try_send(Waiting::Line(line.to_vec()))
        {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut out: impl Write, to_write: &Receiver<Waiting>, lost: &AtomicU64) {
    for waiting in to_write {
        let line = match waiting {
            Waiting::Line(line) => line,
            Waiting::Written(written) => {
                let _ = written.send(());
                continue;
            }
        };
        let so_far = lost.swap(0, Relaxed);
        let is_told = so_far == 0 || writeln!(out, "({so_far} lines of the log were lost)").is_ok();
        if !is_told {
            lost.fetch_add(so_far, Relaxed);
        }
        if !is_told || out.write_all(&line).is_err() {
            lost.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard};

    use super::*;

    /// Takes what is written, unless it is full.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Disk {
        fn lock(&self) -> MutexGuard<'_, (Vec<u8>, bool)> {
            self.0.lock().unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.lock();
            if disk.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_told() {
        let disk = Disk::default();
        let mut log = LogWriter::start(disk.clone());
        let mut say = |line: &str| {
            log.write_all(line.as_bytes()).unwrap();
            log.finish();
        };
        say("one\n");
        disk.lock().1 = true;
        say("two\n");
        say("three\n");
        disk.lock().1 = false;
        say("four\n");
        let written = String::from_utf8(disk.lock().0.clone()).unwrap();
        assert_eq!(written, "one\n(2 lines of the log were lost)\nfour\n");
    }

    #[test]
    fn nobody_waits_for_a_log_that_takes_nothing() {
        let disk = Disk::default();
        let mut log = LogWriter::start(disk.clone());
        let full = disk.lock();
        for _ in 0..2 * LINES_WAITING_MAX {
            log.write_all(b"line\n").unwrap();
        }
        assert!(log.lost.load(Relaxed) > 0);
        drop(full);
    }
}
