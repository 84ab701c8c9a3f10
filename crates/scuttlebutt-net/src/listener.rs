//! A socket on which peers are accepted.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, SessionConfig};
use tokio::sync::watch;
use tracing::Instrument;

use crate::address::Address;
use crate::node::Inner;
use crate::stream::Acceptor;

/// A listener of a node. Dropping it changes nothing; [`close`](Self::close) it to stop accepting.
#[derive(Clone)]
pub struct Listener {
    address: Address,
    closed: Arc<watch::Sender<bool>>,
}

/// How long to hold back after an accept that failed: out of file descriptors, for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Listener {
    pub(crate) fn start<M: Model + Send + 'static>(
        inner: &Arc<Inner<M>>,
        acceptor: Acceptor,
        address: Address,
        config: SessionConfig,
    ) -> Self {
        let closed = Arc::new(watch::Sender::new(false));
        let span = tracing::info_span!("listener", %address);
        let task = accept(inner.clone(), acceptor, address.clone(), config, closed.subscribe());
        inner.tasks.spawn(task.instrument(span));
        Self { address, closed }
    }

    /// Where it listens, with the port that was really chosen.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Stops accepting. Sessions that there are go on.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }
}

async fn accept<M: Model + Send + 'static>(
    inner: Arc<Inner<M>>,
    acceptor: Acceptor,
    address: Address,
    config: SessionConfig,
    mut closed: watch::Receiver<bool>,
) {
    let mut shutdown = inner.shutdown.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = acceptor.accept() => accepted,
            _ = closed.wait_for(|is_closed| *is_closed) => break,
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
        let (session_inner, config) = (inner.clone(), config.clone());
        let span = tracing::info_span!(parent: None, "session", %remote);
        let task = async move {
            let shutdown = session_inner.shutdown.subscribe();
            let halves = (reader, writer);
            match session_inner.run_session(halves, remote, config, shutdown, None).await {
                Ok(_) => tracing::info!("the peer left"),
                Err(error) => tracing::warn!("{error}"),
            }
        };
        inner.tasks.spawn(task.instrument(span));
    }
    drop(acceptor);
    inner.forget_listener(&address);
}
