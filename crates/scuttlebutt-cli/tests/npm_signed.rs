//! The daemon and the npm package with its security.js, which sign, and between them a relay that knows
//! no keys: another daemon, or the npm package without security.js.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, PATIENCE, Running, done, run};

const OURS: &str = "openssh-1024";
const THEIRS: &str = "pem-768";

/// A program in `interop/`.
fn node(script: &str, arguments: &[&str]) -> Command {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    assert!(
        interop.join("node_modules/scuttlebutt").is_dir(),
        "the npm packages are missing: run `npm ci` in interop/ (`cargo xtask test` does it)"
    );
    let mut command = Command::new("node");
    command.arg(interop.join(script)).args(arguments).stdin(Stdio::null());
    command
}

/// The keys of both, as `ssh-keygen` writes them, in a folder with a part for the public ones.
fn keys() -> Folder {
    let folder = Folder::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scuttlebutt-security/tests/keys");
    std::fs::create_dir(folder.path().join("public")).expect("a folder");
    for name in [OURS, THEIRS] {
        let public = format!("{name}.pub.pem");
        for to in [name, &public, &format!("public/{public}")] {
            let file = Path::new(to).file_name().expect("a name");
            std::fs::copy(from.join(file), folder.path().join(to)).expect("a key");
        }
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(folder.path().join(name), mode).expect("ours to change");
    }
    folder
}

fn field(line: &str, name: &str) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_str(line).expect("JSON");
    report[name].clone()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Keeps the relay, whichever it is, with its address.
enum Relay {
    Ours { _daemon: Running, address: String },
    Npm { child: Child, lines: Lines<BufReader<ChildStdout>>, address: String },
}

impl Relay {
    fn npm() -> Self {
        let mut child = node("peer.js", &["--listen", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need Node.js 20 or later as `node`");
        let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        let port = lines.find_map(|line| field(&line.expect("a line"), "port").as_u64());
        let address = format!("127.0.0.1:{}", port.expect("it listens"));
        Self::Npm { child, lines, address }
    }

    fn address(&self) -> &str {
        match self {
            Self::Ours { address, .. } | Self::Npm { address, .. } => address,
        }
    }

    /// Lets it dial these.
    fn dial(&mut self, peers: &[&str]) -> Option<Running> {
        match self {
            Self::Ours { address, .. } => {
                // A daemon dials whom its command line says: one more, joined to it.
                let mut all = vec!["--peer", address.as_str()];
                all.extend(peers.iter().flat_map(|peer| ["--peer", peer]));
                Some(Running::serve(&all).0)
            }
            Self::Npm { child, lines, .. } => {
                let input = child.stdin.as_mut().expect("is piped");
                for peer in peers {
                    writeln!(input, "{{\"do\":\"connect\",\"to\":\"{peer}\"}}").expect("it reads");
                    let is_done = |line: &String| line.contains("\"answer\":\"connect\"");
                    let done = lines.by_ref().map(|line| line.expect("a line")).find(is_done);
                    assert!(!done.expect("an answer").contains("\"error\""));
                }
                None
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Self::Npm { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn exchange(mut relay: Relay) {
    let keys = keys();
    let dir = keys.file("data");
    let (our_key, public) = (keys.file(OURS), keys.file("public"));
    let arguments =
        ["--data", &dir, "--key", &our_key, "--verify", "rsa-sha1", "--rsa-keys", &public];
    let (_ours, our_address) = Running::serve(&arguments);
    let our_id = run(&["id", "--key", &our_key]).out.trim_end().to_owned();
    let their_key = keys.file(THEIRS);
    let their_id = run(&["id", "--key", &their_key]).out.trim_end().to_owned();
    let folder = keys.path().to_str().expect("UTF-8");
    let npm = Running::spawn(&mut node("security.js", &["listen", folder, THEIRS, OURS]));
    let port = std::iter::repeat_with(|| field(&npm.log_line(), "port")).find_map(|p| p.as_u64());
    let port = port.expect("it listens");
    let npm_address = format!("127.0.0.1:{port}");

    // Before it hears anything true, the relay is told something in the names of both.
    let mut forger = TcpStream::connect(relay.address()).expect("it listens");
    let lines = format!(
        "{{\"id\":\"F\",\"clock\":{{}}}}\n[[\"forged\",\"npm\"],7,\"{their_id}\",\"Zm9yZ2Vk\"]\n\
         [[\"forged too\",\"ours\"],7,\"{our_id}\",\"Zm9yZ2Vk\"]\n\"SYNC\"\n"
    );
    forger.write_all(lines.as_bytes()).expect("it reads");
    let relay_address = relay.address().to_owned();
    until("the forged ones", || done(&["dump", "--peer", &relay_address]).contains("forged too"));
    let _dialler = relay.dial(&[&our_address, &npm_address]);

    until("theirs", || run(&["get", "--peer", &our_address, "from npm"]).code == Some(0));
    assert_eq!(
        done(&["get", "--peer", &our_address, "from npm"]),
        "{\"2\":\"\\ud800 é\",\"b\":1e+21}\n"
    );
    done(&["set", "--data", &dir, "from ours", r#"{"b": 1e-7, "3": "\u007f é"}"#]);
    let (mut refused, mut applied) = (false, false);
    while !(refused && applied) {
        let line = npm.log_line();
        refused |= line.contains("\"event\":\"unverified\"") && line.contains("forged too");
        applied |= line.contains("\"event\":\"applied\"") && line.contains("from ours");
        assert!(!(line.contains("\"applied\"") && line.contains("forged")), "{line}");
    }
    let ours = done(&["dump", "--peer", &our_address]);
    assert!(ours.contains("from ours") && !ours.contains("forged"), "{ours}");
    assert!(done(&["dump", "--peer", &relay_address]).contains("forged too"), "it knows no keys");

    // What came through is good to a third one that knows the keys, too.
    let read = run(&[
        "dump",
        "--updates",
        "--peer",
        &relay_address,
        "--verify",
        "rsa-sha1",
        "--rsa-keys",
        &public,
    ]);
    assert_eq!(read.out.lines().count(), 2, "{}", read.out);
    assert!(read.err.contains("2 left out"), "{}", read.err);
    drop(forger);
}

#[test]
fn i5_signed_updates_and_no_forged_ones_come_through_a_relay_of_ours() {
    let (daemon, address) = Running::serve(&[]);
    exchange(Relay::Ours { _daemon: daemon, address });
}

#[test]
fn i5_signed_updates_and_no_forged_ones_come_through_a_relay_of_npms() {
    exchange(Relay::npm());
}
