//! Who is believed: one update at a time, or many at once.
//!
//! The rules are those of ZIP 215, by which a signature is good alone exactly when it is good in a
//! batch. Replicas that judged one update differently would never come to agree.

use ed25519_zebra::batch::{self, Item};
use ed25519_zebra::{Signature, VerificationKeyBytes};
use rand_core::CryptoRng;
use scuttlebutt::{Label, Trust, Update, Verifier};

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
        match item(update, None) {
            Some(item) if item.clone().verify_single().is_ok() => Trust::Trusted,
            _ => Trust::Untrusted,
        }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        verify_batch(updates, &mut rand::rng())
    }
}

/// As [`Ed25519Verifier`], for a network that has a name: it believes what was
/// [signed for that](super::Ed25519Key::in_cluster), and not what the same key signed for another network,
/// or for none.
#[derive(Clone, Debug)]
pub struct Ed25519ClusterVerifier {
    cluster: Label,
    believes_unbound: bool,
}

impl Ed25519ClusterVerifier {
    /// Believes what was signed for the network of this name.
    #[must_use]
    pub fn new(cluster: Label) -> Self {
        Self { cluster, believes_unbound: false }
    }

    /// Believes also what was signed for no network: for one that had signed updates before it had a name.
    /// What its keys sign elsewhere, for no network, can then be played to it.
    #[must_use]
    pub fn believing_unbound(self) -> Self {
        Self { believes_unbound: true, ..self }
    }
}

impl Verifier for Ed25519ClusterVerifier {
    fn verify(&self, update: &Update) -> Trust {
        let is_good =
            |cluster| item(update, cluster).is_some_and(|item| item.verify_single().is_ok());
        match is_good(Some(&self.cluster)) || self.believes_unbound && is_good(None) {
            true => Trust::Trusted,
            false => Trust::Untrusted,
        }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        let random = &mut rand::rng();
        let mut verdicts = judge_all(updates, Some(&self.cluster), random);
        if self.believes_unbound {
            let is_left = |(_, trust): &(&Update, &mut Trust)| **trust != Trust::Trusted;
            let left = updates.iter().zip(&mut verdicts).filter(is_left);
            let (left, places): (Vec<Update>, Vec<&mut Trust>) =
                left.map(|(update, place)| (update.clone(), place)).unzip();
            for (place, trust) in places.into_iter().zip(verify_batch(&left, random)) {
                *place = trust;
            }
        }
        verdicts
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
    judge_all(updates, None, random)
}

fn judge_all(
    updates: &[Update],
    cluster: Option<&Label>,
    random: &mut impl CryptoRng,
) -> Vec<Trust> {
    let chunks = updates.chunks(UPDATES_PER_BATCH_MAX);
    chunks.flat_map(|chunk| judge(chunk, cluster, random)).collect()
}

fn judge(updates: &[Update], cluster: Option<&Label>, random: &mut impl CryptoRng) -> Vec<Trust> {
    let items: Vec<Option<Item>> = updates.iter().map(|update| item(update, cluster)).collect();
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
fn item(update: &Update, cluster: Option<&Label>) -> Option<Item> {
    let public = VerificationKeyBytes::from(text::read_id(update.source())?);
    let extras = update.extras();
    let [signature] = extras.as_slice() else { return None };
    let signature = Signature::from_bytes(&text::read_signature(signature)?);
    Some(Item::from((public, signature, &message::signing_bytes(update, cluster))))
}
