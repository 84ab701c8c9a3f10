//! Verdicts that come later, in any order (invariant I5).

use crate::limits::Bound;

use super::*;

/// Cannot say; but what contains this it knows at once to be good.
struct Later {
    known: &'static str,
}

impl Verifier for Later {
    fn verify(&self, update: &Update) -> Trust {
        match update.change().contains(self.known) {
            true => Trust::Trusted,
            false => Trust::Later,
        }
    }
}

fn asking(limits: Limits) -> Replica<LwwMap> {
    Replica::with_limits(source("R"), LwwMap::new(), limits).verify_with(Later { known: "known" })
}

fn wait(r: &mut Replica<LwwMap>, line: &str) -> Ticket {
    match r.remote_update(NOW, update(line)) {
        Outcome::Waiting(ticket) => ticket,
        other => panic!("{line}: {other:?}"),
    }
}

/// Everything that an update could have moved.
fn moved(r: &Replica<LwwMap>) -> String {
    let clock = format!("{:?}", r.clock);
    let Revision { head, durable, vector_changes, .. } = r.revision();
    let held = (r.updates_held(), r.sources_known(), r.log.bytes() + r.sources.bytes());
    let log = (head, durable, vector_changes, held);
    format!("{:?}", (r.model().to_json(), r.version_vector(), clock, log))
}

#[test]
fn i5_nothing_moves_before_the_verdict() {
    let mut r = asking(Limits::default());
    let before = moved(&r);
    let good = wait(&mut r, r#"[["k",1],10,"A"]"#);
    let bad = wait(&mut r, r#"[["j",1],11,"B"]"#);
    r.promise(&vector(&[("A", 99.0), ("B", 99.0)]));
    let taken: Vec<_> = r.take_questions(9).into_iter().map(|asked| asked.ticket).collect();
    assert_eq!(taken, [good, bad]);
    assert!(r.take_questions(9).is_empty(), "each is handed out once");
    r.answer(good, Trust::Later);
    assert_eq!(moved(&r), before);
    assert_eq!(r.take_questions(9).len(), 1, "and again if nobody knew");

    r.answer(bad, Trust::Untrusted);
    assert_eq!(moved(&r), before, "what is refused leaves no trace");
    r.answer(good, Trust::Trusted);
    assert_eq!((r.model().to_json().as_str(), r.updates_waiting()), (r#"{"k":1}"#, 0));
    let after = moved(&r);
    r.answer(good, Trust::Untrusted);
    assert_eq!(moved(&r), after, "a second answer changes nothing");
}

#[test]
fn i5_a_source_keeps_its_order_and_others_do_not_wait() {
    let mut r = asking(Limits::default());
    let [first, second] =
        [wait(&mut r, r#"[["k",1],10,"A"]"#), wait(&mut r, r#"[["j",2],20,"A"]"#)];
    let other = wait(&mut r, r#"[["b",1],15,"B"]"#);
    let known = wait(&mut r, r#"[["known",1],30,"A"]"#);
    assert_eq!(r.take_questions(9).len(), 3, "the verdict on the last is known");
    let mut cursor = r.change_cursor();
    r.answer(second, Trust::Trusted);
    r.answer(other, Trust::Trusted);
    assert_eq!(r.model().to_json(), r#"{"b":1}"#);
    r.answer(first, Trust::Trusted);
    let order: Vec<_> = r.changes(&mut cursor).map(|change| format!("{change:?}")).collect();
    let at = |text: &str| order.iter().position(|change| change.contains(text));
    assert!(
        at("[\"b\"") < at("[\"k\",1]")
            && at("[\"k\",1]") < at("[\"j\",2]")
            && at("[\"j\",2]") < at("known"),
        "{order:?}"
    );
    assert_eq!(r.settled(known), Settled::Trusted);
    assert_eq!(r.remote_update(NOW, update(r#"[["known",2],40,"A"]"#)), Outcome::Applied);
}

#[test]
fn i5_a_forged_one_of_the_same_name_neither_blocks_nor_displaces() {
    let mut r = asking(Limits::default());
    let forged = wait(&mut r, r#"[["k","forged"],10,"A"]"#);
    let genuine = wait(&mut r, r#"[["k","true"],10,"A"]"#);
    assert_ne!(forged, genuine);
    assert_eq!(wait(&mut r, r#"[["k","true"],10,"A"]"#), genuine, "nobody is asked twice");
    assert_eq!(r.questions(), 2);
    r.answer(genuine, Trust::Trusted);
    r.answer(forged, Trust::Untrusted);
    assert_eq!(r.model().to_json(), r#"{"k":"true"}"#);
    assert_eq!(r.remote_update(NOW, update(r#"[["k","true"],10,"A"]"#)), Outcome::Stale);
}

/// What came back of ours might be a write that we forgot: until that is known, what we write is not
/// announced as if it were all.
#[test]
fn i2_own_writes_are_not_announced_while_older_ones_may_come_back() {
    let mut r = asking(Limits::default());
    let returned = wait(&mut r, r#"[["k",1],10,"R"]"#);
    r.local_update(NOW, LwwMap::set("j", &1).unwrap()).unwrap();
    assert!(r.version_vector().is_empty());
    let mut other = r.clone();
    r.answer(returned, Trust::Untrusted);
    assert_eq!(r.version_vector(), vector(&[("R", NOW)]));
    other.answer(returned, Trust::Trusted);
    assert!(other.is_identity_contested() && other.version_vector().is_empty());
}

#[test]
fn i8_a_bounded_number_waits() {
    let limits = Limits {
        waiting_updates_max: 3,
        waiting_updates_per_source_max: 2,
        waiting_bytes_max: 150,
        waiting_bytes_per_source_max: 100,
        ..Limits::default()
    };
    let mut r = asking(limits);
    let long = format!(r#"[["k","{}"],10,"A"]"#, "v".repeat(400));
    let mut outcome = |line: &str| match r.remote_update(NOW, update(line)) {
        Outcome::Crowded(exceeded) => Some(exceeded.bound),
        Outcome::Waiting(ticket) => {
            r.answer(ticket, Trust::Later);
            None
        }
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(outcome(&long), None, "one may wait, however long it is");
    assert_eq!(outcome(r#"[["k",1],10,"B"]"#), Some(Bound::WaitingBytes));
    let mut r = asking(Limits { waiting_bytes_max: 9_999, ..r.limits().clone() });
    let mut outcome = |line: &str| match r.remote_update(NOW, update(line)) {
        Outcome::Crowded(exceeded) => Some(exceeded.bound),
        _ => None,
    };
    assert_eq!(outcome(&long), None);
    assert_eq!(outcome(r#"[["k",1],11,"A"]"#), Some(Bound::WaitingBytesPerSource));
    assert_eq!(outcome(r#"[["k",1],10,"B"]"#), None);
    assert_eq!(outcome(r#"[["k",1],11,"B"]"#), None);
    assert_eq!(outcome(r#"[["k",1],12,"B"]"#), Some(Bound::WaitingUpdates));
    let ticket = r.take_questions(1)[0].ticket;
    r.answer(ticket, Trust::Untrusted);
    let refused = r.remote_update(NOW, update(r#"[["k",1],12,"B"]"#));
    let bound = Bound::WaitingUpdatesPerSource;
    assert!(
        matches!(refused, Outcome::Crowded(exceeded) if exceeded.bound == bound),
        "{refused:?}"
    );
    wait(&mut r, r#"[["k",1],12,"C"]"#);
}

/// What nobody can be told any more counts as refused.
#[test]
fn i8_a_bounded_number_of_refusals_is_remembered() {
    let mut r = asking(Limits { verdicts_remembered_max: 1, ..Limits::default() });
    let tickets = ["A", "B", "C"].map(|id| wait(&mut r, &format!(r#"[["k",1],10,"{id}"]"#)));
    r.answer(tickets[1], Trust::Untrusted);
    assert_eq!(r.settled(tickets[1]), Settled::Otherwise(Outcome::Unverified));
    r.answer(tickets[2], Trust::Untrusted);
    assert_eq!(r.settled(tickets[1]), Settled::Forgotten);
    assert_eq!(r.settled(tickets[2]), Settled::Otherwise(Outcome::Unverified));
    assert_eq!(r.settled(tickets[0]), Settled::No);
}
