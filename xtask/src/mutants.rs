//! Puts deliberate faults into a copy of the tree, one at a time, and demands that the tests notice
//! each. The faults stand in `mutants.toml`. The working tree itself is never touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::shell::{answer, program, root, target_dir};

/// How long the tests may take with a fault in place, in seconds; a fault that makes them hang
/// counts as noticed.
const TESTS_SECONDS_MAX: u64 = 240;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// The faults to try, by name; all by default
    names: Vec<String>,
    /// List them instead
    #[arg(long)]
    list: bool,
}

#[derive(Deserialize)]
struct Table {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    /// Which invariant, and how.
    breaks: String,
    /// Within the core crate's sources.
    file: PathBuf,
    find: String,
    replace: String,
    /// One of the tests that notice it.
    killed_by: String,
}

impl Mutant {
    fn path(&self, tree: &Path) -> PathBuf {
        tree.join("crates/scuttlebutt/src").join(&self.file)
    }

    /// The file with the fault in it.
    fn apply(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.find).count();
        ensure!(
            found == 1,
            "mutant {}: its text occurs {found} times in {} instead of once; adapt \
             xtask/mutants.toml to the code",
            self.name,
            self.file.display()
        );
        Ok(text.replacen(&self.find, &self.replace, 1))
    }
}

fn table() -> Result<Vec<Mutant>> {
    let text = fs::read_to_string(root().join("xtask/mutants.toml"))?;
    Ok(toml::from_str::<Table>(&text).context("xtask/mutants.toml")?.mutant)
}

/// Tries the faults and prints a table for `docs/testing.md`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut mutants = table()?;
    for name in &options.names {
        ensure!(mutants.iter().any(|known| known.name == *name), "there is no mutant {name}");
    }
    mutants.retain(|mutant| options.names.is_empty() || options.names.contains(&mutant.name));
    if options.list {
        for mutant in &mutants {
            println!("{:<34}{}", mutant.name, mutant.breaks);
        }
        return Ok(());
    }
    let tree = copy_tree()?;
    println!("without a fault, to know that the tests pass");
    if let Some(killer) = killer(&tree)? {
        bail!("the tests fail as they are: {killer}");
    }
    let mut wrong = Vec::new();
    let mut rows = Vec::new();
    for (nth, mutant) in mutants.iter().enumerate() {
        let path = mutant.path(&tree);
        let original = fs::read_to_string(&path)?;
        fs::write(&path, mutant.apply(&original)?)?;
        let begun = Instant::now();
        let killed = killer(&tree);
        fs::write(&path, original)?;
        let killed = killed.unwrap_or_else(|error| {
            println!("{error:#}");
            Some("nothing: it does not compile".to_owned())
        });
        println!(
            "{:>3}/{} {:>4} s  {:<34}{}",
            nth + 1,
            mutants.len(),
            begun.elapsed().as_secs(),
            mutant.name,
            killed.as_deref().unwrap_or("SURVIVED")
        );
        let is_expected =
            killed.iter().any(|by| by.split(", ").any(|test| test == mutant.killed_by));
        if !is_expected {
            wrong.push(mutant.name.as_str());
        }
        rows.push(format!("| {} | {} | `{}` |", mutant.name, mutant.breaks, mutant.killed_by));
    }
    println!("\n| fault | what it breaks | noticed by, among others |\n|---|---|---|");
    println!("{}", rows.join("\n"));
    ensure!(wrong.is_empty(), "not noticed, or not by the test that was to: {}", wrong.join(", "));
    println!("\nall {} were noticed", mutants.len());
    Ok(())
}

/// The tree as it is, uncommitted changes included, under the target directory.
fn copy_tree() -> Result<PathBuf> {
    let tree = target_dir().join("mutants/tree");
    let listed = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let files = answer(&mut program("git", &listed)).context("git cannot list the files")?;
    let files: BTreeSet<&str> = files.lines().collect();
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    for file in files {
        let (from, to) = (root().join(file), tree.join(file));
        if let (true, Some(parent)) = (from.is_file(), to.parent()) {
            fs::create_dir_all(parent)?;
            fs::copy(&from, &to)?;
        }
    }
    Ok(tree)
}

/// The tests that fail in this tree, or what else tells that it is broken: those of the core first,
/// then simulated clusters.
fn killer(tree: &Path) -> Result<Option<String>> {
    let core = ["test", "--package", "scuttlebutt", "--lib", "--tests"];
    if let Some(killer) = failures(tree, &core)? {
        return Ok(Some(killer));
    }
    let clusters = ["run", "--release", "--package", "scuttlebutt-sim", "--", "--fixed"];
    failures(tree, &clusters)
}

fn failures(tree: &Path, arguments: &[&str]) -> Result<Option<String>> {
    // A process group of its own, so that a hanging test ends with its runner.
    let limit = Duration::from_secs(TESTS_SECONDS_MAX).as_secs().to_string();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &limit, "cargo"]).args(arguments);
    command.current_dir(tree).stdin(Stdio::null());
    command.env("CARGO_TARGET_DIR", target_dir().join("mutants/build"));
    // The smallest failing case does not matter here.
    command.env("PROPTEST_MAX_SHRINK_ITERS", "0");
    let output = command.output().context("cannot start `timeout` (from coreutils)")?;
    if output.status.success() {
        return Ok(None);
    }
    if output.status.code() == Some(124) {
        return Ok(Some("no end within the time limit".to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .collect();
    if !failed.is_empty() {
        return Ok(Some(failed.join(", ")));
    }
    if let Some(seed) = text.lines().find(|line| line.contains("FAILED")) {
        return Ok(Some(format!("simulated clusters: {seed}")));
    }
    bail!(
        "the tests could not be run:\n{}",
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .rev()
            .take(30)
            .collect::<Vec<_>>()
            .join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that the table does not rot.
    #[test]
    fn each_fault_still_fits_the_code() -> Result<()> {
        for mutant in table()? {
            let path = mutant.path(root());
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            assert_ne!(mutant.apply(&text)?, text, "{}", mutant.name);
        }
        Ok(())
    }
}
