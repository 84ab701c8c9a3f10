//! I4: updates from the future are put off, not refused, and meanwhile nothing is claimed.

use super::*;
use crate::limits::Limits;

const SKEW_MS: f64 = 1_000.0;

fn cautious() -> Replica<LwwMap> {
    let limits = Limits { clock_skew_ms_max: SKEW_MS, ..Limits::default() };
    Replica::with_limits(source("R"), LwwMap::new(), limits)
}

/// The peer holds A6, and B's far-future write that superseded A5. It therefore never sends A5, and
/// as long as B's write is put off, no promise of that peer counts.
#[test]
fn i4_an_update_from_the_future_is_asked_for_again_in_time() {
    let future = NOW + 5_000.0;
    let accept_at = future - SKEW_MS;
    let a6 = "[[\"j\",\"A6\"],6,\"A\"]\n";
    let b = format!("[[\"k\",\"B\"],{future},\"B\"]\n");
    for (ext, has_marks) in [(",\"ext\":{\"marks\":1}", true), ("", false)] {
        let mut r = cautious();
        let mut session = new_session(&mut r, json());
        assert!(said(&mut session, &r).starts_with("{\"id\":\"R\",\"clock\":{}"));
        let mark = format!("{{\"mark\":{{\"A\":6,\"B\":{future}}}}}\n");
        let mark = if has_marks { &*mark } else { "" };
        let digest = format!("{{\"id\":\"P\",\"clock\":{{\"A\":6,\"B\":{future}}}{ext}}}\n");
        let history = format!("{a6}{b}\"SYNC\"\n{mark}");
        session.receive(&mut r, NOW, (digest + &history).as_bytes()).unwrap();
        assert_eq!(r.model().to_json(), r#"{"j":"A6"}"#, "what came is applied");
        assert_eq!(r.version_vector(), vector(&[]), "but nothing is claimed");
        // Nor by what comes live.
        let a7 = format!("[[\"i\",\"A7\"],7,\"A\"]\n{}", mark.replace(":6", ":7"));
        session.receive(&mut r, NOW, a7.as_bytes()).unwrap();
        assert_eq!(r.version_vector(), vector(&[]));
        let refusal = Refusal::ClockSkew { accept_at_ms: accept_at };
        let refused = SessionEvent::Refused { refusal, count: 1 };
        assert!(events(&mut session).contains(&refused));
        said(&mut session, &r);

        // Before its time has come, nothing happens.
        assert_eq!(session.next_timeout(), Some(accept_at));
        session.handle_timeout(accept_at - 1.0).unwrap();
        assert_eq!(said(&mut session, &r), "");
        session.handle_timeout(accept_at).unwrap();
        let asked = said(&mut session, &r);
        assert!(asked.starts_with("{\"id\":\"R\",\"clock\":{}"), "{asked}");
        assert_eq!(session.next_timeout(), None, "an answer is due");

        let again = format!("{a6}[[\"i\",\"A7\"],7,\"A\"]\n{b}\"SYNC\"\n");
        let again = again + &mark.replace(":6", ":7");
        session.receive(&mut r, accept_at, again.as_bytes()).unwrap();
        assert_eq!(r.model().to_json(), r#"{"i":"A7","j":"A6","k":"B"}"#);
        assert_eq!(r.version_vector(), vector(&[("A", 7.0), ("B", future)]));
    }
}

/// Put off again: still nothing is claimed, and it is asked for once more.
#[test]
fn i4_what_comes_too_early_twice_is_asked_for_twice() {
    let mut r = cautious();
    let mut session = new_session(&mut r, json());
    said(&mut session, &r);
    let (early, late) = (NOW + 2_000.0, NOW + 3_000.0);
    let updates = format!("[[\"k\",1],{early},\"B\"]\n[[\"j\",1],{late},\"B\"]\n\"SYNC\"\n");
    let history = format!("{{\"clock\":{{\"B\":{late}}}}}\n{updates}");
    session.receive(&mut r, NOW, history.as_bytes()).unwrap();
    for (due, vector) in [(early, vector(&[])), (late, vector(&[("B", late)]))] {
        let due = due - SKEW_MS;
        assert_eq!(session.next_timeout(), Some(due));
        session.handle_timeout(due).unwrap();
        assert!(said(&mut session, &r).starts_with('{'));
        session.receive(&mut r, due, updates.as_bytes()).unwrap();
        assert_eq!(r.version_vector(), vector);
    }
    assert_eq!(r.model().to_json(), r#"{"j":1,"k":1}"#);
    assert_eq!(session.next_timeout(), None);
}

/// A digest that only asks again does not swallow what the peer has yet to be told.
#[test]
fn i4_asking_again_keeps_promises_to_the_peer() {
    let (mut r, mut p) = (cautious(), replica("P"));
    let mut to_p = new_session(&mut r, json());
    let mut to_r = new_session(&mut p, json());
    talk((&mut r, &mut to_p), (&mut p, &mut to_r));
    let future = NOW + 2_000.0;
    p.local_update(future, LwwMap::set("k", &1).unwrap()).unwrap();
    talk((&mut r, &mut to_p), (&mut p, &mut to_r));
    // Just when it asks again, something from elsewhere is complete.
    apply(&mut r, r#"[["c",1],3,"C"]"#);
    r.promise(&vector(&[("C", 3.0)]));
    to_p.handle_timeout(future).unwrap();
    for _ in 0..4 {
        let text = said(&mut to_p, &r);
        to_r.receive(&mut p, future, text.as_bytes()).unwrap();
        let text = said(&mut to_r, &p);
        to_p.receive(&mut r, future, text.as_bytes()).unwrap();
    }
    assert_eq!(p.version_vector(), vector(&[("C", 3.0), ("P", future)]));
    assert_eq!(r.version_vector(), p.version_vector());
}

/// Who puts something off counts the answers to its digests, to know which one answers the digest
/// that asks again. So among ours an unasked history is the answer to the first one; a replica of the
/// original gets a "SYNC" for each, as from its like.
#[test]
fn i4_answers_to_digests_can_be_counted() {
    for (digest, expected) in
        [(r#"{"clock":{},"ext":{"marks":1}}"#, [1, 1, 2]), (r#"{"clock":{}}"#, [1, 2, 3])]
    {
        for is_early in [false, true] {
            let mut a = replica("A");
            a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
            let direction = Direction::SendOnly;
            let config = SessionConfig { direction, await_digest: false, ..json() };
            let mut session = new_session(&mut a, config);
            let mut text = if is_early { String::new() } else { said(&mut session, &a) };
            let mut counts = vec![text.matches("\"SYNC\"").count()];
            for _ in 0..2 {
                session.receive(&mut a, NOW, format!("{digest}\n").as_bytes()).unwrap();
                text += &said(&mut session, &a);
                counts.push(text.matches("\"SYNC\"").count());
            }
            assert_eq!(counts[1..], expected[1..], "{digest} {is_early}: {text}");
            assert_eq!(counts[0], usize::from(!is_early));
        }
    }
}

/// A thousand updates from the future, each due a millisecond after the other, are no reason to ask a
/// thousand times.
#[test]
fn i8_asking_again_keeps_its_distance() {
    let mut r = cautious();
    let mut session = new_session(&mut r, json());
    said(&mut session, &r);
    let updates: String = (0..1_000)
        .map(|n| format!("[[\"k{n}\",1],{},\"B\"]\n", NOW + 2_000.0 + f64::from(n)))
        .collect();
    let history = format!("{{\"clock\":{{}}}}\n{updates}\"SYNC\"\n");
    session.receive(&mut r, NOW, history.as_bytes()).unwrap();
    let mut digests = 0;
    while let Some(due) = session.next_timeout() {
        session.handle_timeout(due).unwrap();
        digests += said(&mut session, &r).matches("clock").count();
        session.receive(&mut r, due, format!("{updates}\"SYNC\"\n").as_bytes()).unwrap();
    }
    assert_eq!((digests, r.model().len()), (2, 1_000));
}
