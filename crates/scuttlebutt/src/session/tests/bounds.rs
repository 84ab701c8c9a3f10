//! I8 and I9: at every bound a named error, and nobody else is touched.

use super::*;
use crate::limits::{Bound, Limits};
use crate::update::Change;

fn limited(limits: Limits) -> Replica<LwwMap> {
    Replica::with_limits(source("R"), LwwMap::new(), limits)
}

fn refused_bounds(session: &mut Session) -> Vec<(Bound, u64)> {
    let bound = |event| match event {
        SessionEvent::Refused { refusal: Refusal::Full { exceeded, .. }, .. }
        | SessionEvent::Refused { refusal: Refusal::Digest(exceeded), .. } => {
            Some((exceeded.bound, exceeded.limit))
        }
        _ => None,
    };
    events(session).into_iter().filter_map(bound).collect()
}

/// What is beyond a bound is refused by name, and what is known goes on: the session, its source, its key.
#[test]
fn i8_each_bound_refuses_by_name_and_the_session_goes_on() {
    let standard = Limits::default;
    let long_id = "s".repeat(40);
    let cases = [
        (
            Limits { line_bytes_max: 100, ..standard() },
            format!("[[\"k\",\"{}\"],10,\"B\"]", "x".repeat(100)),
            (Bound::LineBytes, 100),
        ),
        (
            Limits { update_bytes_max: 100, ..standard() },
            format!("[[\"k\",\"{}\"],10,\"B\"]", "x".repeat(100)),
            (Bound::UpdateBytes, 100),
        ),
        (
            // It grows when it becomes canonical.
            Limits { update_bytes_max: 100, ..standard() },
            format!("[[\"k\",[{}1]],10,\"B\"]", "1e20,".repeat(10)),
            (Bound::UpdateBytes, 100),
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
            Limits { sources_bytes_max: 40, ..standard() },
            format!("[[\"k\",1],10,\"{long_id}\"]"),
            (Bound::SourcesBytes, 40),
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
            Limits { held_bytes_max: 500, update_bytes_max: 1_000, ..standard() },
            format!("[[\"k\",\"{}\"],10,\"B\"]", "x".repeat(500)),
            (Bound::HeldBytes, 500),
        ),
    ];
    for (limits, line, expected) in cases {
        let mut r = limited(limits);
        let mut session = new_session(&mut r, plain());
        let good = "{\"clock\":{}}\n[[\"good\",1],1,\"A\"]\n";
        session.receive(&mut r, NOW, good.as_bytes()).unwrap();
        assert_eq!(refused_bounds(&mut session), [], "{line:.80}");
        // Cut anywhere, and in one piece.
        for chunk in [1, 7, 10_000] {
            let bytes = format!("{line}\n");
            for part in bytes.as_bytes().chunks(chunk) {
                session.receive(&mut r, NOW, part).unwrap();
            }
        }
        let refused = refused_bounds(&mut session);
        assert!(!refused.is_empty(), "{line:.80}");
        assert!(refused.iter().all(|bound| *bound == expected), "{line:.80}: {refused:?}");
        assert_eq!(r.model().to_json(), r#"{"good":1}"#, "{line:.80}");
        let more = b"[[\"good\",2],2,\"A\"]\n";
        session.receive(&mut r, NOW, more).unwrap();
        assert_eq!(r.model().to_json(), r#"{"good":2}"#, "{line:.80}");
        assert!(!session.is_closed() && session.unfinished_bytes() == 0, "{line:.80}");
    }
}

/// A digest that is too long to be read is the one thing that cannot be passed over.
#[test]
fn i8_a_digest_that_is_no_line_ends_the_session() {
    let mut r = limited(Limits { line_bytes_max: 100, ..Limits::default() });
    let mut session = new_session(&mut r, plain());
    let digest = format!("{{\"clock\":{{\"{}\":5}}}}\n", "s".repeat(100));
    let error = session.receive(&mut r, NOW, digest.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("(Limits::line_bytes_max)"), "{error}");
    let closed = SessionEvent::Closed { reason: CloseReason::Failed(error) };
    assert_eq!(events(&mut session).pop(), Some(closed));
    assert!(session.is_closed() && session.is_output_finished() && !session.has_output(&r));
}

/// What there was no room for is asked for again, ever more slowly, and comes once there is room. Until then
/// nothing is announced that it could belong to (I2).
#[test]
fn i2_what_there_was_no_room_for_is_asked_for_until_there_is() {
    for config in ours() {
        let limits = Limits { updates_max: 2, ask_again_ms_max: 5_000.0, ..Limits::default() };
        let (mut a, mut b) =
            (replica("A"), Replica::with_limits(source("B"), LwwMap::new(), limits));
        for key in ["k1", "k2", "k3"] {
            a.local_update(NOW, LwwMap::set(key, &1).unwrap()).unwrap();
        }
        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config.clone());
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(b.model().len(), 2);
        assert!(b.version_vector().is_empty(), "something of A is missing");
        let told = events(&mut to_b).into_iter().find_map(|event| match event {
            SessionEvent::RefusedByPeer { update, bound, limit } => Some((update, bound, limit)),
            _ => None,
        });
        let refused = a.updates_since(&VersionVector::new()).last().unwrap().id();
        assert_eq!(told, Some((Some(refused), "updates_max".to_owned(), 2.0)));

        // Known keys go on meanwhile, in both directions.
        a.local_update(NOW, LwwMap::set("k1", &2).unwrap()).unwrap();
        b.local_update(NOW, LwwMap::set("k2", &2).unwrap()).unwrap();
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(b.model().to_json(), r#"{"k1":2,"k2":2}"#);
        assert_eq!(a.model().to_json(), r#"{"k1":2,"k2":2,"k3":1}"#);

        // 1, 2, 4, 5 and 5 seconds.
        let (mut now, mut waits) = (NOW, Vec::new());
        for _ in 0..5 {
            let due = to_a.next_timeout().expect("it is asked for");
            waits.push(due - now);
            now = due;
            to_a.handle_timeout(now).unwrap();
            talk_at(now, (&mut a, &mut to_b), (&mut b, &mut to_a));
        }
        assert_eq!(waits, [1_000.0, 2_000.0, 4_000.0, 5_000.0, 5_000.0]);
        assert_eq!(to_a.tally().digests_sent, 6);

        // There is room: a raised bound.
        let mut roomy = Replica::new(source("B"), LwwMap::new());
        roomy.restore(b.updates_since(&VersionVector::new()).cloned(), &b.version_vector());
        sync(&mut a, &mut roomy);
        assert_eq!((roomy.model().len(), roomy.version_vector()), (3, a.version_vector()));
    }
}

/// What is accepted by one is accepted by all with the same bounds, whatever its text became on the way, in
/// lines and in frames, and whoever wrote it.
mod what_is_accepted_can_be_passed_on {
    use super::*;
    use proptest::prelude::*;

    const BYTES: usize = 300;
    const DEPTH: usize = 12;

    fn bounds() -> Limits {
        Limits {
            line_bytes_max: 400,
            update_bytes_max: BYTES,
            nesting_depth_max: DEPTH,
            sources_max: 4,
            source_bytes_max: 12,
            sources_bytes_max: 48,
            metadata_bytes_max: 10,
            ..Limits::default()
        }
    }

    /// Values that grow, shrink and stay as they are when they become canonical; some nest.
    fn value() -> impl Strategy<Value = String> {
        let number = prop_oneof![Just("1e20"), Just("1"), Just("1e-7"), Just("0.10"), Just(" 5 ")];
        let numbers =
            prop::collection::vec(number, 1..90).prop_map(|n| format!("[{}]", n.join(",")));
        let text = (0..330usize).prop_map(|n| format!("\"{}\"", "x".repeat(n)));
        let escapes = (0..60usize).prop_map(|n| format!("\"{}\"", "\\u0061\\u0007".repeat(n)));
        let deep = (0..16usize).prop_map(|n| format!("{}{}", "[".repeat(n + 1), "]".repeat(n + 1)));
        let keys = (0..40usize).prop_map(|n| {
            let members: Vec<_> = (0..n).map(|n| format!("\"k{}\":{n}", n % 7)).collect();
            format!("{{{}}}", members.join(", "))
        });
        prop_oneof![numbers, text, escapes, deep, keys]
    }

    proptest! {
        #[test]
        fn i9_by_every_peer(
            lines in prop::collection::vec((value(), 1..9usize, 0..3usize, 0..4usize), 1..6),
            own in prop::collection::vec(value(), 0..3),
        ) {
            let mut first = Replica::with_limits(source("F"), LwwMap::new(), bounds());
            let mut session = new_session(&mut first, plain());
            for (n, (value, id, extras, key)) in lines.into_iter().enumerate() {
                let (id, at) = ("s".repeat(id), 10 + n);
                let extras = [",\"sgn\"", ",[1e20]", ""][extras];
                let line = format!("[[\"{key}\",{value}],{at},\"{id}\"{extras}]\n");
                session.receive(&mut first, NOW, line.as_bytes()).unwrap();
            }
            for value in own {
                let change = Change::from_json(&format!("[\"own\",{value}]")).unwrap();
                let _ = first.local_update(NOW, change);
            }
            prop_assert_eq!(first.unsendable().count(), 0);
            for config in ours() {
                let mut second = Replica::with_limits(source("S"), LwwMap::new(), bounds());
                let mut to_second = new_session(&mut first, config.clone());
                let mut to_first = new_session(&mut second, config);
                talk((&mut first, &mut to_second), (&mut second, &mut to_first));
                prop_assert_eq!(refused_bounds(&mut to_first), []);
                prop_assert_eq!(first.model().view(), second.model().view());
                prop_assert_eq!(first.updates_held(), second.updates_held());
            }
            // And through a file.
            let mut file = Vec::new();
            let mut export = crate::Export::new(&mut first, NOW);
            while !export.is_finished() {
                export.transmit(&first, &mut file, 64);
            }
            let mut third = Replica::with_limits(source("T"), LwwMap::new(), bounds());
            let mut import = crate::Import::new(&mut third, NOW);
            import.receive(&mut third, NOW, &file).unwrap();
            let imported = import.finish(&mut third, NOW).unwrap();
            prop_assert_eq!(imported.refused, None);
            prop_assert_eq!(first.model().view(), third.model().view());
        }
    }
}

/// A store that was written under other bounds: what is too long for peers is shown and kept, nothing is
/// announced beyond it, and all else is passed on. It goes once it is overwritten.
#[test]
fn i9_what_is_too_long_for_peers_stays_here_and_all_else_goes_on() {
    for config in ours() {
        let limits = Limits { update_bytes_max: 60, ..Limits::default() };
        let mut a = Replica::with_limits(source("A"), LwwMap::new(), limits.clone());
        let long = format!("[[\"long\",\"{}\"],20,\"B\"]", "x".repeat(60));
        let lines = [r#"[["k",1],10,"B"]"#, &long, r#"[["k",2],30,"B"]"#];
        let updates = lines.map(|line| Update::from_json(line).unwrap());
        a.restore(updates, &vector(&[("B", 30.0)]));
        let unsendable: Vec<_> = a.unsendable().map(|(update, _)| update.to_json()).collect();
        assert_eq!(unsendable, [long]);
        let twenty = Timestamp::new(20.0).unwrap();
        assert!(a.version_vector().timestamp(&source("B")) < Some(twenty));

        let mut b = Replica::with_limits(source("C"), LwwMap::new(), limits);
        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config.clone());
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(b.model().to_json(), r#"{"k":2}"#);
        assert!(b.version_vector().timestamp(&source("B")) < Some(twenty));

        a.local_update(NOW, LwwMap::set("long", &1).unwrap()).unwrap();
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(a.unsendable().count(), 0);
        assert_eq!(a.model().to_json(), b.model().to_json());
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
    let hostile: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        b"\xff\xfe\x00",
        b"{\"clock\":null}\n",
        b"{\"clock\":{}}\n{\"id\":1}\n",
        b"[[\"k\",1],10,\"B\"\n",
        b"[[\"k\",1],10,\"B\"][[\"k\",1],11,\"B\"]\n",
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
        r.promise(&vector(&[(&format!("S{n}"), 20.0)]));
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
    r.promise(&vector(&[("S0", 20.0)]));
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
            let (mut rest, mut has_more) = (part, true);
            while has_more {
                has_more = halves.decode(&mut rest, other.limits());
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
