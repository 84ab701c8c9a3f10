//! What is held, judged again: what falls with it, and what stays.

use super::*;

fn without<'a>(eve: &'a str) -> impl Fn(&Update) -> bool + 'a {
    move |update| *update.source() != source(eve)
}

fn at(millis: f64) -> Timestamp {
    Timestamp::new(millis).expect("a timestamp")
}

#[test]
fn what_a_dropped_update_had_superseded_counts_again_as_far_as_it_is_here() {
    let mut r = replica("R");
    r.wait_for_store();
    for line in [r#"[["k",1],10,"A"]"#, r#"[["j",1],20,"A"]"#, r#"[["k",2],30,"E"]"#] {
        r.remote_update(NOW, update(line));
    }
    assert_eq!(r.model().to_json(), r#"{"j":1,"k":2}"#);
    // Nothing is durable yet, so the first one is still here.
    let dropped = r.rejudge(NOW, LwwMap::new(), without("E"));
    assert_eq!(dropped, [update(r#"[["k",2],30,"E"]"#)]);
    assert_eq!(r.model().to_json(), r#"{"j":1,"k":1}"#);
    let places: Vec<u64> = r.unstored_at().map(|(position, _)| position).collect();
    assert_eq!((places, r.head()), (vec![0, 1], 3));
}

#[test]
fn i2_the_vector_falls_back_to_where_nothing_can_be_missing() {
    let mut r = replica("R");
    for line in [
        r#"[["a",1],10,"A"]"#,
        r#"[["k",1],20,"A"]"#,
        r#"[["b",1],30,"A"]"#,
        r#"[["c",1],15,"B"]"#,
        r#"[["k",2],40,"E"]"#,
    ] {
        r.remote_update(NOW, update(line));
    }
    // As whoever leaves nothing out promises it.
    r.credit(&vector(&[("A", 30.0), ("B", 15.0), ("E", 40.0)]));
    r.rejudge(NOW, LwwMap::new(), without("E"));
    assert_eq!(r.version_vector(), vector(&[("A", 10.0), ("B", 15.0)]), "A wrote at 20");
    let fallen = r.take_fallen();
    assert_eq!(fallen, [(source("A"), Some(at(10.0))), (source("E"), None)]);
    // Others have it still, and what is held is not believed to be all there is.
    r.remote_update(NOW, update(r#"[["k",1],20,"A"]"#));
    r.promise(&vector(&[("A", 30.0)]));
    assert_eq!(r.version_vector(), vector(&[("A", 30.0), ("B", 15.0)]));
    assert_eq!(r.model().to_json(), r#"{"a":1,"b":1,"c":1,"k":1}"#);
}

#[test]
fn i2_nothing_falls_where_nothing_is_dropped_or_nothing_supersedes() {
    let mut r = replica("R");
    r.local_update(10.0, LwwMap::set("k", &1).expect("JSON")).expect("written");
    r.local_update(20.0, LwwMap::set("k", &2).expect("JSON")).expect("written");
    let (before, revision) = (r.version_vector(), r.revision());
    assert!(r.rejudge(NOW, LwwMap::new(), without("E")).is_empty());
    assert_eq!((r.version_vector(), r.own_gap()), (before, None));
    assert_ne!(r.revision(), revision, "sessions ask again all the same");

    let mut r = Replica::new(source("R"), EventLog::new());
    r.local_update(10.0, EventLog::emit("e", &[1]).expect("JSON")).expect("written");
    r.remote_update(NOW, update(r#"[["e",1],5,"A"]"#));
    r.remote_update(NOW, update(r#"[["e",2],6,"E"]"#));
    r.credit(&vector(&[("A", 5.0), ("E", 6.0)]));
    assert_eq!(r.rejudge(NOW, EventLog::new(), without("E")).len(), 1);
    assert_eq!(r.version_vector(), vector(&[("A", 5.0), ("R", 10.0)]));
    assert_eq!(r.model().view(), r#"[["e",1],["e",1]]"#);
}

/// Own writes that were let go come back like others', and dispute nobody's id.
#[test]
fn i2_own_writes_are_announced_again_once_a_peer_promises_them() {
    let mut r = replica("R");
    r.local_update(10.0, LwwMap::set("k", &1).expect("JSON")).expect("written");
    r.local_update(20.0, LwwMap::set("j", &1).expect("JSON")).expect("written");
    r.remote_update(NOW, update(r#"[["k",2],30,"E"]"#));
    r.rejudge(NOW, LwwMap::new(), without("E"));
    assert_eq!((r.own_gap(), r.version_vector().len()), (Some(at(20.0)), 0));
    r.local_update(40.0, LwwMap::set("i", &1).expect("JSON")).expect("written");
    assert!(r.version_vector().is_empty(), "it spreads; that it is all there is nobody is told");
    assert_eq!(r.remote_update(NOW, update(r#"[["k",1],10,"R"]"#)), Outcome::Applied);
    assert!(!r.is_identity_contested());
    r.promise(&vector(&[("R", 20.0)]));
    assert_eq!((r.own_gap(), r.version_vector()), (None, vector(&[("R", 40.0)])));
}

#[test]
fn what_waits_is_asked_about_anew() {
    struct Later;
    impl Verifier for Later {
        fn verify(&self, _: &Update) -> Trust {
            Trust::Later
        }
    }
    let mut r = replica("R").verify_with(Later);
    r.remote_update(NOW, update(r#"[["k",1],10,"A"]"#));
    let question = r.take_questions(9).pop().expect("one");
    r.rejudge(NOW, LwwMap::new(), without("E"));
    r.answer(question.ticket, Trust::Trusted);
    assert!(r.model().is_empty(), "that was the answer of rules that count no more");
    let question = r.take_questions(9).pop().expect("the same");
    r.answer(question.ticket, Trust::Trusted);
    assert_eq!((r.model().to_json().as_str(), r.updates_waiting()), (r#"{"k":1}"#, 0));
}

#[test]
fn readers_and_stores_are_told() {
    let mut r = replica("R");
    r.wait_for_store();
    r.restore_at(
        [(4, update(r#"[["k",2],30,"E"]"#)), (7, update(r#"[["j",1],5,"A"]"#))],
        &vector(&[("E", 30.0)]),
    );
    let (mut reader, mut late) = (r.change_cursor(), ChangeCursor::default());
    r.rejudge(NOW, LwwMap::new(), without("E"));
    assert_eq!((r.take_released(), r.take_fallen()), (vec![4], vec![(source("E"), None)]));
    assert_eq!((r.changes(&mut reader).count(), reader.take_withdrawn()), (0, true));
    assert!(!reader.take_withdrawn());
    assert_eq!((r.changes(&mut late).count(), late.take_withdrawn()), (1, false));
}

/// A store that was written meanwhile does not let the next life say more than this one.
#[test]
fn i3_a_gap_in_what_was_written_here_outlives_the_process() {
    let mut r = replica("R");
    r.wait_for_store();
    r.expect_own_gap(at(20.0));
    r.restore_at([(0, update(r#"[["j",1],20,"R"]"#))], &vector(&[]));
    assert!(r.version_vector().is_empty());
    r.promise(&vector(&[("R", 20.0)]));
    assert_eq!((r.version_vector(), r.own_gap()), (vector(&[("R", 20.0)]), None));
}
