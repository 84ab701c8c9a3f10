//! The bytes that an Ed25519 signature is over.

use scuttlebutt::{Label, Update};

/// Says what the bytes are, so that a signature made for this is good for nothing else, and which
/// version of the layout. What comes after it has no other reading: lengths stand before texts.
pub(super) const DOMAIN: &[u8] = b"scuttlebutt update, ed25519, version 1\0";

/// The same for an update of a network that has a name.
pub(super) const DOMAIN_IN_CLUSTER: &[u8] = b"scuttlebutt update, ed25519, version 2\0";

/// `DOMAIN`, the timestamp's 64 bits as an IEEE-754 double, then source and change, each as its
/// length in bytes (64 bits) and its JSON text as it stands on the wire. Numbers are big-endian. In a
/// network that has a name, `DOMAIN_IN_CLUSTER` stands in the place of `DOMAIN`, and then that name, in JSON
/// text with its length before it as well.
pub(super) fn signing_bytes(update: &Update, cluster: Option<&Label>) -> Vec<u8> {
    let source = update.source().json_literal();
    let change = update.change();
    let name = cluster.map_or("", Label::as_json);
    let fixed = DOMAIN.len() + 32;
    let mut bytes = Vec::with_capacity(fixed + name.len() + source.len() + change.len());
    if cluster.is_some() {
        bytes.extend_from_slice(DOMAIN_IN_CLUSTER);
        push_text(name, &mut bytes);
    } else {
        bytes.extend_from_slice(DOMAIN);
    }
    bytes.extend_from_slice(&update.timestamp().as_millis().to_bits().to_be_bytes());
    push_text(source, &mut bytes);
    push_text(change, &mut bytes);
    bytes
}

fn push_text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}
