//! I2 where a sync breaks off, and its sender never comes back.

use super::*;

/// Holds A5 of key k superseded by B7, and A6, and knows that this is all.
fn doomed() -> Replica<LwwMap> {
    let mut doomed = replica("D");
    for line in [r#"[["k","A5"],5,"A"]"#, r#"[["j","A6"],6,"A"]"#, r#"[["k","B7"],7,"B"]"#] {
        apply(&mut doomed, line);
    }
    doomed.promise(&vector(&[("A", 6.0), ("B", 7.0)]));
    doomed
}

/// What `sender` says to one who holds nothing.
fn history_of(sender: &mut Replica<LwwMap>, config: SessionConfig) -> String {
    let mut nobody = replica("N");
    let digest = said(&mut new_session(&mut nobody, json()), &nobody);
    let mut session = new_session(sender, config);
    session.receive(sender, NOW, digest.as_bytes()).unwrap();
    said(&mut session, sender)
}

/// Of all that A and B ever wrote: nothing that is announced is missing.
fn check_no_gap(replica: &Replica<LwwMap>, context: &str) {
    let announced = replica.version_vector();
    let holds = |line: &str| replica.is_live(&Update::from_json(line).unwrap().id());
    let (a5, a6, b7) = (
        holds(r#"[["k","A5"],5,"A"]"#),
        holds(r#"[["j","A6"],6,"A"]"#),
        holds(r#"[["k","B7"],7,"B"]"#),
    );
    let includes = |id: &str, at| announced.includes(&source(id), Timestamp::new(at).unwrap());
    assert!(!includes("A", 5.0) || a5 || b7, "{context}: {announced:?} without A5 or B7");
    assert!(!includes("A", 6.0) || a6, "{context}: {announced:?} without A6");
    assert!(!includes("B", 7.0) || b7, "{context}: {announced:?} without B7");
}

/// A catch-up cut off after each byte, its sender gone for good; another replica still holds A5.
/// The sender is one of ours, or one of the original's kind, whose history counts as a promise when
/// its "SYNC" is there.
#[test]
fn i2_no_gaps_wherever_a_catch_up_is_cut() {
    for config in [json(), plain()] {
        let history = history_of(&mut doomed(), config);
        assert_eq!(history.lines().count(), 4, "{history}");
        for cut in 0..=history.len() {
            let context = format!("cut after {:?}", &history[..cut]);
            let mut survivor = replica("S");
            let mut session = new_session(&mut survivor, json());
            session.receive(&mut survivor, NOW, &history.as_bytes()[..cut]).unwrap();
            check_no_gap(&survivor, &context);
            // It may hear of the end, within a line, or not.
            if cut % 2 == 0 {
                let _ = session.receive_end(&mut survivor, NOW);
                check_no_gap(&survivor, &context);
            }

            let mut other = replica("O");
            apply(&mut other, r#"[["k","A5"],5,"A"]"#);
            other.promise(&vector(&[("A", 5.0)]));
            sync(&mut survivor, &mut other);
            check_no_gap(&survivor, &context);
            check_no_gap(&other, &context);
            let b7 = "B7\"],7,\"B\"]\n";
            let has_heard_of_the_end = cut % 2 == 0;
            let b7 = if has_heard_of_the_end { b7.trim_end() } else { b7 };
            let has_b7 = history[..cut].contains(b7);
            let expected = if has_b7 { "\"B7\"" } else { "\"A5\"" };
            for replica in [&survivor, &other] {
                assert_eq!(replica.model().get_raw("k"), Some(expected), "{context}");
            }
            assert_eq!(survivor.model().to_json(), other.model().to_json(), "{context}");
        }
        // Uncut, everything is announced.
        let mut survivor = replica("S");
        let mut session = new_session(&mut survivor, json());
        session.receive(&mut survivor, NOW, history.as_bytes()).unwrap();
        assert_eq!(survivor.version_vector(), vector(&[("A", 6.0), ("B", 7.0)]));
    }
}

/// A5 is superseded while a catch-up is under way, before its turn has come, and so is then what
/// superseded it. "SYNC" promises A5, so it goes after the last of these.
#[test]
fn i2_what_is_superseded_during_a_catch_up_is_not_promised_too_early() {
    // A peer of the original's kind is not kept waiting for more than the first of them, nor sent what
    // nobody has promised yet.
    for (config, depth) in [(json(), 2), (plain(), 1)] {
        let promised = vector(&[("A", 6.0), ("B", 8.0)]);
        let mut doomed = replica("D");
        for line in [r#"[["i","A1"],1,"A"]"#, r#"[["k","A5"],5,"A"]"#, r#"[["j","A6"],6,"A"]"#] {
            apply(&mut doomed, line);
        }
        doomed.promise(&vector(&[("A", 6.0)]));
        let mut session = new_session(&mut doomed, config);
        session.receive(&mut doomed, NOW, b"{\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
        let mut history = Vec::new();
        let mut lines = |session: &mut Session, doomed: &Replica<LwwMap>, count: usize| {
            for _ in 0..count {
                while session.transmit(doomed, &mut history, 1) > 0 && !history.ends_with(b"\n") {}
            }
            String::from_utf8_lossy(&history).into_owned()
        };
        assert!(lines(&mut session, &doomed, 2).ends_with("[[\"i\",\"A1\"],1,\"A\"]\n"));
        apply(&mut doomed, r#"[["h","B6"],6,"B"]"#);
        apply(&mut doomed, r#"[["k","B7"],7,"B"]"#);
        apply(&mut doomed, r#"[["g","B8"],8,"B"]"#);
        if depth == 1 {
            assert!(!lines(&mut session, &doomed, 9).contains("SYNC"), "B is not promised");
            doomed.credit(&promised);
        }
        if depth > 1 {
            assert!(lines(&mut session, &doomed, 2).ends_with("[[\"h\",\"B6\"],6,\"B\"]\n"));
            apply(&mut doomed, r#"[["k","C9"],9,"C"]"#);
        }
        let history = lines(&mut session, &doomed, 10);
        assert!(history.contains("SYNC") && !history.contains("A5"), "{history}");
        assert_eq!(history.contains("B7"), depth == 1, "{history}");
        for cut in 0..=history.len() {
            let mut survivor = replica("S");
            let mut session = new_session(&mut survivor, json());
            session.receive(&mut survivor, NOW, &history.as_bytes()[..cut]).unwrap();
            let announces_a5 =
                survivor.version_vector().includes(&source("A"), Timestamp::new(5.0).unwrap());
            assert!(!announces_a5 || survivor.model().contains("k"), "{}", &history[..cut]);
        }
    }
}

/// Live lines of the original's kind are promises of their own. One that sends every update in
/// order, as the original does, leaves no gap. One that passes over what was superseded before it
/// could be sent, as a slow peer of ours does in its place, does leave one: exactly this is what the
/// original's protocol cannot say.
#[test]
fn i2_live_lines_of_the_originals_kind() {
    let writes = [r#"[["k","A5"],5,"A"]"#, r#"[["k","B7"],7,"B"]"#, r#"[["j","A6"],6,"A"]"#];
    for passes_over in [false, true] {
        let (mut sender, mut survivor) = (replica("D"), replica("S"));
        let mut to_survivor = new_session(&mut sender, plain());
        let mut to_sender = new_session(&mut survivor, json());
        talk((&mut sender, &mut to_survivor), (&mut survivor, &mut to_sender));
        let mut lines = String::new();
        for write in writes {
            apply(&mut sender, write);
            has_seen_all(&mut sender, &[("A", 6.0), ("B", 7.0)]);
            if !passes_over {
                lines += &said(&mut to_survivor, &sender);
            }
        }
        lines += &said(&mut to_survivor, &sender);
        for line in lines.split_inclusive('\n') {
            to_sender.receive(&mut survivor, NOW, line.as_bytes()).unwrap();
            if !passes_over {
                check_no_gap(&survivor, line);
            }
        }
        assert_eq!(survivor.version_vector(), vector(&[("A", 6.0), ("B", 7.0)]));
        check_no_gap(&survivor, "all arrived");

        if passes_over {
            assert_eq!(lines, "[[\"k\",\"B7\"],7,\"B\"]\n[[\"j\",\"A6\"],6,\"A\"]\n");
            // Superseders go in the order of arrival, so here even the passing over is covered. Only
            // a superseder that came after A6 can be cut off.
            let mut survivor = replica("S");
            let mut session = new_session(&mut survivor, json());
            let live = "{\"clock\":{}}\n\"SYNC\"\n[[\"j\",\"A6\"],6,\"A\"]\n";
            session.receive(&mut survivor, NOW, live.as_bytes()).unwrap();
            assert_eq!(survivor.version_vector(), vector(&[("A", 6.0)]));
            assert!(!survivor.model().contains("k"), "the gap that the original has too");
        }
    }
}

/// Nothing was left out of what it was sent.
fn has_seen_all(replica: &mut Replica<LwwMap>, entries: &[(&str, f64)]) {
    replica.credit(&vector(entries));
}

/// One that was sent what was left of a history knows that something may be missing in it: then it
/// marks nothing on the way, since a cut there would leave a gap that it promised not to be there.
#[test]
fn i2_what_others_left_out_is_not_marked_on_the_way() {
    let mut sender = replica("D");
    for n in 1..=3_000 {
        apply(&mut sender, &format!(r#"[["k{n}","{}"],{n},"A"]"#, "x".repeat(100)));
    }
    sender.promise(&vector(&[("A", 1e9)]));
    let history = history_of(&mut sender, json());
    assert_eq!(history.matches("{\"mark\"").count(), 0);
    let mut receiver = replica("S");
    let mut session = new_session(&mut receiver, json());
    session.receive(&mut receiver, NOW, history.as_bytes()).unwrap();
    assert_eq!(receiver.version_vector(), sender.version_vector(), "its end is a promise");
}

/// In a long catch-up marks tell how much is complete, so that a cut costs little; and never more.
#[test]
fn i2_marks_within_a_long_catch_up() {
    const KEYS: u64 = 3_000;
    let padding = "x".repeat(100);
    let mut doomed = replica("D");
    // From some point on, sources supersede each other crosswise: every third key of A is B's by
    // now, and the reverse. Up to there, marks can tell how much is complete.
    for n in 1..=KEYS {
        let (first, second) = if n % 2 == 0 { ("A", "B") } else { ("B", "A") };
        apply(&mut doomed, &format!(r#"[["k{n}","{padding}"],{n},"{first}"]"#));
        if n > 2_000 && n % 3 == 0 {
            apply(&mut doomed, &format!(r#"[["k{n}",{n}],{}.5,"{second}"]"#, n + KEYS));
        }
    }
    has_seen_all(&mut doomed, &[("A", 1e9), ("B", 1e9)]);
    let history = history_of(&mut doomed, json());
    assert!(history.matches("{\"mark\"").count() >= 3, "marks on the way");

    let mut survivor = replica("S");
    let mut session = new_session(&mut survivor, json());
    let mut sent = 0;
    for line in history.split_inclusive('\n') {
        session.receive(&mut survivor, NOW, line.as_bytes()).unwrap();
        sent += 1;
        let announced = survivor.version_vector();
        for n in (1..=KEYS).filter(|n| line.starts_with('{') || n % 100 == 0) {
            let first = source(if n % 2 == 0 { "A" } else { "B" });
            if announced.includes(&first, Timestamp::new(n as f64).unwrap()) {
                assert!(survivor.model().contains(format!("k{n}")), "{n} after {sent} lines");
            }
        }
    }
    assert_eq!(survivor.version_vector(), doomed.version_vector());
}

/// As above, without anything superseded: a cut near the end asks only for the end again.
#[test]
fn i2_a_cut_costs_little() {
    let mut sender = replica("D");
    for n in 1..=3_000 {
        apply(&mut sender, &format!(r#"[["k{n}","{}"],{n},"A"]"#, "x".repeat(100)));
    }
    has_seen_all(&mut sender, &[("A", 1e9)]);
    let history = history_of(&mut sender, json());
    let cut = history.len() * 9 / 10;
    let mut survivor = replica("S");
    let mut session = new_session(&mut survivor, json());
    session.receive(&mut survivor, NOW, &history.as_bytes()[..cut]).unwrap();
    let announced = survivor.version_vector().timestamp(&source("A"));
    assert!(announced > Timestamp::new(2_000.0).ok(), "{announced:?}");
    assert!(announced < Timestamp::new(2_800.0).ok(), "{announced:?}");
}

/// A sender that does not itself announce what it passes on promises nothing of it either.
#[test]
fn i2_marks_promise_no_more_than_the_sender_announces() {
    let mut sender = replica("D");
    for n in 2..=3_000 {
        apply(&mut sender, &format!(r#"[["k{n}","{}"],{n},"A"]"#, "x".repeat(100)));
        apply(&mut sender, &format!(r#"[["l{n}","{}"],{n},"B"]"#, "x".repeat(100)));
    }
    // Whoever brought it broke off: the first of A's is missing.
    has_seen_all(&mut sender, &[("B", 1e9)]);
    let history = history_of(&mut sender, json());
    assert!(history.matches("{\"mark\"").count() >= 3, "marks on the way");
    let mut receiver = replica("S");
    let mut session = new_session(&mut receiver, json());
    for line in history.split_inclusive('\n') {
        session.receive(&mut receiver, NOW, line.as_bytes()).unwrap();
        assert_eq!(receiver.version_vector().timestamp(&source("A")), None, "{line}");
    }
    assert!(receiver.version_vector().timestamp(&source("B")).is_some());
}

/// An update that arrives when it is superseded already is not kept, and leaves a gap all the same.
#[test]
fn i2_marks_know_what_was_superseded_on_arrival() {
    let mut sender = replica("D");
    // C's write comes last in any history, and supersedes A's first.
    apply(&mut sender, r#"[["first","C's"],9000,"C"]"#);
    for n in 2..=3_000 {
        apply(&mut sender, &format!(r#"[["k{n}","{}"],{n},"A"]"#, "x".repeat(100)));
    }
    assert_eq!(apply(&mut sender, r#"[["first","A's"],1,"A"]"#), Outcome::Superseded);
    has_seen_all(&mut sender, &[("A", 1e9), ("C", 1e9)]);
    let history = history_of(&mut sender, json());
    let mut receiver = replica("S");
    let mut session = new_session(&mut receiver, json());
    for line in history.split_inclusive('\n') {
        session.receive(&mut receiver, NOW, line.as_bytes()).unwrap();
        let announces_a = receiver.version_vector().timestamp(&source("A")).is_some();
        assert!(!announces_a || receiver.model().contains("first"), "{line}");
    }
    assert_eq!(receiver.version_vector(), sender.version_vector());
}

/// What was put off may be all that supersedes an update the peer therefore never sent: the end of
/// its history promises nothing then, also for what came after.
#[test]
fn i2_a_history_that_was_put_off_in_part_promises_nothing() {
    let mut receiver = replica("S");
    let mut session = new_session(&mut receiver, json());
    let far = NOW + 1e12;
    let lines = format!(
        "{{\"id\":\"P\",\"clock\":{{\"A\":20,\"B\":{far}}}}}\n[[\"k\",2],{far},\"B\"]\n\
         [[\"j\",1],20,\"A\"]\n\"SYNC\"\n"
    );
    session.receive(&mut receiver, NOW, lines.as_bytes()).unwrap();
    assert!(receiver.model().contains("j"));
    assert!(receiver.version_vector().is_empty(), "A's first write to k may be what B superseded");
}

/// The same for what nobody vouches for.
#[test]
fn i5_a_history_that_was_refused_in_part_promises_nothing() {
    struct NotB;
    impl crate::Verifier for NotB {
        fn verify(&self, update: &Update) -> crate::Trust {
            match *update.source() == source("B") {
                true => crate::Trust::Untrusted,
                false => crate::Trust::Trusted,
            }
        }
    }
    let mut receiver = replica("S").verify_with(NotB);
    let mut session = new_session(&mut receiver, json());
    let lines = "{\"id\":\"P\",\"clock\":{\"A\":20,\"B\":30},\"ext\":{\"marks\":1}}\n\
                 [[\"k\",2],30,\"B\"]\n[[\"j\",1],20,\"A\"]\n\"SYNC\"\n";
    session.receive(&mut receiver, NOW, lines.as_bytes()).unwrap();
    assert!(receiver.model().contains("j"));
    assert!(receiver.version_vector().is_empty(), "A's first write to k may be what B superseded");
}

/// A peer that only receives has passed on nothing of what it announces, and says so.
#[test]
fn i2_a_peer_that_sends_nothing_promises_nothing() {
    for (marks, announced) in [(0, &[][..]), (1, &[("C", 50.0)])] {
        let mut r = replica("R");
        apply(&mut r, r#"[["k",1],50,"C"]"#);
        let mut session = new_session(&mut r, json());
        let digest = format!(r#"{{"id":"P","clock":{{"C":50}},"ext":{{"marks":{marks}}}}}"#);
        let lines = format!("{digest}\n\"SYNC\"\n");
        session.receive(&mut r, NOW, lines.as_bytes()).unwrap();
        assert_eq!(r.version_vector(), vector(announced), "{digest}");
    }
}

/// An older update of a source may arrive when the walk has passed its time, and a promise after it.
#[test]
fn i2_marks_know_what_arrived_behind_the_walk() {
    let mut r = replica("R");
    apply(&mut r, r#"[["new",1],100,"A"]"#);
    for at in 200..2_200 {
        apply(&mut r, &format!(r#"[["k{at}","{}"],{at},"B"]"#, "v".repeat(60)));
    }
    r.credit(&vector(&[("B", 9_999.0)]));
    let mut session = new_session(&mut r, json());
    session.receive(&mut r, NOW, b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1}}\n").unwrap();
    let mut out = Vec::new();
    session.transmit(&r, &mut out, 1_000);
    apply(&mut r, r#"[["old",1],50,"A"]"#);
    r.credit(&vector(&[("A", 100.0)]));
    let text = String::from_utf8(out).unwrap() + &said(&mut session, &r);
    let old = text.find("[\"old\"").expect("it is sent");
    let marks = text.match_indices("{\"mark\"").map(|(at, _)| at);
    let early: Vec<_> = marks.take_while(|at| *at < old).collect();
    assert!(!early.is_empty(), "there are marks on the way");
    let claims = |at: &usize| text[*at..].lines().next().is_some_and(|line| line.contains("\"A\""));
    assert!(!early.iter().any(claims), "A's older one was not sent yet");
}

/// A history goes on where it broke off, from the same sender in the same life, whatever it omits and
/// whatever is written meanwhile: nothing is sent twice but for the little since it last said how far it got.
#[test]
fn a_history_that_breaks_off_goes_on_where_it_was() {
    const KEYS: usize = 3_000;
    for config in ours() {
        let mut hub = replica("H").in_life(7);
        for n in 0..KEYS {
            let (source, at) = (n % 40, 100 + n / 3);
            let value = "v".repeat(300);
            apply(&mut hub, &format!(r#"[["k{n}","{value}{n}"],{at},"S{source}"]"#));
        }
        let sources: Vec<String> = (0..40).map(|n| format!("S{n}")).collect();
        let entries: Vec<(&str, f64)> = sources.iter().map(|id| (&**id, 1e6)).collect();
        // By a promise in which something may have been omitted, as a relay gets it.
        hub.promise(&vector(&entries));
        let mut joiner = replica("J").in_life(8);
        let mut state = Vec::new();
        let mut whole = new_session(&mut hub, config.clone());
        whole
            .receive(&mut hub, NOW, b"{\"id\":\"X\",\"clock\":{},\"ext\":{\"marks\":1}}\n")
            .unwrap();
        while whole.has_output(&hub) {
            whole.transmit(&hub, &mut state, 1 << 16);
        }
        let (mut sent, mut connections) = (0, 0);
        loop {
            connections += 1;
            assert!(connections < 60, "it never ends");
            let mut to_j = new_session(&mut hub, config.clone());
            let mut to_h = new_session(&mut joiner, config.clone());
            let mut room = state.len() / 4;
            while !to_h.is_synced() && room > 0 {
                let mut wire = Vec::new();
                to_h.transmit(&joiner, &mut wire, 1 << 12);
                to_j.receive(&mut hub, NOW, &wire).unwrap();
                wire.clear();
                to_j.transmit(&hub, &mut wire, room.min(1 << 12));
                room -= wire.len();
                sent += wire.len();
                to_h.receive(&mut joiner, NOW, &wire).unwrap();
            }
            if to_h.is_synced() {
                break;
            }
            assert!(joiner.version_vector().is_empty() || connections > 1);
            // Some of what was sent is superseded before the next connection, and some of what was not.
            let line =
                format!(r#"[["k{}","new"],{},"T"]"#, connections * 311, 10_000 + connections);
            apply(&mut hub, &line);
            hub.promise(&vector(&[("T", 1e6)]));
        }
        assert_eq!(joiner.model().to_json(), hub.model().to_json());
        assert_eq!(joiner.version_vector(), hub.version_vector());
        assert!(config.compress || connections > 3, "{connections}");
        let most = state.len() * 13 / 10;
        assert!(config.compress || sent < most, "{sent} bytes instead of {}", state.len());
    }
}

/// What a sender said in another life says nothing now, and a place that is no place is none.
#[test]
fn a_place_counts_in_its_senders_life_alone() {
    let mut hub = replica("H").in_life(7);
    for n in 1..=3 {
        hub.local_update(f64::from(n), LwwMap::set(format!("k{n}"), &n).unwrap()).unwrap();
    }
    for (life, at, since, expected) in
        [(7, 2.0, 3_u64, 1), (7, 2.0, 0, 3), (6, 2.0, 3, 3), (7, 2.0, 1_u64 << 40, 3)]
    {
        let mut session = new_session(&mut hub, json());
        let digest = format!(
            "{{\"id\":\"J\",\"clock\":{{}},\"ext\":{{\"marks\":1,\"life\":8,\
             \"places\":[[{life},[{at},\"H\",{since}]]]}}}}\n"
        );
        session.receive(&mut hub, NOW, digest.as_bytes()).unwrap();
        let updates = said(&mut session, &hub).lines().filter(|line| line.starts_with('[')).count();
        assert_eq!(updates, expected, "{life} {at} {since}");
    }
}
