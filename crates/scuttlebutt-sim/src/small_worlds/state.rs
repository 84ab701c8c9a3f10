//! A state of a small world: numbers that stand for its parts, nothing else. Two states are the same
//! exactly if their parts are.

/// Replicas of a world.
pub(super) const NODES: usize = 3;
/// Links of a world, at most.
pub(super) const LINKS_MAX: usize = 3;
/// Writes of a world, at most.
pub(super) const WRITES_MAX: usize = 4;

/// Stands where the number of a site would, when its replica is gone for good.
pub(super) const LOST: u32 = u32::MAX;

/// Everything that decides what can happen next, and whether it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// By replica, the number of its [site](super::site), or [`LOST`].
    pub(super) sites: [u32; NODES],
    /// By link, the number of what is on the [way](super::way).
    pub(super) ways: [u32; LINKS_MAX],
    pub(super) truth: Truth,
    /// One bit for each write that was done.
    pub(super) written: u8,
    pub(super) cuts_left: u8,
    pub(super) may_restart: bool,
}

/// What was ever written and not forgotten before anybody heard of it: for each write of the world,
/// one more than the number of the update that came of it, or 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Truth([u8; WRITES_MAX]);

impl Truth {
    pub(super) fn add(&mut self, write: usize, update: u8) {
        self.0[write] = update + 1;
    }

    pub(super) fn forget(&mut self, write: usize) {
        self.0[write] = 0;
    }

    /// The number of the update that came of a write.
    pub(super) fn get(self, write: usize) -> Option<u8> {
        self.0[write].checked_sub(1)
    }

    /// The numbers of all updates.
    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().filter_map(|number| number.checked_sub(1))
    }
}
