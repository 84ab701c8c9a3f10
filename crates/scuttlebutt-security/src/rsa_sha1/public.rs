//! Public keys, and the ids that are made of their files.

use std::fmt;

use base64ct::{Base64, Encoding};
use rsa::RsaPublicKey;
use rsa::pkcs1::{DecodeRsaPublicKey, EncodeRsaPublicKey, LineEnding};
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use scuttlebutt::SourceId;

use super::{KEY_BITS_MAX, KEY_BITS_MIN, KEY_BITS_SAFE_MIN, pem_label, scheme, sha1};
use crate::error::KeyError;

/// A public key, with the file that its id is made of.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: RsaPublicKey,
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
        let damaged = |reason: String| KeyError::Damaged { what: "RSA public key", reason };
        let pem = str::from_utf8(file).map_err(|error| damaged(error.to_string()))?;
        let key = match pem_label(pem) {
            Some("RSA PUBLIC KEY") => {
                RsaPublicKey::from_pkcs1_pem(pem.trim()).map_err(|error| damaged(error.to_string()))
            }
            Some("PUBLIC KEY") => RsaPublicKey::from_public_key_pem(pem.trim())
                .map_err(|error| damaged(error.to_string())),
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
    pub(super) fn new(key: RsaPublicKey) -> Result<Self, KeyError> {
        check_bits(&key)?;
        let pem = key.to_pkcs1_pem(LineEnding::LF).map_err(|error| KeyError::Damaged {
            what: "RSA public key",
            reason: error.to_string(),
        })?;
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
        self.key.n().bits()
    }

    /// What is to be said about its length, if anything is.
    #[must_use]
    pub fn weakness(&self) -> Option<WeakKey> {
        let bits = self.bits();
        (bits < KEY_BITS_SAFE_MIN).then_some(WeakKey { bits })
    }

    /// Whether it is the same key, whatever the files.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.key == other.key
    }

    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify(scheme(), &sha1(text), signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("bits", &self.bits()).finish()
    }
}

fn id_of(file: &[u8]) -> SourceId {
    let text = Base64::encode_string(&sha1(file));
    SourceId::new(text.as_str()).expect("it is not `__proto__`")
}

fn check_bits(key: &RsaPublicKey) -> Result<(), KeyError> {
    let (bits, bits_min, bits_max) = (key.n().bits(), KEY_BITS_MIN, KEY_BITS_MAX);
    if (bits_min..=bits_max).contains(&bits) {
        Ok(())
    } else {
        Err(KeyError::Bits { bits, bits_min, bits_max })
    }
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
