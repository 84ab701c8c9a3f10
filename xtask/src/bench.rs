//! Measurements: all cases of `bench/`, and beside them the first sync in every mixture with the
//! original, and stores. Interleaved rounds, since a machine is never as quiet in one
//! minute as in another; least, median and greatest, since one number hides how much they scatter.

mod cases;
pub(crate) mod counts;
mod security;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::shell::{self, cargo, program, target_dir};
use crate::{test, tools};

/// What to measure.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// The first sync of many keys, with the npm package at either end, both or none
    Interop(Options),
    /// Stores, beside the bare engine, a bare file, and a node that keeps nothing
    Store(StoreOptions),
    /// Signed updates, beside the npm package with its security.js; forged ones, and who suffers from them
    Security(security::Options),
    /// Every case, beside the npm package and what a user might pick instead; what is done when nothing is named
    All(cases::Options),
    /// Allocations and instructions of the hot paths, compared with what they were
    Counts(counts::Options),
    /// Write docs/benchmarks.md from what a run of all cases has left
    Report(cases::ReportOptions),
}

impl Default for Task {
    fn default() -> Self {
        Self::All(cases::Options::default())
    }
}

/// How much of it.
#[derive(Args)]
pub(crate) struct Options {
    /// How many keys the server holds
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// How many sources wrote them
    #[arg(long, default_value_t = 1)]
    sources: u64,
    /// How often each pair is measured
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Which disk, and how much of it.
#[derive(Args)]
pub(crate) struct StoreOptions {
    /// Where to write: on the disk that is of interest [default: the directory for temporary files]
    #[arg(long)]
    directory: Option<PathBuf>,
    /// For how long to measure each rate, five times
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// How many updates to write, overwrite and open again; a peer catches up with a tenth
    #[arg(long, default_value_t = 1_000_000)]
    updates: u64,
    /// How often a peer catches up with each kind of node
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// Measures.
pub(crate) fn run(task: &Task) -> Result<()> {
    match task {
        Task::Interop(options) => interop(options),
        Task::Store(options) => store(options),
        Task::Security(options) => security::run(options),
        Task::All(options) => cases::run(options),
        Task::Counts(options) => {
            if let Some(how) = counts::run(options)? {
                println!("not everything was counted; to do so: {how}");
            }
            Ok(())
        }
        Task::Report(options) => cases::report(options),
    }
}

fn store(options: &StoreOptions) -> Result<()> {
    for (package, example) in [
        ("scuttlebutt-store", "store_bench"),
        ("scuttlebutt-net", "update_bench"),
        ("scuttlebutt-net", "catch_up_bench"),
    ] {
        let build = ["build", "--release", "--package", package, "--example", example];
        shell::run(&mut cargo(&build))?;
    }
    let StoreOptions { directory, seconds, updates, rounds } = options;
    let directory = std::path::absolute(directory.clone().unwrap_or_else(env::temp_dir))?;
    let example = |name| {
        let path = target_dir().join("release/examples").join(name);
        let mut command = program(&path.to_string_lossy(), &[]);
        command.arg(&directory);
        command
    };
    let [seconds, updates, rounds, tenth] = [
        &seconds.to_string(),
        &updates.to_string(),
        &rounds.to_string(),
        &(updates / 10).to_string(),
    ];
    shell::run(example("store_bench").args([seconds, updates]))?;
    shell::run(example("update_bench").arg(seconds))?;
    shell::run(example("catch_up_bench").args([tenth, rounds]))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    JavaScript,
    Ours,
}

impl End {
    /// The program, given its role and arguments.
    fn command(self, arguments: &[&str]) -> Command {
        match self {
            End::JavaScript => {
                let mut command = program("node", &["interop/bench.js"]);
                command.args(arguments);
                command
            }
            End::Ours => {
                let path = target_dir().join("release/examples/interop_bench");
                program(&path.to_string_lossy(), arguments)
            }
        }
    }
}

/// Client and server. The first is what the others are compared with.
const PAIRS: [(&str, End, End); 4] = [
    ("JavaScript from JavaScript", End::JavaScript, End::JavaScript),
    ("JavaScript from our node", End::JavaScript, End::Ours),
    ("our node from JavaScript", End::Ours, End::JavaScript),
    ("our node from our node", End::Ours, End::Ours),
];

fn interop(options: &Options) -> Result<()> {
    if options.rounds == 0 {
        bail!("--rounds must be at least 1");
    }
    tools::node()?;
    test::npm_packages()?;
    let package =
        ["build", "--release", "--package", "scuttlebutt-net", "--example", "interop_bench"];
    shell::run(&mut cargo(&package))?;

    let keys = options.keys.to_string();
    let expected = history(&keys, options)?;
    let mut times = PAIRS.map(|_| Vec::new());
    for round in 0..options.rounds {
        for ((name, client, server), times) in PAIRS.iter().zip(&mut times) {
            let dump = (round == 0).then(|| target_dir().join("interop-bench.dump"));
            let ms = measure(*client, *server, &keys, options, dump.as_deref())
                .with_context(|| format!("{name} failed"))?;
            println!("round {}: {name}: {ms:.0} ms", round + 1);
            times.push(ms);
            if let Some(dump) = dump {
                let got = fs::read_to_string(&dump)?;
                fs::remove_file(&dump)?;
                if got != expected {
                    bail!("{name}: the history that the client got is not the server's");
                }
            }
        }
    }
    print(options, &mut times);
    Ok(())
}

/// One sync of an empty client, in milliseconds.
fn measure(
    client: End,
    server: End,
    keys: &str,
    options: &Options,
    dump: Option<&Path>,
) -> Result<f64> {
    let sources = options.sources.to_string();
    let server = Server::start(server.command(&["server", keys, "--sources", &sources]))?;
    let to = format!("127.0.0.1:{}", server.port);
    let mut arguments = vec!["client", keys, "--connect", &to];
    let dump = dump.map(|path| path.to_string_lossy());
    if let Some(dump) = &dump {
        arguments.extend(["--dump", dump]);
    }
    let output = client.command(&arguments).stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("the client ended with {}: {text}", output.status);
    }
    let printed: Value = serde_json::from_str(&text)?;
    if printed["keys"] != options.keys {
        bail!("the client has {} keys", printed["keys"]);
    }
    printed["ms"].as_f64().with_context(|| format!("no time in {text}"))
}

/// A server that ends with this value.
struct Server {
    child: Child,
    port: u64,
}

impl Server {
    fn start(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut server = Self { child, port: 0 };
        let printed: Value = serde_json::from_str(&line).context("the server did not start")?;
        server.port =
            printed["listening"].as_u64().with_context(|| format!("no port in {line}"))?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is lost with it, and it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server holds, by the original's word, a line per update.
fn history(keys: &str, options: &Options) -> Result<String> {
    let sources = options.sources.to_string();
    let arguments = ["lines", keys, "--sources", &sources];
    let output = End::JavaScript.command(&arguments).stderr(Stdio::inherit()).output()?;
    let file = String::from_utf8(output.stdout)?;
    let (_, after_digest) = file.split_once('\n').context("bench.js printed nothing")?;
    let updates = after_digest.strip_suffix("\"SYNC\"\n").context("bench.js broke off")?;
    Ok(updates.to_owned())
}

fn print(options: &Options, times: &mut [Vec<f64>; 4]) {
    let Options { keys, sources, rounds } = options;
    println!(
        "\nfirst sync of {keys} keys of {sources} sources, {rounds} rounds, in ms; histories equal"
    );
    println!(
        "{:<28} {:>7} {:>7} {:>7}   share of JavaScript from JavaScript",
        "", "min", "median", "max"
    );
    let mut basis = None;
    for ((name, ..), times) in PAIRS.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let (min, median, max) = (times[0], times[times.len() / 2], times[times.len() - 1]);
        let share = median / *basis.get_or_insert(median);
        println!("{name:<28} {min:>7.0} {median:>7.0} {max:>7.0}   {share:.2}");
    }
}
