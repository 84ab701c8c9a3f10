//! What goes wrong with TLS, in words that say who is at fault and what to do.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, Error, OtherError};

use super::node_key::NodeKey;

/// A link that could not be made, or not kept, because of TLS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text holds no certificate that can be read.
    #[error("no certificate that can be read (PEM, `BEGIN CERTIFICATE`)")]
    NoCertificate,
    /// The text holds no secret key that can be read.
    #[error("no secret key that can be read (PEM, `BEGIN PRIVATE KEY`, without a passphrase)")]
    NoSecretKey,
    /// The secret key is of a kind that is not known.
    #[error("the secret key is of an unknown kind; take Ed25519, ECDSA (P-256, P-384) or RSA")]
    UnknownKeyKind,
    /// The secret key belongs to another certificate.
    #[error("the secret key does not belong to the certificate")]
    KeysDiffer,
    /// A listener is to show a certificate and has none.
    #[error("a TLS listener needs a certificate with its key, or a node key")]
    NoIdentity,
    /// A listener would let nobody in.
    #[error(
        "nobody could come in: say which authorities or node keys are admitted, or that everybody is"
    )]
    NobodyAdmitted,
    /// Nothing says by what to know the peer.
    #[error(
        "nothing says by what to know the peer: name an authority, or its node key behind the \
         address, as in tls://host:port#ed25519:…"
    )]
    NobodyTrusted,
    /// The peer showed no certificate.
    #[error("the peer showed no certificate; it needs one, or a node key, that is admitted here")]
    PeerShowsNone,
    /// The peer's certificate does not do.
    #[error("the peer's certificate {reason}")]
    PeerCertificate {
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The peer's key is not one that is admitted.
    #[error("the peer's key is not admitted here: {}", key_or_kind(.key))]
    NotAdmitted {
        /// Its key, if it is of the kind Ed25519.
        key: Option<NodeKey>,
    },
    /// Another node answers than the one that was asked for.
    #[error(
        "another node answers: its key is {}, not {expected}; is the address right?",
        key_or_kind(.found)
    )]
    OtherNode {
        /// The key behind the address.
        expected: NodeKey,
        /// The key that was shown, if it is of the kind Ed25519.
        found: Option<NodeKey>,
    },
    /// The peer does not accept this node's certificate.
    #[error("the peer does not let this node in ({alert}): {}", advice(.alert))]
    Refused {
        /// The alert it sent.
        alert: String,
    },
    /// The other side speaks something else.
    #[error("the peer does not speak TLS here: one side is plaintext")]
    NotTls,
    /// The other side knows older versions alone.
    #[error("the peer has no TLS 1.3; older versions are not spoken here")]
    TooOld,
    /// The peer left within the handshake.
    #[error("the peer hung up within the TLS handshake: it speaks plaintext, or its log says why")]
    HungUp,
    /// The peer did not finish the handshake.
    #[error("no TLS handshake within {waited_ms} ms (Limits::handshake_wait_ms_max)")]
    Slow {
        /// The bound.
        waited_ms: u64,
    },
    /// Something else.
    #[error("TLS: {reason}")]
    Other {
        /// In the library's words.
        reason: String,
    },
}

fn key_or_kind(key: &Option<NodeKey>) -> String {
    key.map_or_else(|| "one that is not Ed25519".to_owned(), |key| key.to_string())
}

fn advice(alert: &str) -> &'static str {
    match alert {
        "CertificateRequired" => "it wants to see a certificate, and this node has none",
        "UnknownCA" => "it does not know the authority of this node's certificate",
        "CertificateExpired" => {
            "this node's certificate has expired, or one of the clocks is wrong"
        }
        _ => "its log says why",
    }
}

/// How a verifier of ours hands its verdict through rustls.
pub(super) fn verdict(error: TlsError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

impl TlsError {
    /// What an error of a TLS stream means, if it is one of TLS.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        inner.downcast_ref::<Error>().map(Self::from).or_else(|| inner.downcast_ref().cloned())
    }

    /// The same, within a handshake.
    pub(crate) fn of_handshake(error: &io::Error) -> Option<Self> {
        let has_hung_up = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        );
        Self::of(error).or_else(|| has_hung_up.then_some(Self::HungUp))
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl From<&Error> for TlsError {
    fn from(error: &Error) -> Self {
        use AlertDescription as Alert;
        match error {
            Error::InvalidCertificate(error) => of_certificate(error),
            Error::NoCertificatesPresented => Self::PeerShowsNone,
            Error::AlertReceived(
                alert @ (Alert::AccessDenied
                | Alert::BadCertificate
                | Alert::CertificateExpired
                | Alert::CertificateRequired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::UnsupportedCertificate),
            ) => Self::Refused { alert: format!("{alert:?}") },
            Error::AlertReceived(Alert::ProtocolVersion) | Error::PeerIncompatible(_) => {
                Self::TooOld
            }
            Error::InvalidMessage(_) => Self::NotTls,
            other => Self::Other { reason: other.to_string() },
        }
    }
}

fn of_certificate(error: &CertificateError) -> TlsError {
    use CertificateError as Fault;
    let reason = match error {
        Fault::Other(OtherError(inner)) => {
            if let Some(error) = inner.downcast_ref::<TlsError>() {
                return error.clone();
            }
            format!("does not do: {inner}")
        }
        Fault::UnknownIssuer => "is from an authority that is not known here: give this node the \
             authority's certificate, or the peer a certificate from a known one"
            .to_owned(),
        Fault::Expired | Fault::ExpiredContext { .. } => {
            "has expired: renew it, or set this machine's clock".to_owned()
        }
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "is not valid yet: set the clock of this machine, or of the one that made it".to_owned()
        }
        Fault::NotValidForNameContext { expected, presented } => format!(
            "is not for {}, but for {}: dial the peer by such a name, or make it a certificate for \
             this one",
            expected.to_str(),
            presented.join(", ")
        ),
        other => format!("does not do: {other}"),
    };
    TlsError::PeerCertificate { reason }
}
