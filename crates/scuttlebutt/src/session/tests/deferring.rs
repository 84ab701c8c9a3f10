//! Who waits with what others wrote, for how long, and what is promised meanwhile.

use super::*;

/// A session of `B` with a peer `A` that has announced nothing, and another through which `C` writes.
fn between(id: &str, peer: &str) -> (Replica<LwwMap>, Session, Session) {
    let mut b = replica(id);
    let [mut to_a, mut to_c] = [peer, "C"].map(|peer| {
        let mut session = new_session(&mut b, json());
        let line =
            format!("{{\"id\":\"{peer}\",\"clock\":{{}},\"ext\":{{\"marks\":1}}}}\n\"SYNC\"\n");
        session.receive(&mut b, NOW, line.as_bytes()).unwrap();
        session
    });
    said(&mut to_a, &b);
    said(&mut to_c, &b);
    (b, to_a, to_c)
}

fn line(at: u32) -> String {
    format!("[[\"k{at}\",1],{at},\"C\"]\n")
}

fn mark(at: u32) -> String {
    format!("{{\"mark\":{{\"C\":{at}}}}}\n")
}

fn hear(session: &mut Session, replica: &mut Replica<LwwMap>, text: &str) {
    session.receive(replica, NOW, text.as_bytes()).unwrap();
}

/// Lets rounds pass until something is said, and answers when that was.
fn wait(session: &mut Session, replica: &Replica<LwwMap>) -> (f64, String) {
    while !session.has_output(replica) {
        let due = session.next_timeout().expect("something is held back");
        session.handle_timeout(due.max(NOW)).unwrap();
        if session.has_output(replica) {
            return (due - NOW, said(session, replica));
        }
    }
    (0.0, said(session, replica))
}

/// A session that has learned that the peer gets the same from elsewhere.
fn having_learned(id: &str, peer: &str) -> (Replica<LwwMap>, Session, Session) {
    let (mut b, mut to_a, mut to_c) = between(id, peer);
    hear(&mut to_c, &mut b, &(line(10) + &mark(10)));
    assert_eq!(said(&mut to_a, &b), line(10) + &mark(10), "at first everything is passed on");
    hear(&mut to_a, &mut b, &(line(10) + &mark(10)));
    said(&mut to_a, &b);
    (b, to_a, to_c)
}

#[test]
fn what_the_peer_says_meanwhile_is_not_said_to_it() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    hear(&mut to_c, &mut b, &(line(20) + &mark(20)));
    assert_eq!(said(&mut to_a, &b), "", "held back, and nothing promised");
    hear(&mut to_a, &mut b, &(line(20) + &mark(20)));
    assert_eq!(wait(&mut to_a, &b), (40.0, mark(20)), "the promise alone is left");
    assert_eq!((to_a.tally().updates_held_back, to_a.tally().updates_sent_live), (1, 1));
    assert_eq!(to_a.next_timeout(), None);
}

#[test]
fn what_the_peer_does_not_say_it_is_sent_and_not_waited_for_again() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    hear(&mut to_c, &mut b, &(line(20) + &mark(20)));
    assert_eq!(said(&mut to_a, &b), "");
    assert_eq!(wait(&mut to_a, &b), (40.0, line(20) + &mark(20)));
    hear(&mut to_c, &mut b, &(line(30) + &mark(30)));
    assert_eq!(said(&mut to_a, &b), line(30) + &mark(30), "it had none of it");
    hear(&mut to_a, &mut b, &line(30));
    hear(&mut to_c, &mut b, &line(40));
    assert_eq!(said(&mut to_a, &b), "", "until it repeats something again");
}

#[test]
fn only_the_one_with_the_greater_id_waits() {
    let (mut a, mut to_b, mut to_c) = having_learned("A", "B");
    hear(&mut to_c, &mut a, &line(20));
    assert_eq!(said(&mut to_b, &a), line(20));
}

#[test]
fn what_is_written_here_waits_for_nothing_but_no_promise_passes_what_is_held_back() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    hear(&mut to_c, &mut b, &(line(20) + &mark(20)));
    assert_eq!(said(&mut to_a, &b), "");
    b.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    assert_eq!(said(&mut to_a, &b), "[[\"k\",1],1000000,\"B\"]\n");
    let (_, said) = wait(&mut to_a, &b);
    assert_eq!(said, line(20) + "{\"mark\":{\"C\":20,\"B\":1000000}}\n");
}

#[test]
fn updates_that_never_pause_do_not_put_off_promises_for_ever() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    let mut promised = 0;
    for n in 0..100 {
        let at = 20 + n;
        hear(&mut to_c, &mut b, &(line(at) + &mark(at)));
        promised += said(&mut to_a, &b).matches("mark").count();
        hear(&mut to_a, &mut b, &(line(at) + &mark(at)));
        to_a.handle_timeout(NOW + 20.0 * f64::from(n)).unwrap();
        promised += said(&mut to_a, &b).matches("mark").count();
    }
    assert!(promised >= 10, "{promised}");
    assert_eq!(to_a.tally().updates_sent_live, 1, "what was repeated first");
}

#[test]
fn a_clock_that_is_set_back_holds_nothing_back_for_longer() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    hear(&mut to_c, &mut b, &(line(20) + &mark(20)));
    assert_eq!(said(&mut to_a, &b), "");
    to_a.handle_timeout(NOW).unwrap();
    for passed_ms in [0.0, 20.0, 40.0] {
        to_a.handle_timeout(NOW - 500_000.0 + passed_ms).unwrap();
    }
    assert_eq!(said(&mut to_a, &b), line(20) + &mark(20));
}

#[test]
fn who_leaves_says_everything_first() {
    let (mut b, mut to_a, mut to_c) = having_learned("B", "A");
    hear(&mut to_c, &mut b, &(line(20) + &mark(20)));
    assert_eq!(said(&mut to_a, &b), "");
    to_a.leave();
    assert_eq!(said(&mut to_a, &b), line(20) + &mark(20));
    assert!(to_a.is_output_finished());
}

#[test]
fn nobody_waits_where_that_is_not_wanted() {
    let limits = crate::Limits { relay_wait_ms_max: 0.0, ..crate::Limits::default() };
    let mut b = Replica::with_limits(source("B"), LwwMap::new(), limits);
    let mut to_a = new_session(&mut b, json());
    let mut to_c = new_session(&mut b, json());
    for (session, peer) in [(&mut to_a, "A"), (&mut to_c, "C")] {
        let line =
            format!("{{\"id\":\"{peer}\",\"clock\":{{}},\"ext\":{{\"marks\":1}}}}\n\"SYNC\"\n");
        hear(session, &mut b, &line);
    }
    said(&mut to_a, &b);
    for at in [10, 20] {
        hear(&mut to_c, &mut b, &line(at));
        assert_eq!(said(&mut to_a, &b), line(at));
        hear(&mut to_a, &mut b, &line(at));
    }
}
