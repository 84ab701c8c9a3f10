//! Bytes to frames and back.
//!
//! A [`Frame`] is what one peer says to another, whatever the bytes; [`json_lines`] is how the
//! original writes it, and [`binary`] how two that agreed on that do. This module judges form only.
//! Whether an update is news, or a digest to be believed, is for others.

mod binary;
mod decoder;
mod encoder;
mod error;
mod json_lines;
mod rest;
mod tap;

pub(crate) use binary::pack::{IS_AVAILABLE as CAN_PACK, PACK_BYTES_MAX, write as pack};
pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;
pub use error::{DecodeError, Excerpt, Foreign, FrameError};
pub(crate) use rest::{LONG_UPDATE_BYTES_MIN, Rest};
pub use tap::Tap;

use crate::json::JsString;
use crate::label::Label;
use crate::limits::LimitExceeded;
use crate::place::Place;
use crate::update::{InvalidUpdate, Update, UpdateId};
use crate::version_vector::VersionVector;

/// What one peer says to another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    /// "This is what I hold."
    Digest(Digest),
    /// A replicated write, or an array that is none.
    Update(Result<Update, InvalidUpdate>),
    /// An update that exceeds a bound of ours. Nothing of it is kept.
    Oversized(LimitExceeded),
    /// "I have sent all that you lacked when you announced." `"SYNC"` on the wire.
    HistorySent,
    /// "Of all updates up to here that you did not announce, I have sent you every one, or one that
    /// supersedes it." Only between peers that announced it.
    Mark(VersionVector),
    /// "Of the updates that you sent me in frames I have dealt with the first so many, and what came of
    /// the first so many is durable." Only in frames.
    Acknowledgement { handled: u64, durable: u64 },
    /// "There was no room here for an update of yours." Only between peers that announced it.
    NoRoom(NoRoom),
    /// "So far has my history come; I began when my order of arrival ended there." Only between peers that
    /// announced it.
    Place { at: UpdateId, since: u64 },
    /// "From here on I speak binary." `"BINARY"` on the wire.
    Switch,
    /// Something that the original ignores too.
    Unknown,
}

/// A version vector as announced to a peer, and what stands beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Digest {
    /// Absent when the peer sent none, or one that is no string.
    pub(crate) id: Option<JsString>,
    pub(crate) vector: VersionVector,
    /// JSON text.
    pub(crate) metadata: Option<String>,
    /// Absent from peers that speak the original's protocol only.
    pub(crate) extensions: Option<Extensions>,
    /// The bound for which something of it was passed over.
    pub(crate) exceeded: Option<LimitExceeded>,
}

/// An update was refused for a bound. It is for the peer's operator: nothing is decided by it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NoRoom {
    /// Its name, if it could be read.
    pub(crate) update: Option<UpdateId>,
    /// The name of the bound.
    pub(crate) bound: String,
    pub(crate) limit: f64,
}

/// What a peer announces beyond the original's protocol.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Extensions {
    /// Whether its digest, its `"SYNC"` and its marks are promises (invariant I2). A peer that only
    /// receives says no: it announces what it holds but passes none of it on.
    pub(crate) promises: bool,
    /// Whether it reads frames, and writes them to whoever says the same.
    pub(crate) binary: bool,
    /// Whether it reads packs among these, and writes them to whoever says the same.
    pub(crate) zstd: bool,
    /// Whether it is to be told what there was no room for.
    pub(crate) refusals: bool,
    /// Whether it is not to be sent what is superseded, as evidence for version vectors.
    pub(crate) without_evidence: bool,
    /// What its model is called.
    pub(crate) model: Option<Label>,
    /// Which cluster it belongs to.
    pub(crate) cluster: Option<Label>,
    /// How long the other side may be silent, in milliseconds.
    pub(crate) heartbeat_ms: Option<f64>,
    /// In which life it is: it can go on with a history that broke off in the same.
    pub(crate) life: Option<u64>,
    /// How far histories of others got that broke off.
    pub(crate) places: Vec<Place>,
}
