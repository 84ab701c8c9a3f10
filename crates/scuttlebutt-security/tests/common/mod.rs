//! The keys that the tests use, and the npm package in Node.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use scuttlebutt_security::KeyError;
use scuttlebutt_security::rsa_sha1::{KeyTable, PublicKey, SecretKey};

pub(crate) const PASSPHRASE: &[u8] = b"correct horse";
/// How long anything may take. Generous: the machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

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

pub(crate) fn table(names: &[&str]) -> KeyTable {
    let mut table = KeyTable::new(names.len());
    for name in names {
        table.insert(public(name)).expect("there is room");
    }
    table
}

/// `security.js` in Node, with these arguments.
pub(crate) fn node(arguments: &[&str]) -> Command {
    let interop = directory().join("../../../../interop");
    assert!(
        interop.join("node_modules/scuttlebutt").is_dir(),
        "the npm packages are missing: run `npm ci` in interop/ (`cargo xtask test` does it)"
    );
    let mut command = Command::new("node");
    command.arg(interop.join("security.js")).args(arguments);
    command
}
