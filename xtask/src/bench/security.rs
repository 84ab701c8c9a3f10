//! What signatures cost: from the process that writes and signs to the one that verifies and applies,
//! over loopback, ours and the npm package's in turns; and what forged ones cost.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::shell::{self, cargo, program, target_dir};
use crate::{test, tools};

/// How much of it.
#[derive(Args)]
pub(crate) struct Options {
    /// How many updates the npm package signs and verifies; ours twice as many with RSA, ten times as
    /// many with Ed25519
    #[arg(long, default_value_t = 1_000)]
    updates: u64,
    /// How often each is measured
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many honest updates a second are written during a flood of forged ones
    #[arg(long, default_value_t = 2_000)]
    honest: u64,
    /// For how long forged updates are counted
    #[arg(long, default_value_t = 4)]
    seconds: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    JavaScript,
    Ours,
}

/// What is measured: with which key, and how many times the updates. The first is what the others are
/// compared with.
const KINDS: [(&str, End, &str, u64); 5] = [
    ("npm, RSA-SHA1 768", End::JavaScript, "rsa-768", 1),
    ("npm, RSA-SHA1 2048", End::JavaScript, "rsa-2048", 1),
    ("ours, RSA-SHA1 768", End::Ours, "rsa-768", 2),
    ("ours, RSA-SHA1 2048", End::Ours, "rsa-2048", 2),
    ("ours, Ed25519", End::Ours, "ed25519", 10),
];

pub(super) fn run(options: &Options) -> Result<()> {
    if options.rounds == 0 {
        bail!("--rounds must be at least 1");
    }
    tools::openssl()?;
    tools::node()?;
    test::npm_packages()?;
    let package = "--package=scuttlebutt-security";
    let build = ["build", "--release", package, "--features=rsa-sha1", "--example=security_bench"];
    shell::run(&mut cargo(&build))?;
    let keys = Keys::make()?;
    let mut rates = KINDS.map(|_| Vec::new());
    let mut flood = Flood::default();
    for round in 1..=options.rounds {
        for ((name, end, key, times), rates) in KINDS.iter().zip(&mut rates) {
            let count = options.updates * times;
            let rate = rate(*end, &keys, key, count, None, false)
                .with_context(|| format!("{name} failed"))?;
            println!("round {round}: {name}: {rate:.0} updates/s");
            rates.push(rate);
        }
        flood.measure(options, &keys)?;
    }
    print(&mut rates);
    flood.print(options);
    Ok(())
}

/// Updates a second from a writer to a reader, perhaps while somebody floods the reader.
fn rate(
    end: End,
    keys: &Keys,
    key: &str,
    count: u64,
    paced: Option<u64>,
    is_flooded: bool,
) -> Result<f64> {
    let (count_text, paced) = (count.to_string(), paced.map(|rate| rate.to_string()));
    let mut arguments = vec!["writer", &count_text, &keys.dir, key];
    if let Some(rate) = &paced {
        arguments.extend(["--rate", rate]);
    }
    let mut writer = Process::start(end.command(&arguments))?;
    let port = writer.next()?["listening"].as_u64().context("the writer has no port")?;
    let mut reader = Process::start(end.command(&["reader", &count_text, &keys.dir, key]))?;
    let own_port = reader.next()?["listening"].as_u64();
    let _forger = match (is_flooded, own_port) {
        (true, Some(port)) => Some(keys.forger(port)?),
        _ => None,
    };
    reader.tell(&format!("127.0.0.1:{port}"))?;
    let ms = reader.next()?["ms"].as_f64().context("the reader has no time")?;
    Ok(count as f64 * 1_000.0 / ms)
}

/// What was measured with forged updates about.
#[derive(Default)]
struct Flood {
    rejected: Vec<f64>,
    kb_grown: Vec<f64>,
    /// The rates of honest updates, paced: undisturbed, and with forged ones beside them.
    paced: [Vec<f64>; 2],
    /// As fast as they can.
    unpaced: [Vec<f64>; 2],
}

impl Flood {
    fn measure(&mut self, options: &Options, keys: &Keys) -> Result<()> {
        let seconds = options.seconds.to_string();
        let mut rejecter =
            Process::start(End::Ours.command(&["rejecter", &seconds, &keys.dir, "ed25519"]))?;
        let port = rejecter.next()?["listening"].as_u64().context("no port")?;
        let forger = keys.forger(port)?;
        let counted = rejecter.next()?;
        drop(forger);
        let number = |name: &str| counted[name].as_f64().with_context(|| format!("no {name}"));
        self.rejected.push(number("refused")? * 1_000.0 / number("ms")?);
        self.kb_grown.push(number("kb_after")? - number("kb_before")?);
        let honest = options.honest;
        for (rates, is_flooded) in self.paced.iter_mut().zip([false, true]) {
            let count = honest * options.seconds;
            rates.push(rate(End::Ours, keys, "ed25519", count, Some(honest), is_flooded)?);
        }
        for (rates, is_flooded) in self.unpaced.iter_mut().zip([false, true]) {
            let count = options.updates * 10;
            rates.push(rate(End::Ours, keys, "ed25519", count, None, is_flooded)?);
        }
        Ok(())
    }

    fn print(&mut self, options: &Options) {
        let [rejected, grown] = [&mut self.rejected, &mut self.kb_grown].map(|all| median(all));
        println!("\nforged updates (Ed25519), one peer that sends nothing else");
        println!("  rejected a second: {rejected:.0}; memory grown meanwhile: {grown:.0} kB");
        println!(
            "honest updates of another source at the same time, a second: alone, beside forged"
        );
        let paced = format!("written at {} a second", options.honest);
        for (name, rates) in
            [(&*paced, &mut self.paced), ("as fast as they can", &mut self.unpaced)]
        {
            let [alone, beside] = rates.each_mut().map(|all| median(all));
            println!(
                "  {name:<28} {alone:>8.0} {beside:>8.0}   kept {:.0} %",
                100.0 * beside / alone
            );
        }
    }
}

impl End {
    fn command(self, arguments: &[&str]) -> Command {
        match self {
            End::JavaScript => {
                let mut command = program("node", &["interop/security-bench.js"]);
                command.args(arguments);
                command
            }
            End::Ours => {
                let path = target_dir().join("release/examples/security_bench");
                program(&path.to_string_lossy(), arguments)
            }
        }
    }
}

/// A directory of keys that goes away.
struct Keys {
    dir: String,
}

impl Keys {
    fn make() -> Result<Self> {
        let dir = target_dir().join(format!("security-bench-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let keys = Self { dir: dir.to_string_lossy().into_owned() };
        shell::run(&mut End::Ours.command(&["keys", &keys.dir]))?;
        Ok(keys)
    }

    /// Somebody who sends forged updates to this port from now on.
    fn forger(&self, port: u64) -> Result<Process> {
        let to = format!("127.0.0.1:{port}");
        let mut forger = Process::start(End::Ours.command(&["forger", &self.dir, &to]))?;
        forger.next()?;
        Ok(forger)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A program that says what it does in lines of JSON, and ends with this value.
struct Process {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Process {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let lines = child.stdout.take().map(|output| BufReader::new(output).lines());
        Ok(Self { child, lines })
    }

    fn next(&mut self) -> Result<Value> {
        let line = self.lines.as_mut().and_then(Iterator::next).context("it ended")??;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("it has no stdin")?;
        Ok(writeln!(input, "{line}")?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is lost with it, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn print(rates: &mut [Vec<f64>; 5]) {
    println!("\nsigned and verified, updates a second, from one process to another");
    println!(
        "{:<22} {:>8} {:>8} {:>8}   times npm at the same bits, times npm RSA-SHA1 768",
        "", "min", "median", "max"
    );
    let medians = rates.each_mut().map(|rates| median(rates));
    for (((name, end, key, _), rates), own) in KINDS.iter().zip(rates).zip(medians) {
        let same = KINDS.iter().zip(medians).find(|((_, other, same_key, _), _)| {
            *end == End::Ours && *other == End::JavaScript && same_key == key
        });
        let same = same.map_or("-".to_owned(), |(_, npm)| format!("{:.1}", own / npm));
        let (min, max, basis) = (rates[0], rates[rates.len() - 1], own / medians[0]);
        println!("{name:<22} {min:>8.0} {own:>8.0} {max:>8.0}   {same:>6} {basis:>6.1}");
    }
}

/// The middle one, and they are sorted then.
fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
