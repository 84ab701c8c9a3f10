//! Peers of another model or another cluster: both sides learn why, and nothing mixes.

use super::*;
use crate::label::Label;

fn label(text: &str) -> Label {
    Label::new(text).expect("a label")
}

fn in_cluster(name: Option<&str>) -> SessionConfig {
    SessionConfig { cluster: name.map(label), ..SessionConfig::default() }
}

/// Lets two sessions talk until neither has anything to say; the first says all it has before it hears.
fn talk<A: Model, B: Model>(
    a: &mut Replica<A>,
    b: &mut Replica<B>,
    [to_b, to_a]: [&mut Session; 2],
) {
    while to_b.has_output(a) || to_a.has_output(b) {
        let from_a = spoken(to_b, a);
        // An error is told by the event.
        let _ = to_a.receive(b, NOW, &from_a);
        let from_b = spoken(to_a, b);
        let _ = to_b.receive(a, NOW, &from_b);
    }
}

fn failure(session: &mut Session) -> Option<SessionError> {
    let end = events(session).pop()?;
    match end {
        SessionEvent::Closed { reason: CloseReason::Failed(error) } => Some(error),
        other => panic!("{other:?}"),
    }
}

#[test]
fn different_models_refuse_each_other_by_name_and_mix_nothing() {
    let mut a = replica("A");
    a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    let mut b = Replica::new(source("B"), EventLog::new());
    b.local_update(NOW, EventLog::emit("happened", &[7]).unwrap()).unwrap();
    for config in ours() {
        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config);
        talk(&mut a, &mut b, [&mut to_b, &mut to_a]);
        let (ours, theirs) = (label("map"), label("events"));
        let error = SessionError::OtherModel { ours: ours.clone(), theirs: theirs.clone() };
        assert!(error.to_string().contains("\"events\"") && error.to_string().contains("\"map\""));
        assert_eq!(failure(&mut to_b), Some(error));
        let error = SessionError::OtherModel { ours: theirs, theirs: ours };
        assert_eq!(failure(&mut to_a), Some(error));
        assert_eq!((a.updates_held(), b.updates_held()), (1, 1));
    }
    // A peer that names none is let in.
    let mut session = new_session(&mut a, SessionConfig::default());
    session.receive(&mut a, NOW, b"{\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
    assert!(!session.is_closed());
}

#[test]
fn different_clusters_refuse_each_other_and_one_without_a_name_is_let_in() {
    for (ours, theirs, is_let_in) in [
        (Some("red"), Some("red"), true),
        (Some("red"), Some("blue"), false),
        (Some("red"), None, true),
        (None, Some("red"), true),
        (None, None, true),
    ] {
        let (mut a, mut b) = (replica("A"), replica("B"));
        let mut to_b = new_session(&mut a, in_cluster(ours));
        let mut to_a = new_session(&mut b, in_cluster(theirs));
        talk(&mut a, &mut b, [&mut to_b, &mut to_a]);
        assert_eq!(to_b.is_synced() && to_a.is_synced(), is_let_in, "{ours:?} {theirs:?}");
        if is_let_in {
            let heard = events(&mut to_b).into_iter().find_map(|event| match event {
                SessionEvent::DigestReceived { cluster, .. } => Some(cluster),
                _ => None,
            });
            assert_eq!(heard, Some(theirs.map(label)), "{ours:?} {theirs:?}");
            continue;
        }
        for (session, ours, theirs) in [(&mut to_b, ours, theirs), (&mut to_a, theirs, ours)] {
            let [Some(ours), Some(theirs)] = [ours, theirs].map(|name| name.map(label)) else {
                panic!("both have names");
            };
            assert_eq!(failure(session), Some(SessionError::OtherCluster { ours, theirs }));
        }
    }
}

/// Whoever hears the other's digest before it has said its own says that all the same, and nothing else.
#[test]
fn who_is_refused_is_told_why() {
    let mut a = replica("A");
    a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    let mut session = new_session(&mut a, in_cluster(Some("red")));
    let stranger = b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1,\"cluster\":\"blue\"}}\n[[\"x\",1],5,\"B\"]\n";
    session.receive(&mut a, NOW, stranger).unwrap();
    assert!(!session.is_closed() && session.has_output(&a));
    let said = said(&mut session, &a);
    assert!(said.contains("\"cluster\":\"red\"") && said.lines().count() == 1, "{said}");
    assert!(session.is_closed());
    assert!(matches!(failure(&mut session), Some(SessionError::OtherCluster { .. })));
    assert_eq!(a.updates_held(), 1, "what came with it has no effect");

    // It leaves before it has heard.
    let mut session = new_session(&mut a, in_cluster(Some("red")));
    session.receive(&mut a, NOW, stranger).unwrap();
    session.receive_end(&mut a, NOW).unwrap_err();
    assert!(session.is_closed());

    // A side that says nothing has nothing to say first.
    let config = SessionConfig { cluster: Some(label("red")), ..SessionConfig::receive_only() };
    let mut session = new_session(&mut a, config);
    session.receive(&mut a, NOW, stranger).unwrap_err();
    assert!(session.is_closed());
}

/// The original does not say what it holds; what it sends may.
#[test]
fn a_peer_that_names_no_model_is_recognised_by_what_it_sends() {
    for (line, is_told) in [
        (r#"[["k",1],5,"J"]"#, false),
        (r#"[[1,1],5,"J"]"#, false),
        (r#"[["happened",1,2],5,"J"]"#, true),
        (r#"[["happened"],5,"J"]"#, true),
        (r#"["a value",5,"J"]"#, true),
    ] {
        for (ext, may_be_told) in [
            ("", true),
            (r#","ext":{"marks":1}"#, true),
            (r#","ext":{"marks":1,"model":"map"}"#, false),
        ] {
            let mut a = replica("A");
            let mut session = new_session(&mut a, SessionConfig::default());
            let said = format!("{{\"id\":\"J\",\"clock\":{{}}{ext}}}\n{line}\n{line}\n");
            session.receive(&mut a, NOW, said.as_bytes()).unwrap();
            let told = events(&mut session)
                .iter()
                .filter(|event| matches!(event, SessionEvent::LooksForeign { .. }))
                .count();
            assert_eq!(told, usize::from(is_told && may_be_told), "{line} {ext}");
        }
    }
}
