//! Success is reported for what has arrived, and for nothing that a peer merely claims.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use common::{Folder, done, run};

/// An address where whatever is said is said back.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4_096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let _ = stream.write_all(&bytes[..count]);
                }
            });
        }
    });
    address
}

/// An address where each line is said back, but for a digest, to which this one is the answer.
fn echo_with_digest(digest: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let reader = BufReader::new(stream.try_clone().expect("a handle"));
                for line in reader.lines().map_while(Result::ok) {
                    let answer = if line.starts_with('{') { digest } else { &line };
                    let _ = writeln!(stream, "{answer}");
                }
            });
        }
    });
    address
}

#[test]
fn an_echo_is_no_delivery() {
    let folder = Folder::new();
    let key = folder.file("key");
    done(&["keygen", &key]);
    let echoes = [echo(), echo_with_digest("{\"clock\":{}}")];
    for echo in &echoes {
        for more in [&[][..], &["--no-binary"], &["--key", &key], &["--key", &key, "--no-binary"]] {
            let set = ["set", "--peer", echo, "--timeout", "2", "k", "1"];
            let ended = run(&[&set[..], more].concat());
            assert!(matches!(ended.code, Some(4..=6)), "{more:?} {:?} {}", ended.code, ended.err);
            let emit = ["emit", "--peer", echo, "--timeout", "2", "e"];
            let ended = run(&[&emit[..], more].concat());
            assert!(matches!(ended.code, Some(4..=6)), "{more:?} {:?} {}", ended.code, ended.err);
        }
    }
}
