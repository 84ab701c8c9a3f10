//! Updates signed with Ed25519, the source id being the public key.
//!
//! No directory of keys is needed: an update carries all that verifying it takes. `text` knows how
//! keys and signatures are written, `message` what is signed, `verify` who is believed.

mod message;
mod text;
mod verify;

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use rand_core::CryptoRng;
use scuttlebutt::{Label, SignError, Signer, SourceId, Update};
use zeroize::Zeroizing;

use crate::error::KeyError;

pub(crate) use text::claims_to_be_id;
pub use text::is_ed25519_id;
pub use verify::{Ed25519ClusterVerifier, Ed25519Verifier, UPDATES_PER_BATCH_MAX, verify_batch};

/// A secret key, which writes as its public key. Wiped when it is dropped.
///
/// ```
/// use scuttlebutt_security::Ed25519Key;
///
/// let key = Ed25519Key::from_seed(&[7; 32]);
/// assert_eq!(key.id().to_string(), "ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw");
/// assert_eq!(Ed25519Key::from_text(&key.to_text())?.id(), key.id());
/// # Ok::<(), scuttlebutt_security::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Ed25519Key {
    // Boxed, so that moving the key leaves no copy behind.
    secret: Box<SigningKey>,
    id: SourceId,
    cluster: Option<Label>,
}

impl Ed25519Key {
    /// A new key from `random`, which must be fit for secrets.
    pub fn generate(random: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill_bytes(&mut *seed);
        Self::from_seed(&seed)
    }

    /// The key that RFC 8032 makes of these 32 secret bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let secret = Box::new(SigningKey::from_bytes(seed));
        let id = text::id_of(secret.verifying_key().as_bytes());
        Self { secret, id, cluster: None }
    }

    /// Reads the text of a key file, as [`to_text`](Self::to_text) makes it.
    ///
    /// # Errors
    /// [`KeyError`], without a word of the text.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let mut lines = text.lines().map(str::trim);
        let mut keys = lines.by_ref().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let key = keys.next().ok_or(KeyError::Missing { expected: "Ed25519 secret key" })?;
        if keys.next().is_some() {
            return Err(KeyError::Several);
        }
        Ok(Self::from_seed(&*text::read_secret(key)?))
    }

    /// The text of a key file. **Secret**: whoever has it can write as this source.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let secret = text::write_secret(self.secret.as_bytes());
        let id = &self.id;
        Zeroizing::new(format!(
            "# A secret key for signing scuttlebutt updates. Whoever has it can write as\n\
             # {id}\n{}\n",
            *secret
        ))
    }

    /// The 32 bytes that [`from_seed`](Self::from_seed) takes. **Secret.**
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes())
    }

    /// From now on signs for the network of this name, and no other believes it
    /// ([`Ed25519ClusterVerifier`]): what is written there cannot be played to another network that trusts
    /// the same key.
    ///
    /// ```
    /// use scuttlebutt::{Label, LwwMap, Replica, Trust, Verifier};
    /// use scuttlebutt_security::{Ed25519ClusterVerifier, Ed25519Key, Ed25519Verifier};
    ///
    /// let (red, blue) = (Label::new("red")?, Label::new("blue")?);
    /// let key = Ed25519Key::from_seed(&[7; 32]).in_cluster(red.clone());
    /// let mut ada = Replica::new(key.id().clone(), LwwMap::new()).sign_with(std::sync::Arc::new(key));
    /// let update = ada.local_update(100.0, LwwMap::set("k", &1)?)?;
    /// assert_eq!(Ed25519ClusterVerifier::new(red).verify(&update), Trust::Trusted);
    /// assert_eq!(Ed25519ClusterVerifier::new(blue).verify(&update), Trust::Untrusted);
    /// assert_eq!(Ed25519Verifier.verify(&update), Trust::Untrusted);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn in_cluster(self, cluster: Label) -> Self {
        Self { cluster: Some(cluster), ..self }
    }

    /// The source id: the public key.
    #[must_use]
    pub fn id(&self) -> &SourceId {
        &self.id
    }
}

impl Signer for Ed25519Key {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        if !update.extras().is_empty() {
            return Err(SignError("it carries something behind its source already".into()));
        }
        let signature = self.secret.sign(&message::signing_bytes(update, self.cluster.as_ref()));
        Ok(text::write_signature(&signature.to_bytes()))
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ed25519Key").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
