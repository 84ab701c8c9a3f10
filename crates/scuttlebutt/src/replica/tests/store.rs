//! I3: nothing is announced that a crash could make this replica forget.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn stored(id: &str) -> Replica<LwwMap> {
    let mut r = replica(id);
    r.wait_for_store();
    r
}

fn set(r: &mut Replica<LwwMap>, key: &str, at: f64) {
    r.local_update(at, LwwMap::set(key, &at).unwrap()).unwrap();
}

/// What sessions may send, in the order of arrival.
fn sendable(r: &Replica<LwwMap>) -> Vec<String> {
    let mut position = 0;
    let steps = std::iter::from_fn(|| {
        let (at, entry) = r.next_from(position)?;
        position = at + 1;
        Some(entry.update.id().to_string())
    });
    steps.collect()
}

#[test]
fn i3_only_what_is_stored_is_sent_and_announced() {
    let mut r = stored("R");
    set(&mut r, "a", 10.0);
    r.remote_update(NOW, update(r#"[["b",1],20,"B"]"#));
    r.promise(&vector(&[("B", 20.0)]));
    set(&mut r, "c", 30.0);
    assert_eq!(r.model().len(), 3, "the application sees it at once");
    assert!(sendable(&r).is_empty() && r.version_vector().is_empty());
    let mut delta = r.delta(&VersionVector::new(), None);
    assert_eq!(r.delta_next(&mut delta).map(|_| ()), None);

    r.stored(1);
    assert_eq!(sendable(&r), ["R@10"]);
    assert_eq!(r.version_vector(), vector(&[("R", 10.0)]));
    r.stored(2);
    assert_eq!(r.version_vector(), vector(&[("B", 20.0), ("R", 10.0)]));
    r.stored(u64::MAX);
    assert_eq!(r.durable(), r.head(), "no more than there is");
    assert_eq!(sendable(&r).len(), 3);
    assert_eq!(r.version_vector(), vector(&[("B", 20.0), ("R", 30.0)]));
    r.stored(1);
    assert_eq!(r.durable(), 3, "never back");
    set(&mut r, "d", 40.0);
    assert_eq!(r.version_vector(), vector(&[("B", 20.0), ("R", 30.0)]));
}

/// A promise that concerns only what is durable is followed at once.
#[test]
fn a_promise_about_durable_updates_does_not_wait() {
    let mut r = stored("R");
    r.remote_update(NOW, update(r#"[["b",1],20,"B"]"#));
    r.stored(r.head());
    r.promise(&vector(&[("B", 20.0)]));
    assert_eq!(r.version_vector(), vector(&[("B", 20.0)]));
}

/// What was announced and then superseded stays until its superseder may be sent: in between, it is
/// all that a peer can be given.
#[test]
fn what_is_superseded_is_kept_until_its_superseder_is_durable() {
    let mut r = stored("R");
    set(&mut r, "k", 10.0);
    set(&mut r, "j", 20.0);
    r.stored(r.head());
    r.remote_update(NOW, update(r#"[["k",1],30,"B"]"#));
    assert_eq!(r.model().get::<u32>("k").unwrap(), Some(1));
    assert_eq!(sendable(&r), ["R@10", "R@20"]);
    assert!(r.is_needed(r.log.get(0).unwrap()), "also by peers that know no evidence");
    assert_eq!(since(&r, &VersionVector::new()).len(), 2, "history shows the state");
    r.stored(r.head());
    assert_eq!(sendable(&r), ["R@20", "B@30"]);
}

/// The evidence for a source stays until newer evidence may be sent: a peer that is caught up in between
/// would be promised what it never saw anything of, and nobody would promise it again.
#[test]
fn i1_evidence_is_kept_until_newer_evidence_is_durable() {
    let mut r = stored("R");
    r.remote_update(NOW, update(r#"[["k",1],10,"B"]"#));
    r.promise(&vector(&[("B", 10.0)]));
    r.stored(r.head());
    set(&mut r, "k", 20.0);
    let superseder = r.head();
    r.remote_update(NOW, update(r#"[["j",1],30,"B"]"#));
    r.stored(superseder);
    assert_eq!(r.version_vector().timestamp(&source("B")), Some(Timestamp::new(10.0).unwrap()));
    assert_eq!(sendable(&r), ["B@10", "R@20"]);
    r.stored(r.head());
    assert_eq!(sendable(&r), ["R@20", "B@30"]);
}

#[test]
fn a_store_is_given_everything_once_in_order() {
    let mut r = stored("R");
    let mut disk = Vec::new();
    for n in 1..=20 {
        set(&mut r, &format!("k{}", n % 3), f64::from(n));
        if n % 7 == 0 {
            disk.extend(r.unstored().map(|update| update.timestamp().as_millis()));
            r.stored(r.head());
            assert_eq!(r.unstored().count(), 0);
        }
    }
    assert_eq!(disk, (1..=14).map(f64::from).collect::<Vec<_>>());
    assert_eq!(r.unstored().count(), 6);
}

#[test]
fn what_a_store_kept_comes_back_as_it_was() {
    let mut r = stored("R");
    let mut disk = Vec::new();
    for n in 1..=20 {
        set(&mut r, &format!("k{}", n % 3), f64::from(n));
        let line = format!(r#"[["k{}",{n}],{n},"B"]"#, n % 5);
        r.remote_update(NOW, update(&line));
        r.promise(&vector(&[("B", f64::from(n))]));
        disk.extend(r.unstored().cloned());
        r.stored(r.head());
    }
    let mut back = stored("R");
    back.restore(disk, &r.version_vector());
    assert_eq!(back.version_vector(), r.version_vector());
    assert_eq!(back.model().to_json(), r.model().to_json());
    assert_eq!(since(&back, &VersionVector::new()), since(&r, &VersionVector::new()));
    assert!(!back.is_identity_contested());
    assert_eq!((back.durable(), back.unstored().count()), (back.head(), 0));
    // Its next write is later than all, though the wall clock was set back.
    set(&mut back, "k0", 1.0);
    assert_eq!(back.model().entry("k0").unwrap().update.id().to_string(), "R@20.000000000000004");
}

/// I8: promises that wait for the store are bounded, and none is forgotten.
#[test]
fn i8_waiting_promises_are_merged() {
    let limits = Limits { pending_promises_max: 3, ..Limits::default() };
    let mut r = Replica::with_limits(source("R"), LwwMap::new(), limits);
    r.wait_for_store();
    for n in 1..=50 {
        let id = ["A", "B", "C"][n % 3];
        r.remote_update(NOW, update(&format!(r#"[["k{n}",1],{n},"{id}"]"#)));
        r.promise(&vector(&[("A", n as f64), ("B", n as f64), ("C", n as f64)]));
        assert!(r.promised.len() <= 3, "{}", r.promised.len());
        let advances: usize = r.promised.iter().map(|promised| promised.advances.len()).sum();
        assert!(advances <= 9, "{advances}");
    }
    r.stored(r.head() - 1);
    assert!(!r.version_vector().includes(&source("C"), Timestamp::new(50.0).unwrap()));
    r.stored(r.head());
    assert_eq!(r.version_vector(), vector(&[("A", 48.0), ("B", 49.0), ("C", 50.0)]));
}

/// A disk that keeps updates under their positions, as a store does.
#[derive(Default)]
struct Disk {
    updates: BTreeMap<u64, Update>,
    vector: VersionVector,
    vector_changes: u64,
}

impl Disk {
    fn store(&mut self, r: &mut Replica<LwwMap>) {
        let begin = r.durable();
        self.updates.extend((begin..).zip(r.unstored().cloned()));
        r.stored(r.head());
        for position in r.take_released() {
            assert!(self.updates.remove(&position).is_some(), "{position} was let go of twice");
        }
        for (source, timestamp) in r.announced_since(self.vector_changes) {
            self.vector.advance(source, timestamp);
        }
        self.vector_changes = r.vector_changes();
    }

    fn read(&mut self) -> Replica<LwwMap> {
        let mut r = stored("R");
        r.restore_at(self.updates.clone(), &self.vector);
        self.vector_changes = 0;
        r
    }

    /// Whether it holds what the replica does, each update where the replica has it.
    fn is_that_of(&self, r: &Replica<LwwMap>) -> bool {
        let held = r.log.from(0).map(|(position, entry)| (position, &entry.update));
        held.eq(self.updates.iter().map(|(position, update)| (*position, update)))
            && self.vector == r.version_vector()
    }
}

proptest! {
    /// Whatever is written, stored and read back in whatever order: the disk holds what the replica
    /// does, nothing more, and what comes back is what was there.
    #[test]
    fn a_store_that_keeps_positions_holds_what_the_replica_does(
        steps in prop::collection::vec((0..8u8, 0..4u8, 1..40u32), 1..120),
    ) {
        let mut disk = Disk::default();
        let mut r = disk.read();
        for (step, key, at) in steps {
            match step {
                0..3 => set(&mut r, &format!("k{key}"), f64::from(at)),
                3..5 => {
                    let id = ["B", "C"][usize::from(step - 3)];
                    r.remote_update(NOW, update(&format!(r#"[["k{key}",{at}],{at},"{id}"]"#)));
                    r.promise(&vector(&[(id, f64::from(at))]));
                }
                5 | 6 => disk.store(&mut r),
                _ => {
                    disk.store(&mut r);
                    let back = disk.read();
                    prop_assert!(back.head() <= r.head() && back.durable() == back.head());
                    prop_assert_eq!(back.model().to_json(), r.model().to_json());
                    prop_assert_eq!(back.version_vector(), r.version_vector());
                    prop_assert_eq!(back.sources_known(), r.sources_known());
                    prop_assert_eq!(
                        since(&back, &VersionVector::new()), since(&r, &VersionVector::new())
                    );
                    r = back;
                }
            }
        }
        disk.store(&mut r);
        // What the last batch itself let go was not yet asked for.
        disk.store(&mut r);
        prop_assert!(disk.is_that_of(&r), "{:?} {:?}", disk.updates, r.log);
    }
}

/// Readers wake up for whatever they might send or show.
#[test]
fn each_change_is_a_new_revision() {
    let mut r = stored("R");
    let mut revisions = vec![r.revision()];
    set(&mut r, "k", 10.0);
    revisions.push(r.revision());
    r.stored(r.head());
    revisions.push(r.revision());
    r.remote_update(NOW, update(r#"[["b",1],20,"B"]"#));
    r.stored(r.head());
    revisions.push(r.revision());
    r.promise(&vector(&[("B", 20.0)]));
    revisions.push(r.revision());
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
    assert_eq!(r.sources_known(), 2);
    r.remote_update(NOW, update(r#"[["b",1],20,"B"]"#));
    assert_eq!(revisions.last(), Some(&r.revision()), "nothing is new");
}

/// What a walk over everything held passes over, source by source: there no mark may promise.
fn passed_over(r: &Replica<LwwMap>) -> Vec<(String, bool)> {
    let mut delta = r.delta(&VersionVector::new(), None);
    let steps = std::iter::from_fn(|| {
        let step = r.delta_next(&mut delta)?;
        Some((step.entry.update.id().to_string(), step.passed_over))
    });
    steps.collect()
}

/// I2: of what was superseded and let go nobody knows any more after a restart where it stood. So a
/// catch-up that breaks off half-way must not have promised anything past it.
#[test]
fn i2_a_restored_replica_promises_nothing_past_what_it_let_go() {
    let mut r = stored("R");
    set(&mut r, "k", 10.0);
    set(&mut r, "j", 20.0);
    set(&mut r, "k", 30.0);
    r.remote_update(NOW, update(r#"[["x",2],5,"B"]"#));
    r.remote_update(NOW, update(r#"[["j",0],3,"B"]"#)); // superseded when it came: nowhere in the log
    r.stored(r.head());
    // Once past the first, a mark promises nothing of that source until the end.
    let at_first = |steps: Vec<(String, bool)>| (steps[0].clone(), steps[1].clone());
    let expected = (("B@5".to_owned(), true), ("R@20".to_owned(), true));
    assert_eq!(at_first(passed_over(&r)), expected);

    let kept =
        [(1, r#"[["j",20],20,"R"]"#), (2, r#"[["k",30],30,"R"]"#), (3, r#"[["x",2],5,"B"]"#)];
    let mut at = stored("R");
    at.restore_at(kept.map(|(position, line)| (position, update(line))), &r.version_vector());
    assert_eq!(at_first(passed_over(&at)), expected);
    let mut any = stored("R");
    any.restore(kept.map(|(_, line)| update(line)), &r.version_vector());
    assert_eq!(at_first(passed_over(&any)), expected);
    // What comes afterwards is known.
    set(&mut at, "new", 40.0);
    set(&mut at, "newer", 50.0);
    at.stored(at.head());
    let mut delta = at.delta(&vector(&[("R", 30.0), ("B", 5.0)]), None);
    while let Some(step) = at.delta_next(&mut delta) {
        assert!(!step.passed_over);
    }
}

/// I2: what a peer left out of what it sent, because it was superseded, is missing in what we send on.
/// So a catch-up that breaks off must not have promised anything past it.
#[test]
fn i2_what_a_peer_left_out_is_a_gap_for_others() {
    let mut r = replica("R");
    for line in [r#"[["j",2],20,"A"]"#, r#"[["i",3],30,"A"]"#, r#"[["h",4],40,"A"]"#] {
        r.remote_update(NOW, update(line));
    }
    // Within a history a mark says that nothing was left out.
    r.credit(&vector(&[("A", 20.0)]));
    let step = |at: f64, gap| (format!("A@{at}"), gap);
    assert_eq!(passed_over(&r)[..1], [step(20.0, false)]);
    // Its end does not: k was written at 25, and is superseded by somebody else.
    r.promise(&vector(&[("A", 25.0)]));
    assert_eq!(passed_over(&r), [step(20.0, false), step(30.0, true), step(40.0, false)]);
    r.promise(&vector(&[("A", 40.0)]));
    r.remote_update(NOW, update(r#"[["l",4],45,"A"]"#));
    r.remote_update(NOW, update(r#"[["e",4],27,"A"]"#));
    let mut delta = r.delta(&vector(&[("A", 40.0)]), None);
    assert!(!r.delta_next(&mut delta).unwrap().passed_over, "nobody has promised that");
    let mut delta = r.delta(&vector(&[("A", 25.0)]), None);
    assert!(r.delta_next(&mut delta).unwrap().passed_over, "it came later, into the gap");

    // A log that only grows has no gaps.
    let mut r = Replica::new(source("R"), EventLog::new());
    r.remote_update(NOW, update(r#"[["e"],20,"A"]"#));
    r.promise(&vector(&[("A", 20.0)]));
    let mut delta = r.delta(&VersionVector::new(), None);
    assert!(!r.delta_next(&mut delta).unwrap().passed_over);
}

/// What is superseded by what stands before it, as after a repair, gets no place; its position is not
/// used again.
#[test]
fn a_position_is_used_once_also_by_what_comes_back_superseded() {
    let mut r = stored("R");
    let kept = [(0, r#"[["k",3],30,"B"]"#), (1, r#"[["j",2],20,"A"]"#), (5, r#"[["k",1],10,"A"]"#)];
    r.restore_at(kept.map(|(position, line)| (position, update(line))), &VersionVector::new());
    assert_eq!((r.head(), r.durable(), r.updates_held()), (6, 6, 2));
    assert_eq!(r.take_released(), [5]);
}

/// I2: a replica that was set back and writes before it hears of it does not announce past what it
/// forgot.
#[test]
fn i2_a_doubted_identity_announces_nothing_it_writes() {
    let mut r = stored("R");
    r.restore_at([(0, update(r#"[["k",1],10,"R"]"#))], &VersionVector::new());
    r.doubt_identity();
    set(&mut r, "j", 30.0);
    r.stored(r.head());
    assert_eq!(r.version_vector(), vector(&[("R", 10.0)]));
    assert_eq!(sendable(&r).len(), 2, "it spreads all the same");
    for (claimed, is_disputed) in [(5.0, false), (10.0, false), (20.0, true), (30.0, true)] {
        assert_eq!(r.is_identity_disputed_by(&vector(&[("R", claimed)]), NOW), is_disputed);
    }

    let mut confirmed = r.clone();
    confirmed.confirm_identity();
    assert_eq!(confirmed.version_vector(), vector(&[("R", 30.0)]));
    assert!(
        !confirmed.is_identity_disputed_by(&vector(&[("R", 20.0)]), NOW),
        "it wrote until then"
    );
    assert!(confirmed.is_identity_disputed_by(&vector(&[("R", 40.0)]), NOW));

    r.renew_identity(NOW, source("S"));
    set(&mut r, "i", 40.0);
    r.remote_update(NOW, update(r#"[["k",2],20,"R"]"#));
    r.promise(&vector(&[("R", 20.0)]));
    r.stored(r.head());
    assert_eq!(
        r.version_vector(),
        vector(&[("R", 20.0), ("S", 40.0)]),
        "all of S, and of R what a peer vouches for"
    );
}

/// What is not durable when the doubt ends waits until it is.
#[test]
fn i3_confirming_announces_only_what_is_durable() {
    let mut r = stored("R");
    r.doubt_identity();
    set(&mut r, "k", 10.0);
    r.confirm_identity();
    assert!(r.version_vector().is_empty());
    set(&mut r, "j", 20.0);
    r.stored(r.head());
    assert_eq!(r.version_vector(), vector(&[("R", 20.0)]));
}

/// Own updates that come back contest the id, whether it was doubted or not; nothing is announced
/// before somebody promises them complete.
#[test]
fn confirming_does_not_settle_a_contest() {
    let mut r = stored("R");
    r.doubt_identity();
    set(&mut r, "k", 30.0);
    r.remote_update(NOW, update(r#"[["j",1],20,"R"]"#));
    r.stored(r.head());
    r.confirm_identity();
    assert!(r.is_identity_contested() && r.version_vector().is_empty());
    r.promise(&vector(&[("R", 20.0)]));
    r.stored(r.head());
    assert_eq!(r.version_vector(), vector(&[("R", 30.0)]));
}

/// I2: what was written and not yet durable when it turns out that writes before it were forgotten is
/// not announced later either.
#[test]
fn i2_what_waits_for_the_disk_is_not_announced_under_an_id_that_is_given_up() {
    let mut r = stored("R");
    set(&mut r, "i", 10.0);
    r.stored(r.head());
    set(&mut r, "k", 30.0);
    let mut disputed = r.clone();
    disputed.renew_identity(NOW, source("S"));
    disputed.stored(disputed.head());
    assert_eq!(disputed.version_vector(), vector(&[("R", 10.0)]));

    r.remote_update(NOW, update(r#"[["j",1],20,"R"]"#));
    r.promise(&vector(&[("R", 15.0)]));
    r.stored(r.head());
    assert_eq!(r.version_vector(), vector(&[("R", 15.0)]), "what a peer vouches for is");
    r.renew_identity(NOW, source("S"));
    assert_eq!(r.version_vector(), vector(&[("R", 15.0)]));
}
