//! I7: what is asked for costs what is missing, never what is held.

use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// How many entries of the log `work` looks at.
fn touched<M: Model>(replica: &Replica<M>, work: impl FnOnce(&Replica<M>)) -> usize {
    let before = replica.log.touched.load(Relaxed);
    work(replica);
    replica.log.touched.load(Relaxed) - before
}

/// A replica that holds `count` updates of `sources` sources, all announced.
fn filled<M: Model>(
    model: M,
    count: usize,
    sources: usize,
    change: impl Fn(usize) -> Change,
) -> Replica<M> {
    let mut r = Replica::new(source("R"), model);
    let ids: Vec<_> = (0..sources).map(|nth| source(&format!("s{nth}"))).collect();
    for n in 0..count {
        let timestamp = Timestamp::new((n + 1) as f64).unwrap();
        let update = Update::new(&change(n), timestamp, ids[n % sources].clone());
        assert_eq!(r.remote_update(1e9, update), Outcome::Applied);
    }
    let all = ids.into_iter().map(|id| (id, Timestamp::MAX));
    r.promise(&all.collect());
    r
}

/// The same, past the model, which takes most of the time without being what is counted.
fn filled_quickly(count: usize, sources: usize) -> Replica<EventLog> {
    let mut r = filled(EventLog::new(), sources, sources, |_| EventLog::emit("e", &()).unwrap());
    let first = r.log.get(0).unwrap().update.clone();
    for n in sources..count {
        let timestamp = Timestamp::new((n + 1) as f64).unwrap();
        let index = SourceIndex((n % sources) as u32);
        let (update, via) = (first.clone(), Link::ELSEWHERE);
        let entry = Entry { update, source: index, via, superseded_by: Entry::LIVE };
        let position = r.log.push(entry);
        r.sources.get_mut(index).insert(timestamp, position);
    }
    r.promise(&r.version_vector().iter().map(|(id, _)| (id.clone(), Timestamp::MAX)).collect());
    r
}

/// The vector of one who lacks the last `missing` updates.
fn lacking<M: Model>(
    r: &Replica<M>,
    count: usize,
    sources: usize,
    missing: usize,
) -> VersionVector {
    let mut vector = r.version_vector();
    for n in count - missing..count {
        let id = source(&format!("s{}", n % sources));
        vector.remove(&id);
        if let Some(before) = n.checked_sub(sources) {
            // Its last update that is not among the missing.
            let steps = (before + sources - (count - missing)) / sources;
            let held = before - steps * sources;
            vector.advance(&id, Timestamp::new((held + 1) as f64).unwrap());
        }
    }
    vector
}

fn check_cost<M: Model>(r: Replica<M>, count: usize, sources: usize) {
    let vector = lacking(&r, count, sources, 10);
    let work = |r: &Replica<M>| assert_eq!(r.updates_since(&vector).count(), 10);
    let cost = touched(&r, work);
    assert!((10..=20).contains(&cost), "{cost} of {count} entries for 10 missing ones");
    let nothing = touched(&r, |r| assert_eq!(r.updates_since(&r.version_vector()).count(), 0));
    assert_eq!(nothing, 0, "nobody lacks anything");
    // Following the order of arrival: one look for each step.
    let live = touched(&r, |r| {
        let mut position = r.head() - 10;
        for _ in 0..10 {
            position = r.next_from(position).expect("there is one").0 + 1;
        }
    });
    assert!((10..=20).contains(&live), "{live}");
    assert!(touched(&r, |r| assert!(r.next_from(r.head()).is_none())) <= 1);
}

#[test]
fn i7_ten_missing_updates_of_a_million_cost_ten() {
    check_cost(filled_quickly(1_000_000, 10), 1_000_000, 10);
}

#[test]
fn i7_ten_missing_keys_of_a_million_cost_ten() {
    // Unoptimised, a million keys take half a minute to write.
    let count = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let key = |n| Change::from_canonical(format!("[\"{n:07}\",1]"));
    check_cost(filled(LwwMap::new(), count, 10, key), count, 10);
}

/// With many sources the entries touched stay what is missing: the sources themselves are compared
/// without looking at the log.
#[test]
fn i7_sources_cost_no_entries() {
    for sources in [1, 100, 10_000] {
        check_cost(filled_quickly(20_000, sources), 20_000, sources);
    }
}

/// What was superseded leaves nothing behind that a reader has to pass, however often it happened.
#[test]
fn i7_what_was_superseded_costs_nothing() {
    let mut r =
        filled(LwwMap::new(), 20_000, 1, |n| Change::from_canonical(format!("[\"{}\",1]", n % 10)));
    assert_eq!(r.updates_held(), 10);
    assert_eq!(touched(&r, |r| assert_eq!(r.updates_since(&VersionVector::new()).count(), 10)), 10);
    // A reader that stopped long ago. Blocks that are partly empty may make it look a little more.
    let cost = touched(&r, |r| assert_eq!(r.changes(&mut ChangeCursor::default()).count(), 10));
    assert!(cost <= 300, "{cost}");
    // One key that is never written again keeps one block, not what came after it.
    r.remote_update(1e9, update(r#"[["still",1],200000,"s0"]"#));
    for n in 0..10_000 {
        r.remote_update(1e9, update(&format!(r#"[["busy",{n}],{},"s0"]"#, 200_001 + n)));
    }
    let cost = touched(&r, |r| assert_eq!(r.changes(&mut ChangeCursor::default()).count(), 12));
    assert!(cost <= 600, "{cost}");
}
