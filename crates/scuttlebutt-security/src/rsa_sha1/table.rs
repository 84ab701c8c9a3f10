//! Whose public keys are known, and who is believed by them.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use scuttlebutt::{SourceId, Trust, Update, Verifier};

use super::{KEY_BITS_MAX, PublicKey};

/// How many keys a table holds unless told otherwise.
pub const KEYS_MAX: usize = 100_000;

/// The public keys of sources, by their ids. As a verifier, it believes what carries a signature of
/// its source's key in the last place; of a source without a key it believes nothing.
#[derive(Clone, Debug)]
pub struct KeyTable {
    keys: BTreeMap<SourceId, PublicKey>,
    keys_max: usize,
}

impl KeyTable {
    /// An empty table for `keys_max` keys.
    #[must_use]
    pub fn new(keys_max: usize) -> Self {
        Self { keys: BTreeMap::new(), keys_max }
    }

    /// Takes note of a key, under the id that its file gives it.
    ///
    /// # Errors
    /// [`KeyTableFull`]; the table is as it was.
    pub fn insert(&mut self, key: PublicKey) -> Result<(), KeyTableFull> {
        if self.keys.len() >= self.keys_max && !self.keys.contains_key(key.id()) {
            return Err(KeyTableFull { keys_max: self.keys_max });
        }
        self.keys.insert(key.id().clone(), key);
        Ok(())
    }

    /// Forgets a source's key: nothing that comes from it is believed any more.
    pub fn remove(&mut self, id: &SourceId) -> Option<PublicKey> {
        self.keys.remove(id)
    }

    /// A source's key.
    #[must_use]
    pub fn key(&self, id: &SourceId) -> Option<&PublicKey> {
        self.keys.get(id)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Verifier for KeyTable {
    fn verify(&self, update: &Update) -> Trust {
        let has_signed = self.keys.get(update.source()).zip(take_apart(update)).is_some_and(
            |(key, (unsigned, signature))| key.has_signed(unsigned.as_bytes(), &signature),
        );
        if has_signed { Trust::Trusted } else { Trust::Untrusted }
    }
}

/// The text that was signed and the signature: all but the last element, and that.
fn take_apart(update: &Update) -> Option<(String, Vec<u8>)> {
    let extras = update.extras();
    let literal = extras.last()?;
    let base64 = literal.strip_prefix('"')?.strip_suffix('"')?;
    if base64.len() > Base64::encoded_len(&[0; KEY_BITS_MAX / 8]) {
        return None;
    }
    let signature = Base64::decode_vec(base64).ok()?;
    let mut line = update.to_json();
    line.truncate(line.len() - literal.len() - ",]".len());
    line.push(']');
    Some((line, signature))
}

/// A table with no room for another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table holds {keys_max} keys already")]
pub struct KeyTableFull {
    /// How many it can hold.
    pub keys_max: usize,
}
