//! Who wrote an update: signing and verifying for [`scuttlebutt`].
//!
//! A replica is handed a [`Signer`](scuttlebutt::Signer) for what it writes and a
//! [`Verifier`](scuttlebutt::Verifier) for what comes from outside. Here are both, and the keys:
//!
//! - [`Ed25519Key`] and [`Ed25519Verifier`]: the source id *is* the public key, so whoever sees an
//!   update can verify it, however it came there;
//! - `rsa_sha1`, behind the cargo feature `rsa-sha1`: what the npm package's `security.js` does, for
//!   networks that have members of that kind;
//! - [`TrustList`] and [`Allowed`]: which sources may write;
//! - [`Ruled`]: what each of them may write;
//! - [`key_file`]: secrets on the disk; [`regular_file`]: what every file that is named has to be.
//!
//! What it never does: talk to anyone, draw randomness for keys (it is handed in), print a secret.
//!
//! ```
//! use scuttlebutt::{LwwMap, Outcome, Replica, SourceId, Update};
//! use scuttlebutt_security::{Ed25519Key, Ed25519Verifier};
//!
//! let key = Ed25519Key::generate(&mut rand::rng());
//! let mut ada = Replica::new(key.id().clone(), LwwMap::new()).sign_with(key);
//! let update = ada.local_update(100.0, LwwMap::set("k", &1)?)?;
//!
//! // It comes to Ben through somebody whom nobody trusts.
//! let line = update.to_json();
//! let forged = line.replace(r#""k",1"#, r#""k",2"#);
//! let mut ben = Replica::new(SourceId::new("ben")?, LwwMap::new()).verify_with(Ed25519Verifier);
//! assert_eq!(ben.remote_update(100.0, Update::from_json(&forged)?), Outcome::Unverified);
//! assert_eq!(ben.remote_update(100.0, Update::from_json(&line)?), Outcome::Applied);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Who signs two changes under one name leaves a proof of it, which needs nobody's word:
//!
//! ```
//! use scuttlebutt::{Change, ForkProof, Signer, Timestamp, Trust, Update};
//! use scuttlebutt_security::{Ed25519Key, Ed25519Verifier};
//!
//! let key = Ed25519Key::generate(&mut rand::rng());
//! let sign = |value: i32| -> Result<Update, Box<dyn std::error::Error>> {
//!     let update = Update::new(&Change::new(&("k", value))?, Timestamp::new(100.0)?, key.id().clone());
//!     Ok(update.signed(&key.sign(&update)?))
//! };
//! let text = ForkProof::new(sign(1)?, sign(2)?)?.to_json_lines();
//!
//! assert_eq!(ForkProof::from_json_lines(&text)?.verify(&Ed25519Verifier), Trust::Trusted);
//! let altered = ForkProof::from_json_lines(&text.replace(r#"["k",1]"#, r#"["k",3]"#))?;
//! assert_eq!(altered.verify(&Ed25519Verifier), Trust::Untrusted);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allowed;
mod ed25519;
mod error;
pub mod key_file;
pub mod regular_file;
#[cfg(feature = "rsa-sha1")]
pub mod rsa_sha1;
mod rules;
mod trust_line;
mod trust_list;

pub use allowed::Allowed;
pub use ed25519::{
    Ed25519ClusterVerifier, Ed25519Key, Ed25519Verifier, UPDATES_PER_BATCH_MAX, is_ed25519_id,
    verify_batch,
};
pub use error::KeyError;
pub use rules::Ruled;
pub use trust_line::TrustListFault;
pub use trust_list::{TRUSTED_IDS_MAX, Term, TrustList, TrustListError};
