//! Promises that came while updates before them wait for verdicts (invariants I2 and I5).

use super::*;
use crate::limits::Limits;
use crate::replica::{Ticket, Trust, Verifier};

struct Later;

impl Verifier for Later {
    fn verify(&self, _: &Update) -> Trust {
        Trust::Later
    }
}

fn asking(id: &str) -> Replica<LwwMap> {
    replica(id).verify_with(Later)
}

fn tickets(replica: &mut Replica<LwwMap>) -> Vec<Ticket> {
    replica.take_questions(99).into_iter().map(|question| question.ticket).collect()
}

fn hear(session: &mut Session, replica: &mut Replica<LwwMap>, lines: &str) {
    session.receive(replica, NOW, lines.as_bytes()).expect("understood");
}

const HISTORY: &str = "{\"id\":\"P\",\"clock\":{\"A\":20,\"B\":30},\"ext\":{\"marks\":1}}\n\
                       [[\"j\",1],20,\"A\"]\n[[\"k\",2],30,\"B\"]\n\"SYNC\"\n";

fn answer(session: &mut Session, replica: &mut Replica<LwwMap>, ticket: Ticket, trust: Trust) {
    replica.answer(ticket, trust);
    session.settle(replica);
}

#[test]
fn i2_promises_count_once_everything_before_them_is_trusted() {
    let mut r = asking("R");
    let mut session = new_session(&mut r, SessionConfig::default());
    said(&mut session, &r);
    hear(&mut session, &mut r, HISTORY);
    hear(&mut session, &mut r, "[[\"l\",1],40,\"A\"]\n{\"mark\":{\"A\":40}}\n");
    assert!(!session.is_synced() && session.awaits_verdicts() && !session.has_verdicts(&r));
    let tickets = tickets(&mut r);
    answer(&mut session, &mut r, tickets[1], Trust::Trusted);
    assert!(r.version_vector().is_empty(), "what waits could be refused");
    answer(&mut session, &mut r, tickets[0], Trust::Trusted);
    assert_eq!(r.version_vector(), vector(&[("A", 20.0), ("B", 30.0)]));
    said(&mut session, &r);
    assert!(session.is_synced(), "the history has come, with all verdicts");
    answer(&mut session, &mut r, tickets[2], Trust::Trusted);
    assert_eq!(r.version_vector(), vector(&[("A", 40.0), ("B", 30.0)]));
    assert!(!session.awaits_verdicts());
    assert_eq!((session.tally().updates_waited, session.tally().updates_trusted), (3, 3));
}

#[test]
fn i2_promises_are_void_if_something_before_them_is_refused() {
    let mut r = asking("R");
    let mut session = new_session(&mut r, SessionConfig::default());
    said(&mut session, &r);
    hear(
        &mut session,
        &mut r,
        "{\"id\":\"P\",\"clock\":{\"A\":20,\"B\":30},\"ext\":{\"marks\":1}}\n",
    );
    hear(&mut session, &mut r, "[[\"i\",1],10,\"A\"]\n{\"mark\":{\"A\":10}}\n");
    hear(&mut session, &mut r, "[[\"k\",2],30,\"B\"]\n[[\"j\",1],20,\"A\"]\n\"SYNC\"\n");
    hear(&mut session, &mut r, "{\"mark\":{\"A\":20}}\n");
    let tickets = tickets(&mut r);
    answer(&mut session, &mut r, tickets[0], Trust::Trusted);
    answer(&mut session, &mut r, tickets[2], Trust::Trusted);
    answer(&mut session, &mut r, tickets[1], Trust::Untrusted);
    assert_eq!(r.model().to_json(), r#"{"i":1,"j":1}"#);
    assert_eq!(r.version_vector(), vector(&[("A", 10.0)]), "the mark came before what was refused");
    hear(&mut session, &mut r, "{\"mark\":{\"A\":20}}\n");
    assert_eq!(r.version_vector(), vector(&[("A", 10.0)]), "nor does what is promised from now on");
    let refused = |event: &SessionEvent| {
        matches!(event, SessionEvent::Refused { refusal: Refusal::Unverified, count: 1 })
    };
    assert!(events(&mut session).iter().any(refused));
    assert_eq!(session.tally().updates_unverified, 1);
}

/// Each of its live lines is a promise.
#[test]
fn i2_live_lines_of_the_originals_kind_wait_too() {
    let mut r = asking("R");
    let mut session = new_session(&mut r, plain());
    said(&mut session, &r);
    hear(&mut session, &mut r, "{\"id\":\"P\",\"clock\":{}}\n\"SYNC\"\n");
    hear(
        &mut session,
        &mut r,
        "[[\"k\",2],30,\"B\"]\n[[\"j\",1],20,\"A\"]\n[[\"k\",3],40,\"B\"]\n",
    );
    let tickets = tickets(&mut r);
    answer(&mut session, &mut r, tickets[1], Trust::Trusted);
    assert!(r.version_vector().is_empty());
    answer(&mut session, &mut r, tickets[0], Trust::Trusted);
    assert_eq!(r.version_vector(), vector(&[("A", 20.0), ("B", 30.0)]));
    answer(&mut session, &mut r, tickets[2], Trust::Untrusted);
    assert_eq!(r.version_vector(), vector(&[("A", 20.0), ("B", 30.0)]));
}

#[test]
fn a_duplicate_is_asked_about_once_and_its_bringer_waits_as_well() {
    let mut r = asking("R");
    let mut one = new_session(&mut r, SessionConfig::default());
    let mut other = new_session(&mut r, SessionConfig::default());
    for session in [&mut one, &mut other] {
        said(session, &r);
        hear(session, &mut r, HISTORY);
        hear(session, &mut r, "[[\"k\",2],30,\"B\"]\n");
    }
    let tickets = tickets(&mut r);
    assert_eq!(tickets.len(), 2);
    r.answer(tickets[0], Trust::Trusted);
    other.settle(&mut r);
    assert!(r.version_vector().is_empty());
    r.answer(tickets[1], Trust::Untrusted);
    for session in [&mut one, &mut other] {
        session.settle(&mut r);
        assert_eq!(session.tally().updates_unverified, 1);
    }
    assert!(r.version_vector().is_empty());
}

#[test]
fn an_update_counts_though_its_session_is_gone() {
    let mut r = asking("R");
    let mut session = new_session(&mut r, SessionConfig::default());
    hear(&mut session, &mut r, HISTORY);
    drop(session);
    for ticket in tickets(&mut r) {
        r.answer(ticket, Trust::Trusted);
    }
    assert_eq!(r.model().to_json(), r#"{"j":1,"k":2}"#);
    assert!(r.version_vector().is_empty(), "another peer has to promise them");
}

#[test]
fn a_session_whose_peer_left_is_over_when_the_verdicts_have_come() {
    let mut r = asking("R");
    let mut session =
        new_session(&mut r, SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() });
    said(&mut session, &r);
    hear(&mut session, &mut r, HISTORY);
    session.receive_end(&mut r, NOW).unwrap();
    said(&mut session, &r);
    assert!(!session.is_closed());
    for ticket in tickets(&mut r) {
        r.answer(ticket, Trust::Trusted);
    }
    session.settle(&mut r);
    assert!(session.is_closed());
    let reason = CloseReason::Finished;
    assert_eq!(events(&mut session).pop(), Some(SessionEvent::Closed { reason }));
    assert_eq!(r.version_vector().len(), 2);
}

#[test]
fn i8_what_is_too_much_to_wait_is_asked_for_again() {
    let limits = crate::Limits { waiting_updates_max: 1, ..crate::Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits).verify_with(Later);
    let mut p = replica("P");
    for (id, key) in [("A", "j"), ("B", "k")] {
        apply(&mut p, &format!(r#"[["{key}",1],20,"{id}"]"#));
    }
    p.promise(&vector(&[("A", 20.0), ("B", 20.0)]));
    let mut to_p = new_session(&mut r, SessionConfig::default());
    let mut to_r = new_session(&mut p, SessionConfig::default());
    talk((&mut r, &mut to_p), (&mut p, &mut to_r));
    assert_eq!(to_p.tally().updates_crowded, 1);
    let crowded = |event: &SessionEvent| {
        matches!(event, SessionEvent::Refused { refusal: Refusal::Crowded(_), .. })
    };
    assert!(events(&mut to_p).iter().any(crowded));
    let first = tickets(&mut r);
    answer(&mut to_p, &mut r, first[0], Trust::Trusted);
    assert!(r.version_vector().is_empty(), "the history was not whole");

    let due = to_p.next_timeout().expect("it asks again");
    assert_eq!(due, NOW + r.limits().ask_again_ms_min);
    to_p.handle_timeout(due).unwrap();
    talk((&mut r, &mut to_p), (&mut p, &mut to_r));
    let second = tickets(&mut r);
    answer(&mut to_p, &mut r, second[0], Trust::Trusted);
    assert_eq!((r.model().len(), r.version_vector()), (2, p.version_vector()));
}

/// I8: promises that wait are few, whatever the peer says.
#[test]
fn i8_promises_that_wait_are_merged() {
    let limits = crate::Limits { pending_promises_max: 2, ..crate::Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits).verify_with(Later);
    let mut session = new_session(&mut r, SessionConfig::default());
    said(&mut session, &r);
    hear(&mut session, &mut r, "{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1}}\n\"SYNC\"\n");
    for at in 1..=9 {
        let lines =
            format!("[[\"k{at}\",1],{at},\"A\"]\n{{\"mark\":{{\"A\":{at},\"Z{at}\":1}}}}\n");
        hear(&mut session, &mut r, &lines);
    }
    let tickets = tickets(&mut r);
    answer(&mut session, &mut r, tickets[0], Trust::Trusted);
    assert_eq!(r.version_vector(), vector(&[("A", 1.0)]), "the first still counts by itself");
    for ticket in &tickets[1..8] {
        answer(&mut session, &mut r, *ticket, Trust::Trusted);
    }
    assert_eq!(r.version_vector(), vector(&[("A", 1.0)]), "the others wait for the last");
    answer(&mut session, &mut r, tickets[8], Trust::Trusted);
    assert_eq!(r.version_vector(), vector(&[("A", 9.0)]));
}

#[test]
fn i2_what_nobody_remembers_the_verdict_of_is_asked_for_again() {
    let limits = Limits { verdicts_remembered_max: 1, ..Limits::default() };
    let id = SourceId::new("R").expect("valid");
    let mut r = Replica::with_limits(id, LwwMap::new(), limits).verify_with(Later);
    let mut session = new_session(&mut r, SessionConfig::default());
    said(&mut session, &r);
    hear(&mut session, &mut r, HISTORY);
    let honest = tickets(&mut r);
    // While the verdict on its first update is out, others' forgeries use up what is remembered.
    r.answer(honest[1], Trust::Trusted);
    for id in ["X", "Y"] {
        let Outcome::Waiting(forged) =
            r.remote_update(NOW, Update::from_json(&format!(r#"[["k",0],10,"{id}"]"#)).unwrap())
        else {
            panic!("every update waits");
        };
        r.answer(forged, Trust::Untrusted);
    }
    answer(&mut session, &mut r, honest[0], Trust::Trusted);
    assert!(r.version_vector().is_empty(), "it cannot be known whether they were trusted");
    // It says so by a digest, and the peer's answer makes good what was not counted.
    session.handle_timeout(NOW).expect("nothing failed");
    let asked = said(&mut session, &r);
    assert!(asked.contains(r#""clock":{}"#), "{asked}");
    hear(&mut session, &mut r, "[[\"j\",1],20,\"A\"]\n[[\"k\",2],30,\"B\"]\n\"SYNC\"\n");
    hear(&mut session, &mut r, "{\"mark\":{\"A\":20,\"B\":30}}\n");
    assert_eq!(r.version_vector(), vector(&[("A", 20.0), ("B", 30.0)]));
}
