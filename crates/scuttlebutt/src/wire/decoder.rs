//! Reading what a peer says, in whichever way it writes.

use crate::limits::Limits;

use super::{DecodeError, Frame, binary, json_lines};

/// Takes a stream of bytes apart: lines at first, frames once the peer has switched to them.
#[derive(Clone, Debug)]
pub(crate) enum Decoder {
    Lines(json_lines::Decoder),
    Frames(Box<binary::Decoder>),
}

impl Default for Decoder {
    fn default() -> Self {
        Self::Lines(json_lines::Decoder::default())
    }
}

impl Decoder {
    /// Reads the next frame off the front of `input`; `None` when the rest has to arrive first (and
    /// `input` is empty).
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        limits: &Limits,
    ) -> Result<Option<Frame>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.decode(input, limits),
            Self::Frames(frames) => frames.decode(input, limits),
        }
    }

    /// Reads what is left when the stream has ended.
    pub(crate) fn finish(&mut self, limits: &Limits) -> Result<Option<Frame>, DecodeError> {
        match self {
            Self::Lines(lines) => lines.finish(limits),
            Self::Frames(frames) => frames.finish().map(|()| None),
        }
    }

    /// What follows the line that was read last is frames, of which some may be packs.
    pub(crate) fn switch(&mut self, reads_packs: bool) {
        *self = Self::Frames(Box::new(binary::Decoder::new(reads_packs)));
    }

    pub(crate) fn has_switched(&self) -> bool {
        matches!(self, Self::Frames(_))
    }

    /// What the beginning of a line or frame takes whose end has not arrived.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.held_bytes(),
            Self::Frames(frames) => frames.held_bytes(),
        }
    }
}
