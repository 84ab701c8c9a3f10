//! A list before a verifier.

use std::sync::{Arc, PoisonError, RwLock};

use scuttlebutt::{Trust, Update, Verifier};

use crate::trust_list::TrustList;

/// A verifier that believes `V`, about what a list allows.
///
/// The list can be replaced while replicas use it: share it in an [`Arc`].
///
/// ```
/// use std::sync::Arc;
/// use scuttlebutt::{LwwMap, Outcome, Replica, Signer, SourceId, Update};
/// use scuttlebutt_security::{Allowed, Ed25519Key, Ed25519Verifier, TrustList};
///
/// let key = Ed25519Key::from_seed(&[7; 32]);
/// let update = Update::from_json(&format!(r#"[["k",1],100,"{}"]"#, key.id()))?;
/// let update = update.signed(&key.sign(&update)?);
///
/// let verifier = Arc::new(Allowed::new(TrustList::default(), Ed25519Verifier));
/// let replica = Replica::new(SourceId::new("R")?, LwwMap::new());
/// let mut replica = replica.verify_with(verifier.clone());
/// assert_eq!(replica.remote_update(100.0, update.clone()), Outcome::Unverified);
/// verifier.replace([key.id().clone()].into_iter().collect());
/// assert_eq!(replica.remote_update(100.0, update), Outcome::Applied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Allowed<V> {
    list: RwLock<Arc<TrustList>>,
    verifier: V,
}

impl<V> Allowed<V> {
    /// Believes `verifier` about the sources on `list`.
    pub fn new(list: TrustList, verifier: V) -> Self {
        Self { list: RwLock::new(Arc::new(list)), verifier }
    }

    /// From now on `list` counts. What was accepted before stays, until whoever holds it
    /// [judges it again](scuttlebutt::Replica::rejudge).
    pub fn replace(&self, list: TrustList) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// The list that counts.
    pub fn list(&self) -> Arc<TrustList> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<V: Verifier> Verifier for Allowed<V> {
    fn verify(&self, update: &Update) -> Trust {
        if self.list().allows(update) { self.verifier.verify(update) } else { Trust::Untrusted }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        let list = self.list();
        judge_some(updates, &self.verifier, |update| list.allows(update))
    }
}

/// The verdicts of `verifier` on those updates that `may` pass; the others are not believed.
pub(crate) fn judge_some(
    updates: &[Update],
    verifier: &impl Verifier,
    may: impl Fn(&Update) -> bool,
) -> Vec<Trust> {
    let passed: Vec<bool> = updates.iter().map(may).collect();
    let asked: Vec<Update> = updates
        .iter()
        .zip(&passed)
        .filter(|(_, passed)| **passed)
        .map(|(u, _)| u.clone())
        .collect();
    let mut verdicts = verifier.verify_all(&asked).into_iter();
    let verdict = |passed: &bool| match passed {
        true => verdicts.next().unwrap_or(Trust::Later),
        false => Trust::Untrusted,
    };
    passed.iter().map(verdict).collect()
}
