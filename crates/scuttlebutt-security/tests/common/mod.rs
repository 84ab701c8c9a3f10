//! The keys that the tests use.

use std::fs;
use std::path::{Path, PathBuf};

use scuttlebutt_security::KeyError;
use scuttlebutt_security::rsa_sha1::{PublicKey, SecretKey};

pub(crate) const PASSPHRASE: &[u8] = b"correct horse";

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys")
}

pub(crate) fn text(name: &str) -> String {
    fs::read_to_string(directory().join(name)).expect("a key file")
}

pub(crate) fn try_secret(name: &str, passphrase: Option<&[u8]>) -> Result<SecretKey, KeyError> {
    SecretKey::from_text(&text(name), passphrase)
}

pub(crate) fn secret(name: &str) -> SecretKey {
    try_secret(name, Some(PASSPHRASE)).expect("a key that can be read")
}

pub(crate) fn try_public(name: &str) -> Result<PublicKey, KeyError> {
    PublicKey::from_pem(text(&format!("{name}.pub.pem")).as_bytes())
}

pub(crate) fn public(name: &str) -> PublicKey {
    try_public(name).expect("a key that can be read")
}
