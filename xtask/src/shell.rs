//! Running other programs: shown before they run, from the workspace's root,
//! without standard input, and with a failure that says how to repeat it.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's root, wherever the command was typed.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A program with arguments, run from `root()`.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program("cargo", arguments);
    if let Some(same) = env::var_os("CARGO") {
        let mut exact = Command::new(same);
        exact.args(arguments).current_dir(root()).stdin(Stdio::null());
        command = exact;
    }
    command
}

/// Runs to the end, passing on every line of standard output to `each_line`
/// as well as to the terminal.
pub(crate) fn run_reading(command: &mut Command, mut each_line: impl FnMut(&str)) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    if let Some(output) = child.stdout.take() {
        // By bytes: a test may print what is not UTF-8.
        for text in BufReader::new(output).split(b'\n') {
            let text = text?;
            let text = String::from_utf8_lossy(&text);
            println!("{text}");
            each_line(&text);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Runs to the end.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// What the program prints, or `None` where it is missing or fails.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as one would type it at the workspace's root.
fn describe(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(inside) = command.get_current_dir()
        && let Ok(folder) = inside.strip_prefix(root())
        && folder != Path::new("")
    {
        words.push(format!("cd {} &&", folder.display()));
    }
    for (name, value) in command.get_envs() {
        // Variables taken away guard against the caller's shell; a person has no need to type them.
        if let Some(value) = value {
            words.push(format!("{}={}", name.display(), quoted(value.into())));
        }
    }
    let name = match Path::new(command.get_program()).file_name() {
        Some(name) if Some(command.get_program()) == env::var_os("CARGO").as_deref() => name,
        _ => command.get_program(),
    };
    words.push(quoted(name.into()));
    words.extend(command.get_args().map(|word| quoted(word.into())));
    words.join(" ")
}

fn quoted(word: OsString) -> String {
    let word = word.to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
