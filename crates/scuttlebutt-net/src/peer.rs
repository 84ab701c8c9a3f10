//! A peer that is dialled, and dialled again for ever.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, SessionConfig};
use tokio::sync::{Notify, watch};
use tracing::Instrument;

use crate::address::Address;
use crate::backoff::Backoff;
use crate::engine::Engine;
use crate::error::LinkError;
use crate::outage::{News, Outage};
use crate::peer_log::{Begun, Topic};
use crate::probing::Probing;
use crate::status::{PeerState, PeerStatus};
use crate::stream::{self, Halves};
use crate::tls::TlsError;

/// A peer of a node. Dropping it changes nothing; [`remove`](Self::remove) it to stop dialling.
#[derive(Clone)]
pub struct Peer(Arc<Record>);

pub(crate) struct Record {
    address: Address,
    status: watch::Sender<PeerStatus>,
    redial: Notify,
    /// Tells its session to leave, and its task to end.
    removed: watch::Sender<bool>,
}

impl Peer {
    /// Starts dialling.
    pub(crate) fn start<M: Model + Send + 'static>(
        engine: &Arc<Engine<M>>,
        address: Address,
        config: SessionConfig,
    ) -> Self {
        let record = Arc::new(Record {
            address,
            status: watch::Sender::new(PeerStatus::default()),
            redial: Notify::new(),
            removed: watch::Sender::new(false),
        });
        let span = tracing::info_span!("peer", address = %record.address);
        let task = keep_dialling(engine.clone(), record.clone(), config).instrument(span);
        engine.tasks.spawn(task);
        Self(record)
    }

    /// Where it is dialled.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    pub(crate) fn is_dialled(&self) -> bool {
        self.0.status.borrow().state != PeerState::Removed
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        self.0.status.borrow().refreshed()
    }

    /// Follows how it stands. What changes with each byte, such as its session's lag and silence, is
    /// as it was when something else changed; [`status`](Self::status) knows it now.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<PeerStatus> {
        self.0.status.subscribe()
    }

    /// Waits until both sides have what the other held when the session began.
    ///
    /// # Errors
    /// The reason why the first dial or session failed, while the peer goes on being dialled.
    pub async fn synced(&self) -> Result<PeerStatus, LinkError> {
        let mut status = self.watch();
        let settled = status
            .wait_for(|status| {
                matches!(status.state, PeerState::Synced | PeerState::Removed)
                    || status.last_error.is_some()
            })
            .await;
        match settled {
            Ok(status) if status.state == PeerState::Synced => Ok(status.clone()),
            Ok(status) => Err(status.last_error.clone().unwrap_or(LinkError::ShutDown)),
            Err(_) => Err(LinkError::ShutDown),
        }
    }

    /// Dials at once if it is waiting, and starts over with the shortest delay.
    pub fn redial(&self) {
        self.0.redial.notify_one();
    }

    /// Stops dialling; a session that there is leaves once it has sent what was accepted.
    pub fn remove(&self) {
        self.0.removed.send_replace(true);
    }
}

async fn keep_dialling<M: Model + Send + 'static>(
    engine: Arc<Engine<M>>,
    record: Arc<Record>,
    config: SessionConfig,
) {
    let mut removed = record.removed.subscribe();
    let mut shutdown = engine.shutdown.subscribe();
    let mut backoff = Backoff::new(&engine.limits);
    let mut outage = None;
    loop {
        let begun = tokio::time::Instant::now();
        let ended = dial_once(&engine, &record, config.clone()).await;
        if *removed.borrow() || *shutdown.borrow() {
            break;
        }
        let was_synced = record.status.borrow().state == PeerState::Synced;
        let got_further =
            record.status.borrow().session.as_ref().is_some_and(|session| {
                session.bytes_received > engine.limits.mark_bytes_min as u64
            });
        if was_synced || got_further {
            // A history goes on where it broke off.
            backoff.succeeded(begun.elapsed());
            outage = None;
        } else {
            backoff.failed();
        }
        let delay = backoff.delay(rand::random());
        match &ended {
            Ok(()) => {
                if engine.log.allows(Begun::Here, Topic::Left) {
                    tracing::info!(?delay, "the peer left");
                }
            }
            Err(error) if was_synced => {
                if engine.log.allows(Begun::Here, Topic::of_error(error)) {
                    tracing::warn!(?delay, "{error}");
                }
            }
            Err(error) => match Outage::go_on(&mut outage, &error.to_string()) {
                News::Reason => tracing::warn!("{error}; it is dialled again until it answers"),
                News::Still { tries, since } => tracing::warn!(
                    "{error}, in {tries} tries within {:.0?}",
                    Duration::from_secs(since.as_secs())
                ),
                News::Nothing => {}
            },
        }
        record.status.send_modify(|status| {
            status.set_session(None);
            status.state = PeerState::Waiting { delay };
            status.failures += u64::from(ended.is_err() && !was_synced);
            status.last_error = ended.err();
        });
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = record.redial.notified() => backoff.reset(),
            _ = removed.wait_for(|is_removed| *is_removed) => break,
            _ = shutdown.wait_for(|is_down| *is_down) => break,
        }
        record.status.send_modify(|status| status.state = PeerState::Dialling);
    }
    record.status.send_modify(|status| {
        status.set_session(None);
        status.state = PeerState::Removed;
    });
}

/// One dial and, if it succeeds, one session.
async fn dial_once<M: Model + Send + 'static>(
    engine: &Arc<Engine<M>>,
    record: &Record,
    config: SessionConfig,
) -> Result<(), LinkError> {
    let mut removed = record.removed.subscribe();
    let mut shutdown = engine.shutdown.subscribe();
    let halves = tokio::select! {
        halves = dial(engine, &record.address) => halves?,
        _ = removed.wait_for(|is_removed| *is_removed) => return Ok(()),
        _ = shutdown.wait_for(|is_down| *is_down) => return Ok(()),
    };
    record.status.send_modify(|status| status.state = PeerState::CatchingUp);
    // The session leaves on either signal.
    let leave = watch::Sender::new(false);
    let remote = record.address.to_string();
    let session =
        engine.run_session(halves, None, remote, config, leave.subscribe(), Some(&record.status));
    tokio::pin!(session);
    tokio::select! {
        ended = &mut session => return ended.map(|_| ()),
        _ = removed.wait_for(|is_removed| *is_removed) => {}
        _ = shutdown.wait_for(|is_down| *is_down) => {}
    }
    leave.send_replace(true);
    session.await.map(|_| ())
}

pub(crate) async fn dial<M>(engine: &Engine<M>, address: &Address) -> Result<Halves, LinkError> {
    let wait = Duration::from_millis(engine.limits.dial_wait_ms_max);
    let failed = |error| match TlsError::of(&error) {
        Some(error) => LinkError::Tls(error),
        None => LinkError::Dial { address: address.clone(), error: Arc::new(error) },
    };
    // Apart: a handshake takes room that the connection, which outlives it by far, does not need.
    let dialled = Box::pin(stream::dial(address, &engine.tls, Probing::new(&engine.limits), wait));
    match tokio::time::timeout(wait, dialled).await {
        Ok(halves) => halves.map_err(failed),
        Err(_) => Err(failed(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            format!("no answer within {} ms", wait.as_millis()),
        ))),
    }
}
