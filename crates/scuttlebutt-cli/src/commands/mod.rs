//! One file for each command.

pub(crate) mod backup;
pub(crate) mod cert;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod dump;
pub(crate) mod emit;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod id;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod keygen;
pub(crate) mod repair;
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod trust;
pub(crate) mod verify;
pub(crate) mod watch;
