//! The public key of a node, as people write it, and as a certificate carries it.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

/// An Ed25519 public key by which a node is known on its links.
///
/// It is written as the source id is that belongs to the key: `ed25519:` and base64 for URLs.
///
/// ```
/// use scuttlebutt_net::NodeKey;
///
/// let text = "ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw";
/// assert_eq!(text.parse::<NodeKey>()?.to_string(), text);
/// assert!("ed25519:short".parse::<NodeKey>().is_err());
/// # Ok::<(), scuttlebutt_net::InvalidNodeKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey([u8; 32]);

const PREFIX: &str = "ed25519:";

/// What precedes the 32 bytes where a certificate says its key: the algorithm, in DER (RFC 8410).
const DER_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl NodeKey {
    /// The key with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key of a certificate; none if it is of another kind, or the certificate is none.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let info = ParsedCertificate::try_from(certificate).ok()?.subject_public_key_info();
        Some(Self(info.strip_prefix(&DER_PREFIX[..])?.try_into().ok()?))
    }
}

impl FromStr for NodeKey {
    type Err = InvalidNodeKey;

    fn from_str(text: &str) -> Result<Self, InvalidNodeKey> {
        let base64 = text.strip_prefix(PREFIX).ok_or(InvalidNodeKey)?;
        let mut bytes = [0; 32];
        match Base64UrlUnpadded::decode(base64, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(bytes)),
            _ => Err(InvalidNodeKey),
        }
    }
}

impl fmt::Display for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", Base64UrlUnpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no node key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node key is `ed25519:` and 43 characters of base64 for URLs")]
pub struct InvalidNodeKey;
