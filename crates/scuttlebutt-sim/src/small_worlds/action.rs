//! What can happen in a small world, in words.

use super::SmallWorld;
use super::site::NAMES;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write(usize),
    Sync(usize),
    Connect(usize),
    Send { link: usize, from: usize },
    Deliver { link: usize, from: usize },
    Cut(usize),
    Restart { node: usize, keeps_unsynced: bool },
    Lose(usize),
}

impl Action {
    /// Whether it needs neither a user nor a fault.
    pub(super) fn happens_by_itself(self) -> bool {
        matches!(
            self,
            Action::Sync(_) | Action::Connect(_) | Action::Send { .. } | Action::Deliver { .. }
        )
    }

    pub(super) fn describe(self, world: &SmallWorld) -> String {
        let pair = |link: usize, from: usize| {
            let nodes = world.links[link];
            format!("{} to {}", NAMES[nodes[from]], NAMES[nodes[1 - from]])
        };
        match self {
            Action::Write(nth) => {
                let write = &world.writes[nth];
                let does = if write.is_removal { "removes" } else { "writes" };
                format!("{} {does} {} at {}", NAMES[write.by], write.key, write.at_ms)
            }
            Action::Sync(node) => format!("{} syncs", NAMES[node]),
            Action::Connect(link) => format!("{} comes up", pair(link, 0)),
            Action::Send { link, from } => format!("{} is asked for a line", pair(link, from)),
            Action::Deliver { link, from } => format!("{} delivers", pair(link, from)),
            Action::Cut(link) => format!("{} is cut", pair(link, 0)),
            Action::Restart { node, keeps_unsynced } => {
                let kept = if keeps_unsynced { ", its last writes kept" } else { "" };
                format!("{} restarts{kept}", NAMES[node])
            }
            Action::Lose(node) => format!("{} is lost", NAMES[node]),
        }
    }
}
