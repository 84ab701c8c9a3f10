//! I8: being full degrades. What takes the place of something is accepted, what adds to it is not.

use super::*;
use crate::limits::{Bound, Limits};
use crate::model::{Merge, Retention, Verdict};
use proptest::prelude::*;

fn full(limits: Limits) -> Replica<LwwMap> {
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
    for line in [r#"[["a","1234"],10,"A"]"#, r#"[["b","1234"],20,"B"]"#] {
        assert_eq!(r.remote_update(NOW, update(line)), Outcome::Applied);
    }
    r
}

fn bound(r: &mut Replica<LwwMap>, line: &str) -> Option<Bound> {
    match r.remote_update(NOW, update(line)) {
        Outcome::Full(exceeded) => Some(exceeded.bound),
        Outcome::Applied | Outcome::Superseded => None,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn i8_known_keys_go_on_when_there_are_enough_updates() {
    let mut r = full(Limits { updates_max: 2, ..Limits::default() });
    assert_eq!(bound(&mut r, r#"[["c",1],30,"A"]"#), Some(Bound::Updates));
    assert_eq!(bound(&mut r, r#"[["a","longer than before"],30,"C"]"#), None, "a source is no key");
    assert_eq!(bound(&mut r, r#"[["a",0],5,"B"]"#), None, "it is superseded, and takes no place");
    assert_eq!(bound(&mut r, r#"[["c",1],31,"C"]"#), Some(Bound::Updates));
    r.local_update(NOW, LwwMap::set("b", "here").unwrap()).unwrap();
    assert!(r.local_update(NOW, LwwMap::set("c", "here").unwrap()).is_err());
    assert_eq!(r.model().to_json(), r#"{"a":"longer than before","b":"here"}"#);
}

#[test]
fn i8_known_keys_go_on_when_there_are_enough_bytes() {
    let measured = full(Limits::default());
    let held_bytes_max = measured.log.bytes() + measured.sources.bytes();
    let mut r = full(Limits { held_bytes_max, ..Limits::default() });
    assert_eq!(bound(&mut r, r#"[["c",1],30,"A"]"#), Some(Bound::HeldBytes));
    assert_eq!(bound(&mut r, r#"[["a","12345"],30,"A"]"#), Some(Bound::HeldBytes), "it adds one");
    assert_eq!(bound(&mut r, r#"[["a","4321"],30,"A"]"#), None);
    // B's newest stays as evidence, beyond the bound; only so much may.
    assert_eq!(bound(&mut r, r#"[["b","4321"],40,"A"]"#), None);
    assert_eq!(r.model().to_json(), r#"{"a":"4321","b":"4321"}"#);
    assert_eq!(bound(&mut r, r#"[["c",1],50,"A"]"#), Some(Bound::HeldBytes));
}

#[test]
fn i8_known_sources_go_on_when_there_are_enough() {
    let id = r#""A""#;
    for limits in [
        Limits { sources_max: 2, ..Limits::default() },
        Limits { sources_bytes_max: 2 * id.len() + 1, ..Limits::default() },
    ] {
        let mut r = full(limits);
        assert!(bound(&mut r, r#"[["a",1],30,"C"]"#).is_some());
        assert_eq!(bound(&mut r, r#"[["c",1],30,"A"]"#), None);
        // It has no place among them yet.
        assert!(r.local_update(NOW, LwwMap::set("d", &1).unwrap()).is_err());
    }
}

/// What a store has yet to write is held, too: overwriting is no way past a store that stands still.
#[test]
fn i8_overwriting_is_bounded_while_a_store_stands_still() {
    let limits = Limits { updates_max: 2, sources_max: 5, forks_max: 0, ..Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
    r.wait_for_store();
    let accepted = (1..100).take_while(|n| {
        let line = format!("[[\"k\",{n}],{n},\"A\"]");
        r.remote_update(NOW, update(&line)) == Outcome::Applied
    });
    assert_eq!(accepted.count(), 7);
    r.stored(r.head());
    assert_eq!(r.remote_update(NOW, update(r#"[["k",100],100,"A"]"#)), Outcome::Applied);
}

/// An update that is too deep as a whole, though its change is not.
#[test]
fn i9_what_nests_too_deep_for_peers_is_not_written() {
    let deepest = Limits::default().nesting_depth_max;
    let mut r = Replica::new(source("R"), Register::new());
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let fits = Change::from_json(&nested(deepest - 1)).unwrap();
    let written = r.local_update(NOW, fits).unwrap();
    assert_eq!(Update::from_json(&written.to_json()), Ok(written));
    let too_deep = Change::from_json(&nested(deepest)).unwrap();
    let error = r.local_update(NOW, too_deep.clone()).unwrap_err();
    assert!(error.to_string().contains("Limits::nesting_depth_max"), "{error}");
    let elsewhere = Update::new(&too_deep, Timestamp::new(5.0).unwrap(), source("A"));
    assert!(matches!(r.remote_update(NOW, elsewhere), Outcome::Full(_)));
}

fn answers_as_foreseen<M: Model>(mut model: M, lines: &[String]) -> Result<(), TestCaseError> {
    let mut applied = Vec::new();
    for line in lines {
        let update = update(line);
        if applied.contains(&update.id()) {
            continue;
        }
        model.time_passes(15.0);
        let foreseen = model.preview(&update);
        let found = model.apply(&update);
        if !matches!(found, Merge(Verdict::Invalid(_))) {
            prop_assert_eq!(foreseen, found, "{}", line);
        }
        applied.push(update.id());
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_preview_is_what_happens(
        drawn in prop::collection::vec((0..3u8, 1..20u8, 0..3u8, 0..9usize), 1..30),
    ) {
        let lines: Vec<_> = drawn
            .iter()
            .map(|(key, at, source, len)| {
                format!("[[\"{key}\",\"{}\"],{at},\"{source}\"]", "x".repeat(*len))
            })
            .collect();
        answers_as_foreseen(LwwMap::new(), &lines)?;
        answers_as_foreseen(Register::new(), &lines)?;
        answers_as_foreseen(EventLog::new(), &lines)?;
        let all = Retention::default();
        for retention in [
            Retention { count_max: 2, ..all },
            Retention { count_max: 0, ..all },
            Retention { age_ms_max: 4.0, ..all },
            Retention { bytes_max: 25, ..all },
            Retention { count_max: 3, age_ms_max: 8.0, bytes_max: 40 },
        ] {
            answers_as_foreseen(EventLog::with_retention(retention), &lines)?;
        }
    }
}
