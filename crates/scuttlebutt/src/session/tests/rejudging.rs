//! Sessions whose replica has judged again what it holds.

use super::*;
use crate::replica::{Trust, Verifier};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Refuses E, once that is so.
#[derive(Clone, Default)]
struct Rules(Arc<AtomicBool>);

impl Rules {
    fn change(&self, replica: &mut Replica<LwwMap>, refuses: bool) {
        self.0.store(refuses, Relaxed);
        replica.rejudge(NOW, LwwMap::new(), |update| self.verify(update) == Trust::Trusted);
    }
}

impl Verifier for Rules {
    fn verify(&self, update: &Update) -> Trust {
        match self.0.load(Relaxed) && *update.source() == source("E") {
            true => Trust::Untrusted,
            false => Trust::Trusted,
        }
    }
}

/// Lets two talk until neither has anything to say.
fn talk(
    now_ms: f64,
    (a, to_b): (&mut Replica<LwwMap>, &mut Session),
    (b, to_a): (&mut Replica<LwwMap>, &mut Session),
) {
    loop {
        to_b.handle_timeout(now_ms).expect("in time");
        to_a.handle_timeout(now_ms).expect("in time");
        let (said, answered) = (spoken(to_b, a), spoken(to_a, b));
        if said.is_empty() && answered.is_empty() {
            return;
        }
        to_a.receive(b, now_ms, &said).expect("understood");
        to_b.receive(a, now_ms, &answered).expect("understood");
    }
}

#[test]
fn i1_two_that_change_their_rules_one_after_the_other_come_to_the_same() {
    for config in ours() {
        let (rules_a, rules_b) = (Rules::default(), Rules::default());
        let mut a = replica("A").verify_with(rules_a.clone());
        let mut b = replica("B").verify_with(rules_b.clone());
        apply(&mut a, r#"[["k",1],10,"C"]"#);
        apply(&mut a, r#"[["k",2],20,"E"]"#);
        apply(&mut a, r#"[["j",1],30,"C"]"#);
        a.credit(&vector(&[("C", 30.0), ("E", 20.0)]));
        // One that has been away holds what the others let go.
        let mut late = replica("L").verify_with(rules_b.clone());
        apply(&mut late, r#"[["k",1],10,"C"]"#);
        late.credit(&vector(&[("C", 10.0)]));

        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config.clone());
        talk(NOW, (&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(
            (b.model().to_json(), b.version_vector()),
            (a.model().to_json(), a.version_vector())
        );

        rules_a.change(&mut a, true);
        talk(NOW, (&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(a.model().to_json(), r#"{"j":1}"#, "B may have it, and it is not believed");
        rules_b.change(&mut b, true);
        talk(NOW + 5_000.0, (&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(
            (a.model().to_json(), b.model().to_json()),
            (r#"{"j":1}"#.into(), r#"{"j":1}"#.into())
        );
        assert_eq!((a.version_vector(), b.version_vector()), (vector(&[]), vector(&[])));

        let mut to_late = new_session(&mut a, config.clone());
        let mut from_late = new_session(&mut late, config.clone());
        talk(NOW + 5_000.0, (&mut a, &mut to_late), (&mut late, &mut from_late));
        talk(NOW + 5_000.0, (&mut a, &mut to_b), (&mut b, &mut to_a));
        for (name, replica) in [("A", &a), ("B", &b), ("L", &late)] {
            assert_eq!(replica.model().to_json(), r#"{"j":1,"k":1}"#, "{name}");
            assert_eq!(replica.version_vector(), vector(&[("C", 10.0)]), "{name}");
        }
    }
}

#[test]
fn what_was_refused_is_asked_for_at_once() {
    let rules = Rules::default();
    rules.0.store(true, Relaxed);
    let mut a = replica("A").verify_with(rules.clone());
    let mut b = replica("B");
    apply(&mut b, r#"[["k",2],20,"E"]"#);
    b.credit(&vector(&[("E", 20.0)]));
    let mut to_b = new_session(&mut a, json());
    let mut to_a = new_session(&mut b, json());
    talk(NOW, (&mut a, &mut to_b), (&mut b, &mut to_a));
    assert!(a.model().is_empty() && a.version_vector().is_empty());
    rules.change(&mut a, false);
    talk(NOW, (&mut a, &mut to_b), (&mut b, &mut to_a));
    assert_eq!(
        (a.model().to_json(), a.version_vector()),
        (b.model().to_json(), b.version_vector())
    );
}

#[test]
fn i2_a_promise_on_its_way_counts_no_more() {
    let mut r = replica("R");
    apply(&mut r, r#"[["k",2],20,"E"]"#);
    apply(&mut r, r#"[["j",1],30,"C"]"#);
    r.credit(&vector(&[("C", 30.0)]));
    let mut session = new_session(&mut r, json());
    said(&mut session, &r);
    let history = b"{\"id\":\"P\",\"clock\":{\"C\":40},\"ext\":{\"marks\":1}}\n\"SYNC\"\n";
    session.receive(&mut r, NOW, history).expect("understood");
    r.rejudge(NOW, LwwMap::new(), |update| *update.source() != source("E"));
    let falls = r.version_vector();
    // The peer has left out what our digest covered.
    let late = b"[[\"i\",1],40,\"C\"]\n{\"mark\":{\"C\":40}}\n";
    session.receive(&mut r, NOW, late).expect("understood");
    assert_eq!(r.version_vector(), falls);
    assert!(said(&mut session, &r).contains("\"clock\":{"), "it is asked again");
}
