//! What peers of the original's kind are sent, and what their word is worth.

use super::*;

const HELLO: &str = "{\"id\":\"J\",\"clock\":{}}\n\"SYNC\"\n";

/// A replica with a session to one of ours, P, and one to J, of the original's kind; both are synced.
fn between() -> (Replica<LwwMap>, Session, Session) {
    let mut n = replica("N");
    let mut to_p = new_session(&mut n, json());
    let hello = b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1}}\n\"SYNC\"\n";
    to_p.receive(&mut n, NOW, hello).unwrap();
    let mut to_j = new_session(&mut n, plain());
    to_j.receive(&mut n, NOW, HELLO.as_bytes()).unwrap();
    said(&mut to_p, &n);
    said(&mut to_j, &n);
    (n, to_p, to_j)
}

fn hears(n: &mut Replica<LwwMap>, session: &mut Session, lines: &str) {
    session.receive(n, NOW, lines.as_bytes()).unwrap();
}

#[test]
fn i2_nothing_is_sent_that_something_older_could_follow() {
    let (mut n, mut to_p, mut to_j) = between();
    hears(&mut n, &mut to_p, "[[\"a\",6],6,\"A\"]\n");
    assert_eq!(said(&mut to_j, &n), "", "A5 may be on its way");
    hears(&mut n, &mut to_p, "[[\"b\",5],5,\"A\"]\n{\"mark\":{\"A\":6}}\n");
    assert_eq!(said(&mut to_j, &n), "[[\"b\",5],5,\"A\"]\n[[\"a\",6],6,\"A\"]\n");
    // Its own writes nobody has to promise.
    n.local_update(NOW, LwwMap::set("c", &1).unwrap()).unwrap();
    assert!(said(&mut to_j, &n).starts_with("[[\"c\",1]"));
}

/// J sends back what it is sent, and says when it comes again that it has all up to there. N was never
/// promised that, so it promises it to nobody.
#[test]
fn i2_the_echo_of_what_was_not_promised_promises_nothing() {
    let (mut n, mut to_p, mut to_j) = between();
    hears(&mut n, &mut to_p, "[[\"j\",\"A6\"],6,\"A\"]\n");
    for now in [NOW, NOW + 500.0 - 1.0] {
        assert_eq!(said(&mut to_j, &n), "", "it waits for a promise");
        to_j.handle_timeout(now).unwrap();
    }
    to_j.handle_timeout(NOW + 1_000.0).unwrap();
    let echo = said(&mut to_j, &n);
    assert_eq!(
        echo, "[[\"j\",\"A6\"],6,\"A\"]\n",
        "nobody has promised it, so it is sent all the same"
    );
    hears(&mut n, &mut to_j, &echo);
    assert!(n.version_vector().is_empty(), "the echo");

    let mut again = new_session(&mut n, plain());
    hears(&mut n, &mut again, "{\"id\":\"J\",\"clock\":{\"A\":6}}\n\"SYNC\"\n");
    assert!(n.version_vector().is_empty(), "the clock");
    hears(&mut n, &mut again, "[[\"k\",\"A8\"],8,\"A\"]\n");
    assert!(n.version_vector().is_empty(), "a live line");

    // What P left out comes from whoever has it, and P's promise makes all of it good.
    assert_eq!(apply(&mut n, r#"[["i","A5"],5,"A"]"#), Outcome::Applied);
    hears(&mut n, &mut to_p, "{\"mark\":{\"A\":8}}\n");
    assert_eq!(n.version_vector(), vector(&[("A", 8.0)]));
}

/// Of what it writes itself a peer knows all, and of what no promiser brought it knows as much as anybody.
#[test]
fn i2_a_writer_vouches_for_itself() {
    let (mut n, mut to_p, mut to_j) = between();
    hears(&mut n, &mut to_p, "[[\"a\",1],1,\"J\"]\n[[\"b\",1],1,\"A\"]\n");
    hears(&mut n, &mut to_j, "[[\"a\",2],2,\"J\"]\n[[\"b\",2],2,\"A\"]\n[[\"c\",3],3,\"B\"]\n");
    assert_eq!(n.version_vector(), vector(&[("J", 2.0), ("B", 3.0)]));
}

/// A store does not know who brought what; so nobody's clock vouches for what was not announced then.
#[test]
fn i2_what_was_restored_without_a_promise_needs_one() {
    let mut n = replica("N");
    n.wait_for_store();
    let kept = [r#"[["a",1],1,"A"]"#, r#"[["b",1],1,"B"]"#];
    let kept = kept.map(|line| Update::from_json(line).unwrap());
    n.restore(kept, &vector(&[("B", 1.0)]));
    let mut to_j = new_session(&mut n, plain());
    hears(&mut n, &mut to_j, "{\"id\":\"J\",\"clock\":{\"A\":1,\"B\":1}}\n\"SYNC\"\n");
    hears(&mut n, &mut to_j, "[[\"a\",2],2,\"A\"]\n[[\"b\",2],2,\"B\"]\n");
    n.stored(n.head());
    assert_eq!(n.version_vector(), vector(&[("B", 2.0)]));
}

/// "SYNC" comes after what superseded something that the history left out.
#[test]
fn a_history_ends_when_all_of_it_was_sent() {
    let mut n = replica("N");
    n.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    apply(&mut n, r#"[["j",2],2,"B"]"#);
    let mut to_j = new_session(&mut n, plain());
    to_j.receive(&mut n, NOW, HELLO.as_bytes()).unwrap();
    let begun = said(&mut to_j, &n);
    assert!(begun.ends_with("[[\"k\",1],1000000,\"N\"]\n"), "{begun}");
    assert!(!to_j.has_output(&n), "it waits for a promise");
    assert_eq!(to_j.next_timeout(), Some(0.0), "and for the clock");
    n.promise(&vector(&[("B", 2.0)]));
    assert_eq!(said(&mut to_j, &n), "[[\"j\",2],2,\"B\"]\n\"SYNC\"\n");
    assert_eq!(to_j.next_timeout(), None);

    // What has been here for a while waits no more.
    let mut late = new_session(&mut n, plain());
    apply(&mut n, r#"[["i",3],3,"C"]"#);
    late.receive(&mut n, NOW + 1_000.0, HELLO.as_bytes()).unwrap();
    let said = said(&mut late, &n);
    assert!(said.contains("\"C\"") && said.ends_with("\"SYNC\"\n"), "{said}");
}

/// Whoever leaves says all that it has.
#[test]
fn nothing_waits_when_the_session_is_to_end() {
    let (mut n, mut to_p, mut to_j) = between();
    hears(&mut n, &mut to_p, "[[\"a\",6],6,\"A\"]\n");
    to_j.leave();
    assert_eq!(said(&mut to_j, &n), "[[\"a\",6],6,\"A\"]\n");
    assert!(to_j.is_output_finished());
}

/// Two of ours in a mesh: where waiting was in vain, what waits goes before what comes next.
#[test]
fn i2_what_waits_is_not_overtaken() {
    let mut n = replica("Z");
    let mut to_p = new_session(&mut n, json());
    let mut to_a = new_session(&mut n, json());
    for (session, id) in [(&mut to_p, "P"), (&mut to_a, "A")] {
        let hello =
            format!("{{\"id\":\"{id}\",\"clock\":{{}},\"ext\":{{\"marks\":1}}}}\n\"SYNC\"\n");
        session.receive(&mut n, NOW, hello.as_bytes()).unwrap();
        said(session, &n);
    }
    // A has sent what had come from P: it is worth waiting.
    let known = "[[\"x\",0],1,\"P\"]\n";
    hears(&mut n, &mut to_p, known);
    hears(&mut n, &mut to_a, known);
    said(&mut to_a, &n);
    let mut lines = String::new();
    let mut now = NOW;
    for nth in 2..40 {
        hears(&mut n, &mut to_p, &format!("[[\"x{nth}\",0],{nth},\"P\"]\n"));
        lines += &said(&mut to_a, &n);
        now += [0.0, 3.0, 18.0, 20.0, 7.0][nth % 5];
        to_a.handle_timeout(now).unwrap();
        lines += &said(&mut to_a, &n);
    }
    to_a.leave();
    lines += &said(&mut to_a, &n);
    let order: Vec<u32> = lines
        .lines()
        .filter_map(|line| line.strip_prefix("[[\"x")?.split_once('"')?.0.parse().ok())
        .collect();
    assert_eq!(order, (2..40).collect::<Vec<_>>());
}
