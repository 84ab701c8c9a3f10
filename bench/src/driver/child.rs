//! A participant: a process that does one thing after another as it is told, a line of JSON each.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::proc::{self, Usage};

/// How long a participant may take for what takes no time.
const MOMENT: Duration = Duration::from_secs(60);

/// A process that ends with this value.
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    input: std::process::ChildStdin,
    answers: Receiver<String>,
}

impl Child {
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let input = process.stdin.take().context("no standard input")?;
        let output = process.stdout.take().context("no standard output")?;
        let (say, answers) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { name: name.to_owned(), process, input, answers })
    }

    /// Tells it what to do, without waiting for the answer.
    pub(crate) fn tell(&mut self, what: &Value) -> Result<()> {
        writeln!(self.input, "{what}").with_context(|| format!("{} is gone", self.name))
    }

    /// Waits for the next answer; `None` when it takes longer than allowed.
    pub(crate) fn hear_within(&mut self, time: Duration) -> Result<Option<Value>> {
        match self.answers.recv_timeout(time) {
            Ok(line) => {
                let answer: Value = serde_json::from_str(&line)
                    .with_context(|| format!("{} says {line}", self.name))?;
                if let Some(error) = answer.get("error") {
                    bail!("{}: {error}", self.name);
                }
                Ok(Some(answer))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("{} has ended", self.name),
        }
    }

    pub(crate) fn hear(&mut self, time: Duration) -> Result<Value> {
        let answer = self.hear_within(time)?;
        answer.with_context(|| format!("{} has not answered within {time:?}", self.name))
    }

    /// Tells it, and waits for the answer.
    pub(crate) fn ask_within(&mut self, what: &Value, time: Duration) -> Result<Value> {
        self.tell(what)?;
        self.hear(time).with_context(|| format!("it was told {what}"))
    }

    /// The same, where the answer takes no time to speak of.
    pub(crate) fn ask(&mut self, what: &Value) -> Result<Value> {
        self.ask_within(what, MOMENT)
    }

    /// A number in an answer.
    pub(crate) fn number(&mut self, what: &Value, name: &str, time: Duration) -> Result<f64> {
        let answer = self.ask_within(what, time)?;
        answer[name].as_f64().with_context(|| format!("no {name} in {answer}"))
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.id())
    }

    pub(crate) fn reset_peak(&self) -> Result<()> {
        proc::reset_peak(self.process.id())
    }

    /// Waits until it is not busy: what was read of it is then at rest.
    pub(crate) fn settle(&self) -> Result<()> {
        let (quiet, patience) = (Duration::from_millis(60), Duration::from_secs(5));
        let begun = Instant::now();
        let mut before = self.usage()?.cpu_ns;
        while begun.elapsed() < patience {
            thread::sleep(quiet);
            let now = self.usage()?.cpu_ns;
            if now - before < quiet.as_nanos() as u64 / 20 {
                break;
            }
            before = now;
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
