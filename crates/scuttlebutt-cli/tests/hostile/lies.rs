//! Peers that say what is not so: about what they hold, about the time, about who they are.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{Running, done, eventually, run};
use crate::{DIGEST, connect, held_bytes};

fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()
}

/// A peer that says this and stays.
fn peer(address: &str, lines: &str) -> std::net::TcpStream {
    let mut stream = connect(address);
    stream.write_all(lines.as_bytes()).expect("writes");
    stream
}

fn get(address: &str, key: &str) -> String {
    run(&["get", "--peer", address, key]).out
}

/// Whoever claims to have sent everything of a source has sent nothing all the same, and the daemon
/// takes it from whoever has it.
#[test]
fn a_digest_that_lies_hides_nothing_that_others_send() {
    let (serve, address) = Running::serve(&[]);
    let now = now_ms();
    let _liar = peer(
        &address,
        &format!("{{\"id\":\"H\",\"clock\":{{\"S\":{now},\"H\":{now}}}}}\n\"SYNC\"\n"),
    );
    std::thread::sleep(std::time::Duration::from_millis(200));
    let honest = format!("{{\"id\":\"S\",\"clock\":{{}}}}\n[[\"k\",1],{},\"S\"]\n", now - 1_000);
    let _honest = peer(&address, &honest);
    assert!(serve.line().starts_with("\"k\"\t1\t"));
}

#[test]
fn replays_change_nothing_and_cost_nothing() {
    let (serve, address) = Running::serve(&[]);
    let line = "[[\"k\",1],1000,\"S\"]\n";
    let mut replaying = peer(&address, &format!("{{\"id\":\"H\",\"clock\":{{}}}}\n{line}"));
    assert!(serve.line().starts_with("\"k\"\t1\t"));
    let before = held_bytes(&serve);
    for _ in 0..100 {
        replaying.write_all(line.repeat(1_000).as_bytes()).expect("writes");
    }
    replaying.write_all(b"[[\"end\",1],2000,\"S\"]\n").expect("writes");
    assert!(serve.line().starts_with("\"end\"\t1\t"), "nothing was printed in between");
    let grown = held_bytes(&serve).saturating_sub(before);
    assert!(grown < 4 << 20, "{} KiB", grown >> 10);
}

/// Neither does an update from the future win, nor does it drag the clock of this node along.
#[test]
fn timestamps_from_the_future_poison_no_clock() {
    let (serve, address) = Running::serve(&[]);
    let tomorrow = now_ms() + 2 * 24 * 60 * 60 * 1_000;
    let mut lines = String::from("{\"id\":\"H\",\"clock\":{}}\n");
    for timestamp in ["1e300", "1.7976931348623157e308", "9007199254740993", &tomorrow.to_string()]
    {
        lines.push_str(&format!("[[\"k\",\"poison\"],{timestamp},\"S{timestamp}\"]\n"));
    }
    lines.push_str("[[\"seen\",1],1000,\"S\"]\n");
    let _peer = peer(&address, &lines);
    assert!(serve.line().starts_with("\"seen\""), "and nothing before");
    done(&["set", "--peer", &address, "k", "1"]);
    assert_eq!(get(&address, "k"), "1\n");
    let updates = done(&["dump", "--peer", &address, "--updates"]);
    assert_eq!(updates.lines().count(), 2, "{updates}");
    let newest =
        updates.lines().last().and_then(|line| line.split(',').nth(2)).expect("a timestamp");
    let newest: f64 = newest.parse().expect("a number");
    assert!(newest <= now_ms() as f64, "{newest}");
}

#[test]
fn timestamps_that_are_none_are_refused() {
    let (serve, address) = Running::serve(&[]);
    for timestamp in ["0", "-1", "-1e300"] {
        let line = format!("{{\"clock\":{{}}}}\n[[\"k\",2],{timestamp},\"S\"]\n");
        let _peer = peer(&address, &line);
    }
    let _peer = peer(&address, "{\"clock\":{}}\n[[\"seen\",1],1000,\"S\"]\n");
    assert!(serve.line().starts_with("\"seen\""), "and nothing before");
}

/// Two that say the same id are two peers all the same; and whoever says this node's own id takes
/// nothing from it.
#[test]
fn ids_that_are_in_use_are_nobodys_ticket() {
    let (serve, address) = Running::serve(&["--id", "ME"]);
    let _first = peer(&address, "{\"id\":\"H\",\"clock\":{}}\n[[\"a\",1],1000,\"H\"]\n");
    let _second = peer(&address, "{\"id\":\"H\",\"clock\":{}}\n[[\"b\",1],1001,\"H\"]\n");
    let _mirror =
        peer(&address, "{\"id\":\"ME\",\"clock\":{\"ME\":5000}}\n[[\"c\",1],1002,\"ME\"]\n");
    serve.wait_for_log("peers hold updates under this node's own id");
    eventually("all three are there", || {
        ["a", "b", "c"].iter().all(|key| get(&address, key) == "1\n")
    });
    done(&["set", "--peer", &address, "k", "1"]);
}

/// Sources are never forgotten, so there is a bound to them; whoever was known before goes on.
#[test]
fn more_sources_than_fit_are_refused_and_known_ones_go_on() {
    let (serve, address) = Running::serve(&["--limit", "sources_max=100"]);
    let _known = peer(&address, "{\"clock\":{}}\n[[\"k\",1],1000,\"known\"]\n");
    assert!(serve.line().starts_with("\"k\"\t1\t"));
    let mut flood = String::from_utf8_lossy(DIGEST).into_owned();
    for n in 0..100_000 {
        flood.push_str(&format!("[[\"f\",{n}],{},\"s{n}\"]\n", 1_001 + n));
    }
    let mut flooding = connect(&address);
    let _ = flooding.write_all(flood.as_bytes());
    let _known = peer(&address, "{\"clock\":{}}\n[[\"k\",2],2000000,\"known\"]\n");
    eventually("it goes on", || get(&address, "k") == "2\n");
}
