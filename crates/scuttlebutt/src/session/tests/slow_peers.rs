//! I6: a slow peer costs a position in the log, whatever its backlog.

use super::*;

fn synced_pair() -> (Replica<LwwMap>, Session) {
    let mut a = replica("A");
    let mut session = new_session(&mut a, json());
    let hello = b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1}}\n\"SYNC\"\n";
    session.receive(&mut a, NOW, hello).unwrap();
    said(&mut session, &a);
    (a, session)
}

#[test]
fn i6_a_session_that_says_nothing_holds_nothing() {
    let (mut a, mut session) = synced_pair();
    for n in 0..100_000_u32 {
        let key = format!("k{}", n % 10);
        a.local_update(NOW, LwwMap::set(key, &n).unwrap()).unwrap();
        if n % 10_000 == 0 {
            assert!(session.has_output(&a));
        }
        assert_eq!((session.carry.capacity(), session.events.len()), (0, session.events.len()));
    }
    assert!(session.events.len() < 5);
    assert_eq!(a.updates_held(), 10, "what was superseded is gone");
    let text = said(&mut session, &a);
    let updates = text.lines().filter(|line| line.starts_with('[')).count();
    assert_eq!(updates, 10, "{text}");
    assert_eq!(text.lines().count(), 11, "and one mark: {text}");
}

#[test]
fn i6_nothing_is_sent_back_to_who_brought_it() {
    let (mut a, mut to_p) = synced_pair();
    let mut to_q = new_session(&mut a, json());
    let hello = b"{\"id\":\"Q\",\"clock\":{},\"ext\":{\"marks\":1}}\n\"SYNC\"\n";
    to_q.receive(&mut a, NOW, hello).unwrap();
    said(&mut to_q, &a);
    let update = b"[[\"k\",1],5,\"P\"]\n{\"mark\":{\"P\":5}}\n";
    to_p.receive(&mut a, NOW, update).unwrap();
    assert_eq!(said(&mut to_p, &a), "{\"mark\":{\"P\":5}}\n");
    assert_eq!(said(&mut to_q, &a), "[[\"k\",1],5,\"P\"]\n{\"mark\":{\"P\":5}}\n");
    // Q brings it too: no news for anybody.
    to_q.receive(&mut a, NOW, update).unwrap();
    assert_eq!(said(&mut to_p, &a) + &said(&mut to_q, &a), "");
}

/// What a third party brings is not sent to a peer whose digest covers it; what is later is.
#[test]
fn what_the_peer_said_it_holds_is_not_sent() {
    let mut a = replica("A");
    let mut session = new_session(&mut a, plain());
    session.receive(&mut a, NOW, b"{\"clock\":{\"C\":100}}\n\"SYNC\"\n").unwrap();
    said(&mut session, &a);
    for line in [r#"[["k",1],50,"C"]"#, r#"[["l",1],100,"C"]"#, r#"[["m",1],101,"C"]"#] {
        apply(&mut a, line);
    }
    a.promise(&vector(&[("C", 101.0)]));
    assert_eq!(said(&mut session, &a), "[[\"m\",1],101,\"C\"]\n");
}

/// The output is the same however small the portions, and no portion is larger than asked for.
#[test]
fn i6_output_never_exceeds_the_room() {
    let transcript = |room: usize| {
        let mut a = replica("A");
        for n in 0..40 {
            let value = "é".repeat(n);
            a.local_update(NOW, LwwMap::set(format!("k{n}"), &value).unwrap()).unwrap();
        }
        let mut session = new_session(&mut a, json());
        let mut out = Vec::new();
        let mut pull = |a: &Replica<LwwMap>, session: &mut Session| {
            while session.has_output(a) {
                assert_eq!(session.transmit(a, &mut Vec::new(), 0), 0, "no room");
                let before = out.len();
                let said = session.transmit(a, &mut out, room);
                assert_eq!(said, out.len() - before);
                assert!(said <= room, "{said} bytes for {room}");
            }
        };
        pull(&a, &mut session);
        session.receive(&mut a, NOW, b"{\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
        pull(&a, &mut session);
        a.local_update(NOW, LwwMap::set("live", &1).unwrap()).unwrap();
        pull(&a, &mut session);
        String::from_utf8(out).unwrap()
    };
    let whole = transcript(1 << 20);
    assert_eq!(whole.lines().count(), 1 + 40 + 1 + 1 + 1);
    for room in (1..150).chain([1_000]) {
        assert_eq!(transcript(room), whole, "in portions of {room}");
    }
}

/// `transmit` answers 0 only when there is nothing to say, so that a driver can trust it.
#[test]
fn output_that_is_there_can_be_had() {
    let (mut a, mut session) = synced_pair();
    for n in 0..20 {
        // Some are news for the peer, some are its own.
        let line = format!("[[\"k{}\",1],{},\"P\"]\n", n % 3, 10 + n);
        session.receive(&mut a, NOW, line.as_bytes()).unwrap();
        apply(&mut a, &format!(r#"[["k{}",1],{},"C"]"#, n % 5, 10 + n));
        let mut rounds = 0;
        while session.has_output(&a) {
            session.transmit(&a, &mut Vec::new(), 1 << 16);
            rounds += 1;
            assert!(rounds < 10, "has_output stays true");
        }
    }
}

#[test]
fn i8_a_long_update_is_sent_from_where_it_lies() {
    const LONG: usize = 1 << 20;
    for config in ours() {
        let (mut a, mut b) = (replica("A"), replica("B"));
        let long =
            |n: u32| format!(r#"[["k{n}","{}"],{},"C","signature"]"#, "v".repeat(LONG), n + 1);
        for n in 0..2 {
            apply(&mut a, &long(n));
        }
        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config);
        let mut wire = Vec::new();
        let mut is_superseded = false;
        while to_b.has_output(&a) || to_a.has_output(&b) {
            wire.clear();
            to_b.transmit(&a, &mut wire, 1_000);
            assert!(
                to_b.held_bytes() < LONG / 4 * 3 || is_superseded,
                "{} bytes",
                to_b.held_bytes()
            );
            to_a.receive(&mut b, NOW, &wire).unwrap();
            if to_b.buffered_bytes() > LONG / 2 && !is_superseded {
                // What was begun is sent to its end.
                is_superseded = true;
                apply(&mut a, r#"[["k0",0],10,"C"]"#);
                assert!(to_b.held_bytes() > LONG / 4 * 3, "now it alone holds it");
                to_b.transmit(&a, &mut wire, usize::MAX / 2);
                to_a.receive(&mut b, NOW, &wire[1_000.min(wire.len())..]).unwrap();
            }
            wire.clear();
            to_a.transmit(&b, &mut wire, 1_000);
            to_b.receive(&mut a, NOW, &wire).unwrap();
        }
        assert!(is_superseded);
        assert_eq!(a.model().to_json(), b.model().to_json());
        assert_eq!(a.version_vector(), b.version_vector());
    }
}

#[test]
fn i8_what_a_peer_announces_is_held_as_far_as_it_goes_beyond() {
    let mut r = replica("R");
    let mut clock = String::new();
    for n in 0..1_000 {
        apply(&mut r, &format!(r#"[["k{n}",1],10,"S{n}"]"#));
        clock.push_str(&format!("\"S{n}\":10,"));
        r.promise(&vector(&[(&format!("S{n}"), 10.0)]));
    }
    let mut session = new_session(&mut r, plain());
    let digest = format!("{{\"clock\":{{{}\"T\":5}}}}\n", clock);
    session.receive(&mut r, NOW, digest.as_bytes()).unwrap();
    said(&mut session, &r);
    events(&mut session);
    assert!(session.held_bytes() < 2_000, "{} bytes", session.held_bytes());
}
