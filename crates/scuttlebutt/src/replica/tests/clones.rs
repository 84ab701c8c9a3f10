//! Two replicas that write under one id, as clones of a disk do: nothing is lost, and all come to the same.

use super::*;
use crate::session::{Session, SessionConfig};

const YEAR_MS: f64 = 365.0 * 24.0 * 3_600_000.0;

/// A replica that was read from a store which is that of all others of this id, and takes a fresh id if it
/// has to.
fn clone_of(id: &str) -> Replica<LwwMap> {
    let mut r = replica(id);
    r.may_renew_identity();
    r.doubt_identity();
    r
}

fn set(r: &mut Replica<LwwMap>, key: &str, at: f64) -> Update {
    r.local_update(at, LwwMap::set(key, &at).unwrap()).unwrap()
}

/// Links replicas in a row until all is said, each of which draws a fresh id whenever it has to.
fn link(mut now_ms: f64, row: &mut [&mut Replica<LwwMap>]) {
    let mut sessions: Vec<[Session; 2]> = (1..row.len())
        .map(|right| {
            [right - 1, right].map(|end| Session::new(row[end], now_ms, SessionConfig::default()))
        })
        .collect();
    let mut quiet_rounds = 0;
    while quiet_rounds < 5 {
        quiet_rounds += 1;
        for (left, ends) in sessions.iter_mut().enumerate() {
            for from in [0, 1] {
                ends[from].handle_timeout(now_ms).unwrap();
                let mut bytes = Vec::new();
                ends[from].transmit(row[left + from], &mut bytes, 1 << 20);
                if !bytes.is_empty() {
                    quiet_rounds = 0;
                }
                let to = 1 - from;
                ends[to].receive(row[left + to], now_ms, &bytes).unwrap();
                let replica = &mut *row[left + to];
                if replica.is_renewal_due(now_ms) {
                    replica
                        .renew_identity(now_ms, source(&format!("{}{}", replica.id(), left + to)));
                }
            }
        }
        // Longer than anything is held back.
        now_ms += 50.0;
    }
}

fn view(r: &Replica<LwwMap>) -> String {
    r.model().to_json()
}

/// A13: forty keys from each at once, every other under a name that the other gave as well.
#[test]
fn i1_clones_that_both_wrote_come_to_the_same_and_lose_nothing() {
    let (mut a, mut b) = (clone_of("R"), clone_of("R"));
    for n in 0..40 {
        let at = 100.0 + f64::from(n);
        set(&mut a, &format!("a{n}"), at);
        set(&mut b, &format!("b{n}"), at + f64::from(n % 2) / 2.0);
    }
    link(1_000.0, &mut [&mut a, &mut b]);
    assert_eq!((a.model().len(), view(&a)), (80, view(&b)));
    assert!(a.id() != b.id() && *a.id() != source("R") && *b.id() != source("R"));
    let late = set(&mut a, "late", 2_000.0);
    assert!(
        a.version_vector().includes(a.id(), late.timestamp()),
        "it announces what it writes again"
    );
}

/// I2: each clone is believed elsewhere to be the only one. Who meets first the one and then the other
/// believes that he lacks nothing, and still gets everything.
#[test]
fn i1_what_a_clone_is_believed_not_to_have_written_comes_all_the_same() {
    let (mut a, mut c) = (clone_of("R"), replica("C"));
    let (mut b, mut d) = (clone_of("R"), replica("D"));
    link(50.0, &mut [&mut a, &mut c]);
    link(50.0, &mut [&mut b, &mut d]);
    for at in [100.0, 120.0, 160.0] {
        set(&mut a, &format!("a{at}"), at);
    }
    for at in [110.0, 130.0, 170.0] {
        set(&mut b, &format!("b{at}"), at);
    }
    link(200.0, &mut [&mut a, &mut c]);
    link(200.0, &mut [&mut b, &mut d]);
    assert!([&c, &d].iter().all(|r| r.version_vector().timestamp(&source("R")).is_some()));
    link(300.0, &mut [&mut a, &mut c, &mut d, &mut b]);
    assert_eq!(a.model().len(), 6, "{}", view(&a));
    assert_eq!([&b, &c, &d].map(view), [(); 3].map(|()| view(&a)));
}

/// A peer that has all of the other clone's promises that this is all there is. It is not: what the other
/// announced hides what was written here.
#[test]
fn i1_a_contest_is_not_settled_by_a_promise() {
    let mut r = clone_of("R");
    set(&mut r, "mine", 100.0);
    r.remote_update(300.0, update(r#"[["theirs",1],200,"R"]"#));
    r.promise(&vector(&[("R", 200.0)]));
    assert!(r.is_renewal_due(300.0));
    r.renew_identity(300.0, source("S"));
    assert!(r.version_vector().timestamp(&source("S")).is_some());
}

/// B15: whoever says that he holds writes of ours is asked for them; what he says moves nothing.
#[test]
fn a_claim_is_no_reason_for_a_fresh_id() {
    let mut r = clone_of("R");
    let mine = set(&mut r, "k", 100.0);
    let claim = b"{\"id\":\"S\",\"clock\":{\"R\":150},\"ext\":{\"marks\":1}}\n";
    for _ in 0..100 {
        let mut liar = Session::new(&mut r, 200.0, SessionConfig::default());
        liar.receive(&mut r, 200.0, claim).unwrap();
        assert!(!r.is_identity_contested() && !r.is_renewal_due(200.0 + YEAR_MS));
    }
    set(&mut r, "j", 210.0);
    assert!(r.version_vector().is_empty(), "what peers may be about to send is not announced");
    let mut honest = Session::new(&mut r, 220.0, SessionConfig::default());
    honest.receive(&mut r, 220.0, b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
    assert!(r.version_vector().is_empty(), "not while it waits");
    let late = 200.0 + Limits::default().own_history_wait_ms_max;
    honest.receive(&mut r, late, b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
    assert!(
        r.version_vector().includes(&source("R"), mine.timestamp()),
        "it does not wait for ever"
    );

    // The liar sends its history, and nothing in it is what it claimed.
    let mut r = clone_of("R");
    set(&mut r, "k", 100.0);
    let mut liar = Session::new(&mut r, 200.0, SessionConfig::default());
    liar.receive(&mut r, 200.0, claim).unwrap();
    liar.receive(&mut r, 200.0, b"\"SYNC\"\n").unwrap();
    assert_eq!(r.version_vector().len(), 1);
}

/// B15: without signatures an update is the only evidence there is, and anybody can make one up.
#[test]
fn i8_fresh_ids_come_at_a_pace_and_end() {
    let limits = Limits { identity_renewals_max: 2, ..Limits::default() };
    let pace_ms = limits.identity_renewal_wait_ms_min;
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
    r.may_renew_identity();
    let mut now_ms = 1_000.0;
    for n in 0..2 {
        let id = r.id().clone();
        r.remote_update(now_ms, update(&format!("[[\"f{n}\",1],{},\"{id}\"]", now_ms + 1.0)));
        assert!(r.is_renewal_due(now_ms));
        r.renew_identity(now_ms, source(&format!("R{n}")));
        let id = r.id().clone();
        r.remote_update(now_ms, update(&format!("[[\"g{n}\",1],{},\"{id}\"]", now_ms + 2.0)));
        assert!(!r.is_renewal_due(now_ms + pace_ms - 1.0));
        let spreads = set(&mut r, "k", now_ms);
        assert!(r.is_live(&spreads.id()) && !r.version_vector().includes(&id, spreads.timestamp()));
        now_ms += pace_ms;
    }
    assert!(r.is_identity_contested() && !r.is_renewal_due(now_ms + YEAR_MS), "two, and no more");
    set(&mut r, "k", now_ms);
}

/// Written again is what this life wrote and nothing supersedes, in its order.
#[test]
fn only_what_counts_is_written_again() {
    let mut r = replica("R");
    r.restore([update(r#"[["before",1],10,"R"]"#)], &VersionVector::new());
    r.may_renew_identity();
    for (key, at) in [("b", 20.0), ("lost", 30.0), ("a", 40.0), ("b", 50.0)] {
        set(&mut r, key, at);
    }
    r.remote_update(100.0, update(r#"[["lost",1],60,"C"]"#));
    r.remote_update(100.0, update(r#"[["twin",1],40,"R"]"#));
    let again = r.renew_identity(100.0, source("S"));
    let again: Vec<_> =
        again.iter().map(|u| (u.source().to_string(), u.change().to_owned())).collect();
    let expected = [("R", r#"["b",50]"#), ("S", r#"["a",40]"#), ("S", r#"["b",50]"#)];
    assert_eq!(again, expected.map(|(id, change)| (id.to_owned(), change.to_owned())));
    assert_eq!(view(&r), r#"{"a":40,"b":50,"before":1,"lost":1,"twin":1}"#);

    // Of the two sides of a fork the model knows which counts.
    let mut r = replica("R");
    r.may_renew_identity();
    set(&mut r, "k", 40.0);
    r.remote_update(100.0, update(r#"[["k",9],40,"R"]"#));
    assert!(r.renew_identity(100.0, source("S")).is_empty());
    assert_eq!(view(&r), r#"{"k":9}"#);
}
