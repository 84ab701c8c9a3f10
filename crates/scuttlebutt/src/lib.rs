#![doc = include_str!("lib.md")]

pub mod guide;
pub mod json;
pub mod model;

mod clock;
mod file;
mod label;
mod limits;
mod place;
mod recent_sources;
mod replica;
mod session;
mod sorted;
mod source;
mod timestamp;
mod update;
mod version_vector;
mod wire;

pub use file::{Export, Import, ImportError, ImportOptions, Imported, InFile};
pub use label::{InvalidLabel, Label};
pub use limits::{Bound, InconsistentLimits, LimitExceeded, Limits};
pub use model::{
    EmitError, Event, EventLog, LwwMap, MapChange, MapEntry, Merge, Model, Register, Retention,
    laws,
};
pub use recent_sources::RecentSources;
pub use replica::{
    Ahead, ChangeCursor, Changed, Changes, Draft, ForkProof, ForkProofError, LocalUpdateError,
    Outcome, Question, Replica, Revision, SignError, SignedDraft, Signer, Ticket, Trust, Verifier,
};
pub use session::{
    CloseReason, Direction, InvalidMetadata, Metadata, Mode, PeerLag, Refusal, Session,
    SessionConfig, SessionError, SessionEvent, Tally,
};
pub use source::{InvalidSource, SourceId};
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use update::{Change, InvalidUpdate, Update, UpdateError, UpdateId, UpdateParts};
pub use version_vector::VersionVector;
pub use wire::{DecodeError, Excerpt, Foreign, FrameError, Tap};
