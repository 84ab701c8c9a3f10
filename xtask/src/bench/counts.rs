//! What the hot paths cost in allocations and instructions: counts repeat where times do not, so a
//! rise is a rise. They are compared with the numbers in `bench/counts.json`.
//!
//! Instructions depend a little on the compiler and on what the processor can do, so the numbers are
//! blessed where CI runs, and a difference of less than a tenth says nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::shell::{self, answer, cargo, program, root, target_dir};
use crate::tools::{self, Install};

/// What to do about differences.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Take today's numbers for right
    #[arg(long)]
    bless: bool,
}

/// The numbers of each path.
#[derive(Serialize, Deserialize)]
struct Counts {
    rustc: String,
    operations: u64,
    paths: BTreeMap<String, Path>,
}

/// What one operation takes.
#[derive(Clone, Serialize, Deserialize)]
struct Path {
    allocations: f64,
    bytes: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<f64>,
}

/// How far a number may rise, and how far it has to fall for somebody to be told.
const TOLERANCE: f64 = 0.1;

/// A number this small may come and go with the growth of a table.
const NOTHING: f64 = 0.02;

fn baseline() -> PathBuf {
    root().join("bench/counts.json")
}

/// Counts, and compares; answers what was left out and how to have it, if anything was.
pub(crate) fn run(options: &Options) -> Result<Option<String>> {
    let build = ["build", "--release", "--package", "scuttlebutt-bench", "--bin=counts"];
    shell::run(&mut cargo(&build))?;
    let mut counts = count_allocations()?;
    let left_out = match find_valgrind() {
        Ok(()) => {
            for (name, path) in &mut counts.paths {
                let work = instructions(name, "work")? - instructions(name, "idle")?;
                path.instructions = Some(round(work / counts.operations as f64));
            }
            None
        }
        Err(error) if tools::in_ci() || options.bless => return Err(error),
        Err(_) => Some("`apt-get install valgrind`, for the count of instructions".to_owned()),
    };
    if options.bless {
        fs::write(baseline(), serde_json::to_string_pretty(&counts)? + "\n")?;
        println!("written: {}", baseline().display());
        return Ok(None);
    }
    let known = fs::read_to_string(baseline()).context("bench/counts.json; `--bless` makes it")?;
    compare(&serde_json::from_str(&known)?, &counts)?;
    Ok(left_out)
}

fn count_allocations() -> Result<Counts> {
    #[derive(Deserialize)]
    struct Counted {
        operations: u64,
        paths: BTreeMap<String, Path>,
    }
    let said = answer(&mut counting(&[])).context("the program that counts has failed")?;
    let Counted { operations, mut paths } = serde_json::from_str(&said)?;
    for path in paths.values_mut() {
        path.allocations = round(path.allocations);
        path.bytes = round(path.bytes);
    }
    let rustc = tools::found("rustc").unwrap_or_default();
    Ok(Counts { rustc, operations, paths })
}

fn counting(arguments: &[&str]) -> std::process::Command {
    let path = target_dir().join("release/counts");
    program(&path.to_string_lossy(), arguments)
}

fn find_valgrind() -> Result<()> {
    if tools::found("valgrind").is_none() {
        tools::debian_install(&["valgrind"], Install::only_in_ci())?;
    }
    Ok(())
}

/// All that a program executes to prepare a path, and to work through it if it does.
fn instructions(path: &str, what: &str) -> Result<f64> {
    let options = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
    let mut command = program("valgrind", &options);
    command.arg(target_dir().join("release/counts")).args([path, what]);
    let output = command.stdout(Stdio::null()).output().context("valgrind cannot be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind failed: {said}");
    }
    let count = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.with_context(|| format!("valgrind counts nothing: {said}"))?;
    Ok(count.trim().parse()?)
}

fn round(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}

fn compare(known: &Counts, counted: &Counts) -> Result<()> {
    println!("each operation; those of bench/counts.json ({}) in brackets", known.rustc);
    let (mut risen, mut fallen) = (Vec::new(), false);
    for (name, path) in &counted.paths {
        let before = known.paths.get(name);
        let pairs = [
            ("allocations", before.map(|path| path.allocations), Some(path.allocations)),
            ("bytes", before.map(|path| path.bytes), Some(path.bytes)),
            ("instructions", before.and_then(|path| path.instructions), path.instructions),
        ];
        for (what, before, now) in pairs {
            let Some(now) = now else { continue };
            let Some(before) = before else {
                risen.push(format!("{name}: {what} are not known yet"));
                continue;
            };
            println!("  {name:<22} {what:<14} {now:>12.3} ({before:.3})");
            if now > before * (1.0 + TOLERANCE) + NOTHING {
                risen.push(format!("{name}: {before} {what}, now {now}"));
            }
            fallen |= now < before * (1.0 - TOLERANCE) - NOTHING;
        }
    }
    if !risen.is_empty() {
        bail!(
            "counts have risen by more than a tenth; mend that, or say why in the commit that runs \
             `cargo xtask bench counts --bless`: {}",
            risen.join("; ")
        );
    }
    if fallen {
        println!("some have fallen: `cargo xtask bench counts --bless` keeps them down");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(allocations: f64, instructions: Option<f64>) -> Counts {
        let path = Path { allocations, bytes: 100.0, instructions };
        let paths = BTreeMap::from([("decode".to_owned(), path)]);
        Counts { rustc: String::new(), operations: 1, paths }
    }

    #[test]
    fn a_rise_by_a_tenth_is_nothing_and_by_more_a_failure() {
        let known = counts(2.0, Some(1_000.0));
        assert!(compare(&known, &counts(2.0, Some(1_100.0))).is_ok());
        let error = compare(&known, &counts(2.0, Some(1_101.0))).unwrap_err().to_string();
        assert!(error.contains("decode: 1000 instructions, now 1101"), "{error}");
        assert!(compare(&known, &counts(2.3, Some(1_000.0))).is_err());
        assert!(compare(&counts(0.0, None), &counts(1.0, None)).is_err());
    }

    #[test]
    fn what_was_not_counted_is_not_compared_and_what_is_new_has_to_be_blessed() {
        let known = counts(2.0, Some(1_000.0));
        assert!(compare(&known, &counts(2.0, None)).is_ok());
        let empty = Counts { paths: BTreeMap::new(), ..counts(0.0, None) };
        assert!(compare(&empty, &known).is_err());
    }
}
