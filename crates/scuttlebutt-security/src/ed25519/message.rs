//! The bytes that an Ed25519 signature is over.

use scuttlebutt::Update;

/// Says what the bytes are, so that a signature made for this is good for nothing else, and which
/// version of the layout. What comes after it has no other reading: lengths stand before texts.
pub(super) const DOMAIN: &[u8] = b"scuttlebutt update, ed25519, version 1\0";

/// `DOMAIN`, the timestamp's 64 bits as an IEEE-754 double, then source and change, each as its
/// length in bytes (64 bits) and its JSON text as it stands on the wire. Numbers are big-endian.
pub(super) fn signing_bytes(update: &Update) -> Vec<u8> {
    let source = update.source().json_literal();
    let change = update.change();
    let mut bytes = Vec::with_capacity(DOMAIN.len() + 24 + source.len() + change.len());
    bytes.extend_from_slice(DOMAIN);
    bytes.extend_from_slice(&update.timestamp().as_millis().to_bits().to_be_bytes());
    for text in [source, change] {
        bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}
