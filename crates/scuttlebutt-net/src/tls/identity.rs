//! Who a node is on its links: a certificate and the secret key to it; and whose certificates count.
//!
//! It never prints a secret, and wipes the texts that hold one.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use super::error::TlsError;
use super::node_key::NodeKey;

/// A certificate with the secret key to it.
#[derive(Clone)]
pub struct TlsIdentity(Arc<CertifiedKey>);

/// What precedes the 32 secret bytes of an Ed25519 key in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The name in a certificate that nobody vouches for: whoever trusts it trusts its key.
const SELF_SIGNED_NAME: &str = "scuttlebutt";

impl TlsIdentity {
    /// Reads a certificate, with those of the authorities between it and a known one behind it, and
    /// its secret key: PEM, both.
    ///
    /// # Errors
    /// [`TlsError`] when either is none, or they do not belong together.
    pub fn from_pem(certificates: &str, secret_key: &str) -> Result<Self, TlsError> {
        let chain = read_certificates(certificates)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(secret_key.as_bytes())
            // What is in the text is not for an error to tell.
            .map_err(|_| TlsError::NoSecretKey)?;
        Self::of(chain, &key)
    }

    /// A node that is known by its Ed25519 key alone. The certificate is made here, signed by the key
    /// itself. `seed` is the secret key as RFC 8032 has it.
    ///
    /// ```
    /// use scuttlebutt_net::TlsIdentity;
    ///
    /// let node = TlsIdentity::from_ed25519_seed(&[7; 32])?;
    /// let key = node.node_key().map(|key| key.to_string());
    /// assert_eq!(key.as_deref(), Some("ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw"));
    /// # Ok::<(), scuttlebutt_net::TlsError>(())
    /// ```
    ///
    /// # Errors
    /// [`TlsError`] when no certificate can be made: by the clock, it would have to be.
    pub fn from_ed25519_seed(seed: &[u8; 32]) -> Result<Self, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Other { reason: error.to_string() };
        let der = Zeroizing::new([&PKCS8_PREFIX[..], seed].concat());
        let pkcs8 = PrivatePkcs8KeyDer::from(&der[..]);
        let pair = rcgen::KeyPair::try_from(&pkcs8).map_err(failed)?;
        let parameters =
            rcgen::CertificateParams::new(vec![SELF_SIGNED_NAME.to_owned()]).map_err(failed)?;
        let certificate = parameters.self_signed(&pair).map_err(failed)?;
        Self::of(vec![certificate.der().clone()], &PrivateKeyDer::Pkcs8(pkcs8))
    }

    fn of(chain: Vec<CertificateDer<'static>>, key: &PrivateKeyDer<'_>) -> Result<Self, TlsError> {
        let key = any_supported_type(key).map_err(|_| TlsError::UnknownKeyKind)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeysDiffer),
            Err(_) => Err(TlsError::NoCertificate),
        }
    }

    /// The key by which others may know the node; none unless it is of the kind Ed25519.
    #[must_use]
    pub fn node_key(&self) -> Option<NodeKey> {
        NodeKey::of(self.0.end_entity_cert().ok()?)
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        self.0.clone()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("node_key", &self.node_key()).finish_non_exhaustive()
    }
}

/// Authorities whose certificates a node believes.
#[derive(Clone, Debug)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// Reads the certificates of authorities, one or several, from PEM.
    ///
    /// # Errors
    /// [`TlsError`] when there is none, or one cannot be read.
    pub fn from_pem(certificates: &str) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for certificate in read_certificates(certificates)? {
            store.add(certificate).map_err(|_| TlsError::NoCertificate)?;
        }
        if store.is_empty() { Err(TlsError::NoCertificate) } else { Ok(Self(Arc::new(store))) }
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        self.0.clone()
    }
}

fn read_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    certificates.collect::<Result<_, _>>().map_err(|_| TlsError::NoCertificate)
}
