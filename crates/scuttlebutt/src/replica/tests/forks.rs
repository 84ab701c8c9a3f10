//! What becomes of two updates to which their source gave one name.

use std::collections::BTreeSet;

use super::*;
use crate::model::{EventLog, Register, Retention};
use crate::session::{Session, SessionConfig, SessionEvent};
use proptest::prelude::*;

/// Believes what is stamped; says `Later` of what is stamped so.
struct Stamps;

impl Verifier for Stamps {
    fn verify(&self, update: &Update) -> Trust {
        match update.extras().first().map(String::as_str) {
            Some("\"later\"") => Trust::Later,
            Some("\"no\"") | None => Trust::Untrusted,
            Some(_) => Trust::Trusted,
        }
    }
}

fn trusting<M: Model>(id: &str, model: M) -> Replica<M> {
    Replica::new(source(id), model).verify_with(Stamps)
}

const ONE: &str = r#"[["k",1],100,"F","s1"]"#;
const TWO: &str = r#"[["k",2],100,"F","s2"]"#;
const OTHER_KEY: &str = r#"[["j",2],100,"F","s2"]"#;

fn met<M: Model>(replica: &mut Replica<M>, lines: &[&str]) -> Vec<Outcome> {
    lines.iter().map(|line| replica.remote_update(NOW, update(line))).collect()
}

fn lines(replica: &Replica<LwwMap>) -> BTreeSet<String> {
    since(replica, &VersionVector::new()).into_iter().collect()
}

#[test]
fn a_fork_is_reported_with_both_sides_and_leads_to_one_state_in_either_order() {
    for (one, two) in [(ONE, TWO), (ONE, OTHER_KEY)] {
        let proof = ForkProof::new(update(one), update(two)).unwrap();
        let later = r#"[["k",9],200,"F","s3"]"#;
        let seen = [[one, two], [two, one]].map(|order| {
            let mut r = trusting("R", LwwMap::new());
            let outcomes = met(&mut r, &order);
            assert_eq!(outcomes[0], Outcome::Applied);
            let forked = Outcome::Forked { proof: Box::new(proof.clone()), is_kept: true };
            assert_eq!(outcomes[1], forked);
            assert_eq!(met(&mut r, &order), [Outcome::Stale, Outcome::Stale], "both are held");
            assert_eq!(r.forks().collect::<Vec<_>>(), std::slice::from_ref(&proof));
            let view = r.model().view();
            // What supersedes one of them frees neither.
            met(&mut r, &[later]);
            assert_eq!(lines(&r), [one, two, later].map(str::to_owned).into());
            (view, r.model().view())
        });
        assert_eq!(seen[0], seen[1]);
    }
    let mut r = trusting("R", LwwMap::new());
    met(&mut r, &[ONE, TWO]);
    assert_eq!(r.model().view(), r#"{"k":2}"#, "the greater text wins");
}

#[test]
fn what_is_superseded_already_still_shows_a_fork_if_it_is_held() {
    let mut r = trusting("R", LwwMap::new());
    met(&mut r, &[ONE, r#"[["k",5],150,"G","s"]"#]);
    assert!(matches!(met(&mut r, &[TWO])[..], [Outcome::Forked { is_kept: true, .. }]));
    met(&mut r, &[r#"[["x",5],160,"F","s"]"#]);
    assert_eq!(r.forks().count(), 1, "newer evidence does not free them");
}

#[test]
fn the_same_change_with_another_signature_is_no_fork() {
    let mut r = trusting("R", LwwMap::new());
    let again = r#"[["k",1],100,"F","another"]"#;
    assert_eq!(met(&mut r, &[ONE, again]), [Outcome::Applied, Outcome::Stale]);
    assert_eq!(r.forks().count(), 0);
}

#[test]
fn i5_a_forgery_under_a_name_that_is_held_is_no_fork() {
    let mut r = trusting("R", LwwMap::new());
    let forged = r#"[["k",3],100,"F","no"]"#;
    assert_eq!(met(&mut r, &[ONE, forged]), [Outcome::Applied, Outcome::Stale]);
    let late = r#"[["k",3],100,"F","later"]"#;
    assert!(matches!(met(&mut r, &[late])[..], [Outcome::Waiting(_)]));
    let question = r.take_questions(1).remove(0);
    r.answer(question.ticket, Trust::Untrusted);
    assert_eq!(r.settled(question.ticket), Settled::Trusted, "nothing is missing without it");
    assert_eq!((r.forks().count(), r.model().view()), (0, r#"{"k":1}"#.to_owned()));
}

/// I1: without a verifier nobody can tell who wrote the sides, two clones for example; so both count.
#[test]
fn i1_without_a_verifier_too_both_sides_are_kept() {
    let views = [[ONE, OTHER_KEY], [OTHER_KEY, ONE]].map(|order| {
        let mut r = replica("R");
        assert!(matches!(met(&mut r, &order)[1], Outcome::Forked { is_kept: true, .. }));
        r.model().view()
    });
    assert_eq!(views, [r#"{"j":2,"k":1}"#; 2]);
}

#[test]
fn a_fork_that_a_later_verdict_shows_is_reported_to_the_session_that_brought_it() {
    let mut r = trusting("R", LwwMap::new());
    met(&mut r, &[ONE]);
    let mut session = Session::new(&mut r, NOW, SessionConfig::default());
    session.receive(&mut r, NOW, b"[[\"k\",2],100,\"F\",\"later\"]\n").unwrap();
    let question = r.take_questions(1).remove(0);
    r.answer(question.ticket, Trust::Trusted);
    session.settle(&mut r);
    let events: Vec<_> = std::iter::from_fn(|| session.next_event()).collect();
    assert!(matches!(events[..], [SessionEvent::Forked { is_kept: true, .. }]), "{events:?}");
}

#[test]
fn what_exceeds_the_bound_is_reported_and_not_kept() {
    let limits = Limits { forks_max: 1, ..Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits).verify_with(Stamps);
    met(&mut r, &[ONE, TWO]);
    let before = (r.model().view(), r.updates_held());
    for _ in 0..2 {
        let outcome = met(&mut r, &[r#"[["k",7],100,"F","s3"]"#]).remove(0);
        assert!(matches!(outcome, Outcome::Forked { is_kept: false, .. }), "{outcome:?}");
    }
    assert_eq!((r.model().view(), r.updates_held()), before);
}

/// The bound in bytes, too: sides are never let go, however long they are.
#[test]
fn i8_what_exceeds_the_bound_in_bytes_is_reported_and_not_kept() {
    let limits = Limits { forks_bytes_max: 10_000, ..Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits).verify_with(Stamps);
    met(&mut r, &[ONE]);
    let side = |n: usize| format!(r#"[["k","{}{n}"],100,"F","s{n}"]"#, "x".repeat(4_000));
    let kept = (0..5).filter(|n| {
        let outcome = met(&mut r, &[&side(*n)]).remove(0);
        matches!(outcome, Outcome::Forked { is_kept: true, .. })
    });
    assert_eq!(kept.count(), 2);
}

#[test]
fn both_sides_are_stored_and_come_back() {
    let mut r = trusting("R", LwwMap::new());
    r.wait_for_store();
    met(&mut r, &[TWO, ONE, r#"[["k",9],200,"F","s3"]"#]);
    r.stored(r.head());
    assert!((0..r.head()).all(|position| r.is_worth_storing(position)));
    let stored: Vec<_> = r.log.from(0).map(|(at, entry)| (at, entry.update.clone())).collect();

    let mut again = trusting("R", LwwMap::new());
    again.restore_at(stored, &r.version_vector());
    assert!(again.forks().eq(r.forks()) && again.forks().count() == 1);
    assert_eq!((again.head(), again.take_released()), (r.head(), Vec::new()));
    assert_eq!(again.model().view(), r.model().view());
}

/// Lets two replicas talk until they have nothing more to say.
fn talk<M: Model>(pair: &mut [(&mut Replica<M>, Session); 2]) {
    loop {
        let mut bytes = [Vec::new(), Vec::new()];
        for ((replica, session), out) in pair.iter_mut().zip(&mut bytes) {
            session.transmit(replica, out, 1 << 16);
        }
        if bytes.iter().all(Vec::is_empty) {
            return;
        }
        let [to_second, to_first] = &bytes;
        for ((replica, session), input) in pair.iter_mut().zip([to_first, to_second]) {
            session.receive(replica, NOW, input).unwrap();
        }
    }
}

fn link<'r, M: Model>(
    one: &'r mut Replica<M>,
    other: &'r mut Replica<M>,
) -> [(&'r mut Replica<M>, Session); 2] {
    link_with(one, other, &SessionConfig::default())
}

fn link_with<'r, M: Model>(
    one: &'r mut Replica<M>,
    other: &'r mut Replica<M>,
    config: &SessionConfig,
) -> [(&'r mut Replica<M>, Session); 2] {
    [one, other].map(|replica| {
        let session = Session::new(replica, NOW, config.clone());
        (replica, session)
    })
}

/// A replica that holds these, and whose vector covers them.
fn holding(id: &str, lines: &[&str]) -> Replica<LwwMap> {
    let mut r = trusting(id, LwwMap::new());
    met(&mut r, lines);
    r.promise(&VersionVector::from_iter([(source("F"), Timestamp::MAX)]));
    r
}

#[test]
fn whoever_lacks_both_sides_gets_both() {
    let (mut a, mut b) = (holding("A", &[TWO, ONE]), trusting("B", LwwMap::new()));
    talk(&mut link(&mut a, &mut b));
    assert!(b.forks().eq(a.forks()) && b.forks().count() == 1);
    assert_eq!(b.version_vector(), a.version_vector());
}

#[test]
fn a_known_fork_is_shown_to_who_covers_it() {
    for one_side in [ONE, TWO] {
        let (mut a, mut b) = (holding("A", &[ONE, TWO]), holding("B", &[one_side]));
        talk(&mut link(&mut a, &mut b));
        assert!(b.forks().eq(a.forks()) && b.forks().count() == 1, "{one_side}");
        assert_eq!(a.model().view(), b.model().view());
    }
}

/// B holds one side, and A, which is linked with it, learns of both: B asks for neither.
#[test]
fn a_fork_that_is_met_is_shown_to_everyone_who_is_linked() {
    for (first, second) in [(ONE, TWO), (TWO, ONE)] {
        let (mut a, mut b) = (holding("A", &[first]), holding("B", &[second]));
        let mut pair = link(&mut a, &mut b);
        talk(&mut pair);
        assert_eq!(pair[1].0.forks().count(), 0, "nobody who holds both has spoken");
        met(pair[0].0, &[second]);
        talk(&mut pair);
        assert!(b.forks().eq(a.forks()) && b.forks().count() == 1);
    }
}

/// It is not sent that one back, and lacks the first.
#[test]
fn a_fork_reaches_the_peer_that_brought_its_second_side() {
    let (mut a, mut b) = (holding("A", &[ONE]), holding("B", &[TWO]));
    let json = SessionConfig { announce_binary: false, ..SessionConfig::default() };
    let mut pair = link_with(&mut a, &mut b, &json);
    talk(&mut pair);
    let [(a, to_b), _] = &mut pair;
    to_b.receive(a, NOW, format!("{TWO}\n").as_bytes()).unwrap();
    talk(&mut pair);
    assert_eq!(b.forks().count(), 1);
}

/// Names repeat often, and so do changes.
fn forked_history() -> impl Strategy<Value = Vec<Update>> {
    let drawn = (1..6u8, 0..2u8, 0..2u8, 0..3u8);
    let update = drawn.prop_map(|(at, writer, key, value)| {
        let (key, writer) = (["k", "j"][usize::from(key)], ["F", "G"][usize::from(writer)]);
        update(&format!(r#"[["{key}",{value}],{at},"{writer}","s"]"#))
    });
    prop::collection::vec(update, 2..14)
}

fn views<M: Model>(model: impl Fn() -> M, orders: [&[Update]; 3]) -> [String; 3] {
    orders.map(|order| {
        let mut r = trusting("R", model());
        order.iter().for_each(|update| drop(r.remote_update(NOW, update.clone())));
        r.model().view()
    })
}

proptest! {
    /// Those who met the same updates show the same, whichever came first.
    #[test]
    fn i1_the_state_does_not_depend_on_which_side_of_a_fork_came_first(
        (history, shuffled) in forked_history().prop_flat_map(|h| (Just(h.clone()), Just(h).prop_shuffle())),
    ) {
        let mut reversed = history.clone();
        reversed.reverse();
        let orders = [&history[..], &shuffled[..], &reversed[..]];
        let two = Retention { count_max: 2, ..Retention::default() };
        for found in [
            views(LwwMap::new, orders),
            views(Register::new, orders),
            views(EventLog::new, orders),
            views(|| EventLog::with_retention(two), orders),
        ] {
            prop_assert_eq!(&found[0], &found[1]);
            prop_assert_eq!(&found[0], &found[2]);
        }
    }
}
