//! One file for each command.

pub(crate) mod completions;
pub(crate) mod dump;
pub(crate) mod emit;
pub(crate) mod get;
pub(crate) mod id;
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod watch;
