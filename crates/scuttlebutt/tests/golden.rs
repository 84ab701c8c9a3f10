//! Conversations recorded from npm `scuttlebutt` 5.6.15, replayed byte for byte in both roles. What
//! a recording holds is told in `interop/README.md`.
//!
//! We replay as a peer of the original's kind, `announce_extensions: false`. Where we say less than
//! the original, or end in another state, it is on purpose and said here: what the recorder flagged
//! as `echo` or `extra` in [`Replay::is_said`], the rest in [`DEPARTURES`]. A departure that is no
//! longer one fails too.

#![expect(clippy::disallowed_methods, reason = "the recordings are files")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use scuttlebutt::{
    ChangeCursor, Direction, EventLog, LwwMap, Metadata, Mode, Model, Register, Replica, Session,
    SessionConfig, SourceId, Timestamp, Update, VersionVector, json,
};
use serde_json::Value;

/// After every timestamp that was recorded.
const NOW_MS: f64 = 1_900_000_000_000.0;

/// Where we end otherwise than the original did.
struct Departure {
    transcript: &'static str,
    side: &'static str,
    what: What,
    /// What we have instead.
    ours: &'static str,
    #[expect(dead_code, reason = "for the reader")]
    because: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    State,
    History,
    /// What is said after a step, counted from 0.
    Said(usize),
    /// When we say that no more will come.
    End,
}

const DEPARTURES: &[Departure] = &[
    Departure {
        transcript: "repeated-updates",
        side: "A",
        what: What::State,
        ours: "\"k\":1\n\"late\":2\n\"x\":1\n",
        because: "an update that never came is news, however late",
    },
    Departure {
        transcript: "repeated-updates",
        side: "A",
        what: What::History,
        ours: "[[\"x\",1],10,\"A\"]\n[[\"late\",2],50,\"peer\"]\n[[\"k\",1],100,\"peer\"]",
        because: "as above",
    },
    Departure {
        transcript: "tie-on-one-key",
        side: "B",
        what: What::State,
        ours: "\"k\":\"vb\"\n",
        because: "of equal timestamps the greater source wins, not who came last",
    },
    Departure {
        transcript: "tie-on-one-key",
        side: "B",
        what: What::History,
        ours: "[[\"k\",\"vb\"],100,\"B\"]",
        because: "as above",
    },
    Departure {
        transcript: "tail-false",
        side: "B",
        what: What::End,
        ours: "false",
        because: "who leaves after catching up stays until the peer's history has arrived",
    },
    Departure {
        transcript: "tail-false-both",
        side: "A",
        what: What::End,
        ours: "false",
        because: "who leaves after catching up stays until the peer's history has arrived",
    },
    Departure {
        transcript: "tail-false-both",
        side: "B",
        what: What::End,
        ours: "false",
        because: "who leaves after catching up stays until the peer's history has arrived",
    },
];

/// Marked by the recorder as differing, since among ours a superseded update is passed on as
/// evidence. A peer of the original's kind is not sent it, so the bytes are the same.
const SAME_WITHOUT_EXTENSIONS: &[&str] = &["overwritten-last", "superseded-on-arrival"];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../interop/golden")
}

fn files(extension: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory()).expect("the recordings are there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|it| it == extension) {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(&path).expect("readable")));
        }
    }
    files.sort();
    files
}

/// How the bytes are cut in both directions.
#[derive(Clone, Copy, Debug)]
enum Portions {
    Whole,
    Bytes,
}

struct Replay<'t, M> {
    transcript: &'t str,
    side: &'t str,
    portions: Portions,
    replica: Replica<M>,
    config: SessionConfig,
    session: Option<Session>,
    has_spoken: bool,
    used: Vec<What>,
}

impl<M: Model> Replay<'_, M> {
    /// What we have in the place of what was recorded.
    fn instead(&mut self, what: What, recorded: String, ours: &str) -> String {
        let departure = DEPARTURES.iter().find(|departure| {
            (departure.transcript, departure.side, departure.what)
                == (self.transcript, self.side, what)
        });
        match departure {
            Some(departure) => {
                assert_ne!(recorded, ours, "{self:?}: {what:?} is no departure any more");
                self.used.push(what);
                departure.ours.to_owned()
            }
            None => recorded,
        }
    }

    /// Whether we say a line that the original said.
    fn is_said(&self, step: &Value) -> bool {
        let line = step["send"].as_str().expect("a line");
        // What a peer brought is not sent back to it.
        let is_echo = step["echo"] == true;
        // Who only receives sends no update. It ends its empty history if it announced anything.
        let is_extra =
            step["extra"] == true && (line != "\"SYNC\"" || !self.config.announce_digest);
        !is_echo && !is_extra
    }

    fn say(&mut self) -> String {
        let mut out = Vec::new();
        let room = match self.portions {
            Portions::Whole => 1 << 20,
            Portions::Bytes => 1,
        };
        if let Some(session) = &mut self.session {
            while session.has_output(&self.replica) {
                session.transmit(&self.replica, &mut out, room);
            }
        }
        String::from_utf8(out).expect("UTF-8")
    }

    fn hear(&mut self, line: &str) {
        let session = self.session.as_mut().expect("an open session");
        let bytes = format!("{line}\n").into_bytes();
        let size = match self.portions {
            Portions::Whole => bytes.len(),
            Portions::Bytes => 1,
        };
        for portion in bytes.chunks(size) {
            let heard = session.receive(&mut self.replica, NOW_MS, portion);
            heard.unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    fn step(&mut self, step: &Value) {
        let text = |field: &str| step[field].as_str();
        if let Some(line) = text("apply") {
            let update = Update::from_json(line).expect("an update");
            let held = (update.source().clone(), update.timestamp());
            self.replica.remote_update(NOW_MS, update);
            self.replica.promise(&[held].into_iter().collect());
        } else if let Some(line) = text("local") {
            let update = Update::from_json(line).expect("an update");
            let change = scuttlebutt::Change::from_json(update.change()).expect("a change");
            let written = self.replica.local_update(update.timestamp().as_millis(), change);
            assert_eq!(written.expect("is accepted"), update, "{self:?}");
        } else if let Some(line) = text("receive") {
            self.hear(line);
        } else if step["open"] == true {
            self.session = Some(Session::new(&mut self.replica, NOW_MS, self.config.clone()));
            self.has_spoken = false;
        } else if step["receiveEnd"] == true {
            let session = self.session.as_mut().expect("an open session");
            session.receive_end(&mut self.replica, NOW_MS).expect("whole lines");
        } else if step["close"] == true {
            self.session = None;
        } else {
            assert!(step["end"] == true || text("send").is_some(), "unknown step {step}");
        }
    }

    fn run(mut self, recorded: &Value, state: impl Fn(&Replica<M>) -> String) {
        let steps = recorded["steps"].as_array().expect("steps");
        for (nth, step) in steps.iter().enumerate() {
            if step["send"].is_string() || step["end"] == true {
                continue;
            }
            self.step(step);
            // What was said before the next step, which is not one of ours.
            let answers = steps[nth + 1..]
                .iter()
                .take_while(|next| next["send"].is_string() || next["end"] == true);
            let (mut expected, mut is_end) = (String::new(), false);
            for answer in answers {
                if answer["end"] == true {
                    is_end = true;
                } else if self.is_said(answer) {
                    expected += answer["send"].as_str().expect("a line");
                    expected.push('\n');
                }
            }
            // The first line is made when it can be sent, which may be some steps later.
            if expected.is_empty() && !self.has_spoken && nth + 1 < steps.len() {
                continue;
            }
            self.has_spoken = true;
            let said = self.say();
            let expected = self.instead(What::Said(nth), expected, &said);
            assert_eq!(said, expected, "{self:?} after step {nth}: {step}");
            if is_end {
                let is_finished = self.session.as_ref().is_some_and(Session::is_output_finished);
                let expected = self.instead(What::End, "true".into(), &is_finished.to_string());
                assert_eq!(is_finished.to_string(), expected, "{self:?}: end after step {nth}");
            }
        }
        if steps.iter().any(|step| step["end"] == true) {
            assert!(self.session.as_ref().is_some_and(Session::is_output_finished), "{self:?}");
        }
        self.check_final(&recorded["final"], &state(&self.replica));
        let declared = DEPARTURES.iter().filter(|departure| {
            (departure.transcript, departure.side) == (self.transcript, self.side)
        });
        for departure in declared {
            assert!(self.used.contains(&departure.what), "{self:?}: {:?}", departure.what);
        }
    }

    fn check_final(&mut self, recorded: &Value, state: &str) {
        let expected = recorded["state"].as_str().expect("a state").to_owned();
        let expected = self.instead(What::State, sorted(&expected), &sorted(state));
        assert_eq!(sorted(state), expected, "{self:?}: state");

        let nothing = VersionVector::new();
        let history: Vec<_> = self.replica.updates_since(&nothing).map(Update::to_json).collect();
        let lines = recorded["history"].as_array().expect("lines").iter();
        let lines: Vec<_> = lines.map(|line| line.as_str().expect("a line")).collect();
        let expected = self.instead(What::History, lines.join("\n"), &history.join("\n"));
        assert_eq!(history.join("\n"), expected, "{self:?}: history");

        let clock = recorded["clock"].as_str().expect("a clock");
        let clock = json::members(clock).map(|(id, at)| {
            let id = json::JsString::from_json_literal(id).expect("a string");
            (
                SourceId::new(id).expect("an id"),
                Timestamp::new(json::parse_number(at)).expect("positive"),
            )
        });
        assert_eq!(self.replica.version_vector(), clock.collect(), "{self:?}: clock");
    }
}

impl<M> std::fmt::Debug for Replay<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} side {} ({:?})", self.transcript, self.side, self.portions)
    }
}

/// The members of an object in the order of their keys; other values as they are. The original's map
/// shows its keys in the order in which they were written first.
fn sorted(text: &str) -> String {
    if json::kind(text) != json::Kind::Object {
        return text.to_owned();
    }
    let members: BTreeMap<_, _> = json::members(text).collect();
    members.iter().map(|(key, value)| format!("{key}:{value}\n")).collect()
}

/// Our options for those of `createStream`, as the table at [`SessionConfig`] says.
fn config(options: &Value) -> SessionConfig {
    let metadata = options.get("meta").map(Value::to_string);
    SessionConfig {
        direction: match (&options["writable"], &options["readable"]) {
            (Value::Bool(false), _) => Direction::SendOnly,
            (_, Value::Bool(false)) => Direction::ReceiveOnly,
            _ => Direction::Both,
        },
        mode: if options["tail"] == false { Mode::CatchUp } else { Mode::Live },
        announce_digest: options["readable"] != false || options["sendClock"] == true,
        await_digest: options["writable"] != false || options["clock"] == true,
        metadata: metadata.map(|text| Metadata::from_json(&text).expect("JSON")),
        announce_extensions: false,
        ..SessionConfig::default()
    }
}

fn replay(transcript: &str, side: &str, model: &str, recorded: &Value, portions: Portions) {
    fn start<'t, M: Model>(
        (transcript, side): (&'t str, &'t str),
        recorded: &Value,
        portions: Portions,
        model: M,
    ) -> Replay<'t, M> {
        let id = SourceId::new(recorded["id"].as_str().expect("an id")).expect("an id");
        Replay {
            transcript,
            side,
            portions,
            replica: Replica::new(id, model),
            config: config(&recorded["options"]),
            session: None,
            has_spoken: false,
            used: Vec::new(),
        }
    }
    let name = (transcript, side);
    match model {
        "map" => start(name, recorded, portions, LwwMap::new())
            .run(recorded, |map| map.model().to_json()),
        "value" => start(name, recorded, portions, Register::new())
            .run(recorded, |value| value.model().view()),
        // The events in the order in which the application heard of them.
        "events" => start(name, recorded, portions, EventLog::new()).run(recorded, |log| {
            let mut cursor = ChangeCursor::default();
            let events: Vec<_> = log.changes(&mut cursor).map(|it| it.update.change()).collect();
            format!("[{}]", events.join(","))
        }),
        other => panic!("unknown model {other}"),
    }
}

#[test]
fn conversations_replay_byte_for_byte() {
    let mut sides = 0;
    for (name, text) in files("json") {
        let transcript: Value = serde_json::from_str(&text).expect("JSON");
        let is_declared = DEPARTURES.iter().any(|departure| departure.transcript == name)
            || SAME_WITHOUT_EXTENSIONS.contains(&&*name);
        if transcript.get("differs").is_some() {
            assert!(is_declared, "{name} is marked as differing; say here how");
        }
        for (side, recorded) in transcript["sides"].as_object().expect("sides") {
            for portions in [Portions::Whole, Portions::Bytes] {
                let model = transcript["model"].as_str().expect("a model");
                replay(&name, side, model, recorded, portions);
            }
            sides += 1;
        }
    }
    assert!(sides > 60, "only {sides} recordings");
}

/// What `createReadStream` wrote is read, and we write the same bytes.
#[test]
fn files_are_read_and_written_byte_for_byte() {
    fn check<M: Model + Default>(name: &str, text: &str) {
        let (header, _) = text.split_once('\n').expect("a digest");
        let header: Value = serde_json::from_str(header).expect("JSON");
        let id = SourceId::new(header["id"].as_str().expect("an id")).expect("an id");

        let mut reader = Replica::new(SourceId::new("reader").expect("an id"), M::default());
        let mut session = Session::new(&mut reader, NOW_MS, SessionConfig::receive_only());
        session.receive(&mut reader, NOW_MS, text.as_bytes()).expect("is understood");
        session.receive_end(&mut reader, NOW_MS).expect("whole lines");
        let mut said = Vec::new();
        session.transmit(&reader, &mut said, 1_000);
        assert_eq!((said.len(), session.is_closed()), (0, true), "{name}");

        // A writer that holds what the file says before "SYNC", and comes to hold the rest later.
        let mut writer = Replica::new(id, M::default());
        let mut unseen = VersionVector::new();
        let first = text.lines().nth(1).and_then(|line| Update::from_json(line).ok());
        for (source, at) in header["clock"].as_object().expect("a clock") {
            let source = SourceId::new(source.as_str()).expect("an id");
            let at = Timestamp::new(at.as_f64().expect("a number")).expect("positive");
            let held = (source.clone(), at);
            if !reader.version_vector().includes(&source, at) {
                // Its newest update was superseded, and is known by the digest only.
                let change = first.as_ref().expect("what superseded it").change();
                let change = scuttlebutt::Change::from_json(change).expect("a change");
                writer.remote_update(NOW_MS, Update::new(&change, at, source.clone()));
                writer.promise(&[held].into_iter().collect());
                unseen.advance(&source, at);
            }
        }
        let mut session = None;
        let mut written = Vec::new();
        for line in text.lines().skip(1) {
            if line == "\"SYNC\"" {
                let config = SessionConfig::send_only();
                session = Some(Session::new(&mut writer, NOW_MS, config));
            } else {
                let update = Update::from_json(line).expect("an update");
                assert_eq!(update.to_json(), line, "{name}");
                let held = (update.source().clone(), update.timestamp());
                writer.remote_update(NOW_MS, update);
                writer.promise(&[held].into_iter().collect());
            }
            if let Some(session) = &mut session {
                session.transmit(&writer, &mut written, 1 << 20);
            }
        }
        assert_eq!(String::from_utf8(written).expect("UTF-8"), text, "{name}");
        assert_eq!(reader.model().view(), writer.model().view(), "{name}");
        let mut vector = reader.version_vector();
        vector.join(&unseen);
        assert_eq!(vector, writer.version_vector(), "{name}");
    }
    let files = files("jsonl");
    for (name, text) in &files {
        match name.as_str() {
            "file-events" => check::<EventLog>(name, text),
            "file-value" => check::<Register>(name, text),
            _ => check::<LwwMap>(name, text),
        }
    }
    assert_eq!(files.len(), 6);
}
