//! What can be seen of sessions and peers from outside.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scuttlebutt::{Label, PeerLag, Refusal, Session, SessionEvent, Timestamp, Update, UpdateId};
use tokio::sync::watch;

use crate::connection::Observer;
use crate::engine::lock;
use crate::error::LinkError;
use crate::peer_log::{Begun, PeerLog, Topic};
use crate::tls::NodeKey;

/// A session of a node, as it stands.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Its number within this node.
    pub id: u64,
    /// Where the other end is.
    pub remote: String,
    /// The key that the other end proved to have: on TLS links, if it is of the kind Ed25519.
    pub node_key: Option<NodeKey>,
    /// The source id under which the peer writes, once it told one.
    pub peer: Option<String>,
    /// The metadata in the peer's digest, as JSON text.
    pub metadata: Option<String>,
    /// Whether the peer announced the extensions of this implementation.
    pub has_extensions: bool,
    /// What the peer says its model is called.
    pub model: Option<Label>,
    /// Which cluster the peer says it belongs to.
    pub cluster: Option<Label>,
    /// Whether the peer, which does not say which model it holds, sent a change as this model's writers
    /// do not make it: it may hold another one.
    pub looks_foreign: bool,
    /// Whether the peer has announced what it holds.
    pub has_announced: bool,
    /// Whether both sides agreed to say something at least every so often
    /// ([`Limits::heartbeat_ms_max`](scuttlebutt::Limits::heartbeat_ms_max)), and are given up otherwise.
    pub has_heartbeat: bool,
    /// For how long nothing has come from the peer.
    pub silent_for: Duration,
    /// How far the peer is behind with what was sent to it. Known where both announced the binary
    /// protocol, and speak it; `None` where JSON is spoken.
    pub lag: Option<PeerLag>,
    /// Whether both sides have what the other held when they announced.
    pub is_synced: bool,
    /// The newest update of this node that the peer provably holds.
    pub confirmed: Option<Timestamp>,
    /// Updates that had no effect.
    pub refused: u64,
    /// Why the last of them had none.
    pub last_refusal: Option<Refusal>,
    /// How often the peer said that it had no room for an update that was sent to it. It says so once for
    /// all that it refuses until it asks again.
    pub refused_by_peer: u64,
    /// What it said last.
    pub last_refused_by_peer: Option<RefusedByPeer>,
    /// Updates that came, trusted, under a name that another change had: see
    /// [`Node::forks`](crate::Node::forks).
    pub forks_met: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
}

/// An update for which a peer had no room: see
/// [`SessionEvent::RefusedByPeer`](scuttlebutt::SessionEvent::RefusedByPeer).
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedByPeer {
    /// Which one, if the peer could read its name.
    pub update: Option<UpdateId>,
    /// The peer's bound, by the name of its field in [`Limits`](scuttlebutt::Limits).
    pub bound: String,
    /// What that stands at.
    pub limit: f64,
}

/// Connections that a node refused or cut off since it started, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// There were [`Limits::sessions_max`](scuttlebutt::Limits::sessions_max) connections.
    pub over_sessions: u64,
    /// There were
    /// [`Limits::sessions_per_address_max`](scuttlebutt::Limits::sessions_per_address_max) from the
    /// address.
    pub over_sessions_per_address: u64,
    /// The TLS handshake failed, took too long, or ended with somebody who is not admitted.
    pub failed_handshakes: u64,
    /// The peer took nothing for
    /// [`Limits::write_wait_ms_max`](scuttlebutt::Limits::write_wait_ms_max).
    pub took_nothing: u64,
    /// The peer did not go on with a line for
    /// [`Limits::line_wait_ms_max`](scuttlebutt::Limits::line_wait_ms_max).
    pub slow_lines: u64,
    /// Peers had begun lines of
    /// [`Limits::unfinished_bytes_max`](scuttlebutt::Limits::unfinished_bytes_max).
    pub over_unfinished: u64,
    /// The peer said nothing for
    /// [`Limits::digest_wait_ms_max`](scuttlebutt::Limits::digest_wait_ms_max), or fell silent and sent no
    /// heartbeat either.
    pub silent: u64,
}

/// How it stands with a peer that is dialled.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PeerStatus {
    /// What is being done.
    pub state: PeerState,
    /// The session while there is one.
    pub session: Option<SessionStatus>,
    /// Dials that failed, or sessions that broke, since the last that reached sync.
    pub failures: u64,
    /// Sessions so far that reached sync.
    pub syncs: u64,
    /// Why the last session ended or the last dial failed.
    pub last_error: Option<LinkError>,
    /// The newest update of this node that the peer provably holds, in any session so far.
    pub confirmed: Option<Timestamp>,
    /// Where the session's status stands as it is now.
    record: Option<Arc<SessionRecord>>,
}

impl PeerStatus {
    pub(crate) fn set_session(&mut self, record: Option<Arc<SessionRecord>>) {
        self.session = record.as_ref().map(|record| record.status());
        self.record = record;
    }

    /// With the session as it is now.
    pub(crate) fn refreshed(&self) -> Self {
        let session = self.record.as_ref().map(|record| record.status());
        Self { session, ..self.clone() }
    }
}

/// What is being done about a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// Dialling.
    #[default]
    Dialling,
    /// Connected and catching up.
    CatchingUp,
    /// Connected and in sync; every new update is passed on.
    Synced,
    /// Waiting before the next dial.
    Waiting {
        /// How long, from when this state began.
        delay: Duration,
    },
    /// No longer dialled.
    Removed,
}

/// One session's status, shared with its node.
#[derive(Debug)]
pub(crate) struct SessionRecord {
    status: Mutex<SessionStatus>,
    /// When something came last.
    heard_at: Mutex<Instant>,
}

impl SessionRecord {
    pub(crate) fn new(id: u64, remote: String, node_key: Option<NodeKey>) -> Self {
        let status = SessionStatus { id, remote, node_key, ..SessionStatus::default() };
        Self { status: Mutex::new(status), heard_at: Mutex::new(Instant::now()) }
    }

    pub(crate) fn status(&self) -> SessionStatus {
        let silent_for = lock(&self.heard_at).elapsed();
        SessionStatus { silent_for, ..lock(&self.status).clone() }
    }

    fn update(&self, update: impl FnOnce(&mut SessionStatus)) {
        update(&mut lock(&self.status));
    }
}

/// Writes a session's events into its record, the log, and the status of the peer it was dialled
/// for.
pub(crate) struct Recorder<'a> {
    /// Which cluster this node belongs to.
    pub(crate) cluster: Option<Label>,
    pub(crate) record: &'a Arc<SessionRecord>,
    pub(crate) peer: Option<&'a watch::Sender<PeerStatus>>,
    pub(crate) log: &'a PeerLog,
    pub(crate) begun: Begun,
}

impl Recorder<'_> {
    /// Once in a session: just one of the two says which cluster it belongs to.
    fn tell_of_cluster(&self, theirs: Option<&Label>) {
        if self.record.status().has_announced
            || self.cluster.is_some() == theirs.is_some()
            || !self.log.allows(self.begun, Topic::Foreign)
        {
            return;
        }
        if let Some(ours) = &self.cluster {
            tracing::warn!("the peer names no cluster, and is let into {ours}");
        } else if let Some(theirs) = theirs {
            tracing::warn!("the peer belongs to cluster {theirs}, and this node names none");
        }
    }

    /// Apart from other events: with a peer that is in sync it comes with each write.
    fn confirmed(&self, timestamp: Timestamp) {
        self.record.update(|status| status.confirmed = Some(timestamp));
        if let Some(peer) = self.peer {
            peer.send_modify(|status| {
                status.confirmed = status.confirmed.max(Some(timestamp));
                if let Some(session) = &mut status.session {
                    session.confirmed = Some(timestamp);
                }
            });
        }
    }
}

impl Observer for Recorder<'_> {
    fn event(&mut self, event: &SessionEvent) {
        if let SessionEvent::Confirmed { timestamp } = event {
            self.confirmed(*timestamp);
            return;
        }
        let was_synced = self.record.status().is_synced;
        match event {
            SessionEvent::DigestReceived {
                peer,
                metadata,
                has_extensions,
                vector,
                model,
                cluster,
            } => {
                self.tell_of_cluster(cluster.as_ref());
                self.record.update(|status| {
                    status.peer = peer.as_ref().map(ToString::to_string);
                    status.metadata.clone_from(metadata);
                    status.has_extensions = *has_extensions;
                    status.model.clone_from(model);
                    status.cluster.clone_from(cluster);
                    status.has_announced = true;
                });
                tracing::debug!(sources = vector.len(), has_extensions, "digest received");
            }
            SessionEvent::Synced => {
                self.record.update(|status| status.is_synced = true);
                let failures = self.peer.map_or(0, |peer| peer.borrow().failures);
                if failures > 0 {
                    tracing::info!("in sync, after {failures} tries that failed");
                } else if self.log.allows(self.begun, Topic::Synced) {
                    tracing::info!("in sync");
                }
            }
            SessionEvent::Refused { refusal, count } => {
                self.record.update(|status| {
                    status.refused += count;
                    status.last_refusal = Some(refusal.clone());
                });
                if self.log.allows(self.begun, Topic::of_refusal(refusal)) {
                    tracing::warn!(count, "{refusal}");
                }
            }
            SessionEvent::RefusedByPeer { update, bound, limit } => {
                self.record.update(|status| {
                    status.refused_by_peer += 1;
                    status.last_refused_by_peer = Some(RefusedByPeer {
                        update: update.clone(),
                        bound: bound.clone(),
                        limit: *limit,
                    });
                });
                let update =
                    update.as_ref().map_or_else(|| "unnamed".to_owned(), ToString::to_string);
                if self.log.allows(self.begun, Topic::NoRoomThere) {
                    tracing::warn!(
                        update,
                        bound,
                        limit,
                        "the peer has no room for an update of ours and goes on without it; it asks again later"
                    );
                }
            }
            SessionEvent::Forked { proof, is_kept } => {
                let is_first = self.record.status().forks_met == 0;
                self.record.update(|status| status.forks_met += 1);
                if !is_kept && !is_first {
                    // It comes again with each session, and there is no room to remember it.
                    return;
                }
                if !self.log.allows(self.begun, Topic::Forked) {
                    return;
                }
                let [one, other] = proof.sides();
                tracing::warn!(
                    is_kept,
                    one = %brief(one),
                    other = %brief(other),
                    "{} signed two changes with one timestamp; both updates are the proof",
                    one.source()
                );
            }
            SessionEvent::LooksForeign { update } => {
                self.record.update(|status| status.looks_foreign = true);
                if self.log.allows(self.begun, Topic::Foreign) {
                    tracing::warn!(
                        %update,
                        "the peer does not say which model it holds, and sent a change as this model's \
                         writers do not make it: does it hold another model?"
                    );
                }
            }
            SessionEvent::HistorySent => tracing::debug!("history sent"),
            SessionEvent::HistoryReceived => tracing::debug!("history received"),
            _ => {}
        }
        if let Some(peer) = self.peer {
            let session = self.record.status();
            peer.send_modify(|status| {
                status.confirmed = status.confirmed.max(session.confirmed);
                status.state =
                    if session.is_synced { PeerState::Synced } else { PeerState::CatchingUp };
                status.syncs += u64::from(session.is_synced && !was_synced);
                if session.is_synced {
                    status.failures = 0;
                    status.last_error = None;
                }
                status.set_session(Some(self.record.clone()));
            });
        }
    }

    fn standing(&mut self, session: &Session) {
        let (lag, has_heartbeat) = (session.peer_lag(), session.has_heartbeat());
        if lag.is_some() || has_heartbeat {
            self.record.update(|status| {
                (status.lag, status.has_heartbeat) = (lag, has_heartbeat);
            });
        }
    }

    fn bytes(&mut self, received: usize, sent: usize) {
        if received > 0 {
            *lock(&self.record.heard_at) = Instant::now();
        }
        self.record.update(|status| {
            status.bytes_received += received as u64;
            status.bytes_sent += sent as u64;
        });
    }
}

/// An update for the log: whole unless it is long.
fn brief(update: &Update) -> String {
    match update.line_len() {
        ..=BRIEF_BYTES_MAX => update.to_json(),
        bytes => format!("{} ({bytes} bytes)", update.id()),
    }
}

const BRIEF_BYTES_MAX: usize = 1_024;
