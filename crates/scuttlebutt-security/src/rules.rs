//! What a source may write.
//!
//! A signature says who wrote an update, a list who may write at all. A rule sees the change as well.

use std::fmt;

use scuttlebutt::{Trust, Update, Verifier};

use crate::allowed::judge_some;

/// A verifier that believes `V` about the updates that a rule lets pass.
///
/// The rule is asked first, so it must not take what an update says about its source for proved. It must
/// depend on nothing but the update and on what is the same on all replicas: one that refuses what others
/// accept never comes to the same state as they.
///
/// Only Ada may write keys that begin with `config/`:
///
/// ```
/// use scuttlebutt::{LwwMap, MapChange, Outcome, Replica, Signer, SourceId, Update};
/// use scuttlebutt_security::{Ed25519Key, Ed25519Verifier, Ruled};
///
/// let [ada, ben] = [[7; 32], [8; 32]].map(|seed| Ed25519Key::from_seed(&seed));
/// let admin = ada.id().clone();
/// let rule = move |update: &Update| {
///     let Some(change) = MapChange::of(update) else { return false };
///     let is_config = change.key.as_str().is_some_and(|key| key.starts_with("config/"));
///     !is_config || *change.source == admin
/// };
///
/// let replica = Replica::new(SourceId::new("R")?, LwwMap::new());
/// let mut replica = replica.verify_with(Ruled::new(rule, Ed25519Verifier));
/// let mut write = |key: &Ed25519Key, change: &str| {
///     let update = Update::from_json(&format!(r#"[{change},100,"{}"]"#, key.id()))?;
///     let update = update.signed(&key.sign(&update)?);
///     Ok::<_, Box<dyn std::error::Error>>(replica.remote_update(100.0, update))
/// };
/// assert_eq!(write(&ben, r#"["config/port",1]"#)?, Outcome::Unverified);
/// assert_eq!(write(&ben, r#"["presence/ben",1]"#)?, Outcome::Applied);
/// assert_eq!(write(&ada, r#"["config/port",1]"#)?, Outcome::Applied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It goes with the other verifiers: `Allowed::new(list, Ruled::new(rule, Ed25519Verifier))`.
pub struct Ruled<R, V> {
    rule: R,
    verifier: V,
}

impl<R: Fn(&Update) -> bool + Send + Sync, V> Ruled<R, V> {
    /// Believes `verifier` about the updates for which `rule` holds, and nobody about the others.
    pub fn new(rule: R, verifier: V) -> Self {
        Self { rule, verifier }
    }
}

impl<R: Fn(&Update) -> bool + Send + Sync, V: Verifier> Verifier for Ruled<R, V> {
    fn verify(&self, update: &Update) -> Trust {
        if (self.rule)(update) { self.verifier.verify(update) } else { Trust::Untrusted }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        judge_some(updates, &self.verifier, &self.rule)
    }
}

impl<R, V: fmt::Debug> fmt::Debug for Ruled<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruled").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Allowed, TrustList};

    /// Believes what is even, cannot say of 3, and must not be asked about what is over 9.
    struct Even;

    impl Verifier for Even {
        fn verify(&self, update: &Update) -> Trust {
            match update.change().parse::<u32>() {
                Ok(3) => Trust::Later,
                Ok(number) if number > 9 => panic!("asked about {number}"),
                Ok(number) if number % 2 == 0 => Trust::Trusted,
                _ => Trust::Untrusted,
            }
        }
    }

    /// Many at once are judged as each alone, whatever stands before the verifier.
    #[test]
    fn verdicts_on_many_are_those_on_each() {
        let rule = |update: &Update| update.change().len() == 1;
        let list: TrustList = "A\nB\n".parse().unwrap();
        let verifier = Allowed::new(list, Ruled::new(rule, Even));
        let line = |n: u32| format!("[{n},1,\"{}\"]", ["A", "B", "C"][n as usize % 3]);
        let updates: Vec<Update> = (0..20).map(|n| Update::from_json(&line(n)).unwrap()).collect();
        let each: Vec<Trust> = updates.iter().map(|update| verifier.verify(update)).collect();
        assert_eq!(verifier.verify_all(&updates), each);
        for (number, expected) in [(0, Trust::Trusted), (2, Trust::Untrusted), (3, Trust::Later)] {
            assert_eq!(each[number], expected, "{number}");
        }
    }
}
