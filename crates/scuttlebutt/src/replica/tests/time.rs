//! I4: time moves forward.

use super::*;
use proptest::prelude::*;

proptest! {
    /// Whatever the wall clock does and peers write, a local write takes effect at once and is later
    /// than everything before it.
    #[test]
    fn i4_local_writes_always_take_effect(
        steps in prop::collection::vec((any::<bool>(), 0..3_u8, 0.0..2e6_f64), 1..60)
    ) {
        let mut r = replica("m");
        let mut newest = 0.0;
        for (nth, (is_local, key, millis)) in steps.into_iter().enumerate() {
            let key = format!("k{key}");
            if is_local {
                let own = r.local_update(millis, LwwMap::set(&*key, &nth).unwrap()).unwrap();
                prop_assert!(own.timestamp().as_millis() > newest);
                prop_assert!(own.timestamp().as_millis() >= millis);
                newest = own.timestamp().as_millis();
                prop_assert_eq!(r.model().get::<usize>(&*key).unwrap(), Some(nth));
                prop_assert!(r.is_live(&own.id()));
            } else if millis > 0.0 {
                // Sources on either side of ours, for the ties.
                let id = if nth % 2 == 0 { "a" } else { "z" };
                let line = format!(r#"[["{key}",{nth}],{millis},"{id}"]"#);
                r.remote_update(millis, update(&line));
                newest = newest.max(millis);
            }
        }
    }
}

#[test]
fn i4_a_lagging_clock_does_not_hold_writes_back() {
    let mut r = replica("R");
    r.remote_update(NOW, update(&format!(r#"[["k","theirs"],{NOW},"z"]"#)));
    for now_ms in [5.0, 0.0, -1.0, f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
        let before = r.model().entry("k").unwrap().update.timestamp();
        let own = r.local_update(now_ms, LwwMap::set("k", &now_ms.to_string()).unwrap()).unwrap();
        assert_eq!(Some(own.timestamp()), before.next(), "clock at {now_ms}");
        assert_eq!(r.model().get::<String>("k").unwrap(), Some(now_ms.to_string()));
    }
}

#[test]
fn i4_the_future_is_put_off_and_moves_nothing() {
    let mut r = replica("R");
    let day = r.limits().clock_skew_ms_max;
    let latest = update(&format!(r#"[["k",1],{},"A"]"#, NOW + day));
    assert_eq!(r.remote_update(NOW, latest), Outcome::Applied, "just within");
    let future = update(&format!(r#"[["k",2],{},"A"]"#, NOW + day + 1.0));
    let outcome = r.remote_update(NOW, future.clone());
    assert_eq!(outcome, Outcome::ClockSkew { accept_at_ms: NOW + 1.0 });
    assert_eq!((r.head(), r.model().get::<u32>("k").unwrap()), (1, Some(1)));
    let own = r.local_update(NOW, LwwMap::set("j", &1).unwrap()).unwrap();
    assert!(own.timestamp() < future.timestamp(), "the clock was not dragged along");
    assert_eq!(r.remote_update(NOW + 1.0, future), Outcome::Applied);
}

#[test]
fn i4_when_no_timestamp_is_left_writes_are_refused_by_name() {
    let limits = Limits { clock_skew_ms_max: f64::INFINITY, ..Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
    let last = Update::new(&LwwMap::set("k", &1).unwrap(), Timestamp::MAX, source("A"));
    assert_eq!(r.remote_update(NOW, last), Outcome::Applied);
    let refused = r.local_update(NOW, LwwMap::set("j", &1).unwrap());
    assert_eq!(refused, Err(LocalUpdateError::TimeExhausted));
    assert_eq!((r.model().len(), r.head()), (1, 1));
}

#[test]
fn i4_timestamps_that_break_order_are_refused_by_name() {
    use crate::update::{InvalidUpdate, UpdateError};
    for (millis, expected) in [
        ("0", InvalidUpdate::Timestamp(0.0)),
        ("-0", InvalidUpdate::Timestamp(0.0)),
        ("-1", InvalidUpdate::Timestamp(-1.0)),
        ("1e999", InvalidUpdate::TimestampType),
        ("-1e999", InvalidUpdate::TimestampType),
        ("null", InvalidUpdate::TimestampType),
        ("\"5\"", InvalidUpdate::TimestampType),
        ("[5]", InvalidUpdate::TimestampType),
        ("true", InvalidUpdate::TimestampType),
    ] {
        let error = Update::from_json(&format!("[[\"k\",1],{millis},\"A\"]")).unwrap_err();
        assert_eq!(error, UpdateError::Invalid(expected), "{millis}");
    }
    assert!(Update::from_json("[[\"k\",1],5e-324,\"A\"]").is_ok());
}

/// I4: a replica does not write what its peers will put off for a year without a word.
#[test]
fn i4_what_peers_would_put_off_is_refused_and_says_so() {
    let mut r = replica("R");
    let skew = r.limits().clock_skew_ms_max;
    let set = |r: &mut Replica<LwwMap>, at: f64| r.local_update(at, LwwMap::set("k", &1).unwrap());
    set(&mut r, NOW + skew + 1.0).unwrap();
    assert_eq!(r.clock_lead_ms(NOW + 1.0), None);
    set(&mut r, NOW + 1.5).unwrap();
    assert!(r.clock_lead_ms(NOW).is_some_and(|lead| lead > skew));
    let before = (r.head(), r.version_vector());
    let error = set(&mut r, NOW).unwrap_err();
    assert!(matches!(error, LocalUpdateError::ClockAhead { lead_ms } if lead_ms > skew), "{error}");
    assert_eq!((r.head(), r.version_vector()), before);
    // A clock that reads nonsense says nothing.
    set(&mut r, f64::NAN).unwrap();
    set(&mut r, 0.0).unwrap();
    // What others wrote was accepted when the clock was that late: so it is the clock that is behind.
    let mut r = replica("R");
    r.remote_update(NOW + skew, update(&format!(r#"[["j",1],{},"A"]"#, NOW + skew + 1.0)));
    set(&mut r, NOW + skew).unwrap();
    set(&mut r, NOW).unwrap();
    assert!(r.clock_lead_ms(NOW).is_some(), "it is told all the same");
}

/// The way back from a clock that was ahead loses nothing that shows, and asks for what it superseded.
#[test]
fn what_was_written_ahead_is_written_anew_in_the_present() {
    let mut old = replica("R");
    let ahead = NOW + 365.0 * 86_400_000.0;
    let set = |r: &mut Replica<LwwMap>, key: &str, at: f64| {
        r.local_update(at, LwwMap::set(key, &at).unwrap()).unwrap();
    };
    set(&mut old, "early", NOW);
    old.remote_update(NOW, update(&format!(r#"[["theirs",1],{NOW},"B"]"#)));
    old.promise(&vector(&[("B", NOW)]));
    set(&mut old, "twice", ahead);
    set(&mut old, "once", ahead + 1.0);
    set(&mut old, "twice", ahead + 2.0);
    old.remote_update(ahead, update(&format!(r#"[["other",1],{ahead},"C"]"#)));
    assert_eq!(old.ahead_of(NOW).count(), 3);

    for (whose, again, shown) in [(Ahead::Own, 2, 4), (Ahead::Everybodys, 3, 5)] {
        let mut new = replica("S");
        assert_eq!(new.return_to_present(NOW, &old, whose), Ok(again));
        assert_eq!((new.model().len(), new.ahead_of(NOW).count()), (shown, 0));
        assert_eq!(new.model().get::<f64>("twice").unwrap(), Some(ahead + 2.0));
        assert_eq!(new.version_vector().len(), 1, "all but its own is asked for again");
        assert_eq!(new.clock_lead_ms(NOW), None);
        assert_eq!(new.held().count(), new.updates_held());
    }
}

/// A claim from the future cannot be true, so it disputes nothing.
#[test]
fn i4_a_claim_from_the_future_disputes_no_identity() {
    let r = replica("R");
    let skew = r.limits().clock_skew_ms_max;
    assert!(!r.is_identity_disputed_by(&VersionVector::new(), NOW));
    assert!(r.is_identity_disputed_by(&vector(&[("R", NOW + skew)]), NOW));
    assert!(!r.is_identity_disputed_by(&vector(&[("R", NOW + skew + 1.0)]), NOW));
    assert!(!r.is_identity_disputed_by(&vector(&[("S", NOW)]), NOW), "another's id");
}
