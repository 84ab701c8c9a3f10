//! What everything that runs in a node shares: the replica, the bounds, the sessions there are, and
//! the signal to end.
//!
//! It knows how to run a session over a stream. Where streams come from is for others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scuttlebutt::{Direction, Label, Limits, Model, Replica, SessionConfig};
use scuttlebutt_store::Store;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::budget::Budget;
use crate::connection;
use crate::door::{Door, Seat};
use crate::error::LinkError;
use crate::keeper::Keeper;
use crate::long_lines::LongLines;
use crate::pace::Unfinished;
use crate::peer_log::{Begun, PeerLog};
use crate::shared::{OwnId, Shared};
use crate::signing::Turns;
use crate::status::{PeerStatus, Recorder, SessionRecord, SessionStatus};
use crate::stream::Halves;
use crate::tls::{Place, Tls, TlsError};

/// The running part of a node.
pub(crate) struct Engine<M> {
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) limits: Limits,
    pub(crate) keeper: Keeper,
    pub(crate) turns: Turns,
    pub(crate) door: Arc<Door>,
    pub(crate) log: Arc<PeerLog>,
    pub(crate) unfinished: Unfinished,
    pub(crate) long_lines: LongLines,
    pub(crate) budget: Budget,
    /// Who the node is on TLS links, unless a listener says otherwise.
    pub(crate) tls: Tls,
    /// Which cluster the node belongs to, unless a session's options say otherwise.
    cluster: Option<Label>,
    /// Becomes true once, when everything is to end.
    pub(crate) shutdown: watch::Sender<bool>,
    /// It has not changed until then: what each write asks.
    not_shut_down: watch::Receiver<bool>,
    pub(crate) tasks: TaskTracker,
    sessions: Mutex<BTreeMap<u64, Arc<SessionRecord>>>,
    next_session: AtomicU64,
}

impl<M: Model> Engine<M> {
    pub(crate) fn new(
        replica: Replica<M>,
        store: Option<Store>,
        own_id: OwnId,
        tls: Tls,
        cluster: Option<Label>,
    ) -> Arc<Self> {
        let limits = replica.limits().clone();
        let shutdown = watch::Sender::new(false);
        let (log, tasks) = (PeerLog::new(), TaskTracker::new());
        tasks.spawn(log.clone().tell_the_rest(shutdown.subscribe()));
        Arc::new(Self {
            door: Door::new(&limits, log.clone()),
            unfinished: Unfinished::new(limits.unfinished_bytes_max),
            long_lines: LongLines::default(),
            budget: Budget::new(limits.sessions_bytes_max),
            tls,
            cluster,
            limits,
            shared: Shared::new(replica, own_id, log.clone()),
            log,
            keeper: Keeper::new(store),
            turns: Turns::default(),
            not_shut_down: shutdown.subscribe(),
            shutdown,
            tasks,
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
        })
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.not_shut_down.has_changed().unwrap_or(true)
    }

    /// Waits until the node is shut down and everything that runs in it but the keeper has ended.
    pub(crate) async fn quiet(self: Arc<Self>) {
        // The sender is in here, so this does not fail.
        let _ = self.shutdown.subscribe().wait_for(|is_down| *is_down).await;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The sessions there are.
    pub(crate) fn sessions(&self) -> Vec<Arc<SessionRecord>> {
        lock(&self.sessions).values().cloned().collect()
    }
}

impl<M: Model> Engine<M> {
    /// Runs one session to its end, visible among the node's sessions meanwhile. It has a `seat` if others
    /// began it.
    pub(crate) async fn run_session(
        self: &Arc<Self>,
        mut halves: Halves,
        seat: Option<Seat>,
        remote: String,
        mut config: SessionConfig,
        shutdown: watch::Receiver<bool>,
        peer: Option<&watch::Sender<PeerStatus>>,
    ) -> Result<SessionStatus, LinkError> {
        config.cluster = config.cluster.or_else(|| self.cluster.clone());
        let place = halves.place.take();
        if let Some(place) = &place {
            config.direction = narrower(config.direction, place.direction)
                .ok_or(LinkError::NothingAllowed { key: place.key })?;
        }
        if self.keeper.is_read_only() {
            // What cannot be kept is not taken: nobody could be told of it (I3).
            config.direction =
                narrower(config.direction, Direction::SendOnly).ok_or(LinkError::NothingKept)?;
        }
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let record = Arc::new(SessionRecord::new(id, remote, halves.node_key));
        lock(&self.sessions).insert(id, record.clone());
        let _listed = Listed { engine: self, id };
        let begun = if seat.is_some() { Begun::There } else { Begun::Here };
        let mut recorder = Recorder {
            cluster: config.cluster.clone(),
            record: &record,
            peer,
            log: &self.log,
            begun,
        };
        let span = match config.name.as_str() {
            "" => tracing::Span::none(),
            name => tracing::info_span!("named", name),
        };
        tokio::select! {
            // Made here, and not before: a future that is moved takes its room twice.
            ended = connection::drive(self, halves, config, begun, shutdown, &mut recorder)
                    .instrument(span) => ended?,
            error = struck_off(place.as_ref()) => return Err(error.into()),
        }
        Ok(record.status())
    }
}

/// What both allow.
fn narrower(a: Direction, b: Direction) -> Option<Direction> {
    match (a, b) {
        (Direction::Both, other) | (other, Direction::Both) => Some(other),
        _ => (a == b).then_some(a),
    }
}

/// Waits until the node has lost its place; for ever where it needs none.
async fn struck_off(place: Option<&Place>) -> TlsError {
    match place {
        Some(place) => {
            place.lost().await;
            TlsError::NotAdmitted { key: Some(place.key) }
        }
        None => std::future::pending().await,
    }
}

/// A session's place in the list, given up even when its task is dropped.
struct Listed<'a, M> {
    engine: &'a Engine<M>,
    id: u64,
}

impl<M> Drop for Listed<'_, M> {
    fn drop(&mut self) {
        lock(&self.engine.sessions).remove(&self.id);
    }
}

/// A lock that outlives a panic elsewhere.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
