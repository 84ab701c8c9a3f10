//! What `security.js` of the npm package does: RSA with PKCS#1 v1.5 padding over SHA-1.
//!
//! For networks with members that run the package, and for nothing else. SHA-1 has collisions:
//! whoever chooses a text can make two of one hash, and a signature for one is good for the other.
//! Keys of the sizes in use there can be factored.
//!
//! A source's id is the SHA-1 of its public key's file, in base64. It does not hold the key, so
//! keys are handed around beforehand and put into a [`KeyTable`].
//!
//! ```
//! use scuttlebutt::{LwwMap, Outcome, Replica, SourceId};
//! use scuttlebutt_security::rsa_sha1::{KEYS_MAX, KeyTable, PublicKey, SecretKey};
//!
//! let key = SecretKey::generate(1024)?;
//! assert_eq!(key.public().weakness().expect("1024 bits").to_string(), "an RSA key of 1024 bits is too short to be safe: take 2048 or more");
//!
//! let mut table = KeyTable::new(KEYS_MAX);
//! table.insert(PublicKey::from_pem(key.public().pem().as_bytes())?)?;
//! let mut ada = Replica::new(key.id().clone(), LwwMap::new()).sign_with(key);
//! let update = ada.local_update(100.0, LwwMap::set("k", &1)?)?;
//!
//! let mut ben = Replica::new(SourceId::new("ben")?, LwwMap::new()).verify_with(table);
//! assert_eq!(ben.remote_update(100.0, update), Outcome::Applied);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod public;
mod secret;
mod signature;
mod table;

pub use public::{PublicKey, WeakKey};
pub use secret::SecretKey;
pub use table::{KEYS_MAX, KeyTable, KeyTableFull};

/// The shortest key that is used, in bits: the package's own example.
pub const KEY_BITS_MIN: usize = 768;
/// The longest, in bits: verifying takes time that grows with it, and others choose it.
pub const KEY_BITS_MAX: usize = 4096;
/// From here on a key is not called weak, in bits.
pub const KEY_BITS_SAFE_MIN: usize = 2048;

/// What follows `-----BEGIN ` in the first line of a PEM file that has it.
fn pem_label(text: &str) -> Option<&str> {
    let label = text.lines().find_map(|line| line.strip_prefix("-----BEGIN "))?;
    label.trim_end().strip_suffix("-----")
}
