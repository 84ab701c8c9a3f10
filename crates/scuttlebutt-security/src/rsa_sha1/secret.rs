//! Secret keys, as `ssh-keygen` writes them.

use std::fmt;

use base64ct::{Base64, Encoding};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, LineEnding};
use rsa::pkcs8::DecodePrivateKey;
use rsa::{BigUint, RsaPrivateKey};
use scuttlebutt::{SignError, Signer, SourceId, Update};
use ssh_key::private::{KeypairData, RsaKeypair};
use zeroize::Zeroizing;

use super::arithmetic::SigningKey;
use super::random::Older;
use super::{KEY_BITS_MAX, KEY_BITS_MIN, PublicKey, pem_label, sha1};
use crate::error::KeyError;

const WHAT: &str = "RSA private key";

/// A secret key, which signs as its public key's id. Wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    // Boxed, so that moving the key leaves no copy behind.
    secret: Box<RsaPrivateKey>,
    signing: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// A new key of `bits` bits from `random`, which must be fit for secrets. Takes seconds for the
    /// longer ones.
    ///
    /// # Errors
    /// [`KeyError::Bits`] for a length that is not used.
    pub fn generate(bits: usize, random: &mut impl rand_core::CryptoRng) -> Result<Self, KeyError> {
        if !(KEY_BITS_MIN..=KEY_BITS_MAX).contains(&bits) {
            let (bits_min, bits_max) = (KEY_BITS_MIN, KEY_BITS_MAX);
            return Err(KeyError::Bits { bits, bits_min, bits_max });
        }
        Self::new(RsaPrivateKey::new(&mut Older(random), bits).map_err(damaged)?)
    }

    /// Reads what `ssh-keygen -f NAME -b LENGTH` writes: OpenSSH's own format, with or without a
    /// passphrase, or PEM (`-m PEM`, `-m PKCS8`) without one. Its public file is taken to be what
    /// `ssh-keygen -e -m PEM` writes.
    ///
    /// # Errors
    /// [`KeyError`], without a word of the text.
    pub fn from_text(text: &str, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let text = text.trim();
        match pem_label(text) {
            Some("OPENSSH PRIVATE KEY") => Self::new(read_openssh(text, passphrase)?),
            Some("RSA PRIVATE KEY") if !text.contains("ENCRYPTED") => {
                Self::new(RsaPrivateKey::from_pkcs1_pem(text).map_err(damaged)?)
            }
            Some("PRIVATE KEY") => Self::new(RsaPrivateKey::from_pkcs8_pem(text).map_err(damaged)?),
            Some(label) => Err(KeyError::Kind {
                label: match text.contains("Proc-Type: 4,ENCRYPTED") {
                    true => format!("{label}, encrypted"),
                    false => label.to_owned(),
                },
                remedy: "`ssh-keygen -p -f NAME` turns it into OpenSSH's format, which is",
            }),
            None => Err(KeyError::Missing { expected: WHAT }),
        }
    }

    fn new(secret: RsaPrivateKey) -> Result<Self, KeyError> {
        let secret = Box::new(secret);
        let public = PublicKey::new(secret.to_public_key())?;
        let signing = SigningKey::of(&secret).ok_or_else(|| damaged("not two odd primes"))?;
        Ok(Self { secret, signing, public })
    }

    /// The same key with the id that this public file gives, where that is not to the byte what
    /// `ssh-keygen -e -m PEM` writes.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when it is another key's.
    pub fn with_public(self, public: PublicKey) -> Result<Self, KeyError> {
        if public.is_same_key(&self.public) {
            Ok(Self { public, ..self })
        } else {
            Err(KeyError::Mismatch)
        }
    }

    /// The text of a key file (PKCS#1 in PEM, unencrypted). **Secret**.
    ///
    /// # Errors
    /// [`KeyError`] when it cannot be encoded.
    pub fn to_text(&self) -> Result<Zeroizing<String>, KeyError> {
        self.secret.to_pkcs1_pem(LineEnding::LF).map_err(damaged)
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The source id: that of the public key.
    #[must_use]
    pub fn id(&self) -> &SourceId {
        self.public.id()
    }
}

impl Signer for SecretKey {
    fn id(&self) -> &SourceId {
        self.public.id()
    }

    /// Signs the whole line as it is.
    fn sign(&self, update: &Update) -> Result<String, SignError> {
        let text = update.to_json();
        let signature = self.signing.sign(&sha1(text.as_bytes()));
        // One that a fault of the machine made wrong would give the key away.
        let is_good = |signature: &Vec<u8>| self.public.has_signed(text.as_bytes(), signature);
        let signature = signature
            .filter(is_good)
            .ok_or(SignError("the arithmetic went wrong on this machine".into()))?;
        Ok(Base64::encode_string(&signature))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn read_openssh(text: &str, passphrase: Option<&[u8]>) -> Result<RsaPrivateKey, KeyError> {
    let mut key = ssh_key::PrivateKey::from_openssh(text).map_err(damaged)?;
    if key.is_encrypted() {
        let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
        key = key.decrypt(passphrase).map_err(|_| KeyError::Passphrase)?;
    }
    match key.key_data() {
        KeypairData::Rsa(pair) => from_pair(pair),
        _ => Err(KeyError::Algorithm { algorithm: key.algorithm().as_str().to_owned() }),
    }
}

/// The conversion that `ssh-key` has for this refuses short keys.
fn from_pair(pair: &RsaKeypair) -> Result<RsaPrivateKey, KeyError> {
    let number = |mpint: &ssh_key::Mpint| {
        let bytes = mpint.as_positive_bytes().ok_or_else(|| damaged("a number below zero"))?;
        Ok(BigUint::from_bytes_be(bytes))
    };
    let (public, private) = (&pair.public, &pair.private);
    let primes = vec![number(&private.p)?, number(&private.q)?];
    let (n, e, d) = (number(&public.n)?, number(&public.e)?, number(&private.d)?);
    RsaPrivateKey::from_components(n, e, d, primes).map_err(damaged)
}

fn damaged(reason: impl fmt::Display) -> KeyError {
    KeyError::Damaged { what: WHAT, reason: reason.to_string() }
}
