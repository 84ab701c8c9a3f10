//! Ctrl-C and SIGTERM: the first asks to end in good order, the second ends at once. SIGHUP, where it is
//! asked for: read files again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Failure;

/// The signals that ask to end.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on, signals are told by [`next`](Self::next) instead of ending the process.
    pub(crate) fn install() -> Result<Self, Failure> {
        let install = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("cannot hear signals: {error}")))
        };
        Ok(Self {
            interrupt: install(SignalKind::interrupt())?,
            terminate: install(SignalKind::terminate())?,
        })
    }

    /// Waits for the next signal and answers its number.
    pub(crate) async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        kind.as_raw_value()
    }

    /// Lets the next signal end the process at once, with the code that shells give to that.
    pub(crate) fn end_at_next(mut self) {
        tokio::spawn(async move {
            let signal = self.next().await;
            std::process::exit(128 + signal);
        });
    }
}

/// SIGHUP, which from here on does not end the process.
pub(crate) fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup())
        .map_err(|error| Failure::failed(format!("cannot hear signals: {error}")))
}

/// Does something on each SIGHUP.
pub(crate) fn on_each<F: Future<Output = ()> + Send>(
    mut hangups: Signal,
    mut act: impl FnMut() -> F + Send + 'static,
) {
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            act().await;
        }
    });
}
