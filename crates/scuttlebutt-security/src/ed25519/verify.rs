//! Who is believed: one update at a time, or many at once.
//!
//! The rules are those of ZIP 215, by which a signature is good alone exactly when it is good in a
//! batch. Replicas that judged one update differently would never come to agree.

use ed25519_zebra::batch::{self, Item};
use ed25519_zebra::{Signature, VerificationKeyBytes};
use rand_core::CryptoRng;
use scuttlebutt::{Trust, Update, Verifier};

use super::{message, text};

/// Updates that [`verify_batch`] judges with one equation. More gain little; fewer have less to
/// repeat when one of them is forged.
pub const UPDATES_PER_BATCH_MAX: usize = 256;

/// Believes what carries its source's own Ed25519 signature, and nothing else. It knows no keys:
/// whether a source may write is for a [`TrustList`](crate::TrustList) to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519Verifier;

impl Verifier for Ed25519Verifier {
    fn verify(&self, update: &Update) -> Trust {
        match item(update) {
            Some(item) if item.clone().verify_single().is_ok() => Trust::Trusted,
            _ => Trust::Untrusted,
        }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        verify_batch(updates, &mut rand::rng())
    }
}

/// The verdicts of [`Ed25519Verifier`] on `updates`, in their order, at less cost for each. `random`
/// must be unpredictable for whoever made the updates.
///
/// ```
/// use scuttlebutt::{Signer, Trust, Update};
/// use scuttlebutt_security::{Ed25519Key, verify_batch};
///
/// let key = Ed25519Key::from_seed(&[7; 32]);
/// let update = Update::from_json(&format!(r#"[["k",1],100,"{}"]"#, key.id()))?;
/// let signed = update.signed(&key.sign(&update)?);
/// let verdicts = verify_batch(&[signed, update], &mut rand::rng());
/// assert_eq!(verdicts, [Trust::Trusted, Trust::Untrusted]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn verify_batch(updates: &[Update], random: &mut impl CryptoRng) -> Vec<Trust> {
    updates.chunks(UPDATES_PER_BATCH_MAX).flat_map(|chunk| judge(chunk, random)).collect()
}

fn judge(updates: &[Update], random: &mut impl CryptoRng) -> Vec<Trust> {
    let items: Vec<Option<Item>> = updates.iter().map(item).collect();
    let mut together = batch::Verifier::new();
    for item in items.iter().flatten() {
        together.queue(item.clone());
    }
    let are_all_good = together.verify(random).is_ok();
    let verdict = |item: Option<Item>| match item {
        Some(item) if are_all_good || item.clone().verify_single().is_ok() => Trust::Trusted,
        _ => Trust::Untrusted,
    };
    items.into_iter().map(verdict).collect()
}

/// What there is to verify, if the update has the form that a [signer](super::Ed25519Key) gives it:
/// one signature behind the source, and nothing else, which would be signed by nobody.
fn item(update: &Update) -> Option<Item> {
    let public = VerificationKeyBytes::from(text::read_id(update.source())?);
    let extras = update.extras();
    let [signature] = extras.as_slice() else { return None };
    let signature = Signature::from_bytes(&text::read_signature(signature)?);
    Some(Item::from((public, signature, &message::signing_bytes(update))))
}
