//! The handle that an application holds.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scuttlebutt::{
    Change, ChangeCursor, ForkProof, ImportOptions, Imported, Mode, Model, Replica, SessionConfig,
    SourceId, Update,
};
use scuttlebutt_store::{Store, StoreError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::address::Address;
use crate::builder::Builder;
use crate::engine::{Engine, lock};
use crate::error::{DeliveryError, LinkError, ListenError, UpdateError};
use crate::file::{self, FileError, Rotation};
use crate::listener::{ListenOptions, Listener};
use crate::peer::{self, Peer};
use crate::signing;
use crate::status::{PeerState, PeerStatus, Refusals, SessionStatus};
use crate::stream::{Acceptor, Halves, Plaintext};
use crate::subscription::Subscription;

/// A replica and its sessions. Cheap to clone; all clones are the same node. When the last one is
/// dropped, sessions end without waiting; [`shutdown`](Self::shutdown) to let them finish.
///
/// ```
/// use scuttlebutt::LwwMap;
/// use scuttlebutt_net::Node;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await?;
/// let address = server.listeners()[0].address().to_string();
/// let client = Node::builder(LwwMap::new()).peer(&address).start().await?;
///
/// let written = client.update(LwwMap::set("greeting", "hello")?).await?;
/// client.deliver(&written, &client.peers()[0]).await?;
/// assert_eq!(server.read(|map| map.get::<String>("greeting"))?, Some("hello".to_owned()));
///
/// client.shutdown().await;
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Node<M> {
    engine: Arc<Engine<M>>,
    handles: Arc<Handles>,
}

/// What the clones of a node have in common besides the engine.
struct Handles {
    config: SessionConfig,
    listeners: Mutex<Vec<Listener>>,
    peers: Mutex<Vec<Peer>>,
    shutdown: watch::Sender<bool>,
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.shutdown.send_replace(true);
    }
}

impl<M> Clone for Node<M> {
    fn clone(&self) -> Self {
        Self { engine: self.engine.clone(), handles: self.handles.clone() }
    }
}

impl<M: Model + Send + 'static> Node<M> {
    /// Describes a node that starts from `model`.
    pub fn builder(model: M) -> Builder<M> {
        Builder::new(model)
    }

    pub(crate) fn of(engine: Arc<Engine<M>>, config: SessionConfig) -> Self {
        let shutdown = engine.shutdown.clone();
        let (listeners, peers) = (Mutex::default(), Mutex::default());
        let handles = Arc::new(Handles { config, listeners, peers, shutdown });
        Self { engine, handles }
    }

    /// The source id under which this node writes.
    #[must_use]
    pub fn id(&self) -> SourceId {
        self.engine.shared.read(|replica| replica.id().clone())
    }

    /// The source id as it changes: a node that finds its id in use elsewhere, or that was restored
    /// from an older copy, takes a fresh one, unless it was given its id by [`Builder::id`].
    #[must_use]
    pub fn watch_id(&self) -> watch::Receiver<SourceId> {
        self.engine.shared.id()
    }

    /// The forks that are held: sources that signed two changes under one name, each with both as proof.
    /// See [`Replica::forks`](scuttlebutt::Replica::forks).
    #[must_use]
    pub fn forks(&self) -> Vec<ForkProof> {
        self.engine.shared.read(|replica| replica.forks().collect())
    }

    /// Writes. Returns the update when it is accepted and, with a store, as durable as that promises;
    /// it then reaches every peer that stays. Readers of this node see it at once. Many writers at a
    /// time share the store's work. A node that [signs](Builder::sign_with) does so on the threads of its
    /// callers: as many tasks as there are processors sign as much at a time. What comes from a peer while
    /// it signs may be later, and supersede the write. A caller that stops waiting has written all the same.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub async fn update(&self, change: Change) -> Result<Update, UpdateError> {
        if self.engine.is_shut_down() {
            return Err(UpdateError::ShutDown);
        }
        if let Some(failure) = self.failure() {
            return Err(failure.into());
        }
        let written = match self.engine.shared.signs() {
            true => signing::sign_and_write(&self.engine, change).await?,
            false => signing::write(&self.engine, change)?,
        };
        if written.is_durable {
            // Who writes without a pause lets the sessions have their turn.
            tokio::task::consume_budget().await;
        } else {
            self.wait_for_durable(written.position).await?;
        }
        Ok(written.update)
    }

    /// Waits until everything accepted so far is as durable as the store promises. Without a store
    /// that is at once.
    ///
    /// # Errors
    /// When the store has failed.
    pub async fn flush(&self) -> Result<(), Arc<StoreError>> {
        let ends = |replica: &Replica<M>| (replica.head(), replica.durable());
        let (head, durable) = self.engine.shared.read(ends);
        if durable >= head { Ok(()) } else { self.wait_for_durable(head).await }
    }

    /// Waits for what was seen not to be durable yet.
    async fn wait_for_durable(&self, position: u64) -> Result<(), Arc<StoreError>> {
        let mut durable = self.engine.shared.durable();
        let is_settled = |below: &u64| *below >= position || self.failure().is_some();
        // The sender lives in the engine, which `self` keeps, so this does not fail.
        let is_durable = durable.wait_for(is_settled).await.is_ok_and(|below| *below >= position);
        match self.failure() {
            Some(error) if !is_durable => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until the store fails: it does not return before. The node then still answers and
    /// shows what it holds, accepts no writes and sends nothing new. Ending the process and starting
    /// it again, once the cause is gone, finds everything that was confirmed.
    pub async fn store_failure(&self) -> Arc<StoreError> {
        let mut durable = self.engine.shared.durable();
        loop {
            let _ = durable.wait_for(|_| self.failure().is_some()).await;
            if let Some(error) = self.failure() {
                return error;
            }
        }
    }

    fn failure(&self) -> Option<Arc<StoreError>> {
        self.engine.shared.failure()
    }

    /// The store, to look at and back up. It stays open until whoever got it from here lets go of it
    /// too.
    #[must_use]
    pub fn store(&self) -> Option<Arc<Store>> {
        self.engine.keeper.store()
    }

    /// Reads the data. The node waits meanwhile, so take what you need and leave.
    pub fn read<T>(&self, read: impl FnOnce(&M) -> T) -> T {
        self.engine.shared.read(|replica| read(replica.model()))
    }

    /// Reads the replica: its version vector, its history. The node waits meanwhile.
    pub fn read_replica<T>(&self, read: impl FnOnce(&Replica<M>) -> T) -> T {
        self.engine.shared.read(read)
    }

    /// Changes the replica: loads updates from elsewhere, for example. The node waits meanwhile.
    pub fn write_replica<T>(&self, write: impl FnOnce(&mut Replica<M>) -> T) -> T {
        self.engine.shared.write(write)
    }

    /// Judges again everything that the node holds, after the rules have changed by which its verifier judges:
    /// what `is_trusted` does not hold of is dropped, and answered here. What was refused before is asked for
    /// again at once. `empty` is a model as the node's was at the beginning. See [`Replica::rejudge`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use scuttlebutt::LwwMap;
    /// use scuttlebutt_net::Node;
    /// # use scuttlebutt::{Trust, Update, Verifier};
    /// # struct Rules;
    /// # impl Rules {
    /// #     fn allow(&self, _: &Update) -> bool { true }
    /// #     fn read_again(&self) {}
    /// # }
    /// # impl Verifier for Rules {
    /// #     fn verify(&self, _: &Update) -> Trust { Trust::Trusted }
    /// # }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rules = Arc::new(Rules); // a `Verifier`, and cheap to ask whether it still allows an update
    /// let node = Node::builder(LwwMap::new()).verify_with(rules.clone()).start().await?;
    /// rules.read_again();
    /// let dropped = node.rejudge(LwwMap::new(), |update| rules.allow(update));
    /// assert!(dropped.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn rejudge(&self, empty: M, is_trusted: impl Fn(&Update) -> bool) -> Vec<Update> {
        self.engine.shared.rejudge(empty, is_trusted)
    }

    /// All changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscription<M> {
        self.subscribe_from(self.engine.shared.read(Replica::change_cursor))
    }

    /// All changes from a cursor on; [`ChangeCursor::default`] begins with what is held already.
    #[must_use]
    pub fn subscribe_from(&self, cursor: ChangeCursor) -> Subscription<M> {
        Subscription::new(self.engine.shared.clone(), cursor, self.engine.shutdown.subscribe())
    }

    /// Opens a further listener, at `host:port`, `tcp://host:port`, `tls://host:port` or `unix:PATH`.
    /// Plaintext is offered at loopback addresses alone: see [`ListenOptions::allows_plaintext`].
    ///
    /// # Errors
    /// [`ListenError`] when the address is none or cannot be bound.
    pub async fn listen(&self, address: &str) -> Result<Listener, ListenError> {
        self.listen_with(&address.parse()?, self.handles.config.clone()).await
    }

    /// Opens a further listener with options of its own; those of its sessions alone will do.
    ///
    /// # Errors
    /// [`ListenError`] when the address cannot be bound, or would not be safe.
    pub async fn listen_with(
        &self,
        address: &Address,
        options: impl Into<ListenOptions>,
    ) -> Result<Listener, ListenError> {
        let options = options.into();
        if self.engine.is_shut_down() {
            return Err(ListenError::ShutDown);
        }
        let config = match address {
            Address::Tls { .. } => {
                let tls = options.tls.as_ref().unwrap_or(&self.engine.tls);
                let failed = |error| ListenError::Tls { address: address.clone(), error };
                Some(tls.server().map_err(failed)?)
            }
            _ => None,
        };
        let bound = Acceptor::bind(address, config, options.allows_plaintext).await;
        let (acceptor, bound) = bound.map_err(|error| {
            let address = address.clone();
            if error.get_ref().is_some_and(|inner| inner.is::<Plaintext>()) {
                ListenError::Plaintext { address }
            } else {
                ListenError::Bind { address, error }
            }
        })?;
        let listener = Listener::start(&self.engine, acceptor, bound, options.session);
        let mut listeners = lock(&self.handles.listeners);
        listeners.retain(Listener::is_open);
        listeners.push(listener.clone());
        Ok(listener)
    }

    /// The listeners there are.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        lock(&self.handles.listeners)
            .iter()
            .filter(|listener| listener.is_open())
            .cloned()
            .collect()
    }

    /// Dials a further peer, and again whenever the connection ends.
    ///
    /// # Errors
    /// When the text is no address.
    pub fn add_peer(&self, address: &str) -> Result<Peer, crate::InvalidAddress> {
        Ok(self.add_peer_with(address.parse()?, self.handles.config.clone()))
    }

    /// Dials a further peer, with options of its own.
    pub fn add_peer_with(&self, address: Address, config: SessionConfig) -> Peer {
        let peer = Peer::start(&self.engine, address, config);
        let mut peers = lock(&self.handles.peers);
        peers.retain(Peer::is_dialled);
        peers.push(peer.clone());
        peer
    }

    /// The peers that are dialled.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        lock(&self.handles.peers).iter().filter(|peer| peer.is_dialled()).cloned().collect()
    }

    /// The sessions there are, dialled and accepted.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.engine.sessions().iter().map(|record| record.status()).collect()
    }

    /// Number of sessions.
    #[must_use]
    #[doc(alias = "_streams")]
    pub fn session_count(&self) -> usize {
        self.engine.sessions().len()
    }

    /// The connections that were refused or cut off since the node started.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.engine.door.refusals()
    }

    /// Runs one session over any stream, to its end. `remote` names the other end in logs.
    ///
    /// # Errors
    /// [`LinkError`] when it ended other than by agreement.
    pub async fn attach(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        remote: &str,
        config: SessionConfig,
    ) -> Result<SessionStatus, LinkError> {
        let seat = Some(self.engine.door.enter(None)?);
        let halves = Halves::of(Box::pin(stream));
        let shutdown = self.engine.shutdown.subscribe();
        self.engine.run_session(halves, seat, remote.to_owned(), config, shutdown, None).await
    }

    /// Dials once and runs one session to its end. With [`Mode::CatchUp`] that is when both sides
    /// have what the other held.
    ///
    /// # Errors
    /// [`LinkError`] when the peer cannot be reached or the session ended other than by agreement.
    pub async fn connect_once(
        &self,
        address: &Address,
        config: SessionConfig,
    ) -> Result<SessionStatus, LinkError> {
        let halves = peer::dial(&self.engine, address).await?;
        let shutdown = self.engine.shutdown.subscribe();
        self.engine.run_session(halves, None, address.to_string(), config, shutdown, None).await
    }

    /// Joins two nodes of one process, until either is shut down. Their source ids must differ.
    ///
    /// ```
    /// use scuttlebutt::LwwMap;
    /// use scuttlebutt_net::Node;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let a = Node::builder(LwwMap::new()).start().await?;
    /// let b = Node::builder(LwwMap::new()).start().await?;
    /// a.link(&b);
    /// let mut changes = b.subscribe();
    /// a.update(LwwMap::set("k", &1)?).await?;
    /// changes.next().await;
    /// assert_eq!(b.read(|map| map.get::<i32>("k"))?, Some(1));
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "clone")]
    pub fn link(&self, other: &Node<M>) {
        let (here, there) = tokio::io::duplex(self.engine.limits.output_bytes_max.max(1));
        for (node, stream) in [(self, here), (other, there)] {
            let (engine, config) = (node.engine.clone(), node.handles.config.clone());
            node.engine.tasks.spawn(async move {
                let shutdown = engine.shutdown.subscribe();
                let halves = Halves::of(stream);
                let remote = "this process".to_owned();
                let ended = engine.run_session(halves, None, remote, config, shutdown, None);
                if let Err(error) = ended.await {
                    tracing::warn!("{error}");
                }
            });
        }
    }

    /// Waits until a peer provably holds an update of this node, whatever the peer.
    ///
    /// Nodes of this implementation promise in each session what they hold. A replica of the
    /// original acknowledges nothing, but sends an accepted update back; one that does not is asked
    /// over a second connection for what it holds of this node's writes. An update that a newer one
    /// superseded meanwhile has nothing left to deliver, and counts as delivered.
    ///
    /// # Errors
    /// [`DeliveryError`]. There is no time limit while the peer cannot be reached: it goes on being
    /// dialled.
    pub async fn deliver(&self, update: &Update, peer: &Peer) -> Result<(), DeliveryError> {
        /// How long a peer may take to confirm by itself before it is asked.
        const PATIENCE: Duration = Duration::from_millis(500);

        let mut status = peer.watch();
        let syncs_before = status.borrow().syncs;
        let is_confirmed = |status: &PeerStatus| status.confirmed >= Some(update.timestamp());
        // A peer that is in sync is told, and so was one that leaves after each sync: the second
        // session from now on, at the latest, began with this update in its history.
        let was_told = |status: &PeerStatus| {
            status.state == PeerState::Synced || status.syncs > syncs_before + 1
        };
        let no_room = |status: &PeerStatus| {
            let said = status.session.as_ref()?.last_refused_by_peer.as_ref()?;
            let is_it = said.update.as_ref().is_none_or(|refused| *refused == update.id());
            is_it.then(|| DeliveryError::NoRoom { bound: said.bound.clone(), limit: said.limit })
        };
        let is_settled = |status: &PeerStatus| {
            is_confirmed(status)
                || was_told(status)
                || no_room(status).is_some()
                || status.state == PeerState::Removed
        };
        let is_answered = |status: &PeerStatus| is_confirmed(status) || no_room(status).is_some();
        loop {
            let settled = status.wait_for(is_settled).await.map(|status| status.clone());
            match settled {
                Ok(status) if is_confirmed(&status) => return Ok(()),
                Ok(status) if let Some(no_room) = no_room(&status) => return Err(no_room),
                Ok(status) if status.state != PeerState::Removed => {}
                _ => return Err(LinkError::ShutDown.into()),
            }
            if let Ok(Ok(status)) =
                tokio::time::timeout(PATIENCE, status.wait_for(is_answered)).await
            {
                return no_room(&status).filter(|_| !is_confirmed(&status)).map_or(Ok(()), Err);
            }
            if !self.engine.shared.read(|replica| replica.is_live(&update.id())) {
                return Ok(());
            }
            if was_told(&status.borrow()) {
                let config = SessionConfig {
                    direction: scuttlebutt::Direction::ReceiveOnly,
                    mode: Mode::CatchUp,
                    ask_for_own: true,
                    ..self.handles.config.clone()
                };
                let asked = self.connect_once(peer.address(), config).await?;
                let is_delivered = asked.confirmed >= Some(update.timestamp())
                    || is_confirmed(&status.borrow())
                    || !self.engine.shared.read(|replica| replica.is_live(&update.id()));
                return if is_delivered { Ok(()) } else { Err(DeliveryError::NotAccepted) };
            }
        }
    }

    /// Writes everything held to a file or any writer, in the format of the original's
    /// `createReadStream({tail: false})`, and ends it. Answers how many updates that were. The node
    /// goes on meanwhile; what it accepts is written too.
    ///
    /// ```
    /// use scuttlebutt::LwwMap;
    /// use scuttlebutt_net::Node;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::builder(LwwMap::new()).start().await?;
    /// node.update(LwwMap::set("greeting", "hello")?).await?;
    /// let mut file = Vec::new();
    /// assert_eq!(node.save_to(&mut file).await?, 1);
    ///
    /// let other = Node::builder(LwwMap::new()).start().await?;
    /// let loaded = other.load_from(&file[..]).await?;
    /// assert!(loaded.is_complete);
    /// assert_eq!(other.read(LwwMap::to_json), r#"{"greeting":"hello"}"#);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the writer fails.
    #[doc(alias = "createReadStream")]
    pub async fn save_to(&self, writer: impl AsyncWrite + Unpin) -> io::Result<u64> {
        file::save(&self.engine, writer).await
    }

    /// Reads a file, or whatever holds what [`save_to`](Self::save_to) or the original wrote: see
    /// [`Import`](scuttlebutt::Import).
    ///
    /// # Errors
    /// [`FileError`]; everything before the line at fault is applied then.
    #[doc(alias = "createWriteStream")]
    pub async fn load_from(&self, reader: impl AsyncRead + Unpin) -> Result<Imported, FileError> {
        if let Some(failure) = self.failure() {
            return Err(failure.into());
        }
        self.load_with(reader, ImportOptions::default(), tokio::io::sink()).await
    }

    /// [`load_from`](Self::load_from) that is lenient as far as the options say. What is from too far in the
    /// future and [to be kept](ImportOptions::keep_early) is written to `early`, to be loaded when its time
    /// has come.
    ///
    /// # Errors
    /// [`FileError`], also when `early` cannot be written; everything before the line at fault is applied
    /// then.
    pub async fn load_with(
        &self,
        reader: impl AsyncRead + Unpin,
        options: ImportOptions,
        early: impl AsyncWrite + Unpin,
    ) -> Result<Imported, FileError> {
        file::load(&self.engine, reader, options, early).await
    }

    /// Keeps a file that holds everything and to which each update is appended, until the node is
    /// shut down: what piping the original's `createReadStream()` into a file does. When it has grown
    /// far enough, it is written anew with what is still current, under another name that then
    /// takes the place of the first: a reader finds one or the other, whole.
    ///
    /// A process that is killed leaves all that was appended, a machine that loses its power perhaps
    /// less. An existing file is replaced, so
    /// [`load_from`](Self::load_from) comes first.
    ///
    /// # Errors
    /// When the file cannot be written. It is as it was then, but perhaps for half a line at its end.
    pub async fn append_to(&self, path: impl AsRef<Path>, rotation: Rotation) -> io::Result<()> {
        file::append(&self.engine, path.as_ref(), rotation).await
    }

    /// Stops accepting and dialling, lets every session send what was accepted, and waits for them,
    /// each for at most [`Limits::shutdown_wait_ms_max`](scuttlebutt::Limits::shutdown_wait_ms_max). Then
    /// writes what the store lacks, and closes it.
    #[doc(alias = "dispose")]
    pub async fn shutdown(&self) {
        self.engine.shutdown.send_replace(true);
        self.engine.clone().quiet().await;
        self.engine.keeper.finish().await;
    }
}
