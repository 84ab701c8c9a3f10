//! What must hold: at a site, of a step there, in every state, and once nothing moves any more.
//!
//! Rules look at what is public of a replica, never at how it came there.

use std::collections::BTreeMap;

use scuttlebutt::{LwwMap, Replica, Update, VersionVector};

use super::memo::LineText;
use crate::subject::{MapSubject, Subject};

pub(super) type Checked = Result<(), String>;

/// The updates held that nothing supersedes, by key.
fn winners(replica: &Replica<LwwMap>) -> Result<BTreeMap<String, &Update>, String> {
    let mut winners = BTreeMap::new();
    for update in replica.updates_since(&VersionVector::new()) {
        if let Some(other) = winners.insert(key(update), update) {
            return Err(format!("{} holds {other:?} and {update:?}", replica.id()));
        }
    }
    Ok(winners)
}

fn key(update: &Update) -> String {
    let change: (String, serde_json::Value) =
        serde_json::from_str(update.change()).expect("a change of a map");
    change.0
}

/// What is shown is what is held.
pub(super) fn check_site(replica: &Replica<LwwMap>) -> Checked {
    let mut held: Vec<&Update> = winners(replica)?.into_values().collect();
    held.sort_by_key(|update| update.id());
    let (shown, expected) = (replica.model().to_json(), MapSubject.expected(&held));
    match shown == expected {
        true => Ok(()),
        false => Err(format!("{} shows {shown} and holds {expected}", replica.id())),
    }
}

/// No winner of a key is lost but to a later one; a later one is shown, and nothing else is.
pub(super) fn check_step(before: &Replica<LwwMap>, after: &Replica<LwwMap>) -> Checked {
    let (old, new) = (winners(before)?, winners(after)?);
    for (key, update) in &old {
        if new.get(key).is_none_or(|winner| winner.id() < update.id()) {
            return Err(format!("{} has lost {update:?}, which it showed", after.id()));
        }
    }
    let mut cursor = before.change_cursor();
    let shown: Vec<&Update> = after.changes(&mut cursor).map(|changed| changed.update).collect();
    for update in &shown {
        if old.get(&key(update)).is_some_and(|winner| winner.id() >= update.id()) {
            return Err(format!("{} shows {update:?} again or too late", after.id()));
        }
    }
    for (key, update) in new {
        let is_new = old.get(&key).is_none_or(|winner| winner.id() < update.id());
        if is_new && !shown.iter().any(|shown| shown.id() == update.id()) {
            return Err(format!("{} does not show {update:?}", after.id()));
        }
    }
    Ok(())
}

/// `truth` is every update ever made that was not forgotten before anybody heard of it. I2: what is
/// announced of it is held or superseded by what is held; and nothing else is held.
pub(super) fn check_truth(replica: &Replica<LwwMap>, truth: &[&Update]) -> Checked {
    let winners = winners(replica)?;
    for update in winners.values() {
        if !truth.iter().any(|written| is_same(written, update)) {
            return Err(format!("{} holds {update:?}, which nobody wrote", replica.id()));
        }
    }
    let vector = replica.version_vector();
    for update in truth {
        let is_held = || winners.get(&key(update)).is_some_and(|held| held.id() >= update.id());
        if vector.includes(update.source(), update.timestamp()) && !is_held() {
            return Err(format!(
                "I2: {} announces {vector:?} but holds neither {update:?} nor what supersedes it",
                replica.id()
            ));
        }
    }
    Ok(())
}

/// Nothing is sent that nobody wrote, or that a crash made forgotten (I3).
pub(super) fn check_line(line: &LineText, truth: &[&Update]) -> Checked {
    match &line.update {
        Some(update) if !truth.iter().any(|written| is_same(written, update)) => {
            Err(format!("{update:?} is on the way, and nobody wrote it or it was forgotten (I3)"))
        }
        _ => Ok(()),
    }
}

/// The same content under the same name.
pub(super) fn is_same(a: &Update, b: &Update) -> bool {
    a.id() == b.id() && a.change() == b.change()
}

/// I1: two that are linked show and announce the same, and all of what they have; of what they wrote
/// themselves nothing is left unannounced. (What a third one wrote that is lost may be.)
pub(super) fn check_at_rest(left: &Replica<LwwMap>, right: &Replica<LwwMap>) -> Checked {
    let nothing = VersionVector::new();
    let held = left.updates_since(&nothing).chain(right.updates_since(&nothing));
    let mut held: Vec<&Update> = held.collect();
    held.sort_by_key(|update| update.id());
    let expected = MapSubject.expected(&held);
    for replica in [left, right] {
        let shown = replica.model().to_json();
        if shown != expected {
            return Err(format!("I1: {} shows {shown}, not {expected}", replica.id()));
        }
        let vector = replica.version_vector();
        for update in &held {
            if [left.id(), right.id()].contains(&update.source())
                && !vector.includes(update.source(), update.timestamp())
            {
                return Err(format!("I1: {} never announces {update:?}", replica.id()));
            }
        }
    }
    let vectors = [left.version_vector(), right.version_vector()];
    match vectors[0] == vectors[1] {
        true => Ok(()),
        false => Err(format!(
            "I1: {} announces {:?}, {} announces {:?}",
            left.id(),
            vectors[0],
            right.id(),
            vectors[1]
        )),
    }
}

#[cfg(test)]
mod tests {
    use scuttlebutt::{SourceId, Timestamp};

    use super::*;

    const K: &str = r#"[["k",1],10,"A"]"#;
    const J: &str = r#"[["j",2],20,"A"]"#;
    const LATER_K: &str = r#"[["k",3],30,"B"]"#;

    fn update(line: &str) -> Update {
        Update::from_json(line).unwrap()
    }

    /// What comes back from a store that kept these updates and announced up to these times.
    fn replica(id: &str, lines: &[&str], announced: &[(&str, f64)]) -> Replica<LwwMap> {
        let mut replica = Replica::new(SourceId::new(id).unwrap(), LwwMap::new());
        let entry = |(source, at): &(&str, f64)| {
            (SourceId::new(*source).unwrap(), Timestamp::new(*at).unwrap())
        };
        let vector = announced.iter().map(entry).collect();
        replica.restore(lines.iter().map(|line| update(line)), &vector);
        replica
    }

    fn demand(checked: Checked, begin: &str) {
        let what = checked.expect_err(begin);
        assert!(what.contains(begin), "{what}");
    }

    #[test]
    fn holding_what_nobody_wrote_is_noticed() {
        let (k, forged) = (update(K), update(r#"[["k",7],10,"A"]"#));
        let replica = replica("B", &[K], &[]);
        assert_eq!(check_truth(&replica, &[&k]), Ok(()));
        demand(check_truth(&replica, &[&forged]), "nobody wrote");
        demand(check_truth(&replica, &[]), "nobody wrote");
    }

    #[test]
    fn i2_announcing_what_is_not_held_is_noticed() {
        let (k, j, later) = (update(K), update(J), update(LATER_K));
        let gap = replica("C", &[J], &[("A", 20.0)]);
        demand(check_truth(&gap, &[&k, &j]), "I2: C announces");
        let superseded = replica("C", &[J, LATER_K], &[("A", 20.0)]);
        assert_eq!(check_truth(&superseded, &[&k, &j, &later]), Ok(()));
        let silent = replica("C", &[J], &[]);
        assert_eq!(check_truth(&silent, &[&k, &j]), Ok(()));
    }

    #[test]
    fn losing_showing_again_and_not_showing_are_noticed() {
        let [none, old, new] = [&[][..], &[K], &[K, LATER_K]].map(|held| replica("C", held, &[]));
        assert_eq!(check_step(&none, &old), Ok(()));
        demand(check_step(&old, &none), "has lost");
        demand(check_step(&new, &old), "has lost");
        demand(check_step(&old, &replica("C", &[J, K], &[])), "again or too late");
        demand(check_step(&old, &replica("C", &[LATER_K], &[])), "does not show");
    }

    #[test]
    fn i3_a_line_that_was_forgotten_is_noticed() {
        let line = LineText { update: Some(update(K)) };
        assert_eq!(check_line(&line, &[&update(K)]), Ok(()));
        demand(check_line(&line, &[&update(J)]), "I3");
    }

    #[test]
    fn i1_differences_at_rest_are_noticed() {
        let both = [("A", 20.0)];
        let [a, b] = ["A", "B"].map(|id| replica(id, &[K, J], &both));
        assert_eq!(check_at_rest(&a, &b), Ok(()));
        demand(check_at_rest(&a, &replica("B", &[K], &[("A", 10.0)])), "I1: B shows");
        demand(check_at_rest(&a, &replica("B", &[K, J], &[])), "I1: B never announces");
        let [c, d] = [&both[..], &[]].map(|vector| replica("C", &[K, J], vector));
        demand(check_at_rest(&c, &d), "I1: C announces");
    }
}
