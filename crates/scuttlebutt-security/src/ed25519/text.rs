//! How public keys, signatures and secret keys are written.
//!
//! Each is a word, a colon and base64 with the alphabet for URLs, unpadded. There is one text for
//! each value only: what differs in unused bits is refused.

use base64ct::{Base64UrlUnpadded, Encoding};
use scuttlebutt::SourceId;
use zeroize::Zeroizing;

use crate::error::KeyError;

/// Before a public key, which is a source id, and before a signature. No base64 has a colon, so
/// neither can be taken for the ids and signatures of the npm package.
const PREFIX: &str = "ed25519:";
const SECRET_PREFIX: &str = "ed25519-secret:";

pub(super) fn id_of(public: &[u8; 32]) -> SourceId {
    let text = format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(public));
    SourceId::new(text.as_str()).expect("it is not `__proto__`")
}

/// The public key that an id is.
pub(super) fn read_id(id: &SourceId) -> Option<[u8; 32]> {
    read(PREFIX, id.as_js_string().as_str()?)
}

/// Whether `id` has the form of an Ed25519 public key.
///
/// ```
/// use scuttlebutt::SourceId;
/// use scuttlebutt_security::{Ed25519Key, is_ed25519_id};
///
/// assert!(is_ed25519_id(Ed25519Key::from_seed(&[7; 32]).id()));
/// assert!(!is_ed25519_id(&SourceId::new("ed25519:short")?));
/// # Ok::<(), scuttlebutt::InvalidSource>(())
/// ```
#[must_use]
pub fn is_ed25519_id(id: &SourceId) -> bool {
    read_id(id).is_some()
}

/// Whether `id` claims to be an Ed25519 public key, be it a good one or not.
pub(crate) fn claims_to_be_id(id: &SourceId) -> bool {
    id.as_js_string().as_str().is_some_and(|text| text.starts_with(PREFIX))
}

pub(super) fn write_signature(signature: &[u8; 64]) -> String {
    format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(signature))
}

/// Reads a signature from the JSON literal that carries it. A literal with an escape in it is none:
/// canonical JSON escapes nothing of what a signature is made of.
pub(super) fn read_signature(literal: &str) -> Option<[u8; 64]> {
    read(PREFIX, literal.strip_prefix('"')?.strip_suffix('"')?)
}

pub(super) fn write_secret(seed: &[u8; 32]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(Base64UrlUnpadded::encode_string(seed));
    Zeroizing::new([SECRET_PREFIX, &base64].concat())
}

pub(super) fn read_secret(text: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    if !text.starts_with(SECRET_PREFIX) {
        return Err(KeyError::Missing { expected: "Ed25519 secret key" });
    }
    read(SECRET_PREFIX, text).map(Zeroizing::new).ok_or_else(|| KeyError::Damaged {
        what: "Ed25519 secret key",
        reason: "43 characters of base64 for URLs should follow the colon".to_owned(),
    })
}

fn read<const LEN: usize>(prefix: &str, text: &str) -> Option<[u8; LEN]> {
    let base64 = text.strip_prefix(prefix)?;
    let mut bytes = [0; LEN];
    let decoded = Base64UrlUnpadded::decode(base64, &mut bytes).ok()?;
    (decoded.len() == LEN).then_some(bytes)
}
