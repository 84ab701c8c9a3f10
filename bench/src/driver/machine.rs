//! Where and with what a run was made.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// The machine, the versions, and the commit.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    pub(crate) kernel: String,
    pub(crate) commit: String,
    /// Each program or package with its version.
    pub(crate) versions: Vec<(String, String)>,
    /// UTC.
    pub(crate) date: String,
    /// The load before the run: numbers of a busy machine are worth less.
    pub(crate) load: String,
}

impl Machine {
    pub(crate) fn look(mut versions: Vec<(String, String)>) -> Self {
        let first_of = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim());
            value.unwrap_or("unknown").to_owned()
        };
        let memory = first_of("/proc/meminfo", "MemTotal");
        let kib = memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let dirty = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let commit = said("git", &["rev-parse", "--short=12", "HEAD"]);
        versions.insert(0, ("rustc".to_owned(), program_version("rustc")));
        Self {
            cpu: first_of("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: said("uname", &["-sr"]),
            commit: if dirty { format!("{commit} and changes to it") } else { commit },
            versions,
            date: said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            load: load.split(' ').next().unwrap_or("unknown").to_owned(),
        }
    }
}

/// What a program says that its version is.
pub(crate) fn program_version(program: &str) -> String {
    said(program, &["--version"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
