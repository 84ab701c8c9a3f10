//! The secret key that a command writes with: reading its file, and making it.
//!
//! The kinds of keys are those of `scuttlebutt-security`; here is what their files are called and what
//! the user is told. No message has anything of a secret in it.

use std::path::{Path, PathBuf};

use scuttlebutt::{SignError, Signer, SourceId, Update};
use scuttlebutt_security::key_file::{self, Existing, KeyFileError};
use scuttlebutt_security::{Ed25519Key, KeyError};
use zeroize::Zeroizing;

use crate::cli::{ClusterArgs, KeyArgs};
use crate::exit::Failure;
#[cfg(feature = "rsa-sha1")]
use crate::exit::tell;

#[cfg(feature = "rsa-sha1")]
pub(crate) use scuttlebutt_security::key_file::KEY_FILE_BYTES_MAX;
#[cfg(feature = "rsa-sha1")]
use scuttlebutt_security::rsa_sha1::{PublicKey, SecretKey};

/// What follows the name of an RSA key's file in that of its public key.
#[cfg(feature = "rsa-sha1")]
pub(crate) const PUBLIC_SUFFIX: &str = ".pub.pem";

/// A secret key. Wiped from memory when it is dropped.
pub(crate) enum Key {
    Ed25519(Ed25519Key),
    #[cfg(feature = "rsa-sha1")]
    Rsa(SecretKey),
}

impl Key {
    /// The key that was named, if one was. An RSA key signs as the npm package does, which knows no networks.
    pub(crate) fn named(args: &KeyArgs, network: &ClusterArgs) -> Result<Option<Self>, Failure> {
        let Some(path) = &args.key else { return Ok(None) };
        let passphrase = args.passphrase_file.as_deref().map(read_secret).transpose()?;
        let passphrase = passphrase.as_ref().map(|text| text.trim_end_matches(['\r', '\n']));
        let text = read_secret(path)?;
        match text.contains("-----BEGIN ") {
            false => {
                let key = Ed25519Key::from_text(&text).map_err(|error| no_key(path, &error))?;
                Ok(Self::Ed25519(match &network.cluster {
                    Some(cluster) => key.in_cluster(cluster.clone()),
                    None => key,
                }))
            }
            true => rsa(path, &text, passphrase),
        }
        .map(Some)
    }
}

impl Signer for Key {
    fn id(&self) -> &SourceId {
        match self {
            Self::Ed25519(key) => key.id(),
            #[cfg(feature = "rsa-sha1")]
            Self::Rsa(key) => key.id(),
        }
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        match self {
            Self::Ed25519(key) => key.sign(update),
            #[cfg(feature = "rsa-sha1")]
            Self::Rsa(key) => key.sign(update),
        }
    }
}

/// Makes an Ed25519 key and answers its id.
pub(crate) fn make(path: &Path, existing: Existing) -> Result<SourceId, Failure> {
    let key = Ed25519Key::generate(&mut rand::rng());
    key_file::write(path, &key.to_text(), existing).map_err(|error| cannot_write(path, &error))?;
    Ok(key.id().clone())
}

/// Makes an RSA key, with a file for its public key beside it; answers the id and that file.
#[cfg(feature = "rsa-sha1")]
pub(crate) fn make_rsa(
    path: &Path,
    bits: usize,
    existing: Existing,
) -> Result<(SourceId, PathBuf), Failure> {
    let public_path = public_path(path);
    for path in [path, &public_path] {
        // Before the time that making a key takes.
        if existing == Existing::Keep && path.exists() {
            return Err(cannot_write(path, &KeyFileError::Exists));
        }
    }
    let key = SecretKey::generate(bits)
        .map_err(|error| Failure::usage(format!("--rsa {bits}: {error}")))?;
    let text = key.to_text().map_err(|error| no_key(path, &error))?;
    key_file::write(path, &text, existing).map_err(|error| cannot_write(path, &error))?;
    // Everybody may read this one.
    std::fs::write(&public_path, key.public().pem())
        .map_err(|error| Failure::failed(format!("{}: {error}", public_path.display())))?;
    warn_if_weak(path, key.public());
    Ok((key.id().clone(), public_path))
}

#[cfg(not(feature = "rsa-sha1"))]
pub(crate) fn make_rsa(_: &Path, _: usize, _: Existing) -> Result<(SourceId, PathBuf), Failure> {
    Err(without_rsa("--rsa"))
}

#[cfg(feature = "rsa-sha1")]
fn rsa(path: &Path, text: &str, passphrase: Option<&str>) -> Result<Key, Failure> {
    let key = SecretKey::from_text(text, passphrase.map(str::as_bytes));
    let mut key = key.map_err(|error| match error {
        KeyError::Encrypted => {
            Failure::usage(format!("{}: {error}: --passphrase-file FILE", path.display()))
        }
        error => no_key(path, &error),
    })?;
    let public_path = public_path(path);
    match std::fs::read(&public_path) {
        Ok(file) => {
            let public =
                PublicKey::from_pem(&file).map_err(|error| no_key(&public_path, &error))?;
            key = key.with_public(public).map_err(|error| no_key(&public_path, &error))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::failed(format!("{}: {error}", public_path.display()))),
    }
    warn_if_weak(path, key.public());
    Ok(Key::Rsa(key))
}

#[cfg(not(feature = "rsa-sha1"))]
fn rsa(path: &Path, _: &str, _: Option<&str>) -> Result<Key, Failure> {
    Err(without_rsa(&path.display().to_string()))
}

/// This command was built without what the user asks for.
#[cfg(not(feature = "rsa-sha1"))]
pub(crate) fn without_rsa(what: &str) -> Failure {
    Failure::usage(format!(
        "{what}: RSA keys sign with SHA-1, and this scuttlebutt was built without that; build it with \
         `--features rsa-sha1`"
    ))
}

#[cfg(feature = "rsa-sha1")]
fn warn_if_weak(path: &Path, key: &PublicKey) {
    if let Some(weakness) = key.weakness() {
        tell("warning", format!("{}: {weakness}", path.display()));
    }
}

#[cfg(feature = "rsa-sha1")]
fn public_path(path: &Path) -> PathBuf {
    let mut public = path.as_os_str().to_owned();
    public.push(PUBLIC_SUFFIX);
    public.into()
}

fn read_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    key_file::read(path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

fn no_key(path: &Path, error: &KeyError) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}

fn cannot_write(path: &Path, error: &KeyFileError) -> Failure {
    let hint = match error {
        KeyFileError::Exists => "; --force replaces it, and the key in it is lost then",
        _ => "",
    };
    Failure::failed(format!("{}: {error}{hint}", path.display()))
}
