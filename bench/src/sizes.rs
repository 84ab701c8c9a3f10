//! How much of everything is measured.

use std::time::Duration;

use clap::ValueEnum;

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    /// As the cases are described: an hour or more.
    Full,
    /// To try things out: about two minutes.
    Quick,
    /// To see that everything works, without a number worth anything.
    Tiny,
}

/// The numbers of a scale.
pub(crate) struct Sizes {
    /// Keys of the stores that are caught up with and reconnected to.
    pub(crate) stores: &'static [u64],
    /// Beyond this the original's first catch-up is stopped after some time: the buffer of what it has
    /// to send takes time that is quadratic in its length.
    pub(crate) npm_catch_up_keys_max: u64,
    pub(crate) many_sources: u64,
    pub(crate) news: &'static [u64],
    pub(crate) live_updates: u64,
    pub(crate) pings: u64,
    /// Subscribers, and what a hub of ours sends to each of them; the original sends a tenth.
    pub(crate) fan_out: &'static [(u64, u64)],
    pub(crate) idle_connections: u64,
    /// Updates that pass a reader who reads nothing: ours, and the original's.
    pub(crate) stalled_updates: [u64; 2],
    pub(crate) stalled_keys: u64,
    pub(crate) meshes: &'static [u64],
    /// By each node of a mesh, one at a time; ten times as many in a burst.
    pub(crate) mesh_updates: u64,
    pub(crate) memory_keys: &'static [u64],
    pub(crate) overwrites: u64,
    pub(crate) handshake_sources: &'static [u64],
    pub(crate) in_process: u64,
    /// Keys that the alternatives catch up with in process.
    pub(crate) alternatives: &'static [u64],
    pub(crate) rounds: usize,
    pub(crate) case_time: Duration,
}

impl Scale {
    pub(crate) fn sizes(self) -> Sizes {
        match self {
            Scale::Full => Sizes {
                stores: &[10_000, 100_000, 1_000_000],
                npm_catch_up_keys_max: 100_000,
                many_sources: 1_000,
                news: &[0, 10, 1_000],
                live_updates: 100_000,
                pings: 20_000,
                fan_out: &[(10, 100_000), (100, 20_000), (1_000, 5_000)],
                idle_connections: 10_000,
                stalled_updates: [1_000_000, 100_000],
                stalled_keys: 1_000,
                meshes: &[8, 16],
                mesh_updates: 20,
                memory_keys: &[100_000, 1_000_000],
                overwrites: 100_000,
                handshake_sources: &[1, 1_000, 100_000],
                in_process: 1_000_000,
                alternatives: &[10_000, 100_000],
                rounds: 5,
                case_time: Duration::from_secs(15 * 60),
            },
            Scale::Quick => Sizes {
                stores: &[1_000, 10_000],
                npm_catch_up_keys_max: 10_000,
                many_sources: 1_000,
                news: &[0, 10, 1_000],
                live_updates: 10_000,
                pings: 1_000,
                fan_out: &[(10, 2_000), (100, 500)],
                idle_connections: 1_000,
                stalled_updates: [50_000, 5_000],
                stalled_keys: 1_000,
                meshes: &[8],
                mesh_updates: 3,
                memory_keys: &[10_000],
                overwrites: 10_000,
                handshake_sources: &[1, 1_000, 10_000],
                in_process: 100_000,
                alternatives: &[2_000],
                rounds: 3,
                case_time: Duration::from_secs(20),
            },
            Scale::Tiny => Sizes {
                stores: &[100, 300],
                npm_catch_up_keys_max: 100,
                many_sources: 10,
                news: &[0, 10],
                live_updates: 300,
                pings: 30,
                fan_out: &[(5, 50)],
                idle_connections: 20,
                stalled_updates: [500, 200],
                stalled_keys: 20,
                meshes: &[3],
                mesh_updates: 1,
                memory_keys: &[1_000],
                overwrites: 300,
                handshake_sources: &[1, 50],
                in_process: 1_000,
                alternatives: &[100],
                rounds: 1,
                case_time: Duration::from_secs(60),
            },
        }
    }
}
