//! What peers cause to be logged, and how much of it is.
//!
//! Whoever can connect can make a node say the same thing as often as it likes: each line of that kind is asked
//! for here first. A flood is told in a few lines and a count of the rest, and what dialled peers cause is
//! counted apart, so that strangers cannot hide it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scuttlebutt::Refusal;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::engine::lock;
use crate::error::LinkError;

/// Lines on one topic within a period. The rest is counted.
const LINES_PER_PERIOD: u32 = 10;
const PERIOD: Duration = Duration::from_secs(10);

/// Who began the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Begun {
    /// This node: it was told to.
    Here,
    /// The other end, whoever that is.
    There,
}

/// What a line is about. Lines on one topic say about the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    NotAccepted,
    TooMany,
    FailedHandshake,
    Broke,
    Misspoke,
    Foreign,
    Left,
    Synced,
    RefusedUpdate,
    NoRoomThere,
    InvalidUpdate,
    UntrustedUpdate,
    EarlyUpdate,
    Forked,
    OwnId,
    NoVerdict,
}

impl Topic {
    pub(crate) fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Malformed(_) | Refusal::Invalid(_) => Self::InvalidUpdate,
            Refusal::Unverified => Self::UntrustedUpdate,
            Refusal::ClockSkew { .. } => Self::EarlyUpdate,
            _ => Self::RefusedUpdate,
        }
    }

    pub(crate) fn of_error(error: &LinkError) -> Self {
        match error {
            LinkError::TooManySessions { .. } | LinkError::TooManyFromAddress { .. } => {
                Self::TooMany
            }
            LinkError::Tls(_) | LinkError::NothingAllowed { .. } => Self::FailedHandshake,
            LinkError::Session(error) if error.is_mutual() => Self::Foreign,
            LinkError::Session(_) => Self::Misspoke,
            _ => Self::Broke,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAccepted => "connections that could not be accepted",
            Self::TooMany => "connections beyond a limit",
            Self::FailedHandshake => "handshakes that failed",
            Self::Broke => "connections that broke or were given up",
            Self::Misspoke => "peers that said what they must not, or not what they had to",
            Self::Foreign => "peers that are, or may be, of another model or cluster",
            Self::Left => "peers that left",
            Self::Synced => "sessions that came to be in sync",
            Self::RefusedUpdate => "updates that were refused",
            Self::NoRoomThere => "updates for which peers have no room",
            Self::InvalidUpdate => "updates that mean nothing",
            Self::UntrustedUpdate => "updates that nobody vouches for",
            Self::EarlyUpdate => "updates from the future",
            Self::Forked => "forks of a source",
            Self::OwnId => "peers that hold updates under this node's own id",
            Self::NoVerdict => "updates that the verifier cannot judge yet",
        })
    }
}

/// How much was said on what.
pub(crate) struct PeerLog {
    said: Mutex<BTreeMap<(Begun, Topic), Said>>,
    /// Something was left out.
    left_out: Notify,
}

struct Said {
    since: Instant,
    lines: u32,
    /// What was left out since that was told last.
    left_out: u64,
}

impl PeerLog {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { said: Mutex::default(), left_out: Notify::new() })
    }

    /// Whether to say something on this topic now. What is not said is counted, and told later.
    pub(crate) fn allows(&self, begun: Begun, topic: Topic) -> bool {
        let now = Instant::now();
        let mut all = lock(&self.said);
        let said = all.entry((begun, topic)).or_insert(Said { since: now, lines: 0, left_out: 0 });
        if now.duration_since(said.since) >= PERIOD {
            (said.since, said.lines) = (now, 0);
        }
        if said.lines < LINES_PER_PERIOD {
            said.lines += 1;
            return true;
        }
        said.left_out += 1;
        if said.left_out == 1 {
            self.left_out.notify_one();
        }
        false
    }

    /// Tells how much was left out, a period after the first of it, until the node is shut down.
    pub(crate) async fn tell_the_rest(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        loop {
            let period = async {
                self.left_out.notified().await;
                let begun = Instant::now();
                tokio::time::sleep(PERIOD).await;
                begun
            };
            let begun = tokio::select! {
                begun = period => Some(begun),
                _ = shutdown.wait_for(|is_down| *is_down) => None,
            };
            for (topic, count) in self.take_left_out() {
                match begun {
                    Some(begun) => tracing::warn!(
                        "{topic}: {count} more like the last, in {} s",
                        begun.elapsed().as_secs()
                    ),
                    None => tracing::warn!("{topic}: {count} more like the last"),
                }
            }
            if begun.is_none() {
                return;
            }
        }
    }

    fn take_left_out(&self) -> Vec<(Topic, u64)> {
        let mut all = lock(&self.said);
        let counts = all.iter_mut().map(|((_, topic), said)| {
            let count = std::mem::take(&mut said.left_out);
            (*topic, count)
        });
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_a_few_lines_and_a_count() {
        let log = PeerLog::new();
        let flood = || (0..1_000).filter(|_| log.allows(Begun::There, Topic::Left)).count();
        assert_eq!(flood(), LINES_PER_PERIOD as usize);
        assert_eq!(log.take_left_out(), [(Topic::Left, 1_000 - u64::from(LINES_PER_PERIOD))]);
        assert_eq!(log.take_left_out(), []);
        tokio::time::advance(PERIOD).await;
        assert_eq!(flood(), LINES_PER_PERIOD as usize);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_hide_neither_another_topic_nor_the_peers_that_are_dialled() {
        let log = PeerLog::new();
        while log.allows(Begun::There, Topic::Left) {}
        assert!(log.allows(Begun::Here, Topic::Left));
        assert!(log.allows(Begun::There, Topic::Forked));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_left_out_is_told_without_another_line_of_its_kind() {
        let log = PeerLog::new();
        let down = watch::Sender::new(false);
        let telling = tokio::spawn(log.clone().tell_the_rest(down.subscribe()));
        while log.allows(Begun::There, Topic::Left) {}
        tokio::time::sleep(2 * PERIOD).await;
        assert_eq!(log.take_left_out(), [], "it was told");
        down.send_replace(true);
        telling.await.unwrap();
    }
}
