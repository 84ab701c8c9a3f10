//! The transcripts in docs/protocol.md, said again: the document shows what really goes over the
//! wire, or this fails.
//!
//! A block is marked there by a comment with its name. Its lines that start with `#` are notes and
//! are passed over here.

use std::fmt::Write as _;

use scuttlebutt::{
    Limits, LwwMap, Replica, Session, SessionConfig, SessionEvent, SourceId, Update,
};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");
const RECORDED: &str = include_str!("../../../interop/golden/reconnect.json");

#[test]
fn two_replicas_of_the_original() {
    let mut said = String::new();
    for step in steps() {
        match step {
            Step::Send(line) => said += &format!("A> {line}\n"),
            Step::Receive(line) => said += &format!("B> {line}\n"),
            Step::Close => said += LOST,
            _ => {}
        }
    }
    assert_documented("two-originals", &said);
}

/// The recorded conversation again, with one of ours in the place of A. What B said is as recorded.
#[test]
fn ours_and_an_original() {
    let mut a = Side::new("A");
    let mut said = String::new();
    for step in steps() {
        match step {
            Step::Write(update) => a.write(&update),
            Step::Open => a.open(),
            Step::Receive(line) => {
                // What it says comes first: the recording tells when a line was sent, and the peer's
                // answers came after it.
                said += &a.say("A");
                writeln!(said, "B> {line}").expect("a string");
                a.hear(&format!("{line}\n"));
            }
            Step::Close => said += LOST,
            Step::Send(_) => said += &a.say("A"),
        }
    }
    assert_eq!(a.replica.model().to_json(), r#"{"w":5,"x":3,"y":2,"z":4}"#);
    assert_documented("ours-and-an-original", &said);
}

#[test]
fn two_of_ours() {
    let (mut a, mut b) = (Side::new("A"), Side::new("B"));
    a.set(100.0, "x", "1");
    b.set(200.0, "y", "2");
    a.open();
    b.open();
    let mut said = talk(&mut a, &mut b, &["A", "B"]);
    a.set(300.0, "x", "3");
    said += &talk(&mut a, &mut b, &["A", "B"]);
    assert_eq!(a.replica.version_vector(), b.replica.version_vector());
    assert_documented("two-of-ours", &said);
}

/// Each of a few short frames on a line of its own: their lengths are one byte.
#[test]
fn two_of_ours_in_frames() {
    let mut sides = ["A", "B"].map(Side::new);
    sides[0].set(100.0, "x", "1");
    for side in &mut sides {
        side.is_binary = true;
        side.open();
    }
    let mut said = String::new();
    let mut in_frames = [false; 2];
    let (mut quiet, mut is_written) = (0, false);
    for turn in 0.. {
        let (from, name) = (turn % 2, ["A", "B"][turn % 2]);
        let bytes = sides[from].bytes();
        sides[1 - from].hear_bytes(&bytes);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if in_frames[from] {
                let (frame, after) = rest.split_at(1 + usize::from(rest[0]));
                let bytes: Vec<_> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
                writeln!(said, "{name}> {}", bytes.join(" ")).expect("a string");
                rest = after;
            } else {
                let end = rest.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
                let (line, after) = rest.split_at(end);
                said += &told(name, str::from_utf8(line).expect("text"));
                in_frames[from] = line == b"\"BINARY\"\n";
                rest = after;
            }
        }
        quiet = if bytes.is_empty() { quiet + 1 } else { 0 };
        if quiet == 2 {
            if is_written {
                break;
            }
            sides[0].set(300.0, "x", "3");
            (quiet, is_written) = (0, true);
        }
    }
    let [a, b] = &mut sides;
    assert_eq!(a.replica.version_vector(), b.replica.version_vector());
    assert!(a.session().is_binary() && b.session().is_binary());
    assert_documented("two-of-ours-in-frames", &said);
}

#[test]
fn a_history_that_breaks_off() {
    let (mut a, mut b) = (Side::new("A"), Side::new("B"));
    a.set(100.0, "text", &format!("\"{}\"", "x".repeat(70_000)));
    a.set(500.0, "k", "1");
    a.set(600.0, "j", "1");
    a.learn(r#"[["k",2],700,"C"]"#);
    a.open();
    b.open();
    let mut said = b.say_to(&mut a, "B");
    for line in a.lines() {
        if line.contains("700") && line.starts_with('[') {
            break;
        }
        said += &told("A", &line);
        b.hear(&line);
    }
    assert_eq!(b.replica.model().get_raw("j"), Some("1"), "held at once");
    said += LOST;
    a.open();
    b.open();
    said += &talk(&mut a, &mut b, &["B", "A"]);
    assert_eq!(a.replica.version_vector(), b.replica.version_vector());
    assert_documented("broken-off", &said);
}

#[test]
fn a_second_digest() {
    let (mut a, mut b) = (Side::new("A"), Side::new("B"));
    // Two days ahead of B, which accepts one.
    a.set(NOW + 2.0 * DAY, "k", "1");
    a.open();
    b.open();
    let mut said = talk(&mut a, &mut b, &["A", "B"]);
    assert!(b.replica.model().is_empty());
    a.learn(r#"[["j",2],1000000,"C"]"#);
    said += &talk(&mut a, &mut b, &["A", "B"]);
    assert_eq!(b.replica.model().to_json(), r#"{"j":2}"#);
    assert!(b.replica.version_vector().is_empty());
    assert_eq!(b.session().next_timeout(), Some(NOW + DAY));
    said += "-- a day later\n";
    b.now = NOW + DAY;
    b.session().handle_timeout(NOW + DAY).expect("no deadline has passed");
    said += &talk(&mut a, &mut b, &["B", "A"]);
    assert_eq!(a.replica.version_vector(), b.replica.version_vector());
    assert_documented("second-digest", &said);
}

const NOW: f64 = 1_000_000.0;
const DAY: f64 = 86_400_000.0;
const LOST: &str = "-- the connection is lost\n";

/// One replica and its session.
struct Side {
    replica: Replica<LwwMap>,
    session: Option<Session>,
    now: f64,
    is_binary: bool,
}

impl Side {
    fn new(id: &str) -> Self {
        let id = SourceId::new(id).expect("an id");
        let limits = Limits { heartbeat_ms_max: 0.0, ..Limits::default() };
        let replica = Replica::with_limits(id, LwwMap::new(), limits);
        Self { replica, session: None, now: NOW, is_binary: false }
    }

    fn open(&mut self) {
        let config = SessionConfig { announce_binary: self.is_binary, ..SessionConfig::default() };
        self.session = Some(Session::new(&mut self.replica, self.now, config));
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("an open session")
    }

    fn set(&mut self, at: f64, key: &str, value: &str) {
        let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
        let change = LwwMap::set(key, &value).expect("JSON");
        let update = self.replica.local_update(at, change).expect("room");
        assert_eq!(update.timestamp().as_millis(), at);
    }

    fn write(&mut self, update: &Update) {
        assert_eq!(update.source(), self.replica.id());
        let change = scuttlebutt::Change::from_json(update.change()).expect("JSON");
        let at = update.timestamp().as_millis();
        let written = self.replica.local_update(at, change).expect("room");
        assert_eq!(written, *update);
    }

    /// Comes to hold an update of someone else, whose every update up to it is held then.
    fn learn(&mut self, line: &str) {
        let update = Update::from_json(line).expect("an update");
        let promise = [(update.source().clone(), update.timestamp())];
        self.replica.remote_update(self.now, update);
        self.replica.promise(&promise.into_iter().collect());
    }

    fn hear(&mut self, line: &str) {
        self.hear_bytes(line.as_bytes());
    }

    fn hear_bytes(&mut self, bytes: &[u8]) {
        let session = self.session.as_mut().expect("an open session");
        session.receive(&mut self.replica, self.now, bytes).expect("good bytes");
        while let Some(event) = session.next_event() {
            assert!(!matches!(event, SessionEvent::Closed { .. }), "{event:?}");
        }
    }

    /// Everything there is to say now.
    fn bytes(&mut self) -> Vec<u8> {
        let (session, mut out) = (self.session.as_mut().expect("an open session"), Vec::new());
        while session.has_output(&self.replica) {
            session.transmit(&self.replica, &mut out, 1 << 20);
        }
        out
    }

    fn lines(&mut self) -> Vec<String> {
        let text = String::from_utf8(self.bytes()).expect("text");
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn say(&mut self, name: &str) -> String {
        self.lines().iter().map(|line| told(name, line)).collect()
    }

    fn say_to(&mut self, other: &mut Side, name: &str) -> String {
        let lines = self.lines();
        lines.iter().for_each(|line| other.hear(line));
        lines.iter().map(|line| told(name, line)).collect()
    }
}

/// Both sides in turn, until neither has anything to say.
fn talk(a: &mut Side, b: &mut Side, order: &[&str; 2]) -> String {
    let mut said = String::new();
    loop {
        let mut turn = String::new();
        for name in order {
            turn += &match *name {
                "A" => a.say_to(b, "A"),
                _ => b.say_to(a, "B"),
            };
        }
        if turn.is_empty() {
            return said;
        }
        said += &turn;
    }
}

/// A line as the document shows it: long runs of one letter are cut.
fn told(name: &str, line: &str) -> String {
    let line = line.trim_end();
    match (line.find("xxxx"), line.rfind("xxxx")) {
        (Some(start), Some(end)) => {
            let (before, after) = (&line[..start], &line[end + 4..]);
            format!("{name}> {before}x…x{after}\n")
        }
        _ => format!("{name}> {line}\n"),
    }
}

enum Step {
    Write(Update),
    Open,
    Send(String),
    Receive(String),
    Close,
}

/// The recorded conversation as side A tells it.
fn steps() -> Vec<Step> {
    let recorded: serde_json::Value = serde_json::from_str(RECORDED).expect("JSON");
    let steps = recorded["sides"]["A"]["steps"].as_array().expect("steps");
    // What is no line is `true`.
    let text_or_flag = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let step = |step: &serde_json::Value| {
        let has = |name: &str| step.get(name).map(text_or_flag);
        if let Some(line) = has("apply").or_else(|| has("local")) {
            Step::Write(Update::from_json(&line).expect("an update"))
        } else if let Some(line) = has("send") {
            Step::Send(line)
        } else if let Some(line) = has("receive") {
            Step::Receive(line)
        } else if has("open").is_some() {
            Step::Open
        } else if has("close").is_some() {
            Step::Close
        } else {
            panic!("a step that this test does not know: {step}")
        }
    };
    steps.iter().map(step).collect()
}

fn assert_documented(name: &str, said: &str) {
    let mark = format!("<!-- transcript: {name} -->");
    let block = DOCUMENT
        .split_once(&mark)
        .and_then(|(_, rest)| rest.split_once("```text\n"))
        .and_then(|(_, rest)| rest.split_once("```"))
        .map(|(block, _)| block)
        .unwrap_or_default();
    let documented: String = block
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(
        documented == said,
        "docs/protocol.md, transcript {name}, should read\n{said}\nbut reads\n{documented}"
    );
}
