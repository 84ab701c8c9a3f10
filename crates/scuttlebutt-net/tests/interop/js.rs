//! A replica of the original: a `peer.js` process, asked over its stdin and stdout.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};

use crate::ours::Kind;

/// How long anything may take. Generous: the machine may be busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// One replica of the original. Its process ends with it.
pub(crate) struct Js {
    id: String,
    child: Child,
    stdin: ChildStdin,
    answers: mpsc::UnboundedReceiver<Value>,
    events: Arc<Mutex<Vec<Value>>>,
    heard: watch::Receiver<()>,
}

fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop")
}

impl Js {
    /// Starts a replica with more arguments for `peer.js`.
    pub(crate) async fn start<M: Kind>(id: &str, arguments: &[&str]) -> Self {
        assert!(
            interop().join("node_modules/scuttlebutt").is_dir(),
            "the npm packages are missing: run `npm ci` in interop/ (`cargo xtask test` does it)"
        );
        let mut child = Command::new("node")
            .arg(interop().join("peer.js"))
            .args(["--model", M::NAME, "--id", id])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("these tests need Node.js 20 or later as `node` (`cargo xtask test` says how to get it)");
        let stdin = child.stdin.take().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (answered, answers) = mpsc::unbounded_channel();
        let (bell, heard) = watch::channel(());
        let events = Arc::new(Mutex::new(Vec::new()));
        let collected = events.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let object: Value = serde_json::from_str(&line).expect("peer.js prints JSON");
                if object.get("answer").is_some() {
                    let _ = answered.send(object);
                } else {
                    collected.lock().unwrap().push(object);
                    bell.send_replace(());
                }
            }
        });
        let id = id.to_owned();
        Self { id, child, stdin, answers, events, heard }
    }

    /// Starts a replica that listens.
    pub(crate) async fn listening<M: Kind>(id: &str, arguments: &[&str]) -> Self {
        let mut all = vec!["--listen", "0"];
        all.extend(arguments);
        Self::start::<M>(id, &all).await
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Where it listens.
    pub(crate) async fn address(&self) -> String {
        let event = self.event(|event| event["event"] == "listening").await;
        match event["path"].as_str() {
            Some(path) => format!("unix:{path}"),
            None => format!("127.0.0.1:{}", event["port"]),
        }
    }

    /// The first event of which `is_wanted` holds, past or to come.
    pub(crate) async fn event(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut heard = self.heard.clone();
        let waiting = async {
            loop {
                heard.mark_unchanged();
                let found = self.events().into_iter().find(&is_wanted);
                if let Some(event) = found {
                    return event;
                }
                heard.changed().await.expect("peer.js ended");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(event) => event,
            Err(_) => panic!("{}: the event did not come: {:?}", self.id, self.events()),
        }
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }

    /// Ends it at once, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Gives a command, its fields as JSON text without braces, and takes whatever is answered.
    pub(crate) async fn try_text(&mut self, name: &str, fields: &str) -> Value {
        let comma = if fields.is_empty() { "" } else { "," };
        let line = format!("{{\"do\":\"{name}\"{comma}{fields}}}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        let answer = answer
            .unwrap_or_else(|_| panic!("{}: no answer to {name}", self.id))
            .unwrap_or_else(|| panic!("{}: peer.js ended at {name}", self.id));
        assert_eq!(answer["answer"], name, "{}: {answer}", self.id);
        answer
    }

    /// Gives a command that must succeed.
    pub(crate) async fn text(&mut self, name: &str, fields: &str) -> Value {
        let answer = self.try_text(name, fields).await;
        assert!(answer.get("error").is_none(), "{}: {answer}", self.id);
        answer
    }

    /// Gives a command that must succeed, its fields as an object.
    pub(crate) async fn run(&mut self, name: &str, fields: Value) -> Value {
        let text = fields.to_string();
        self.text(name, &text[1..text.len() - 1]).await
    }

    /// Makes a change through the model's own method.
    pub(crate) async fn write<M: Kind>(&mut self, change: &str) {
        let (name, fields) = M::command(change);
        self.text(name, &fields).await;
    }

    /// Makes a change at a time of our choosing.
    pub(crate) async fn write_at(&mut self, change: &str, timestamp: f64) {
        let id = json!(self.id);
        let fields = format!("\"update\":[{change},{timestamp},{id}]");
        let answer = self.text("setRaw", &fields).await;
        assert_eq!(answer["accepted"], 1, "{}: {fields}", self.id);
    }

    /// Applies finished updates, each a line, as if they had arrived.
    pub(crate) async fn apply(&mut self, lines: &[String]) {
        let fields = format!("\"updates\":[{}]", lines.join(","));
        let answer = self.text("setRaw", &fields).await;
        assert_eq!(answer["accepted"], lines.len(), "{}", self.id);
    }

    /// Connects; answers the number of the connection.
    pub(crate) async fn connect(&mut self, to: &str) -> u64 {
        self.run("connect", json!({ "to": to })).await["conn"].as_u64().unwrap()
    }

    /// Waits until its counts are what is given.
    pub(crate) async fn wait(&mut self, mut counts: Value) -> Value {
        counts["timeoutMs"] = json!(PATIENCE.as_millis() as u64 / 2);
        self.run("wait", counts).await
    }

    /// The history, a line per update.
    pub(crate) async fn lines(&mut self) -> Vec<String> {
        let mut answer = self.run("history", json!({})).await;
        let Value::Array(lines) = answer["history"].take() else {
            panic!("{answer}");
        };
        let text = |line| match line {
            Value::String(text) => text,
            other => panic!("{other}"),
        };
        lines.into_iter().map(text).collect()
    }

    /// What its application sees, as JSON text.
    pub(crate) async fn state(&mut self) -> String {
        let answer = self.run("state", json!({})).await;
        answer["state"].as_str().unwrap_or("null").to_owned()
    }

    /// Whether its history holds this change.
    pub(crate) async fn holds(&mut self, change: &str) -> bool {
        holds(&self.lines().await, change)
    }

    /// Waits until its history holds this change.
    pub(crate) async fn receives(&mut self, change: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.holds(change).await {
            if tokio::time::Instant::now() > deadline {
                let lines = self.lines().await;
                panic!("{} never got {change}; it has {lines:#?}", self.id);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Whether one of these lines makes this change.
pub(crate) fn holds(lines: &[String], change: &str) -> bool {
    let beginning = format!("[{change},");
    lines.iter().any(|line| line.starts_with(&beginning))
}

impl Drop for Js {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        for event in self.events() {
            assert_ne!(event["event"], "uncaught", "{}: {event}", self.id);
        }
    }
}
