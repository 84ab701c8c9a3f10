//! I8 and I9: at every bound a named error, and nobody else is touched.

use super::*;
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::wire::DecodeError;

fn limited(limits: Limits) -> Replica<LwwMap> {
    Replica::with_limits(source("R"), LwwMap::new(), limits)
}

fn bound_of(error: &SessionError) -> Option<(Bound, u64)> {
    match error {
        SessionError::Full(LimitExceeded { bound, limit })
        | SessionError::Decode(DecodeError::Limit(LimitExceeded { bound, limit })) => {
            Some((*bound, *limit))
        }
        _ => None,
    }
}

#[test]
fn i8_each_bound_refuses_by_name() {
    let standard = Limits::default;
    let long_id = "s".repeat(40);
    let cases = [
        (
            Limits { line_bytes_max: 100, ..standard() },
            format!("[[\"k\",\"{}\"],10,\"B\"]", "x".repeat(100)),
            (Bound::LineBytes, 100),
        ),
        (
            Limits { nesting_depth_max: 10, ..standard() },
            format!("[[\"k\",{}{}],10,\"B\"]", "[".repeat(9), "]".repeat(9)),
            (Bound::NestingDepth, 10),
        ),
        (
            Limits { sources_max: 1, ..standard() },
            r#"[["k",1],10,"B"]"#.into(),
            (Bound::Sources, 1),
        ),
        (
            Limits { sources_max: 3, ..standard() },
            r#"{"clock":{"a":1,"b":1,"c":1,"d":1}}"#.into(),
            (Bound::Sources, 3),
        ),
        (
            Limits { source_bytes_max: 30, ..standard() },
            format!("[[\"k\",1],10,\"{long_id}\"]"),
            (Bound::SourceBytes, 30),
        ),
        (
            Limits { source_bytes_max: 30, ..standard() },
            format!("{{\"clock\":{{\"{long_id}\":5}}}}"),
            (Bound::SourceBytes, 30),
        ),
        (
            Limits { metadata_bytes_max: 10, ..standard() },
            r#"{"clock":{},"meta":"0123456789"}"#.into(),
            (Bound::MetadataBytes, 10),
        ),
        (
            Limits { updates_max: 1, ..standard() },
            r#"[["k",1],10,"B"]"#.into(),
            (Bound::Updates, 1),
        ),
        (
            Limits { held_bytes_max: 500, ..standard() },
            format!("[[\"k\",\"{}\"],10,\"B\"]", "x".repeat(500)),
            (Bound::HeldBytes, 500),
        ),
    ];
    for (limits, line, expected) in cases {
        let mut r = limited(limits);
        let (mut other, mut session) = (new_session(&mut r, plain()), new_session(&mut r, plain()));
        let good = "{\"clock\":{}}\n[[\"good\",1],1,\"A\"]\n";
        session.receive(&mut r, NOW, good.as_bytes()).unwrap();
        let more = format!("{line}\n[[\"after\",1],2,\"A\"]\n");
        let error = session.receive(&mut r, NOW, more.as_bytes()).unwrap_err();
        assert_eq!(bound_of(&error), Some(expected), "{line:.80}: {error}");
        assert!(error.to_string().contains("(Limits::"), "{error}");
        let closed = SessionEvent::Closed { reason: CloseReason::Failed(error) };
        assert_eq!(events(&mut session).pop(), Some(closed));
        assert!(session.is_closed() && session.is_output_finished() && !session.has_output(&r));

        // I9: what came before stays, what came after does not count, and others go on.
        assert_eq!(r.model().to_json(), r#"{"good":1}"#, "{line:.80}");
        other.receive(&mut r, NOW, good.as_bytes()).unwrap();
        assert!(said(&mut other, &r).contains("SYNC"));
        assert_eq!(apply(&mut r, r#"[["good",1],1,"A"]"#), Outcome::Stale);
    }
}

/// At the bound exactly, all is well.
#[test]
fn i8_what_just_fits_is_taken() {
    let line = format!("[[\"k\",{}1{}],10,\"B\"]", "[".repeat(8), "]".repeat(8));
    let limits = Limits {
        line_bytes_max: line.len(),
        nesting_depth_max: 10,
        sources_max: 1,
        source_bytes_max: 3,
        updates_max: 1,
        metadata_bytes_max: 1,
        ..Limits::default()
    };
    let mut r = limited(limits);
    let mut session = new_session(&mut r, plain());
    session.receive(&mut r, NOW, b"{\"clock\":{\"B\":1},\"meta\":7}\n").unwrap();
    session.receive(&mut r, NOW, format!("{line}\n").as_bytes()).unwrap();
    assert_eq!(r.model().len(), 1);
}

#[test]
fn i8_local_writes_are_refused_at_a_bound_and_change_nothing() {
    let mut r = limited(Limits { updates_max: 2, ..Limits::default() });
    for n in 0..2 {
        r.local_update(NOW, LwwMap::set(format!("k{n}"), &n).unwrap()).unwrap();
    }
    let before = r.version_vector();
    let error = r.local_update(NOW, LwwMap::set("k2", &2).unwrap()).unwrap_err();
    assert!(error.to_string().contains("Limits::updates_max"), "{error}");
    assert_eq!((r.model().len(), r.version_vector()), (2, before));
}

#[test]
fn i8_a_peer_without_a_digest_is_not_waited_for_for_ever() {
    let mut r = limited(Limits { digest_wait_ms_max: 500.0, ..Limits::default() });
    let mut session = new_session(&mut r, SessionConfig::default());
    r.remote_update(NOW, Update::from_json(r#"[["k",1],1,"A"]"#).unwrap());
    // What says nothing does not do.
    session.receive(&mut r, NOW, b"1\n[]\n\"sync\"\n").unwrap();
    assert_eq!(session.next_timeout(), Some(NOW + 500.0));
    session.handle_timeout(NOW + 499.0).unwrap();
    let error = session.handle_timeout(NOW + 500.0).unwrap_err();
    assert_eq!(error, SessionError::NoDigest { waited_ms: 500.0 });
    assert!(session.is_closed() && session.next_timeout().is_none());
    assert_eq!(r.model().len(), 1);

    // One that only receives may say what it sends all the same, and never announce what it holds.
    for line in ["{\"clock\":{}}\n", "[[\"k\",1],1,\"A\"]\n", "\"SYNC\"\n"] {
        let mut session = new_session(&mut r, SessionConfig::default());
        session.receive(&mut r, NOW, line.as_bytes()).unwrap();
        assert_eq!(session.next_timeout(), None, "{line}");
    }
}

#[test]
fn i8_events_that_nobody_takes_are_bounded() {
    let mut r = limited(Limits { session_events_max: 5, ..Limits::default() });
    let mut session = new_session(&mut r, SessionConfig::default());
    for _ in 0..100 {
        session.receive(&mut r, NOW, b"{\"clock\":{}}\n[]\n\"SYNC\"\n").unwrap();
        said(&mut session, &r);
    }
    session.receive(&mut r, NOW, b"?\n").unwrap_err();
    let events = events(&mut session);
    assert_eq!(events.len(), 6, "{events:?}");
    assert!(matches!(events[5], SessionEvent::Closed { reason: CloseReason::Failed(_) }));
}

#[test]
fn refusals_in_a_row_are_one_event() {
    let mut r = replica("R");
    let mut session = new_session(&mut r, SessionConfig::default());
    let lines = "[]\n[null,1,\"n\"]\n[null,2,\"n\"]\n[null,3,\"n\"]\n";
    session.receive(&mut r, NOW, lines.as_bytes()).unwrap();
    let counts: Vec<_> = events(&mut session)
        .into_iter()
        .filter(|event| !matches!(event, SessionEvent::LooksForeign { .. }))
        .map(|event| match event {
            SessionEvent::Refused { refusal, count } => (std::mem::discriminant(&refusal), count),
            other => panic!("{other:?}"),
        })
        .collect();
    let malformed = Refusal::Malformed(crate::update::InvalidUpdate::TooShort);
    let invalid = Refusal::Invalid(String::new());
    let discriminants = [&malformed, &invalid].map(std::mem::discriminant);
    assert_eq!(counts, [(discriminants[0], 1), (discriminants[1], 3)]);
}

#[test]
fn i8_digests_that_wait_for_an_answer_are_bounded() {
    let mut r = limited(Limits { unanswered_digests_max: 3, ..Limits::default() });
    r.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    let mut session = new_session(&mut r, plain());
    for _ in 0..1_000 {
        session.receive(&mut r, NOW, b"{\"clock\":{}}\n").unwrap();
    }
    let text = said(&mut session, &r);
    assert_eq!(text.matches("\"SYNC\"").count(), 3, "{text}");
    assert_eq!(text.matches("[[\"k\"").count(), 1, "one history: {text}");
    // And that is no debt for ever.
    session.receive(&mut r, NOW, b"{\"clock\":{}}\n").unwrap();
    assert_eq!(said(&mut session, &r).matches("\"SYNC\"").count(), 1);
}

/// Whatever is sent ends at most its own session.
#[test]
fn i9_hostile_bytes_end_one_session() {
    let deep = format!("{}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let hostile: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\xff\xfe\x00",
        b"{\"clock\":null}\n",
        b"{\"clock\":{}}\n{\"id\":1}\n",
        b"[[\"k\",1],10,\"B\"\n",
        b"[[\"k\",1],10,\"B\"][[\"k\",1],11,\"B\"]\n",
        deep.as_bytes(),
    ];
    let mut r = replica("R");
    let mut healthy = new_session(&mut r, SessionConfig::default());
    healthy.receive(&mut r, NOW, b"{\"clock\":{}}\n\"SYNC\"\n").unwrap();
    said(&mut healthy, &r);
    for bytes in hostile {
        let mut session = new_session(&mut r, SessionConfig::default());
        let error = session.receive(&mut r, NOW, bytes).expect_err("hostile");
        assert!(!error.to_string().is_empty());
        assert!(session.is_closed());
        assert!(r.model().is_empty() && r.version_vector().is_empty());
    }
    r.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    assert!(said(&mut healthy, &r).starts_with("[[\"k\",1]"));
}

#[test]
fn i8_digests_are_answered_at_a_pace() {
    let mut r = limited(Limits { sources_compared_per_second_max: 100, ..Limits::default() });
    for n in 0..50 {
        apply(&mut r, &format!(r#"[["k{n}",1],10,"S{n}"]"#));
    }
    let mut session = new_session(&mut r, plain());
    let digest = b"{\"id\":\"P\",\"clock\":{}}\n";
    let lines = |said: String, what: &str| said.lines().filter(|line| *line == what).count();
    session.receive(&mut r, NOW, digest).unwrap();
    let first = said(&mut session, &r);
    assert_eq!((first.lines().count(), lines(first, "\"SYNC\"")), (52, 1), "at once");
    for _ in 0..3 {
        session.receive(&mut r, NOW, digest).unwrap();
    }
    assert_eq!(said(&mut session, &r), "", "no end of a history that was not sent");
    assert_eq!(session.tally().digests_put_off, 3);
    // What is new is not held up.
    apply(&mut r, r#"[["new",1],20,"S0"]"#);
    assert_eq!(said(&mut session, &r), "[[\"new\",1],20,\"S0\"]\n");
    assert_eq!(session.next_timeout(), Some(NOW + 500.0));
    session.handle_timeout(NOW + 499.0).unwrap();
    assert!(!session.has_output(&r));
    session.handle_timeout(NOW + 500.0).unwrap();
    let answer = said(&mut session, &r);
    assert_eq!((answer.lines().count(), lines(answer, "\"SYNC\"")), (54, 3), "one for each");
    assert_eq!(session.next_timeout(), None);
    // Whoever leaves owes the answer all the same.
    session.receive(&mut r, NOW + 501.0, digest).unwrap();
    session.leave();
    assert_eq!(lines(said(&mut session, &r), "\"SYNC\""), 1);
}

#[test]
fn what_is_decoded_apart_is_applied_the_same() {
    let text =
        "{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n\"BINARY\"\n\x01\x05x";
    for cut in 0..text.len() {
        let (mut one, mut other) = (replica("R"), replica("R"));
        let mut whole = new_session(&mut one, SessionConfig::default());
        let mut halves = new_session(&mut other, SessionConfig::default());
        for part in [&text.as_bytes()[..cut], &text.as_bytes()[cut..]] {
            let _ = whole.receive(&mut one, NOW, part);
            let mut rest = part;
            while !rest.is_empty() {
                halves.decode(&mut rest, other.limits());
                let _ = halves.apply(&mut other, NOW);
            }
        }
        let _ = whole.receive_end(&mut one, NOW);
        halves.decode_end(other.limits());
        let _ = halves.receive_end(&mut other, NOW);
        assert!(!halves.has_decoded());
        assert_eq!(events(&mut whole), events(&mut halves), "{cut}");
        assert_eq!(whole.tally(), halves.tally());
    }
}
