//! Encrypted links on which both ends know each other: TLS 1.3 by rustls.
//!
//! [`Tls`] says who this node is and whom it believes; `verifier` judges, `error` explains. What it
//! never does: speak an older version, resume a session (whoever comes back is judged anew), say
//! anything about who wrote an update. That is for signatures.

mod admitted;
mod error;
mod identity;
mod node_key;
mod verifier;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};

pub use admitted::Admitted;
pub(crate) use admitted::Place;
pub use error::TlsError;
pub use identity::{Authorities, TlsIdentity};
pub use node_key::{InvalidNodeKey, NodeKey};

use verifier::{ClientJudge, ServerJudge};

/// Who a node is on its `tls://` links, and whom it talks to there.
///
/// ```
/// use scuttlebutt::LwwMap;
/// use scuttlebutt_net::{Node, Tls, TlsIdentity};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Two nodes that know each other by their keys. The seeds are their secrets.
/// let [ada, ben] = [[1; 32], [2; 32]].map(|seed| TlsIdentity::from_ed25519_seed(&seed));
/// let (ada, ben) = (ada?, ben?);
/// let key_of_ada = ada.node_key().ok_or("an Ed25519 key")?;
/// let admits_ben = Tls { admitted: Some(ben.node_key().into_iter().collect()), ..Tls::of(ada) };
///
/// let server = Node::builder(LwwMap::new()).tls(admits_ben).listen("tls://127.0.0.1:0");
/// let server = server.start().await?;
/// let address = format!("{}#{key_of_ada}", server.listeners()[0].address());
/// let client = Node::builder(LwwMap::new()).tls(Tls::of(ben)).peer(&address).start().await?;
/// client.peers()[0].synced().await?;
/// # client.shutdown().await;
/// # server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// What the node shows. A listener needs it; so does dialling a peer that wants to see it.
    pub identity: Option<TlsIdentity>,

    /// Whoever shows a certificate of one of these is admitted, and believed when it is dialled if
    /// the certificate is for the name in the address.
    pub authorities: Option<Authorities>,

    /// Whoever shows a certificate with one of these keys is admitted, and believed when it is
    /// dialled at an address without a key. No authority and no date counts then. What the list says
    /// of a node's direction can only narrow that of the listener or of the peer.
    pub admitted: Option<Admitted>,

    /// Whether a listener also lets in who shows no certificate. Who shows one has to be admitted
    /// all the same. Default false.
    pub admits_anyone: bool,
}

impl Tls {
    /// A node that is `identity`, and so far admits nobody.
    #[must_use]
    pub fn of(identity: TlsIdentity) -> Self {
        Self { identity: Some(identity), ..Self::default() }
    }

    /// What a listener goes by.
    pub(crate) fn server(&self) -> Result<Server, TlsError> {
        let identity = self.identity.as_ref().ok_or(TlsError::NoIdentity)?;
        let has_judge = self.authorities.is_some() || self.admitted.is_some();
        if !has_judge && !self.admits_anyone {
            return Err(TlsError::NobodyAdmitted);
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError::from(&error))?;
        let builder = if has_judge {
            let authorities = self.authorities.as_ref();
            let judge = ClientJudge::new(
                self.admitted.clone(),
                authorities,
                !self.admits_anyone,
                provider,
            )?;
            builder.with_client_cert_verifier(Arc::new(judge))
        } else {
            builder.with_no_client_auth()
        };
        let shown = SingleCertAndKey::from(identity.certified());
        let mut config = builder.with_cert_resolver(Arc::new(shown));
        // Whoever resumed a session would not be judged again, though the list may have changed.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Server { config: Arc::new(config), admitted: self.admitted.clone() })
    }

    /// What dialling a peer goes by, which has this key if one was given.
    pub(crate) fn client(&self, pinned: Option<NodeKey>) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let authorities = self.authorities.as_ref();
        let judge = ServerJudge::new(pinned, self.admitted.clone(), authorities, provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsError::from(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut config = match &self.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified()))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
}

/// A [`Tls`] as a listener uses it.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) admitted: Option<Admitted>,
}

/// The name in `host:port` that a certificate is to be for.
pub(crate) fn server_name(address: &str) -> Result<ServerName<'static>, TlsError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| TlsError::Other { reason: format!("{host:?} is no name for a certificate") })
}
