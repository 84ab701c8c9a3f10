//! Secret keys, as `ssh-keygen` writes them.

use std::fmt;

use base64ct::{Base64, Encoding};
use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Rsa, RsaPrivateKeyBuilder};
use scuttlebutt::{SignError, Signer, SourceId, Update};
use ssh_key::private::{KeypairData, RsaKeypair};
use zeroize::Zeroizing;

use super::{KEY_BITS_MAX, KEY_BITS_MIN, PublicKey, pem_label, signature};
use crate::error::KeyError;

const WHAT: &str = "RSA private key";

/// A secret key, which signs as its public key's id. Wiped when it is dropped.
#[derive(Clone)]
pub struct SecretKey {
    // OpenSSL's own memory, so that moving the key leaves no copy behind.
    secret: Rsa<Private>,
    public: PublicKey,
}

impl SecretKey {
    /// A new key of `bits` bits, by OpenSSL's own randomness. Takes seconds for the longer ones.
    ///
    /// # Errors
    /// [`KeyError::Bits`] for a length that is not used.
    pub fn generate(bits: usize) -> Result<Self, KeyError> {
        let (bits_min, bits_max) = (KEY_BITS_MIN, KEY_BITS_MAX);
        match u32::try_from(bits) {
            Ok(count) if (bits_min..=bits_max).contains(&bits) => {
                Self::new(Rsa::generate(count).map_err(damaged)?)
            }
            _ => Err(KeyError::Bits { bits, bits_min, bits_max }),
        }
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
            Some("RSA PRIVATE KEY") if !text.contains("ENCRYPTED") => Self::new(
                Rsa::private_key_from_pem_callback(text.as_bytes(), unasked).map_err(damaged)?,
            ),
            Some("PRIVATE KEY") => {
                let key = PKey::private_key_from_pem_callback(text.as_bytes(), unasked);
                Self::new(key.and_then(|key| key.rsa()).map_err(damaged)?)
            }
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

    fn new(secret: Rsa<Private>) -> Result<Self, KeyError> {
        let (n, e) = (secret.n().to_owned(), secret.e().to_owned());
        let parts = n.and_then(|n| Ok((n, e?)));
        let public = parts.and_then(|(n, e)| Rsa::from_public_components(n, e)).map_err(damaged)?;
        let public = PublicKey::new(public)?;
        if !secret.check_key().map_err(damaged)? {
            return Err(damaged("its numbers do not belong together"));
        }
        Ok(Self { secret, public })
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
        let text = Zeroizing::new(self.secret.private_key_to_pem().map_err(damaged)?);
        let text = str::from_utf8(&text).map_err(damaged)?;
        Ok(Zeroizing::new(text.to_owned()))
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
        let signature = signature::sign(&self.secret, text.as_bytes())
            .map_err(|error| SignError(format!("OpenSSL does not sign: {error}").into()))?;
        // One that a fault of the machine made wrong would give the key away.
        if !self.public.has_signed(text.as_bytes(), &signature) {
            return Err(SignError("the arithmetic went wrong on this machine".into()));
        }
        Ok(Base64::encode_string(&signature))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn read_openssh(text: &str, passphrase: Option<&[u8]>) -> Result<Rsa<Private>, KeyError> {
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

fn from_pair(pair: &RsaKeypair) -> Result<Rsa<Private>, KeyError> {
    let number = |mpint: &ssh_key::Mpint| {
        let bytes = mpint.as_positive_bytes().ok_or_else(|| damaged("a number below zero"))?;
        BigNum::from_slice(bytes).map_err(damaged)
    };
    let (public, private) = (&pair.public, &pair.private);
    let (n, e, d) = (number(&public.n)?, number(&public.e)?, number(&private.d)?);
    let (p, q, iqmp) = (number(&private.p)?, number(&private.q)?, number(&private.iqmp)?);
    let build = || {
        let (dp, dq) = (exponent(&d, &p)?, exponent(&d, &q)?);
        let key = RsaPrivateKeyBuilder::new(n, e, d)?.set_factors(p, q)?;
        Ok(key.set_crt_params(dp, dq, iqmp)?.build())
    };
    build().map_err(|error: ErrorStack| damaged(error))
}

/// The exponent that does for one prime what `d` does for both.
fn exponent(d: &BigNumRef, prime: &BigNumRef) -> Result<BigNum, ErrorStack> {
    let (mut order, mut exponent) = (prime.to_owned()?, BigNum::new_secure()?);
    order.sub_word(1)?;
    exponent.set_const_time();
    let mut context = BigNumContext::new_secure()?;
    exponent.nnmod(d, &order, &mut context)?;
    Ok(exponent)
}

/// Asked for a passphrase, says none: it comes from a file of its own.
fn unasked(_: &mut [u8]) -> Result<usize, ErrorStack> {
    Ok(0)
}

fn damaged(reason: impl fmt::Display) -> KeyError {
    KeyError::Damaged { what: WHAT, reason: reason.to_string() }
}
