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
    let lines: Vec<_> = list.lines().take_while(|line| line.starts_with("  ")).collect();
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
