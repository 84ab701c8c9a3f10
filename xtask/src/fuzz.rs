//! Fuzzes what reads bytes from outside, on the toolchain that is there: cargo-fuzz with libFuzzer,
//! without sanitizers, which would need a nightly one. The targets and their corpora are in `fuzz/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::shell::{self, cargo, root, target_dir};
use crate::tools;

const TARGETS: [&str; 4] = ["decode", "roundtrip", "session_pair", "laws"];

/// How many run side by side.
const SIDE_BY_SIDE: usize = 2;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// decode, roundtrip, session_pair, laws; all by default
    targets: Vec<String>,
    /// How long, in seconds, all in all
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

impl Options {
    /// All of them, for as long as a test may take.
    pub(crate) fn smoke() -> Self {
        Self { targets: Vec::new(), seconds: 60 }
    }
}

/// Builds the targets, runs them, and says what came of each.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut targets: Vec<&str> = options.targets.iter().map(String::as_str).collect();
    for target in &targets {
        ensure!(TARGETS.contains(target), "there is no target {target}: {}", TARGETS.join(", "));
    }
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    ensure!(is_available(), "{}", how_to_install());
    shell::run(&mut fuzz("build"))?;
    let rounds = targets.len().div_ceil(SIDE_BY_SIDE) as u64;
    let seconds = (options.seconds / rounds).max(1);
    let mut has_failed = false;
    for together in targets.chunks(SIDE_BY_SIDE) {
        let mut running = Vec::new();
        for target in together {
            running.push((target, start(target, seconds)?));
        }
        for (target, (mut child, log)) in running {
            let status = child.wait()?;
            let text = fs::read(&log)?;
            let text = String::from_utf8_lossy(&text);
            let last = |what: &str| text.lines().rfind(|line| line.contains(what)).unwrap_or("");
            println!("{target:<14}{}  ({})", last("Done "), covered(last("cov: ")));
            if !status.success() {
                has_failed = true;
                println!("{target} FAILED: {}", log.display());
                for line in text.lines().filter(|line| is_telling(line)) {
                    println!("  {line}");
                }
            }
        }
    }
    if has_failed {
        bail!(
            "keep what failed as fuzz/regressions/TARGET/NAME, where `cargo test --manifest-path \
             fuzz/Cargo.toml` replays it"
        );
    }
    Ok(())
}

/// Whether cargo-fuzz is installed.
pub(crate) fn is_available() -> bool {
    tools::found("cargo-fuzz").is_some()
}

/// What to tell somebody who lacks it.
pub(crate) fn how_to_install() -> String {
    "`cargo install cargo-fuzz --locked` and a C++ compiler".to_owned()
}

fn folder() -> PathBuf {
    target_dir().join("fuzz")
}

fn fuzz(what: &str) -> Command {
    let mut command = cargo(&["fuzz", what, "--sanitizer", "none", "--target-dir"]);
    command.arg(folder());
    command
}

/// New inputs go to the target directory; the corpus that is kept is only read.
fn start(target: &str, seconds: u64) -> Result<(std::process::Child, PathBuf)> {
    let found = folder().join("corpus").join(target);
    fs::create_dir_all(&found)?;
    let log = folder().join(format!("{target}.log"));
    let mut command = fuzz("run");
    command.arg(target).arg(&found);
    command.arg(Path::new("fuzz/corpus").join(target)).arg("--");
    command.args([&format!("-max_total_time={seconds}"), "-max_len=1024", "-timeout=20"]);
    command.arg("-rss_limit_mb=2048");
    command.stdout(Stdio::null()).stderr(File::create(&log)?).current_dir(root());
    let child = command.spawn().context("cannot start cargo fuzz")?;
    Ok((child, log))
}

fn covered(line: &str) -> String {
    let mut words = line.split_whitespace();
    match words.by_ref().find(|word| *word == "cov:").and_then(|_| words.next()) {
        Some(count) => format!("{count} branches covered"),
        None => "nothing covered".to_owned(),
    }
}

fn is_telling(line: &str) -> bool {
    ["panicked", "assertion", "left:", "right:", "Test unit written", "ERROR", "Base64"]
        .iter()
        .any(|part| line.contains(part))
}
