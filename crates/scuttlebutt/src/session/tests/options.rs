//! Directions, modes and how sessions end.

use super::*;
use crate::label::Label;
use crate::session::event::CloseReason;

fn pair(
    a: SessionConfig,
    b: SessionConfig,
) -> (Replica<LwwMap>, Replica<LwwMap>, Session, Session) {
    let (mut ra, mut rb) = (replica("A"), replica("B"));
    ra.local_update(10.0, LwwMap::set("x", &1).unwrap()).unwrap();
    rb.local_update(20.0, LwwMap::set("y", &2).unwrap()).unwrap();
    let mut sa = new_session(&mut ra, a);
    let mut sb = new_session(&mut rb, b);
    talk((&mut ra, &mut sa), (&mut rb, &mut sb));
    (ra, rb, sa, sb)
}

fn direction(direction: Direction) -> SessionConfig {
    SessionConfig { direction, ..SessionConfig::default() }
}

/// Such a pair in each of the ways in which the first may speak.
fn in_both_ways(a: &SessionConfig) -> [SessionConfig; 2] {
    [true, false].map(|announce_binary| SessionConfig { announce_binary, ..a.clone() })
}

#[test]
fn one_way_sessions_move_updates_one_way() {
    use Direction::{Both, ReceiveOnly, SendOnly};
    let unasked = (SessionConfig::send_only(), SessionConfig::receive_only());
    for (a, b) in [
        (direction(SendOnly), direction(ReceiveOnly)),
        (direction(SendOnly), direction(Both)),
        (direction(Both), direction(ReceiveOnly)),
        (SessionConfig::send_only(), direction(ReceiveOnly)),
        unasked,
    ] {
        for a in in_both_ways(&a) {
            let (mut ra, mut rb, mut sa, mut sb) = pair(a.clone(), b.clone());
            assert_eq!(ra.model().to_json(), r#"{"x":1}"#, "{a:?} {b:?}");
            assert_eq!(rb.model().to_json(), r#"{"x":1,"y":2}"#, "{a:?} {b:?}");
            assert!(sa.is_synced() && sb.is_synced(), "{a:?} {b:?}");
            ra.local_update(30.0, LwwMap::set("live", &1).unwrap()).unwrap();
            rb.local_update(40.0, LwwMap::set("back", &1).unwrap()).unwrap();
            talk((&mut ra, &mut sa), (&mut rb, &mut sb));
            assert_eq!(ra.model().to_json(), r#"{"live":1,"x":1}"#, "{a:?} {b:?}");
            assert!(rb.model().contains("live"), "{a:?} {b:?}");
        }
    }
}

/// A peer that sends although we only send is told of, and ignored.
#[test]
fn a_session_that_only_sends_takes_nothing() {
    let (ra, _, mut sa, _) = pair(direction(Direction::SendOnly), SessionConfig::default());
    assert!(!ra.model().contains("y"));
    assert!(
        events(&mut sa).contains(&SessionEvent::Refused { refusal: Refusal::ReadOnly, count: 1 })
    );
    assert_eq!(ra.version_vector(), vector(&[("A", 10.0)]));
}

#[test]
fn a_session_that_receives_without_a_digest_says_nothing() {
    let (_, mut rb, _, mut sb) = pair(SessionConfig::send_only(), SessionConfig::receive_only());
    assert_eq!(said(&mut new_session(&mut rb, SessionConfig::receive_only()), &rb), "");
    assert_eq!(sb.next_timeout(), None, "it waits for nobody");
    sb.receive_end(&mut rb, NOW).unwrap();
    let last = events(&mut sb).pop();
    assert_eq!(last, Some(SessionEvent::Closed { reason: CloseReason::Finished }));
}

#[test]
fn catching_up_leaves_when_both_have_what_the_other_held() {
    let once = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    for other in [SessionConfig::default(), json(), once.clone()] {
        let (mut ra, mut rb, mut sa, mut sb) = pair(once.clone(), other);
        assert_eq!(ra.model().to_json(), rb.model().to_json());
        assert!(sa.is_output_finished(), "it leaves by itself");
        ra.local_update(30.0, LwwMap::set("late", &1).unwrap()).unwrap();
        assert_eq!(said(&mut sa, &ra), "", "and says nothing more");
        sb.receive_end(&mut rb, NOW).unwrap();
        assert_eq!(said(&mut sb, &rb), "");
        assert!(sb.is_output_finished());
        sa.receive_end(&mut ra, NOW).unwrap();
        for session in [&mut sa, &mut sb] {
            assert!(session.is_closed());
            let events = events(session);
            let synced = events.iter().filter(|event| **event == SessionEvent::Synced).count();
            assert_eq!(synced, 1, "{events:?}");
            let last = events.last();
            assert_eq!(last, Some(&SessionEvent::Closed { reason: CloseReason::Finished }));
        }
    }
}

/// Whoever is left still sends what was accepted; nobody waits for a digest that will not come.
#[test]
fn leaving_sends_what_was_accepted() {
    let (mut ra, _, mut sa, _) = pair(SessionConfig::default(), json());
    ra.local_update(30.0, LwwMap::set("last", &1).unwrap()).unwrap();
    sa.leave();
    assert!(!sa.is_output_finished());
    assert_eq!(said(&mut sa, &ra), "[[\"last\",1],30,\"A\"]\n{\"mark\":{\"A\":30}}\n");
    assert!(sa.is_output_finished() && !sa.is_closed());

    let mut alone = new_session(&mut ra, SessionConfig::default());
    alone.leave();
    assert!(alone.is_output_finished());
    alone.receive_end(&mut ra, NOW).unwrap();
    let last = events(&mut alone).pop();
    assert_eq!(last, Some(SessionEvent::Closed { reason: CloseReason::PeerLeft }));
    // A closed session ignores what it is given.
    alone.receive(&mut ra, NOW, b"nonsense\n").unwrap();
    assert_eq!(events(&mut alone), []);
}

#[test]
fn metadata_and_the_peers_name_are_told() {
    let metadata = Metadata::from_json("{\"role\": \"hub\", \"1\": 2}").unwrap();
    let config = SessionConfig { metadata: Some(metadata), ..SessionConfig::default() };
    let (_, _, mut sa, mut sb) = pair(config, plain());
    match &events(&mut sb)[0] {
        SessionEvent::DigestReceived {
            peer,
            vector: held,
            metadata,
            has_extensions,
            model,
            cluster,
        } => {
            assert_eq!(peer.as_ref().and_then(|peer| peer.as_str()), Some("A"));
            assert_eq!(*held, vector(&[("A", 10.0)]));
            assert_eq!(metadata.as_deref(), Some("{\"1\":2,\"role\":\"hub\"}"));
            assert!(has_extensions);
            assert_eq!((model.clone(), cluster), (Label::new("map").ok(), &None));
        }
        other => panic!("{other:?}"),
    }
    let first = events(&mut sa).remove(0);
    let SessionEvent::DigestReceived { metadata: None, has_extensions: false, .. } = first else {
        panic!("{first:?}");
    };
    for falsy in ["null", "false", "0", "-0", "0.0", "\"\""] {
        assert_eq!(Metadata::from_json(falsy).unwrap().sent(), None, "{falsy}");
    }
}

/// The proof of delivery: a peer of the original's kind sends what it holds of us back, one of ours
/// says so in a promise.
#[test]
fn own_updates_are_confirmed() {
    for peer in [SessionConfig::default(), json(), plain()] {
        let asking = SessionConfig { ask_for_own: true, ..SessionConfig::default() };
        let (mut ra, mut rb, mut sa, sb) = pair(asking.clone(), peer.clone());
        let confirmed = |session: &mut Session| {
            let events = events(session).into_iter();
            let confirmed = events.filter_map(|event| match event {
                SessionEvent::Confirmed { timestamp } => Some(timestamp.as_millis()),
                _ => None,
            });
            confirmed.collect::<Vec<_>>()
        };
        let first = confirmed(&mut sa);
        assert!(first.is_empty(), "who is asked for it has to show it");
        let mut again = new_session(&mut ra, asking);
        let mut to_again = new_session(&mut rb, peer.clone());
        talk((&mut ra, &mut again), (&mut rb, &mut to_again));
        assert_eq!(confirmed(&mut again), [10.0], "on asking it sends it back");
        drop((sa, sb));
        let (mut sa, mut sb) =
            (new_session(&mut ra, SessionConfig::default()), new_session(&mut rb, peer.clone()));
        ra.local_update(30.0, LwwMap::set("z", &1).unwrap()).unwrap();
        talk((&mut ra, &mut sa), (&mut rb, &mut sb));
        match peer.announce_extensions {
            true => assert_eq!(confirmed(&mut sa), [10.0, 30.0]),
            false => assert!(confirmed(&mut sa).is_empty(), "it does not say"),
        }
        assert!(!ra.is_identity_contested());
    }
}

/// An own update that was superseded long since comes back round: nothing was lost.
#[test]
fn an_own_update_that_comes_round_is_no_contest() {
    let mut a = replica("A");
    a.local_update(10.0, LwwMap::set("k", &1).unwrap()).unwrap();
    a.local_update(20.0, LwwMap::set("k", &2).unwrap()).unwrap();
    assert_eq!(apply(&mut a, r#"[["k",1],10,"A"]"#), Outcome::Superseded);
    assert!(!a.is_identity_contested());
    a.local_update(30.0, LwwMap::set("j", &3).unwrap()).unwrap();
    assert_eq!(a.version_vector(), vector(&[("A", 30.0)]));
    // One that it really does not know is another matter, until a peer promises them complete.
    apply(&mut a, r#"[["l",1],40,"A"]"#);
    assert!(a.is_identity_contested());
    a.local_update(50.0, LwwMap::set("j", &4).unwrap()).unwrap();
    assert_eq!(a.version_vector(), vector(&[("A", 30.0)]), "40 may have company");
    a.promise(&vector(&[("A", 40.0)]));
    assert!(!a.is_identity_contested());
    assert_eq!(a.version_vector(), vector(&[("A", 50.0)]));
}

/// A second digest is answered like the first, and costs nothing that lasts.
#[test]
fn a_second_digest_is_answered_again() {
    let (mut ra, _, mut sa, _) = pair(SessionConfig::default(), plain());
    ra.promise(&vector(&[("B", 20.0)]));
    sa.receive(&mut ra, NOW, b"{\"clock\":{}}\n").unwrap();
    assert_eq!(said(&mut sa, &ra), "[[\"x\",1],10,\"A\"]\n[[\"y\",2],20,\"B\"]\n\"SYNC\"\n");
    ra.local_update(30.0, LwwMap::set("z", &1).unwrap()).unwrap();
    assert_eq!(said(&mut sa, &ra), "[[\"z\",1],30,\"A\"]\n", "live updates come once");
}

/// A claim about what was written here proves nothing beyond that, and keeps nothing of it from being sent.
#[test]
fn what_a_peer_claims_of_us_beyond_what_there_is_proves_nothing() {
    let confirmed = |session: &mut Session| {
        let confirmed = |event| matches!(event, SessionEvent::Confirmed { .. });
        events(session).into_iter().any(confirmed)
    };
    for hello in [
        "{\"id\":\"R\",\"clock\":{\"A\":2000000},\"ext\":{\"marks\":1}}\n\"SYNC\"\n",
        "{\"id\":\"R\",\"clock\":{\"A\":2000000}}\n\"SYNC\"\n",
    ] {
        let mut a = replica("A");
        a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
        let mut session = new_session(&mut a, json());
        session.receive(&mut a, NOW, hello.as_bytes()).unwrap();
        let lines = said(&mut session, &a);
        assert!(lines.contains("[[\"k\",1],1000000,\"A\"]"), "{lines}");
        if hello.contains("marks") {
            session.receive(&mut a, NOW, b"{\"mark\":{\"A\":1000000}}\n").unwrap();
        }
        assert!(!confirmed(&mut session));
        // It has come back, so it was there.
        session.receive(&mut a, NOW, b"[[\"k\",1],1000000,\"A\"]\n").unwrap();
        assert!(confirmed(&mut session));
    }
    // Nor does an echo.
    for own_name in ["{\"id\":\"A\",\"clock\":{}}\n", "{\"clock\":{}}\n", ""] {
        let mut a = replica("A");
        a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
        let mut session = new_session(&mut a, plain());
        let echo = format!("{own_name}\"SYNC\"\n[[\"k\",1],1000000,\"A\"]\n");
        session.receive(&mut a, NOW, echo.as_bytes()).unwrap();
        assert!(!confirmed(&mut session), "{own_name}");
    }
}

/// Who only looks is sent what is there, and not what is superseded and held as evidence: in a history and
/// live. What is promised means the same.
#[test]
fn who_wants_no_evidence_is_sent_what_is_there() {
    let retention = crate::Retention { count_max: 2, ..crate::Retention::default() };
    for wants_evidence in [true, false] {
        for config in ours() {
            let kept = EventLog::with_retention(retention);
            let mut a = Replica::new(source("A"), kept);
            let mut b = Replica::new(source("B"), EventLog::new());
            let emit = |a: &mut Replica<EventLog>, at: usize| {
                apply(a, &format!(r#"[["e",{at}],{at},"s{at}"]"#));
            };
            (1..=5).for_each(|at| emit(&mut a, at));
            let looking = SessionConfig { wants_evidence, ..config.clone() };
            let (mut to_b, mut to_a) = (new_session(&mut a, config), new_session(&mut b, looking));
            talk((&mut a, &mut to_b), (&mut b, &mut to_a));
            let expected = if wants_evidence { 5 } else { 2 };
            assert_eq!(b.model().len(), expected);
            emit(&mut a, 6);
            // Older than all that are kept.
            apply(&mut a, r#"[["e",0],0.5,"late"]"#);
            talk((&mut a, &mut to_b), (&mut b, &mut to_a));
            assert_eq!(b.model().len(), if wants_evidence { 7 } else { 3 });
        }
    }
}
