//! What is wrong with a file, in numbers.

use std::fmt;

/// What was found damaged in a store. Nothing damaged is ever used, and nothing is left out without
/// being counted here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// Updates whose checksum is wrong.
    pub updates: u64,
    /// Positions of the first of them, up to
    /// [`StoreLimits::damaged_positions_max`](crate::StoreLimits::damaged_positions_max).
    pub positions: Vec<u64>,
    /// Blocks whose checksum is wrong: rows of updates. Each update has a checksum of its own besides,
    /// which tells what of a block is lost.
    pub blocks: u64,
    /// Blocks that the engine counts and did not hand out.
    pub blocks_missing: u64,
    /// Entries of the version vector whose checksum is wrong, or that are missing.
    pub vector_entries: u64,
    /// The last commit is not whole, and was confirmed: what it wrote is missing from the rest.
    pub last_commit: bool,
    /// Names of what else the store keeps that is wrong or missing: its id, its model.
    pub meta: Vec<&'static str>,
    /// What the engine says of its own structure.
    pub engine: Option<String>,
}

impl Damage {
    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn of_engine(message: impl Into<String>) -> Self {
        Self { engine: Some(message.into()), ..Self::default() }
    }

    pub(crate) fn of_meta(name: &'static str) -> Self {
        Self { meta: vec![name], ..Self::default() }
    }

    pub(crate) fn of_last_commit() -> Self {
        Self { last_commit: true, ..Self::default() }
    }

    pub(crate) fn add_update(&mut self, position: Option<u64>, positions_max: usize) {
        self.updates += 1;
        if self.positions.len() < positions_max {
            self.positions.extend(position);
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.updates > 0 {
            let positions = self.positions.iter().map(u64::to_string).collect::<Vec<_>>();
            let more = if self.updates > positions.len() as u64 { ", …" } else { "" };
            let at = positions.join(", ");
            parts.push(format!("updates damaged: {} (at positions {at}{more})", self.updates));
        }
        if self.blocks > 0 {
            parts.push(format!("blocks damaged: {}", self.blocks));
        }
        if self.blocks_missing > 0 {
            parts.push(format!("blocks missing, with their updates: {}", self.blocks_missing));
        }
        if self.vector_entries > 0 {
            parts.push(format!("version vector entries damaged: {}", self.vector_entries));
        }
        if self.last_commit {
            parts.push("the last commit that was confirmed is damaged".to_owned());
        }
        if !self.meta.is_empty() {
            parts.push(format!("damaged: {}", self.meta.join(", ")));
        }
        if let Some(message) = &self.engine {
            parts.push(format!("the file's structure is damaged: {message}"));
        }
        f.write_str(&parts.join("; "))
    }
}
