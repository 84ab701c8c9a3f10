//! Public keys, and the ids that are made of their files.

use std::fmt;

use base64ct::{Base64, Encoding};
use openssl::pkey::Public;
use openssl::rsa::{Rsa, RsaRef};
use openssl::sha::sha1;
use scuttlebutt::SourceId;

use super::{KEY_BITS_MAX, KEY_BITS_MIN, KEY_BITS_SAFE_MIN, pem_label, signature};
use crate::error::KeyError;

/// A public key, with the file that its id is made of.
#[derive(Clone)]
pub struct PublicKey {
    key: Rsa<Public>,
    pem: Box<str>,
    id: SourceId,
}

impl PublicKey {
    /// Reads the file that `ssh-keygen -e -m PEM` writes (`BEGIN RSA PUBLIC KEY`), or one of kind
    /// `BEGIN PUBLIC KEY`. Every byte counts for the id: give it the file as it is.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_pem(file: &[u8]) -> Result<Self, KeyError> {
        let pem = str::from_utf8(file).map_err(damaged)?;
        let text = pem.trim().as_bytes();
        let key = match pem_label(pem) {
            Some("RSA PUBLIC KEY") => Rsa::public_key_from_pem_pkcs1(text).map_err(damaged),
            Some("PUBLIC KEY") => Rsa::public_key_from_pem(text).map_err(damaged),
            Some(label) => Err(KeyError::Kind {
                label: label.to_owned(),
                remedy: "`ssh-keygen -e -m PEM -f NAME.pub` writes one that is",
            }),
            None => Err(KeyError::Missing { expected: "RSA public key in PEM" }),
        }?;
        check_bits(&key)?;
        Ok(Self { key, id: id_of(file), pem: pem.into() })
    }

    /// The key with the file that `ssh-keygen -e -m PEM` would write for it.
    pub(super) fn new(key: Rsa<Public>) -> Result<Self, KeyError> {
        check_bits(&key)?;
        let pem = String::from_utf8(key.public_key_to_pem_pkcs1().map_err(damaged)?);
        let pem = pem.map_err(damaged)?;
        Ok(Self { key, id: id_of(pem.as_bytes()), pem: pem.into() })
    }

    /// The id that this key's file gives its source.
    #[must_use]
    #[doc(alias = "createId")]
    pub fn id(&self) -> &SourceId {
        &self.id
    }

    /// The text of the file.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The length of the modulus, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        bits(&self.key)
    }

    /// What is to be said about its length, if anything is.
    #[must_use]
    pub fn weakness(&self) -> Option<WeakKey> {
        let bits = self.bits();
        (bits < KEY_BITS_SAFE_MIN).then_some(WeakKey { bits })
    }

    /// Whether it is the same key, whatever the files.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.key.n() == other.key.n() && self.key.e() == other.key.e()
    }

    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        signature::is_by(&self.key, text, signature)
    }
}

impl PartialEq for PublicKey {
    /// The same key in the same file.
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem && self.is_same_key(other)
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("bits", &self.bits()).finish()
    }
}

fn id_of(file: &[u8]) -> SourceId {
    let text = Base64::encode_string(&sha1(file));
    SourceId::new(text.as_str()).expect("it is not `__proto__`")
}

fn bits(key: &RsaRef<Public>) -> usize {
    // It is positive.
    key.n().num_bits().unsigned_abs() as usize
}

fn check_bits(key: &RsaRef<Public>) -> Result<(), KeyError> {
    let (bits, bits_min, bits_max) = (bits(key), KEY_BITS_MIN, KEY_BITS_MAX);
    if (bits_min..=bits_max).contains(&bits) {
        Ok(())
    } else {
        Err(KeyError::Bits { bits, bits_min, bits_max })
    }
}

fn damaged(reason: impl fmt::Display) -> KeyError {
    KeyError::Damaged { what: "RSA public key", reason: reason.to_string() }
}

/// A warning: a key that works and is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakKey {
    /// Its length, in bits.
    pub bits: usize,
}

impl fmt::Display for WeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.bits;
        write!(
            f,
            "an RSA key of {bits} bits is too short to be safe: take {KEY_BITS_SAFE_MIN} or more"
        )
    }
}
