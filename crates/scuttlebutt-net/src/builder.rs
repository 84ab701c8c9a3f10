//! A node before it starts: what it holds, writes as, keeps, listens at and dials.

use std::sync::Arc;

use scuttlebutt::{
    Bound, Label, LimitExceeded, Limits, Model, Replica, SessionConfig, Signer, SourceId, Verifier,
};
use scuttlebutt_store::{Progress, Store};

use crate::asking::{AskLater, Asking};
use crate::engine::Engine;
use crate::error::StartError;
use crate::keeper::Keeper;
use crate::node::Node;
use crate::shared::{OwnId, fresh_id, now_ms};
use crate::time;
use crate::tls::Tls;

/// Describes a node before it starts.
pub struct Builder<M> {
    model: M,
    id: Option<SourceId>,
    signer: Option<Arc<dyn Signer>>,
    is_forgetful: bool,
    verifier: Option<Arc<dyn Verifier>>,
    store: Option<Store>,
    progress: Box<dyn FnMut(Progress) + Send>,
    limits: Limits,
    tls: Tls,
    cluster: Option<Label>,
    config: SessionConfig,
    listen: Vec<String>,
    peers: Vec<String>,
}

impl<M: Model + Send + 'static> Builder<M> {
    pub(crate) fn new(model: M) -> Self {
        Self {
            model,
            id: None,
            signer: None,
            is_forgetful: false,
            verifier: None,
            store: None,
            progress: Box::new(|_| ()),
            limits: Limits::default(),
            tls: Tls::default(),
            cluster: None,
            config: SessionConfig::default(),
            listen: Vec::new(),
            peers: Vec::new(),
        }
    }

    /// The source id under which the node writes. Without this a fresh one is drawn, which is right
    /// for a node that forgets its updates when it ends. A node with a [`store`](Self::store) takes
    /// the one that stands there.
    #[must_use]
    pub fn id(mut self, id: SourceId) -> Self {
        self.id = Some(id);
        self
    }

    /// Writes as `signer`'s id, and has it sign what the node writes: see
    /// [`Replica::sign_with`]. A [`store`](Self::store) that was made under another id takes this one.
    ///
    /// Such a node cannot take a fresh id when peers turn out to hold writes of its own that it does
    /// not; [`Node::update`] refuses to write then until they have sent them
    /// ([`Replica::await_own_history`]). If its store is one that was copied, set back or repaired,
    /// as far as that shows (it holds writes of this id and was opened under another), that is so from
    /// the start, until the first peer has sent what it holds. What the node writes before it has heard
    /// any peer is not announced as complete ([`Replica::doubt_identity`]): somebody may have written
    /// with the key before.
    #[must_use]
    pub fn sign_with(mut self, signer: impl Signer + 'static) -> Self {
        self.signer = Some(Arc::new(signer));
        self
    }

    /// For a node that comes to write something with a key and forgets it again: what it writes spreads,
    /// is delivered ([`Node::deliver`]), and is never announced as complete
    /// ([`Replica::doubt_identity_for_good`]), since others of its kind may have written elsewhere.
    #[must_use]
    pub fn forgetful(mut self) -> Self {
        self.is_forgetful = true;
        self
    }

    /// Asks `verifier` about every update from outside before it has any effect: see
    /// [`Replica::verify_with`]. It is asked in batches ([`Verifier::verify_all`]), on threads of their
    /// own, while the node goes on; what it cannot say yet ([`Trust::Later`](scuttlebutt::Trust::Later))
    /// it is asked again, and meanwhile only that source waits. It should not take long: as many calls as
    /// [`Limits::verify_batches_max`] that do not return hold up all others. What the store holds was
    /// accepted before, and is not verified again; [`Node::rejudge`] has it judged by other rules.
    #[must_use]
    pub fn verify_with(mut self, verifier: impl Verifier + 'static) -> Self {
        self.verifier = Some(Arc::new(verifier));
        self
    }

    /// Keeps what the node accepts in a store, and begins with what that holds, under the id in it.
    /// Nothing is acknowledged or sent to a peer before it is as durable as the store promises. From one that
    /// was [opened to be read](Store::open_to_read) the node serves its peers; it takes nothing from them, and
    /// [`Node::update`] refuses to write.
    ///
    /// ```
    /// use scuttlebutt::LwwMap;
    /// use scuttlebutt_net::{Node, fresh_id};
    /// use scuttlebutt_store::{Options, Store};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = std::env::temp_dir().join(format!("scuttlebutt-node-doc-{}", std::process::id()));
    /// let (store, _) = Store::open(&dir, Options::new("map", fresh_id()))?;
    /// let node = Node::builder(LwwMap::new()).store(store).start().await?;
    /// node.update(LwwMap::set("greeting", "hello")?).await?; // on the disk when this returns
    /// node.shutdown().await;
    ///
    /// let (store, opened) = Store::open(&dir, Options::new("map", fresh_id()))?;
    /// assert!(!opened.created);
    /// let node = Node::builder(LwwMap::new()).store(store).start().await?;
    /// assert_eq!(node.read(LwwMap::to_json), r#"{"greeting":"hello"}"#);
    /// # node.shutdown().await;
    /// # std::fs::remove_dir_all(dir)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(mut self, store: Store) -> Self {
        self.store = Some(store);
        self
    }

    /// Is told how far reading the store has come.
    #[must_use]
    pub fn on_load(mut self, progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// Bounds other than the default ones.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Who the node is at `tls://` addresses, and whom it talks to there.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// The cluster to which the node belongs. A peer that names another is refused, on both sides with an
    /// error that names both ([`SessionError::OtherCluster`](scuttlebutt::SessionError::OtherCluster)); one
    /// that names none is let in, and a line in the log says so. It holds for all sessions but those whose
    /// own options name one.
    ///
    /// It keeps networks apart that were joined by mistake, and nobody out who means to come in: for that
    /// there are [`tls`](Self::tls) and [`verify_with`](Self::verify_with).
    #[must_use]
    pub fn cluster(mut self, cluster: Label) -> Self {
        self.cluster = Some(cluster);
        self
    }

    /// The options of all sessions that are not given their own.
    #[must_use]
    pub fn sessions(mut self, config: SessionConfig) -> Self {
        self.config = config;
        self
    }

    /// Listens at `host:port`, `tcp://host:port`, `tls://host:port` or `unix:PATH`. Port 0 lets the
    /// system choose. Plaintext is offered at loopback addresses alone: see
    /// [`ListenOptions::allows_plaintext`](crate::ListenOptions::allows_plaintext).
    #[must_use]
    pub fn listen(mut self, address: &str) -> Self {
        self.listen.push(address.to_owned());
        self
    }

    /// Dials a peer, and again whenever the connection ends.
    #[must_use]
    pub fn peer(mut self, address: &str) -> Self {
        self.peers.push(address.to_owned());
        self
    }

    /// Starts the node on the current tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when an address is none or cannot be bound, the store is damaged, or the bounds do
    /// not fit together.
    pub async fn start(self) -> Result<Node<M>, StartError> {
        self.limits.check()?;
        let metadata = self.config.metadata.as_ref().map_or(0, |data| data.as_json().len());
        if metadata > self.limits.metadata_bytes_max {
            let limit = self.limits.metadata_bytes_max as u64;
            return Err(LimitExceeded { bound: Bound::MetadataBytes, limit }.into());
        }
        let own_id = match (&self.signer, &self.store, &self.id) {
            (Some(_), ..) => OwnId::Signed,
            (None, None, Some(_)) => OwnId::Given,
            _ => OwnId::Drawn,
        };
        let id = match &self.store {
            Some(store) => store.id(),
            None => self.id.unwrap_or_else(fresh_id),
        };
        let mut empty = Replica::with_limits(id, self.model, self.limits).in_life(rand::random());
        if self.verifier.is_some() {
            empty = empty.verify_with(AskLater);
        }
        let (mut replica, store) = match self.store {
            Some(store) => {
                let progress = self.progress;
                let load = move || Ok((store.load(empty, progress)?, Some(store)));
                match tokio::task::spawn_blocking(load).await {
                    Ok(loaded) => loaded.map_err(StartError::Store)?,
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                }
            }
            None => (empty, None),
        };
        if let Some(signer) = self.signer {
            replica = signing(replica, signer);
        }
        replica.tell_time(now_ms());
        warn_of_unsendable(&replica);
        if self.is_forgetful {
            replica.doubt_identity_for_good();
        }
        let engine = Engine::new(replica, store, own_id, self.tls, self.cluster);
        Keeper::start(&engine);
        time::tell(&engine);
        if let Some(verifier) = self.verifier {
            Asking::start(&engine, verifier);
        }
        let node = Node::of(engine, self.config);
        for address in &self.listen {
            node.listen(address).await?;
        }
        for address in &self.peers {
            node.add_peer(address)?;
        }
        Ok(node)
    }
}

/// At most so many are named.
const UNSENDABLE_NAMED_MAX: usize = 10;

/// What peers will miss has to be known here, and nobody else can say it.
fn warn_of_unsendable<M: Model>(replica: &Replica<M>) {
    for (update, exceeded) in replica.unsendable().take(UNSENDABLE_NAMED_MAX) {
        tracing::warn!(
            update = %update.id(), bytes = update.line_len() - 1,
            "an update in the store cannot be sent to peers: {exceeded}; it is kept and shown here alone, and \
             nothing of its source from there on is announced. Raise the bound here and at the peers, or \
             overwrite the update"
        );
    }
    let count = replica.unsendable().count();
    if count > UNSENDABLE_NAMED_MAX {
        tracing::warn!(count, "so many updates in the store cannot be sent to peers");
    }
}

/// The replica, which writes with a key from now on.
fn signing<M: Model>(replica: Replica<M>, signer: Arc<dyn Signer>) -> Replica<M> {
    let is_another = replica.id() != signer.id();
    let mut replica = replica.sign_with(signer);
    replica.doubt_identity();
    if is_another && replica.newest_held(replica.id()).is_some() {
        // Its store does not vouch for what was written with this key.
        replica.await_own_history();
    }
    replica
}
