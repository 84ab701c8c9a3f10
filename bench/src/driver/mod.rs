//! What the driver works with: processes that take part, and what the system says of them.

mod child;
mod machine;
mod participants;
mod proc;
mod relay;

pub(crate) use child::Child;
pub(crate) use machine::{Machine, program_version};
pub(crate) use participants::{BINARY, Context, Kind, NPM, OURS};
pub(crate) use proc::Usage;
pub(crate) use relay::Relay;
