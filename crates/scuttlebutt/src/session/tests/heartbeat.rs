//! A peer that says nothing more is noticed, and one that only has nothing to say is not.

use super::*;
use crate::limits::Limits;

const EVERY: f64 = 30_000.0;

fn ticking(id: &str, heartbeat_ms_max: f64) -> Replica<LwwMap> {
    let limits = Limits { heartbeat_ms_max, ..Limits::default() };
    Replica::with_limits(source(id), LwwMap::new(), limits)
}

/// Both have caught up with each other.
fn joined(
    a: &mut Replica<LwwMap>,
    b: &mut Replica<LwwMap>,
    config: &SessionConfig,
) -> [Session; 2] {
    let mut sessions = [new_session(a, config.clone()), new_session(b, config.clone())];
    let [to_b, to_a] = &mut sessions;
    while to_b.has_output(a) || to_a.has_output(b) {
        to_a.receive(b, NOW, &spoken(to_b, a)).unwrap();
        to_b.receive(a, NOW, &spoken(to_a, b)).unwrap();
    }
    sessions
}

#[test]
fn who_is_idle_stays_and_who_is_gone_is_noticed_within_four_intervals() {
    for config in ours() {
        let (mut a, mut b) = (ticking("A", EVERY), ticking("B", EVERY));
        let [mut to_b, mut to_a] = joined(&mut a, &mut b, &config);
        assert!(to_b.has_heartbeat() && to_a.has_heartbeat());
        // A day of silence, but for the heartbeats.
        let mut now = NOW;
        while now < NOW + 86_400_000.0 {
            let due = to_a.next_timeout().into_iter().chain(to_b.next_timeout());
            now = due.fold(f64::INFINITY, f64::min).max(now + 1.0);
            to_a.handle_timeout(now).unwrap();
            to_b.handle_timeout(now).unwrap();
            to_a.receive(&mut b, now, &spoken(&mut to_b, &a)).unwrap();
            to_b.receive(&mut a, now, &spoken(&mut to_a, &b)).unwrap();
        }
        let beats = to_a.tally().heartbeats_sent;
        assert!((2_870..=2_881).contains(&beats), "{beats}");
        // From here on B is not heard any more.
        let silent_since = now;
        let error = loop {
            now = to_b.next_timeout().expect("it waits");
            assert!(now < silent_since + 10.0 * EVERY, "nothing is noticed");
            if let Err(error) = to_b.handle_timeout(now) {
                break error;
            }
        };
        assert_eq!(error, SessionError::Silent { waited_ms: 3.0 * EVERY });
        let waited = now - silent_since;
        assert!((2.0 * EVERY..=4.0 * EVERY).contains(&waited), "{waited}");
        assert!(to_b.is_closed() && to_b.next_timeout().is_none());
    }
}

/// Any word will do: updates, a part of a long line.
#[test]
fn who_speaks_is_there() {
    let (mut a, mut b) = (ticking("A", EVERY), ticking("B", EVERY));
    let [mut to_b, _] = joined(&mut a, &mut b, &json());
    for n in 1..10 {
        let now = NOW + f64::from(n) * EVERY;
        to_b.receive(&mut a, now - 1.0, b" ").unwrap();
        to_b.handle_timeout(now).unwrap();
    }
    // Nor is a driver that does not listen right to complain.
    for n in 10..20 {
        to_b.excuse_silence();
        to_b.handle_timeout(NOW + f64::from(n) * EVERY).unwrap();
    }
}

/// A laptop that wakes up, or a clock that is set, is one interval, not many.
#[test]
fn a_clock_that_jumps_ends_nothing() {
    let (mut a, mut b) = (ticking("A", EVERY), ticking("B", EVERY));
    let [mut to_b, _] = joined(&mut a, &mut b, &json());
    let ahead = NOW + 1_000.0 * EVERY;
    to_b.handle_timeout(ahead).unwrap();
    to_b.handle_timeout(ahead).unwrap();
    assert_eq!(to_b.next_timeout(), Some(ahead + EVERY));
    to_b.handle_timeout(NOW).unwrap();
    assert_eq!(to_b.next_timeout(), Some(NOW + EVERY), "nothing is put off by a clock set back");
}

#[test]
fn nothing_is_agreed_on_by_one_side_alone() {
    for (ours, theirs) in [(0.0, EVERY), (EVERY, 0.0), (0.0, 0.0)] {
        let (mut a, mut b) = (ticking("A", ours), ticking("B", theirs));
        let [mut to_b, to_a] = joined(&mut a, &mut b, &SessionConfig::default());
        assert!(!to_b.has_heartbeat() && !to_a.has_heartbeat());
        to_b.handle_timeout(NOW + 1_000.0 * EVERY).unwrap();
        assert!(!to_b.has_output(&a));
    }
    // Nor with a peer of the original's kind.
    let (mut a, mut b) = (ticking("A", EVERY), ticking("B", EVERY));
    let [to_b, to_a] = joined(&mut a, &mut b, &plain());
    assert!(!to_b.has_heartbeat() && !to_a.has_heartbeat());
}

/// Each is asked in its own measure, and nobody for more than the bound.
#[test]
fn i8_how_often_a_peer_may_ask_is_bounded() {
    let mut a = ticking("A", EVERY);
    let mut session = new_session(&mut a, json());
    let digest = b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1,\"heartbeat\":1}}\n";
    session.receive(&mut a, NOW, digest).unwrap();
    spoken(&mut session, &a);
    assert_eq!(session.next_timeout(), Some(NOW + 1_000.0));
    session.handle_timeout(NOW + 1_000.0).unwrap();
    assert_eq!(said(&mut session, &a), "\"ALIVE\"\n");
    assert!(!session.has_output(&a));
    // What waits for a peer that takes nothing is one word, however long it takes.
    for n in 2..20 {
        session.excuse_silence();
        session.handle_timeout(NOW + f64::from(n) * 1_000.0).unwrap();
    }
    assert_eq!(said(&mut session, &a), "\"ALIVE\"\n");

    let mut eager = ticking("E", 5.0);
    let mut session = new_session(&mut eager, json());
    let said = said(&mut session, &eager);
    assert!(said.contains("\"heartbeat\":1000"), "{said}");
}

#[test]
fn a_peer_that_has_said_all_may_be_silent() {
    let (mut a, mut b) = (ticking("A", EVERY), ticking("B", EVERY));
    let [mut to_b, mut to_a] = joined(&mut a, &mut b, &SessionConfig::default());
    to_a.leave();
    spoken(&mut to_a, &b);
    assert!(to_a.is_output_finished());
    to_b.receive_end(&mut a, NOW).unwrap();
    assert!(to_b.next_timeout().is_none());
}
