//! That the npm package's `security.js` and `rsa_sha1` believe each other, and nobody else.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use common::{PATIENCE, directory, node, secret, table, text};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use scuttlebutt::{
    Change, LwwMap, Outcome, Replica, Session, SessionConfig, Signer, SourceId, Timestamp, Trust,
    Update, Verifier,
};
use scuttlebutt_security::rsa_sha1::SecretKey;
use serde_json::{Value, json};

const NOW_MS: f64 = 4e12;

/// What Node answers to these questions.
fn ask(questions: &[Value]) -> Vec<Value> {
    let mut child = node(&["ask"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("these tests need Node.js 20 or later as `node`");
    let mut stdin = child.stdin.take().expect("is piped");
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let mut answers = String::new();
    child.stdout.take().expect("is piped").read_to_string(&mut answers).expect("is UTF-8");
    writer.join().expect("no panic").expect("Node reads");
    assert!(child.wait().expect("it ends").success());
    answers.lines().map(|answer| serde_json::from_str(answer).expect("JSON")).collect()
}

#[test]
fn recorded_signatures_are_believed_and_made_alike() {
    let vectors: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    for vector in vectors.as_array().expect("a list") {
        let name = vector["key"].as_str().expect("a name");
        let (key, table) = (secret(name), table(&[name]));
        assert_eq!(key.id().to_string(), vector["id"]);
        let lines = vector["lines"].as_array().expect("a list");
        assert_eq!(lines.len(), 15);
        for line in lines.iter().map(|line| line.as_str().expect("text")) {
            let update = Update::from_json(line).expect("an update");
            assert_eq!(update.to_json(), line);
            assert_eq!(table.verify(&update), Trust::Trusted, "{line}");

            let (unsigned, signature) = line.rsplit_once(',').expect("has a signature");
            let unsigned = Update::from_json(&format!("{unsigned}]")).expect("an update");
            let signature = signature.trim_matches(['"', ']']);
            assert_eq!(key.sign(&unsigned).expect("long enough"), signature, "{line}");
        }
    }
}

#[test]
fn recording_again_changes_nothing() {
    let keys = directory();
    let recorded = node(&["record", keys.to_str().expect("UTF-8")]).output().expect("Node runs");
    assert!(recorded.status.success());
    assert_eq!(String::from_utf8_lossy(&recorded.stdout), include_str!("vectors.json"));
}

#[test]
fn ids_are_those_of_the_package() {
    let names = ["openssh-1024", "openssh-2048-passphrase", "pem-1024", "pem-768"];
    let questions = names.map(|name| json!({ "public": text(&format!("{name}.pub.pem")) }));
    let ids = names.map(|name| Value::from(secret(name).id().to_string()));
    assert_eq!(ask(&questions), ids);
}

/// The package believes what we sign with keys of every kind, and neither believes it when one
/// character is another.
#[test]
fn what_we_sign_is_believed_by_the_package() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let names = ["openssh-1024", "openssh-2048-passphrase", "pem-1024", "pem-768"];
    let keys = names.map(|name| (secret(name), table(&[name]), text(&format!("{name}.pub.pem"))));
    let (mut questions, mut verdicts) = (Vec::new(), Vec::new());
    for (key, table, pem) in &keys {
        for _ in 0..50 {
            let update = random_update(key, &mut random);
            let good = update.signed(&key.sign(&update).expect("long enough"));
            let line = good.to_json();
            let mut ask = |update: &Update, line: &str| {
                questions.push(json!({ "line": line, "id": key.id().to_string(), "key": pem }));
                verdicts.push(table.verify(update) == Trust::Trusted);
                verdicts.last().copied()
            };
            assert_eq!(ask(&good, &line), Some(true), "{line}");
            if let Some((damaged, text)) = damage(&good, &mut random) {
                assert_eq!(ask(&damaged, &text), Some(false), "{text}");
            }
        }
    }
    for ((question, verdict), answer) in questions.iter().zip(verdicts).zip(ask(&questions)) {
        assert_eq!(answer, verdict, "{}", question["line"]);
    }
}

fn random_update(key: &SecretKey, random: &mut StdRng) -> Update {
    let number = |random: &mut StdRng| match f64::from_bits(random.next_u64()) {
        number if number.is_finite() => number,
        _ => 1e21,
    };
    let unit = random.random_range(0..=0xffff_u32);
    let (index, other) = (random.random_range(0..12_u32), random.random_range(0..12_u32));
    let text = format!(
        r#"["\u{unit:04x}\/é",{{"b":{},"{index}":{},"0{other}":"\ud8{:02x}","a":[]}}]"#,
        number(random),
        random.random_range(0..u64::MAX),
        random.random_range(0..=0xff_u32),
    );
    let change = Change::from_json_lossy(&text).expect("JSON");
    let timestamp = Timestamp::new(number(random).abs().max(1.0)).expect("is positive");
    Update::new(&change, timestamp, key.id().clone())
}

/// The same with another character of its JSON text, where that is another update of this source.
fn damage(update: &Update, random: &mut StdRng) -> Option<(Update, String)> {
    let mut text: Vec<char> = update.to_json().chars().collect();
    // The last characters of the signature are left alone: the package reads base64 that nobody
    // writes, with other bits where none are meant.
    let at = random.random_range(0..text.len() - 8);
    text[at] = if text[at] == '7' { '3' } else { '7' };
    let text: String = text.into_iter().collect();
    let damaged = Update::from_json(&text).ok()?;
    (damaged != *update && damaged.source() == update.source()).then_some((damaged, text))
}

/// A member of a network that runs the package, talking over its stdin and stdout.
struct Npm {
    child: Child,
    said: Receiver<Vec<u8>>,
    reports: Receiver<String>,
}

impl Npm {
    fn start(name: &str, other: &str) -> Self {
        let keys = directory();
        let mut child = node(&["node", keys.to_str().expect("UTF-8"), name, other])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("these tests need Node.js 20 or later as `node`");
        let (sender, said) = channel();
        let stdout = child.stdout.take().expect("is piped");
        thread::spawn(move || read_chunks(stdout, |chunk| sender.send(chunk).is_ok()));
        let (sender, reports) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        Self { child, said, reports }
    }

    fn tell(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().expect("is piped");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("Node reads");
    }

    /// The next report that this is about.
    fn report(&self, event: &str, line: &str) {
        let wanted = json!({ "event": event, "line": line });
        loop {
            let report = self.reports.recv_timeout(PATIENCE).unwrap_or_else(|_| {
                panic!("no report {wanted}");
            });
            if serde_json::from_str::<Value>(&report).expect("JSON") == wanted {
                return;
            }
        }
    }
}

impl Drop for Npm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_chunks(mut from: ChildStdout, mut each: impl FnMut(Vec<u8>) -> bool) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if !each(chunk[..count].to_vec()) {
            return;
        }
    }
}

/// Ours, a relay that signs and verifies nothing, and the package, in a row.
struct Row {
    ours: Replica<LwwMap>,
    relay: Replica<LwwMap>,
    ours_to_relay: Session,
    relay_to_ours: Session,
    relay_to_npm: Session,
    npm: Npm,
}

impl Row {
    fn new() -> Self {
        let ours = Replica::new(SourceId::new("none yet").expect("an id"), LwwMap::new());
        let mut ours =
            ours.sign_with(secret("openssh-1024")).verify_with(table(&["openssh-1024", "pem-768"]));
        let mut relay = Replica::new(SourceId::new("relay").expect("an id"), LwwMap::new());
        let session = |replica: &mut _| Session::new(replica, NOW_MS, SessionConfig::default());
        Self {
            ours_to_relay: session(&mut ours),
            relay_to_ours: session(&mut relay),
            relay_to_npm: session(&mut relay),
            npm: Npm::start("pem-768", "openssh-1024"),
            ours,
            relay,
        }
    }

    /// Lets everybody say what they have to say, but for the package, which takes its time.
    fn settle(&mut self) {
        while self.ours_to_relay.has_output(&self.ours)
            || self.relay_to_ours.has_output(&self.relay)
        {
            let mut wire = Vec::new();
            self.ours_to_relay.transmit(&self.ours, &mut wire, 4096);
            self.relay_to_ours.receive(&mut self.relay, NOW_MS, &wire).expect("our own");
            wire.clear();
            self.relay_to_ours.transmit(&self.relay, &mut wire, 4096);
            self.ours_to_relay.receive(&mut self.ours, NOW_MS, &wire).expect("our own");
        }
        while self.relay_to_npm.has_output(&self.relay) {
            let mut wire = Vec::new();
            self.relay_to_npm.transmit(&self.relay, &mut wire, 4096);
            self.npm.tell(&wire);
        }
    }

    /// Waits until the package has said something of which this becomes true.
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        self.settle();
        while !is_so(self) {
            let said = self.npm.said.recv_timeout(PATIENCE).expect("Node says more");
            self.relay_to_npm.receive(&mut self.relay, NOW_MS, &said).expect("good lines");
            self.settle();
        }
    }
}

/// Both sign, a relay that trusts nobody and is trusted by nobody passes on, both believe; what is
/// forged neither believes, and ours believes the true source afterwards.
#[test]
fn i5_signed_updates_travel_through_a_relay_in_both_directions() {
    let mut row = Row::new();
    // Forged in the name of the package, from later than all it will write.
    let npm_id = secret("pem-768").id().clone();
    let forged = format!(r#"[["from npm","forged"],3e12,"{npm_id}","Zm9yZ2Vk"]"#);
    let forged = Update::from_json(&forged).expect("an update");
    assert_eq!(row.ours.remote_update(NOW_MS, forged), Outcome::Unverified);

    row.until(|row| row.ours.model().len() == 1);
    let said = row.ours.model().get_raw("from npm").expect("it came");
    assert_eq!(said, r#"{"2":"\ud800 é","b":1e+21}"#);

    let written = LwwMap::set("from ours", &json!({ "b": 1e-7, "3": "é\u{7f}\u{2028}" }));
    let written = row.ours.local_update(NOW_MS, written.expect("a change")).expect("is signed");
    row.settle();
    row.npm.report("applied", &written.to_json());

    let text = written
        .to_json()
        .replace("from ours", "forged")
        .replace(",4000000000000,", ",4000000000001,");
    row.npm.tell(format!("{text}\n").as_bytes());
    row.npm.report("unverified", &text);
}
