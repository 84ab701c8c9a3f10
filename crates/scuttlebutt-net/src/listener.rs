//! A socket on which peers are accepted.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, SessionConfig};
use tokio::sync::watch;
use tracing::Instrument;

use crate::address::Address;
use crate::door::Seat;
use crate::engine::Engine;
use crate::error::LinkError;
use crate::peer_log::{Begun, Topic};
use crate::probing::Probing;
use crate::stream::{Accepted, Acceptor};
use crate::tls::{Tls, TlsError};

/// How a listener treats those who come.
///
/// ```
/// use scuttlebutt::{Direction, LwwMap, SessionConfig};
/// use scuttlebutt_net::{ListenOptions, Node};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::builder(LwwMap::new()).start().await?;
/// // Whoever comes here may read and not write.
/// let session = SessionConfig { direction: Direction::SendOnly, ..SessionConfig::default() };
/// let options = ListenOptions { session, ..ListenOptions::default() };
/// node.listen_with(&"127.0.0.1:0".parse()?, options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    /// The options of its sessions: their direction, for example.
    pub session: SessionConfig,

    /// At a `tls://` address: who this node is there, and whom it admits. Default as in
    /// [`Builder::tls`](crate::Builder::tls).
    pub tls: Option<Tls>,

    /// At a TCP address: whether to listen though it is no loopback address. Everybody who can reach
    /// it can then connect, and whoever sees the packets can read and change them. Default false.
    pub allows_plaintext: bool,
}

impl From<SessionConfig> for ListenOptions {
    fn from(session: SessionConfig) -> Self {
        Self { session, ..Self::default() }
    }
}

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
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if engine.log.allows(Begun::There, Topic::NotAccepted) {
                    tracing::warn!(%error, "cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let span = tracing::info_span!(parent: None, "session", remote = %accepted.remote);
        let seat = match engine.door.enter(accepted.address) {
            Ok(seat) => seat,
            Err(error) => {
                span.in_scope(|| engine.door.note(&error));
                continue;
            }
        };
        let (session_engine, config) = (engine.clone(), config.clone());
        let task = async move {
            match serve(&session_engine, accepted, seat, config).await {
                Ok(()) if session_engine.log.allows(Begun::There, Topic::Left) => {
                    tracing::info!("the peer left");
                }
                Ok(()) => {}
                Err(error) => session_engine.door.note(&error),
            }
        };
        engine.tasks.spawn(task.instrument(span));
    }
    drop(acceptor);
    record.state.send_replace(State::Closed);
}

/// One accepted connection, from its handshake to its end.
async fn serve<M: Model + Send + 'static>(
    engine: &Arc<Engine<M>>,
    accepted: Accepted,
    seat: Seat,
    config: SessionConfig,
) -> Result<(), LinkError> {
    let remote = accepted.remote.clone();
    let waited_ms = engine.limits.handshake_wait_ms_max;
    let mut shutdown = engine.shutdown.subscribe();
    // Apart: a handshake takes room that the connection, which outlives it by far, does not need.
    let established = Box::pin(accepted.establish(Probing::new(&engine.limits)));
    let halves = tokio::select! {
        halves = established => halves?,
        () = tokio::time::sleep(Duration::from_millis(waited_ms)) => {
            return Err(TlsError::Slow { waited_ms }.into());
        }
        _ = shutdown.wait_for(|is_down| *is_down) => return Ok(()),
    };
    engine.run_session(halves, Some(seat), remote, config, shutdown, None).await.map(|_| ())
}
