//! How far long work has come: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What takes less time than this needs no word.
const PATIENCE: Duration = Duration::from_secs(1);

/// The time between two lines.
const LINES_APART: Duration = Duration::from_secs(5);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Updates,
    Bytes,
}

/// Work that may take a while.
pub(crate) struct Progress {
    what: &'static str,
    unit: Unit,
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(what: &'static str, unit: Unit) -> Self {
        let template = match unit {
            Unit::Updates => "{msg} {wide_bar} {human_pos}/{human_len} updates, {eta} left",
            Unit::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left",
        };
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::no_length().with_style(style).with_message(what)
        });
        Self { what, unit, bar, begun: Instant::now(), told: None }
    }

    /// It has come to `done` of `total`.
    pub(crate) fn at(&mut self, done: u64, total: u64) {
        if self.begun.elapsed() < PATIENCE {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
        } else if self.told.is_none_or(|told| told.elapsed() >= LINES_APART) {
            self.told = Some(Instant::now());
            let (what, unit) = (self.what, self.unit);
            tracing::info!(
                "{what}: {done} of {total} {}",
                match unit {
                    Unit::Updates => "updates",
                    Unit::Bytes => "bytes",
                }
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
