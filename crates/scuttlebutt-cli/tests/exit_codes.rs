//! The exit codes that `--help` promises, each with a command that ends with it; and what becomes of
//! commands whose output goes nowhere.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::process::Stdio;

use common::{Folder, Running, command, done, fails, run};

/// What `--help` says of each code, by its parts.
fn promised() -> BTreeSet<(i32, String)> {
    let help = done(&["--help"]);
    let (_, list) = help.split_once("Exit codes:\n").expect("a list");
    let list = list.lines().take_while(|line| line.starts_with("  "));
    let mut lines: Vec<String> = Vec::new();
    for line in list {
        match lines.last_mut().filter(|_| line.starts_with("     ")) {
            Some(begun) => *begun = format!("{begun} {}", line.trim()),
            None => lines.push(line.to_owned()),
        }
    }
    let parts = lines.iter().flat_map(|line| {
        let (code, meaning) = line.trim().split_once("  ").expect("a code and what it means");
        let code: i32 = code.parse().expect("a number");
        meaning.split([',', ':']).map(move |part| {
            let part = part.trim();
            (code, part.strip_prefix("or ").unwrap_or(part).to_owned())
        })
    });
    parts.filter(|(_, part)| !matches!(&**part, "…" | "failed")).collect()
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

/// An address where connections are accepted, answered like this, and closed if so asked.
fn answering(bytes: &'static [u8], closes: bool) -> String {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let mut open = vec![];
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1_000]);
            let _ = stream.write_all(bytes);
            if !closes {
                open.push(stream);
            }
        }
    });
    address
}

#[test]
fn each_code_that_help_promises_is_produced() {
    let folder = Folder::new();
    let (_map, map) = Running::serve(&[]);
    let (_events, events) = Running::serve(&["--model", "events"]);
    done(&["emit", "--peer", &events, "tick"]);
    let (_clustered, clustered) = Running::serve(&["--cluster", "blue"]);
    let (_read_only, read_only) = Running::serve(&["--read-only"]);
    let (key, other) = (folder.file("key"), folder.file("other"));
    done(&["keygen", &key]);
    let stranger = done(&["keygen", &other]);
    let tls = ["serve", "--memory", "--tls", "127.0.0.1:0", "--node-key", &key, "--admit-anyone"];
    let tls = Running::start(&tls);
    let tls = tls.line().replace("listening tls ", "tls://") + "#" + stranger.trim_end();
    let (nobody, http) = (nobody(), answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", false));
    let (closing, silent) = (answering(b"", true), answering(b"", false));

    let mut promised = promised();
    for (code, part, arguments) in [
        (0, "done", &["set", "--peer", &map, "k", "1"][..]),
        (1, "`get` found no value", &["get", "--peer", &map, "none"]),
        (1, "an address is in use", &["serve", "--memory", "--tcp", &map]),
        (2, "the command line makes no sense", &["set", "--peer", &map, "k", "hello"]),
        (3, "the peer cannot be reached", &["get", "--peer", &nobody, "k"]),
        (4, "the peer speaks something else", &["get", "--peer", &http, "k"]),
        (4, "serves another model", &["get", "--peer", &events, "k"]),
        (
            4,
            "belongs to another --cluster",
            &["get", "--peer", &clustered, "--cluster", "red", "k"],
        ),
        (4, "is not believed (TLS)", &["get", "--peer", &tls, "--node-key", &other, "k"]),
        (4, "broke off", &["get", "--peer", &closing, "k"]),
        (
            5,
            "the peer did not answer in time (--timeout)",
            &["get", "--peer", &silent, "--timeout", "0.2", "k"],
        ),
        (6, "the peer did not accept what was written", &["set", "--peer", &read_only, "k", "1"]),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(code), "{part}: {}", ended.err);
        promised.remove(&(code, part.to_owned()));
    }
    assert!(promised.is_empty(), "promised and not tested: {promised:?}");
}

/// A node that is full refuses what is new by the bound's name, soon, and goes on with what it has.
#[test]
fn a_full_node_refuses_by_the_name_of_its_bound() {
    let folder = Folder::new();
    let key = folder.file("key");
    done(&["keygen", &key]);
    for bound in ["updates_max=2", "sources_max=3"] {
        let (_node, peer) = Running::serve(&["--limit", bound]);
        let (name, _) = bound.split_once('=').expect("a number");
        let set = |key: &str| run(&["set", "--peer", &peer, key, "1"]);
        let begun = std::time::Instant::now();
        let refused = (0..5).map(|n| set(&format!("k{n}"))).find(|ended| ended.code != Some(0));
        let refused = refused.expect("it is full");
        assert_eq!(refused.code, Some(6), "{bound}: {}", refused.err);
        let said = format!("{peer}: the peer has no room for the update: its bound {name} is ");
        assert!(refused.err.contains(&said), "{bound}: {}", refused.err);
        assert!(begun.elapsed() < common::PATIENCE, "{bound}");
        assert_eq!(done(&["get", "--peer", &peer, "k0"]), "1\n");
    }
    // Through its directory the node writes as itself.
    let dir = folder.file("data");
    let (_node, _) = Running::serve(&["--data", &dir, "--limit", "updates_max=1"]);
    done(&["set", "--data", &dir, "k", "1"]);
    fails(&["set", "--data", &dir, "other", "1"], 6, "updates_max");
    done(&["set", "--data", &dir, "k", "2"]);
    // Nor is what a file holds beyond that passed over in silence.
    let file = folder.file("file");
    std::fs::write(&file, "[[\"j\",1],5,\"A\"]\n\"SYNC\"\n").expect("a file");
    let full = ["import", &file, "--data", &dir];
    for import in [&full[..], &[&full[..], &["--skip-invalid"]].concat()] {
        let ended = run(import);
        assert!(ended.code == Some(1) && ended.err.contains("updates_max"), "{}", ended.err);
        assert!(!ended.err.contains("peer"), "{}", ended.err);
    }
}

/// What no peer would take is not written either.
#[test]
fn a_write_that_is_too_long_is_refused_by_the_name_of_its_bound() {
    use std::io::{BufRead, BufReader, Write};
    let folder = Folder::new();
    let dir = folder.file("data");
    let (_node, peer) = Running::serve(&["--data", &dir]);
    // Longer than any argument: said to the control socket as the command would.
    let mut stream = std::os::unix::net::UnixStream::connect(folder.file("data/control.sock"))
        .expect("it is there");
    let value = "x".repeat(17 << 20);
    writeln!(stream, r#"{{"write":{{"model":"map","change":"[\"k\",\"{value}\"]"}}}}"#)
        .expect("it reads");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("it answers");
    assert!(
        answer.starts_with(r#"{"refused":"#) && answer.contains("update_bytes_max"),
        "{answer}"
    );

    let tight = folder.file("tight");
    let limits = ["--limit", "update_bytes_max=65536"];
    let (_tight, tight_peer) = Running::serve(&[&["--data", &tight][..], &limits].concat());
    let long = "x".repeat(70_000);
    fails(&["set", "--data", &tight, "-s", "k", &long], 6, "update_bytes_max");
    fails(&["set", "--peer", &tight_peer, "-s", "k", &long], 6, "update_bytes_max");
    for place in [&["--data", &dir][..], &["--peer", &peer], &["--peer", &tight_peer]] {
        assert_eq!(done(&[&["dump"][..], place].concat()), "{}\n");
    }
}

/// Commands that print, each with what it needs.
fn printing(peer: &str, dir: &str, file: &str) -> Vec<Vec<String>> {
    [
        &["dump", "--peer", peer][..],
        &["dump", "--peer", peer, "--updates"],
        &["dump", "--data", dir],
        &["get", "--peer", peer, "k"],
        &["get", "--data", dir, "k"],
        &["export", "-", "--data", dir],
        &["import", file, "--data", dir],
        &["inspect", "--data", dir],
        &["inspect", "--data", dir, "--json"],
        &["backup", &format!("{dir}-copy"), "--data", dir],
        &["verify", file],
        &["id"],
        &["keygen", &format!("{dir}.key")],
        &["completions", "bash"],
    ]
    .iter()
    .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
    .collect()
}

/// What cannot be printed is an error, told in one line; whoever closes the pipe has seen enough.
#[test]
fn output_that_goes_nowhere_is_an_error_and_no_panic() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("file"));
    let (_node, peer) = Running::serve(&["--data", &dir]);
    done(&["set", "--data", &dir, "k", "1"]);
    done(&["export", &file, "--data", &dir]);
    for words in printing(&peer, &dir, &file) {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let ended = command(&words).stdout(full).output().expect("runs");
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{words:?} {err}");
        assert!(err.contains("No space left on device"), "{words:?} {err}");
        let _ = std::fs::remove_dir_all(format!("{dir}-copy"));
        let _ = std::fs::remove_file(format!("{dir}.key"));

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = command(&words).stdout(writer).output().expect("runs");
        let err = String::from_utf8_lossy(&ended.stderr);
        assert!(!err.contains("panicked"), "{words:?} {err}");
        assert!(matches!(ended.status.code(), Some(0 | 1)), "{words:?} {:?} {err}", ended.status);
        let _ = std::fs::remove_dir_all(format!("{dir}-copy"));
        let _ = std::fs::remove_file(format!("{dir}.key"));

        // Nor does it matter that nobody hears the error.
        let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("a device"));
        let ended = command(&words).stdout(full()).stderr(full()).status().expect("runs");
        assert_eq!(ended.code(), Some(1), "{words:?}");
        let _ = std::fs::remove_dir_all(format!("{dir}-copy"));
        let _ = std::fs::remove_file(format!("{dir}.key"));
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = Folder::new();
    let (none, dir) = (folder.file("none"), folder.file("data"));
    let (_node, peer) = Running::serve(&["--data", &dir]);
    for words in [
        &["import", &none, "--data", &dir][..],
        &["verify", &none],
        &["get", "--peer", &peer, "--trust", &none, "k"],
        &["set", "--peer", &peer, "--key", &none, "k", "1"],
        &["id", "--key", &none],
        &["serve", "--memory", "--trust", &none],
        &["serve", "--memory", "--tls", "127.0.0.1:0", "--node-key", &none],
        &["export", &format!("{none}/file"), "--data", &dir],
        &["keygen", &format!("{none}/key")],
    ] {
        let code = run(words).code;
        assert!(matches!(code, Some(1 | 2)), "{words:?} {code:?}");
        fails(words, code.unwrap_or_default(), &none);
        fails(words, code.unwrap_or_default(), "No such file");
    }
}
