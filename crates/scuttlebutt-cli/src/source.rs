//! Where a command reads from: a peer, the node that has a data directory open, or the directory
//! itself where no node has.

use std::path::{Path, PathBuf};
use std::time::Duration;

use scuttlebutt::{EventLog, Limits, Mode, Retention, SessionConfig};
use scuttlebutt_net::Node;
use scuttlebutt_store::StoreError;
use tokio::time::Instant;

use crate::cli::{KeyArgs, PeerArgs, PlaceArgs, TrustArgs};
use crate::client::{Client, reader};
use crate::control::{self, Session};
use crate::data;
use crate::exit::{Code, Failure};
use crate::input;
use crate::model::{ModelName, Shown};

/// How long to wait before a node that was not there is looked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long to wait before a directory that another command reads is tried again.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// Where a command reads from, and what is held there.
pub(crate) struct Source {
    place: Place,
    /// What is held, or is to be expected.
    pub(crate) model: ModelName,
    retention: Retention,
    limits: Limits,
    deadline: Instant,
}

enum Place {
    Peer(PeerArgs),
    /// A node, which has the directory open.
    Node(PathBuf, Session),
    /// A directory that no node has open.
    Directory(PathBuf),
}

impl Source {
    /// Finds out what is there. A peer is believed to hold what is asked for, a map if nothing is.
    pub(crate) async fn find(args: &PlaceArgs, asked: Option<ModelName>) -> Result<Self, Failure> {
        let deadline = Instant::now() + args.timeout;
        let (retention, limits) = (Retention::default(), args.limits.over(Limits::default()));
        if let Some(peer) = args.peer() {
            let model = asked.unwrap_or_default();
            return Ok(Self { place: Place::Peer(peer), model, retention, limits, deadline });
        }
        let dir = args.data.clone().unwrap_or_else(|| PathBuf::from(data::DEFAULT_DIR));
        let found = loop {
            if let Some(node) = control::find(&dir).await? {
                let read = tokio::time::timeout_at(deadline, node.read()).await;
                let (held, session) = read.map_err(|_| silent(&dir))??;
                let (model, retention) = (model_named(&held.model, &dir)?, held.retention());
                let place = Place::Node(dir.clone(), session);
                break Self { place, model, retention, limits, deadline };
            }
            if let Some(held) = data::model_in_if_free(&dir).await? {
                let model = model_named(&held, &dir)?;
                let place = Place::Directory(dir.clone());
                break Self { place, model, retention, limits, deadline };
            }
            busy(&dir, deadline).await?;
        };
        match asked {
            Some(asked) if asked != found.model => Err(found.other(&dir)),
            _ => Ok(found),
        }
    }

    /// The directory holds something else than was asked for.
    pub(crate) fn other(&self, dir: &Path) -> Failure {
        let (held, dir) = (self.model.described(), input::for_shell(&dir.display().to_string()));
        let message = format!("{dir} holds {held}: `scuttlebutt dump --data {dir}` shows it");
        Failure::new(Code::Protocol, message)
    }

    /// An empty log that keeps as much as is kept there.
    pub(crate) fn event_log(&self) -> EventLog {
        EventLog::with_retention(self.retention)
    }

    /// The data directory, if it is one.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match &self.place {
            Place::Peer(_) => None,
            Place::Node(dir, _) | Place::Directory(dir) => Some(dir),
        }
    }

    /// A node that has taken what is held there, beginning with this model. Shut it down when it is no
    /// longer needed: a directory is closed by that.
    pub(crate) async fn catch_up<M: Shown>(
        self,
        model: M,
        trust: &TrustArgs,
    ) -> Result<Node<M>, Failure> {
        match self.place {
            Place::Peer(peer) => {
                let client = Client::start(model, &peer, trust, &KeyArgs::default()).await?;
                client.catch_up().await?;
                Ok(client.node)
            }
            Place::Node(dir, session) => {
                follow(model, self.limits, &dir, session, self.deadline).await
            }
            Place::Directory(dir) => {
                let store = loop {
                    if let Some(store) = data::open_to_read_if_free::<M>(&dir).await? {
                        break store;
                    }
                    if let Some(node) = control::find(&dir).await? {
                        let (_, session) = node.read().await?;
                        return follow(model, self.limits, &dir, session, self.deadline).await;
                    }
                    busy(&dir, self.deadline).await?;
                };
                data::start(Node::builder(model).limits(self.limits), Some(store)).await
            }
        }
    }

    /// A node that has taken what is held there, and goes on taking what is written there.
    pub(crate) async fn stay<M: Shown>(
        self,
        model: M,
        trust: &TrustArgs,
    ) -> Result<Node<M>, Failure> {
        match self.place {
            Place::Peer(peer) => {
                let client = Client::start(model, &peer, trust, &KeyArgs::default()).await?;
                client.join(reader(Mode::Live)).await?;
                Ok(client.node)
            }
            Place::Node(dir, session) => {
                let node = follow(model, self.limits, &dir, session, self.deadline).await?;
                tokio::spawn(keep_following(node.clone(), dir));
                Ok(node)
            }
            Place::Directory(dir) => Err(no_node(&dir)),
        }
    }
}

/// Nobody is there who could do it.
pub(crate) fn no_node(dir: &Path) -> Failure {
    let message = format!("no node has {} open: start it with `scuttlebutt serve`", dir.display());
    Failure::new(Code::Unreachable, message)
}

/// Waits for whoever has the directory open: another command that reads it, or a node that is about to
/// say that it is there.
async fn busy(dir: &Path, deadline: Instant) -> Result<(), Failure> {
    if Instant::now() >= deadline {
        let path = dir.to_owned();
        return Err(data::failure(&StoreError::Locked { path }));
    }
    tokio::time::sleep(BUSY_WAIT).await;
    Ok(())
}

/// The node that has the directory open says nothing.
pub(crate) fn silent(dir: &Path) -> Failure {
    let message = format!("the node that has {} open did not answer in time", dir.display());
    Failure::new(Code::TimedOut, message)
}

/// The model of this name.
fn model_named(name: &str, dir: &Path) -> Result<ModelName, Failure> {
    ModelName::named(name).ok_or_else(|| {
        Failure::failed(format!(
            "{}: holds a `{name}`, which this command does not know",
            dir.display()
        ))
    })
}

async fn follow<M: Shown>(
    model: M,
    limits: Limits,
    dir: &Path,
    session: Session,
    deadline: Instant,
) -> Result<Node<M>, Failure> {
    let node = Node::builder(model).limits(limits).start().await;
    let node = node.map_err(|error| Failure::failed(error.to_string()))?;
    let broken = |error: String| {
        Failure::new(Code::Protocol, format!("the node that has {} open: {error}", dir.display()))
    };
    let (reading, place) = (node.clone(), dir.display().to_string());
    let config = reader(Mode::CatchUp);
    let caught_up = tokio::spawn(async move { reading.attach(session, &place, config).await });
    match tokio::time::timeout_at(deadline, caught_up).await {
        Ok(Ok(Ok(_))) => Ok(node),
        Ok(Ok(Err(error))) => Err(broken(error.to_string())),
        Ok(Err(panic)) => Err(Failure::failed(panic.to_string())),
        Err(_) => Err(silent(dir)),
    }
}

/// Takes what is written at the node that has the directory open, and at those that come after it.
async fn keep_following<M: Shown>(node: Node<M>, dir: PathBuf) {
    let config: SessionConfig = reader(Mode::Live);
    loop {
        let ended = async {
            let Some(running) = control::find(&dir).await? else { return Err(no_node(&dir)) };
            let (held, session) = running.read().await?;
            if held.model != M::NAME {
                return Err(Failure::failed(format!("{} holds another model now", dir.display())));
            }
            let place = dir.display().to_string();
            let ended = node.attach(session, &place, config.clone()).await;
            ended.map(|_| ()).map_err(|error| Failure::failed(error.to_string()))
        };
        match ended.await {
            Ok(()) => tracing::info!("the node that has {} open left", dir.display()),
            Err(error) => tracing::warn!("{error}"),
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}
