//! A socket on which peers are accepted.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, SessionConfig};
use tokio::sync::watch;
use tracing::Instrument;

use crate::address::Address;
use crate::engine::Engine;
use crate::stream::Acceptor;

/// A listener of a node. Dropping it changes nothing; [`close`](Self::close) it to stop accepting.
#[derive(Clone)]
pub struct Listener(Arc<Record>);

struct Record {
    address: Address,
    state: watch::Sender<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Open,
    Closing,
    Closed,
}

/// How long to hold back after an accept that failed: out of file descriptors, for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    pub(crate) fn start<M: Model + Send + 'static>(
        engine: &Arc<Engine<M>>,
        acceptor: Acceptor,
        address: Address,
        config: SessionConfig,
    ) -> Self {
        let record = Arc::new(Record { address, state: watch::Sender::new(State::Open) });
        let span = tracing::info_span!("listener", address = %record.address);
        engine
            .tasks
            .spawn(accept(engine.clone(), acceptor, record.clone(), config).instrument(span));
        Self(record)
    }

    /// Where it listens, with the port that was really chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.0.state.borrow() == State::Open
    }

    /// Stops accepting; the address is free when this returns. Sessions that there are go on.
    pub async fn close(&self) {
        self.0.state.send_modify(|state| *state = State::Closing.max(*state));
        // It cannot fail while we hold the sender.
        let _ = self.0.state.subscribe().wait_for(|state| *state == State::Closed).await;
    }
}

async fn accept<M: Model + Send + 'static>(
    engine: Arc<Engine<M>>,
    acceptor: Acceptor,
    record: Arc<Record>,
    config: SessionConfig,
) {
    let mut state = record.state.subscribe();
    let mut shutdown = engine.shutdown.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            _ = state.wait_for(|state| *state != State::Open) => break,
            _ = shutdown.wait_for(|is_down| *is_down) => break,
        };
        let (reader, writer, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (session_engine, config) = (engine.clone(), config.clone());
        let span = tracing::info_span!(parent: None, "session", %remote);
        let task = async move {
            let shutdown = session_engine.shutdown.subscribe();
            let halves = (reader, writer);
            match session_engine.run_session(halves, remote, config, shutdown, None).await {
                Ok(_) => tracing::info!("the peer left"),
                Err(error) => tracing::warn!("{error}"),
            }
        };
        engine.tasks.spawn(task.instrument(span));
    }
    drop(acceptor);
    record.state.send_replace(State::Closed);
}
