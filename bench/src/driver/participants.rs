//! Who takes part, and how each is started.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::child::Child;
use crate::sizes::Sizes;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Ours, in lines of JSON.
    Ours,
    /// Ours, in the binary protocol.
    Binary,
    /// The same, compressed.
    Compressed,
    Npm,
}

impl Kind {
    /// In the order in which they take turns.
    pub(crate) const ALL: [Kind; 3] = [Kind::Ours, Kind::Binary, Kind::Npm];
    /// Those and the one that compresses, which only a long history is worth.
    pub(crate) const ALL_FORMS: [Kind; 4] = [Kind::Ours, Kind::Binary, Kind::Compressed, Kind::Npm];
    /// Those that speak JSON, as everybody does who is compared in the same bytes.
    pub(crate) const BOTH: [Kind; 2] = [Kind::Ours, Kind::Npm];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Ours => OURS,
            Kind::Binary => BINARY,
            Kind::Compressed => COMPRESSED,
            Kind::Npm => NPM,
        }
    }
}

/// As whom we appear in tables.
pub(crate) const OURS: &str = "ours";
/// As whom we do in the binary protocol.
pub(crate) const BINARY: &str = "ours (binary)";
/// As whom we do in the binary protocol, compressed.
pub(crate) const COMPRESSED: &str = "ours (compressed)";
/// As whom the original does.
pub(crate) const NPM: &str = "npm scuttlebutt";

/// What every case is given.
pub(crate) struct Context {
    pub(crate) sizes: Sizes,
    pub(crate) rounds: usize,
    /// When the case that is being measured has to come to an end.
    pub(crate) until: Instant,
    pub(crate) interop: PathBuf,
    /// The program with the alternatives, where it was built.
    pub(crate) alternatives: Option<PathBuf>,
}

impl Context {
    /// Whether the case has used up its time: what is left of its rounds is then left out.
    pub(crate) fn is_time_up(&self) -> bool {
        Instant::now() >= self.until
    }

    /// How long one thing of this case may take.
    pub(crate) fn patience(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).max(Duration::from_secs(60))
    }

    /// A replica that does as it is told: see `roles/peer.rs` and `interop/measure.js`.
    pub(crate) fn peer(&self, kind: Kind, id: &str) -> Result<Child> {
        let mut child = match kind {
            Kind::Ours => self.role("peer", &[id])?,
            Kind::Binary => self.role("peer", &[id, "binary"])?,
            Kind::Compressed => self.role("peer", &[id, "compressed"])?,
            Kind::Npm => self.node("peer", &[id])?,
        };
        // Once it answers, what it takes to start is behind it.
        child.ask(&json!({ "do": "bytes" }))?;
        Ok(child)
    }

    /// One of our own roles.
    pub(crate) fn role(&self, role: &str, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("role").arg(role).args(arguments);
        Child::start(&format!("our {role}"), command)
    }

    /// One of the original's.
    pub(crate) fn node(&self, role: &str, arguments: &[&str]) -> Result<Child> {
        let mut command = Command::new("node");
        command.arg("--expose-gc").arg("--max-old-space-size=8192");
        command.arg(self.interop.join("measure.js")).arg(role).args(arguments);
        Child::start(&format!("npm's {role}"), command)
    }

    /// One of the alternatives, if they are there.
    pub(crate) fn alternative(&self, what: &str, arguments: &[&str]) -> Result<Option<Child>> {
        let Some(program) = &self.alternatives else { return Ok(None) };
        let mut command = Command::new(program);
        command.arg(what).args(arguments);
        Child::start(&format!("{} of {}", what, arguments.join(" ")), command).map(Some)
    }
}
