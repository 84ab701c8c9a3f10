//! What connections cost that take much and give nothing: together, not each.

use std::io::Write;
use std::time::Duration;

use crate::common::{Running, done, eventually, run};
use crate::{DIGEST, connect, held_bytes};

#[test]
fn readers_of_a_long_update_that_stop_reading_share_it() {
    const LONG: usize = 8_000_000;
    const READERS: usize = 24;
    let (serve, address) = Running::serve(&[]);
    let mut writer = connect(&address);
    writer.write_all(DIGEST).expect("writes");
    writer
        .write_all(format!("[[\"k\",\"{}\"],1,\"S\"]\n", "v".repeat(LONG)).as_bytes())
        .expect("writes");
    eventually("it is there", || run(&["get", "--peer", &address, "k"]).out.len() > LONG);
    let before = held_bytes(&serve);
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut reader = connect(&address);
            reader.write_all(b"{\"clock\":{}}\n").expect("writes");
            reader
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    assert!(done(&["get", "--peer", &address, "k"]).len() > LONG);
    let each = held_bytes(&serve).saturating_sub(before) / READERS as u64;
    // A few portions, and what the system's buffers leave.
    assert!(each < 1 << 20, "{} KiB", each >> 10);
    drop(readers);
}

#[test]
fn vectors_of_peers_share_one_bound() {
    const SOURCES: usize = 30_000;
    let (serve, address) = Running::serve(&["--limit", "sessions_bytes_max=20000000"]);
    done(&["set", "--peer", &address, "k", "1"]);
    let before = held_bytes(&serve);
    let clock: Vec<_> = (0..SOURCES).map(|source| format!("\"source{source}\":1")).collect();
    let digest = format!("{{\"id\":\"H\",\"clock\":{{{}}}}}\n", clock.join(","));
    let mut liars = vec![];
    for _ in 0..20 {
        let mut liar = connect(&address);
        // The first are gone by then.
        let _ = liar.write_all(digest.as_bytes());
        liars.push(liar);
    }
    // They are read one at a time, which takes a while where nothing is optimised.
    std::thread::sleep(Duration::from_secs(8));
    serve.wait_for_log("this one held most");
    let grown = held_bytes(&serve).saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB", grown >> 20);
    assert_eq!(done(&["get", "--peer", &address, "k"]), "1\n");
    drop(liars);
}
