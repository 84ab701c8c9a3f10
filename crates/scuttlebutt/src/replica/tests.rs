//! Order, the log and what it costs, and the store's side of a replica.

mod cost;
mod forks;
mod rejudging;
mod signing;
mod store;
mod time;
mod waiting;

use super::*;
use crate::model::{EventLog, LwwMap, Register};
use crate::update::Change;

const NOW: f64 = 1_000_000.0;

fn source(id: &str) -> SourceId {
    SourceId::new(id).expect("an id")
}

fn replica(id: &str) -> Replica<LwwMap> {
    Replica::new(source(id), LwwMap::new())
}

fn update(line: &str) -> Update {
    Update::from_json(line).expect("an update")
}

fn vector(entries: &[(&str, f64)]) -> VersionVector {
    let entries = entries.iter();
    entries.map(|(id, at)| (source(id), Timestamp::new(*at).expect("a timestamp"))).collect()
}

/// The lines that someone who announces `vector` lacks.
fn since<M: Model>(replica: &Replica<M>, vector: &VersionVector) -> Vec<String> {
    replica.updates_since(vector).map(Update::to_json).collect()
}

#[test]
fn history_is_ordered_by_timestamp_then_source() {
    let mut r = replica("R");
    // U+FF5E comes after U+1F600 in UTF-16, and before it in UTF-8.
    let ids = ["b", "\u{ff5e}", "B", "\u{1f600}", "a", "", "10", "9"];
    for (nth, id) in ids.iter().enumerate() {
        r.remote_update(NOW, update(&format!(r#"[["k{nth}",1],100,"{id}"]"#)));
    }
    r.remote_update(NOW, update(r#"[["first",1],99,"z"]"#));
    r.remote_update(NOW, update(r#"[["last",1],101,""]"#));
    let order: Vec<_> =
        r.updates_since(&VersionVector::new()).map(|update| update.source().to_string()).collect();
    assert_eq!(order, ["z", "", "10", "9", "B", "a", "b", "\u{1f600}", "\u{ff5e}", ""]);
}

#[test]
fn each_update_has_one_outcome() {
    let mut r = replica("R");
    let mut outcome = |line: &str| r.remote_update(NOW, update(line));
    assert_eq!(outcome(r#"[["k",2],20,"B"]"#), Outcome::Applied);
    assert_eq!(outcome(r#"[["k",2],20,"B"]"#), Outcome::Stale);
    assert_eq!(outcome(r#"[["k",1],10,"A"]"#), Outcome::Superseded);
    assert_eq!(outcome(r#"[["k",1],10,"A"]"#), Outcome::Stale, "it is the evidence for A");
    assert_eq!(outcome(r#"[["k",0],5,"A"]"#), Outcome::Superseded);
    assert_eq!(outcome(r#"[["k",0],5,"A"]"#), Outcome::Superseded, "it was not kept");
    assert_eq!(outcome(r#"[["k",3],20,"C"]"#), Outcome::Applied, "the greater source wins a tie");
    assert_eq!(outcome(r#"[["k",3],20,"A"]"#), Outcome::Superseded);
    assert!(matches!(outcome(r#"[null,30,"A"]"#), Outcome::Invalid(_)));
    // An older update of a known source that never came is news, unlike in the original.
    assert_eq!(outcome(r#"[["late",1],1,"B"]"#), Outcome::Applied);
    assert_eq!(r.model().to_json(), r#"{"k":3,"late":1}"#);
}

/// Of what is superseded, only the newest of each source is kept.
#[test]
fn the_newest_of_each_source_is_kept_as_evidence() {
    let mut r = replica("R");
    for line in [r#"[["k",1],1,"A"]"#, r#"[["k",2],2,"A"]"#, r#"[["k",3],3,"B"]"#] {
        r.remote_update(NOW, update(line));
    }
    assert_eq!(r.updates_held(), 2);
    r.promise(&vector(&[("A", 9.0), ("B", 9.0)]));
    assert_eq!(r.version_vector(), vector(&[("A", 2.0), ("B", 3.0)]));
    assert_eq!(since(&r, &VersionVector::new()), [r#"[["k",3],3,"B"]"#], "history is what counts");
    // A newer one of the source takes its place.
    r.remote_update(NOW, update(r#"[["j",1],5,"A"]"#));
    assert_eq!(r.updates_held(), 2);
    assert!(!r.is_live(&update(r#"[["k",2],2,"A"]"#).id()));
}

/// A promise moves an entry no further than something of its source is held, never back, and
/// concerns nobody else.
#[test]
fn i2_a_claim_alone_moves_nothing() {
    let mut r = replica("R");
    r.remote_update(NOW, update(r#"[["k",1],10,"A"]"#));
    r.remote_update(NOW, update(r#"[["j",1],20,"A"]"#));
    r.remote_update(NOW, update(r#"[["i",1],10,"B"]"#));
    assert!(r.version_vector().is_empty());
    for (promise, expected) in [
        (vector(&[("C", 9.0)]), vector(&[])),
        (vector(&[("A", 9.0), ("C", 9.0)]), vector(&[("A", 9.0)])),
        (vector(&[("A", 15.0)]), vector(&[("A", 15.0)])),
        (vector(&[("A", 5.0)]), vector(&[("A", 15.0)])),
        (vector(&[("A", 1e300)]), vector(&[("A", 20.0)])),
    ] {
        r.promise(&promise);
        assert_eq!(r.version_vector(), expected, "{promise:?}");
    }
}

#[test]
fn i5_what_nobody_vouches_for_changes_nothing() {
    struct Signed;
    impl Verifier for Signed {
        fn verify(&self, update: &Update) -> Trust {
            match update.extras().first().map(String::as_str) {
                Some("\"good\"") => Trust::Trusted,
                _ => Trust::Untrusted,
            }
        }
    }
    let mut r = replica("R").verify_with(Signed);
    // Forged, from far ahead: it must not block what the true source writes.
    assert_eq!(r.remote_update(NOW, update(r#"[["k",0],900000,"A","bad"]"#)), Outcome::Unverified);
    assert_eq!(r.remote_update(NOW, update(r#"[["k",0],900000,"A"]"#)), Outcome::Unverified);
    assert_eq!((r.sources_known(), r.head(), r.model().len()), (0, 0, 0));
    assert_eq!(r.remote_update(NOW, update(r#"[["k",1],10,"A","good"]"#)), Outcome::Applied);
    r.promise(&vector(&[("A", 1e6)]));
    assert_eq!(r.version_vector(), vector(&[("A", 10.0)]));
    // And our own writes are newer than what was accepted, not than what was forged.
    let own = r.local_update(20.0, LwwMap::set("k", &2).unwrap()).unwrap();
    assert_eq!(own.timestamp().as_millis(), 20.0);
}

#[test]
fn a_refused_update_leaves_no_trace() {
    let mut r = replica("R");
    r.remote_update(NOW, update(r#"[null,10,"A"]"#));
    r.remote_update(NOW, update(r#"[["__proto__",1],10,"B"]"#));
    assert_eq!((r.sources_known(), r.head(), r.updates_held()), (0, 0, 0));
    assert!(r.local_update(NOW, Change::from_json("null").unwrap()).is_err());
    assert_eq!((r.sources_known(), r.head(), r.updates_held()), (0, 0, 0));
    let own = r.local_update(5.0, LwwMap::set("k", &1).unwrap()).unwrap();
    assert_eq!(own.timestamp().as_millis(), 5.0, "nor on the clock");
}

#[test]
fn changes_come_in_the_order_of_arrival_and_say_whose_they_are() {
    let mut r = replica("R");
    let mut cursor = r.change_cursor();
    r.remote_update(NOW, update(r#"[["a",1],50,"A"]"#));
    r.local_update(NOW, LwwMap::set("b", &2).unwrap()).unwrap();
    r.remote_update(NOW, update(r#"[["a",0],40,"B"]"#));
    r.remote_update(NOW, update(r#"[["c",3],45,"B"]"#));
    let seen: Vec<_> = r
        .changes(&mut cursor)
        .map(|change| (change.update.source().to_string(), change.is_local))
        .collect();
    let expected = [("A", false), ("R", true), ("B", false)];
    assert_eq!(seen, expected.map(|(id, is_local)| (id.to_owned(), is_local)));
    assert_eq!(r.changes(&mut cursor).count(), 0);
    assert_eq!(cursor.position(), r.head());
}

#[test]
fn an_event_is_delivered_once_whatever_comes_again() {
    let mut log = Replica::new(source("R"), EventLog::new());
    let mut cursor = log.change_cursor();
    let mut heard = Vec::new();
    for line in
        [r#"[["e",1],5,"A"]"#, r#"[["e",1],5,"A"]"#, r#"[["e",1],4,"A"]"#, r#"[["e",1],5,"A"]"#]
    {
        log.remote_update(NOW, update(line));
        heard.extend(log.changes(&mut cursor).map(|change| change.update.id().to_string()));
    }
    assert_eq!(heard, ["A@5", "A@4"]);
}

#[test]
fn a_register_holds_one_update_for_each_writer_at_most() {
    let mut r = Replica::new(source("R"), Register::new());
    for n in 1..=100 {
        r.remote_update(NOW, update(&format!(r#"[{n},{n},"{}"]"#, ["A", "B", "C"][n % 3])));
    }
    assert_eq!(r.model().get::<u32>().unwrap(), Some(100));
    assert_eq!(r.updates_held(), 3);
}

#[test]
fn a_cursor_from_now_on_shows_nothing_old() {
    let mut r = replica("R");
    r.local_update(NOW, LwwMap::set("old", &1).unwrap()).unwrap();
    let mut cursor = r.change_cursor();
    assert_eq!(r.changes(&mut cursor).count(), 0);
    r.local_update(NOW, LwwMap::set("new", &1).unwrap()).unwrap();
    assert_eq!(r.changes(&mut cursor).count(), 1);
}

#[test]
fn a_contested_identity_is_given_up() {
    let mut r = replica("R");
    r.remote_update(NOW, update(r#"[["k",1],50,"R"]"#));
    assert!(r.is_identity_contested());
    r.renew_identity(source("S"));
    assert!(!r.is_identity_contested());
    let written = r.local_update(NOW, LwwMap::set("k", &2).unwrap()).unwrap();
    assert_eq!((r.id(), written.source()), (&source("S"), &source("S")));
    assert!(r.version_vector().includes(&source("S"), written.timestamp()));
    assert!(!r.version_vector().includes(&source("R"), Timestamp::new(50.0).unwrap()));
}

/// I8: a bound is the last that is allowed.
#[test]
fn i8_bounds_hold_to_the_last_byte() {
    let first = update(r#"[["k",1],50,"A"]"#);
    let second = update(r#"[["j",1],60,"A"]"#);
    let mut measured = replica("R");
    measured.remote_update(NOW, first.clone());
    let held = measured.log.bytes() + measured.sources.bytes();
    for (spare, is_refused) in [(0, false), (1, true)] {
        let held_bytes_max = held + second.heap_bytes() - spare;
        let limits = Limits { held_bytes_max, ..Limits::default() };
        let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
        assert_eq!(r.remote_update(NOW, first.clone()), Outcome::Applied);
        let outcome = r.remote_update(NOW, second.clone());
        assert_eq!(matches!(outcome, Outcome::Full(_)), is_refused, "{outcome:?}");
    }
}
