//! Two sessions joined in memory, and what the original does line by line.
//!
//! Random clusters of replicas are in the crate's `tests/invariants.rs`; here are the cases that
//! need a certain line at a certain moment.

mod belonging;
mod binary;
mod bounds;
mod clock_skew;
mod cuts;
mod deferring;
mod heartbeat;
mod in_order;
mod options;
mod rejudging;
mod slow_peers;
mod verdicts;

use super::*;
use crate::model::{EventLog, LwwMap};
use crate::replica::Outcome;
use crate::source::SourceId;
use crate::update::Update;

const NOW: f64 = 1_000_000.0;

fn replica(id: &str) -> Replica<LwwMap> {
    Replica::new(SourceId::new(id).expect("an id"), LwwMap::new())
}

fn apply<M: Model>(replica: &mut Replica<M>, line: &str) -> Outcome {
    replica.remote_update(NOW, Update::from_json(line).expect("an update"))
}

/// Everything a session has to say.
fn spoken<M: Model>(session: &mut Session, replica: &Replica<M>) -> Vec<u8> {
    let mut out = Vec::new();
    while session.has_output(replica) {
        session.transmit(replica, &mut out, 7);
    }
    out
}

/// Everything a session has to say, as text.
fn said<M: Model>(session: &mut Session, replica: &Replica<M>) -> String {
    String::from_utf8(spoken(session, replica)).expect("text")
}

fn events(session: &mut Session) -> Vec<SessionEvent> {
    std::iter::from_fn(|| session.next_event()).collect()
}

fn plain() -> SessionConfig {
    SessionConfig { announce_extensions: false, ..SessionConfig::default() }
}

/// One of ours that speaks JSON only.
fn json() -> SessionConfig {
    SessionConfig { announce_binary: false, ..SessionConfig::default() }
}

/// One of ours that compresses what it says, if it can.
fn compressing() -> SessionConfig {
    SessionConfig { compress: true, ..SessionConfig::default() }
}

/// One of ours, in all of the ways in which it may speak.
fn ours() -> [SessionConfig; 3] {
    [SessionConfig::default(), json(), compressing()]
}

fn source(id: &str) -> SourceId {
    SourceId::new(id).expect("an id")
}

fn vector(entries: &[(&str, f64)]) -> VersionVector {
    let entries = entries.iter();
    entries.map(|(id, at)| (source(id), Timestamp::new(*at).expect("a timestamp"))).collect()
}

fn new_session<M: Model>(replica: &mut Replica<M>, config: SessionConfig) -> Session {
    Session::new(replica, NOW, config)
}

/// Lets both sides talk until neither has anything to say.
fn talk<M: Model>(a: (&mut Replica<M>, &mut Session), b: (&mut Replica<M>, &mut Session)) {
    talk_at(NOW, a, b);
}

fn talk_at<M: Model>(
    now_ms: f64,
    a: (&mut Replica<M>, &mut Session),
    b: (&mut Replica<M>, &mut Session),
) {
    loop {
        let (from_a, from_b) = (spoken(a.1, a.0), spoken(b.1, b.0));
        b.1.receive(b.0, now_ms, &from_a).expect("understands");
        a.1.receive(a.0, now_ms, &from_b).expect("understands");
        if from_a.is_empty() && from_b.is_empty() {
            break;
        }
    }
}

fn sync<M: Model>(a: &mut Replica<M>, b: &mut Replica<M>) {
    let mut to_b = new_session(a, SessionConfig::default());
    let mut to_a = new_session(b, SessionConfig::default());
    talk((a, &mut to_b), (b, &mut to_a));
}

#[test]
fn the_originals_transcript() {
    let mut a = replica("A");
    apply(&mut a, r#"[["x",1],10,"A"]"#);
    let mut session = Session::new(&mut a, NOW, plain());
    assert_eq!(said(&mut session, &a), "{\"id\":\"A\",\"clock\":{}}\n");
    // What came back under our own id counts only when someone promises it.
    let mut a = replica("Z");
    apply(&mut a, r#"[["x",1],10,"A"]"#);
    a.promise(&[(SourceId::new("A").unwrap(), Timestamp::MAX)].into_iter().collect());
    let mut session = Session::new(&mut a, NOW, plain());
    assert_eq!(said(&mut session, &a), "{\"id\":\"Z\",\"clock\":{\"A\":10}}\n");
    session
        .receive(
            &mut a,
            NOW,
            b"{\"id\":\"B\",\"clock\":{\"B\":20}}\n[[\"y\",2],20,\"B\"]\n\"SYNC\"\n",
        )
        .unwrap();
    assert_eq!(said(&mut session, &a), "[[\"x\",1],10,\"A\"]\n\"SYNC\"\n");
    assert_eq!(a.model().to_json(), r#"{"x":1,"y":2}"#);
    assert_eq!(a.version_vector().len(), 2);
    assert!(session.is_synced());
    session.receive(&mut a, NOW, b"[[\"y\",3],30,\"B\"]\n").unwrap();
    assert_eq!(said(&mut session, &a), "", "no echo");
    a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    assert_eq!(said(&mut session, &a), "[[\"k\",1],1000000,\"Z\"]\n");
    let events = events(&mut session);
    assert!(matches!(events[0], SessionEvent::DigestReceived { .. }), "{events:?}");
}

#[test]
fn two_of_ours_use_marks() {
    let (mut a, mut b) = (replica("A"), replica("B"));
    a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    let mut to_b = Session::new(&mut a, NOW, json());
    let mut to_a = Session::new(&mut b, NOW, json());
    let mut transcript = String::new();
    let mut turn = |a: &mut Replica<LwwMap>, b: &mut Replica<LwwMap>| {
        loop {
            let from_a = said(&mut to_b, a);
            to_a.receive(b, NOW, from_a.as_bytes()).unwrap();
            let from_b = said(&mut to_a, b);
            to_b.receive(a, NOW, from_b.as_bytes()).unwrap();
            for (who, text) in [("A> ", &from_a), ("B> ", &from_b)] {
                for line in text.lines() {
                    transcript += &format!("{who}{line}\n");
                }
            }
            if from_a.is_empty() && from_b.is_empty() {
                break;
            }
        }
    };
    turn(&mut a, &mut b);
    assert_eq!(a.version_vector(), b.version_vector());
    b.local_update(NOW + 1.0, LwwMap::set("k", &2).unwrap()).unwrap();
    turn(&mut a, &mut b);
    assert_eq!(a.version_vector(), b.version_vector());
    assert_eq!(a.model().to_json(), r#"{"k":2}"#);
    assert_eq!(
        transcript,
        r#"A> {"id":"A","clock":{"A":1000000},"ext":{"marks":1,"refusals":1,"model":"map","heartbeat":30000}}
B> {"id":"B","clock":{},"ext":{"marks":1,"refusals":1,"model":"map","heartbeat":30000}}
B> "SYNC"
A> [["k",1],1000000,"A"]
A> "SYNC"
B> {"mark":{"A":1000000}}
B> [["k",2],1000001,"B"]
B> {"mark":{"B":1000001}}
A> {"mark":{"B":1000001}}
"#
    );
}

#[test]
fn events_are_exchanged_once() {
    let mut a = Replica::new(SourceId::new("A").unwrap(), EventLog::new());
    let mut session = Session::new(&mut a, NOW, plain());
    session
        .receive(
            &mut a,
            NOW,
            b"{\"clock\":{}}\n[[\"e\",1],5,\"B\"]\n[[\"e\",1],5,\"B\"]\n\"SYNC\"\n",
        )
        .unwrap();
    assert_eq!(a.model().len(), 1);
}
