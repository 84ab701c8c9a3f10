//! Bytes to frames.

use crate::json::{self, JsString, JsonErrorKind, TextLimits};
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::recent_sources::RecentSources;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateParts};
use crate::version_vector::VersionVector;
use crate::wire::{DecodeError, Excerpt, Frame, FrameError, json_lines};

use super::pack::{self, PACK_BYTES_MAX};
use super::{FRAME_EXCESS_BYTES, Kind, SLOTS, unzigzag, varint};

/// Reads one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a frame whose end has not arrived.
    partial: Vec<u8>,
    /// What each slot stands for.
    slots: Vec<SourceId>,
    /// The bits of the last timestamp.
    stamp: u64,
    /// Where the text of an update is put together.
    text: String,
    reads_packs: bool,
    /// What a pack held, and how far that has been read. Nothing where nobody is in the midst of reading.
    unpacked: Vec<u8>,
    unpacked_at: usize,
}

/// The largest text that is kept to be written over by the next.
const TEXT_KEPT_BYTES_MAX: usize = 4 << 10;

impl Decoder {
    /// One that reads packs, or passes over them.
    pub(crate) fn new(reads_packs: bool) -> Self {
        Self { reads_packs, ..Self::default() }
    }

    /// Reads the next frame off the front of `input`; `None` when the rest has to arrive first (and
    /// `input` is empty).
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        limits: &Limits,
    ) -> Result<Option<Frame>, DecodeError> {
        loop {
            if let Some(frame) = self.next_unpacked(limits)? {
                return Ok(Some(frame));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let frame = if self.partial.is_empty() {
                let mut rest = *input;
                match self.frame_len(&mut rest, limits)? {
                    Some(len) if len <= rest.len() => {
                        let (body, rest) = rest.split_at(len);
                        *input = rest;
                        self.read(body, limits)?
                    }
                    _ => {
                        self.partial.extend_from_slice(input);
                        *input = &[];
                        return Ok(None);
                    }
                }
            } else {
                let mut body = &self.partial[..];
                let missing = match self.frame_len(&mut body, limits)? {
                    Some(len) => len - body.len(),
                    // The length is not whole itself.
                    None => 1,
                };
                let (more, rest) = input.split_at(missing.min(input.len()));
                *input = rest;
                self.partial.extend_from_slice(more);
                let mut body = &self.partial[..];
                if self.frame_len(&mut body, limits)? != Some(body.len()) {
                    continue;
                }
                let start = self.partial.len() - body.len();
                let whole = std::mem::take(&mut self.partial);
                self.read(&whole[start..], limits)?
            };
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// Reads the next frame of a pack.
    fn next_unpacked(&mut self, limits: &Limits) -> Result<Option<Frame>, DecodeError> {
        while self.unpacked_at < self.unpacked.len() {
            let unpacked = std::mem::take(&mut self.unpacked);
            let mut rest = &unpacked[self.unpacked_at..];
            let len = self.frame_len(&mut rest, limits)?.filter(|len| *len <= rest.len());
            let body = &rest[..len.ok_or(FrameError::Short)?];
            if matches!(Kind::split(number(&mut &*body)?), (Kind::Pack, 0)) {
                return Err(FrameError::PackInPack.into());
            }
            self.unpacked_at = unpacked.len() - rest.len() + body.len();
            let frame = self.read(body, limits)?;
            self.unpacked = unpacked;
            if frame.is_some() {
                return Ok(frame);
            }
        }
        (self.unpacked, self.unpacked_at) = (Vec::new(), 0);
        Ok(None)
    }

    /// What the beginning of a frame takes whose end has not arrived.
    pub(crate) fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// The stream has ended: nothing may be left.
    pub(crate) fn finish(&mut self) -> Result<(), DecodeError> {
        match self.partial.is_empty() {
            true => Ok(()),
            false => Err(DecodeError::BrokenOff { line: Excerpt::of(&self.partial) }),
        }
    }

    /// Reads one frame; `None` when it is none that a session has to know of.
    fn read(&mut self, body: &[u8], limits: &Limits) -> Result<Option<Frame>, DecodeError> {
        let mut rest = body;
        let (kind, slot) = Kind::split(number(&mut rest)?);
        if kind != Kind::Pack && body.len() > frame_bytes_max(limits) {
            return Err(too_long(limits));
        }
        let frame = match kind {
            Kind::Update => {
                let timestamp = self.timestamp(&mut rest)?;
                self.update(slot, timestamp, rest, &[], limits)?
            }
            Kind::UpdateWithExtras => {
                let timestamp = self.timestamp(&mut rest)?;
                let change = bytes(&mut rest)?;
                if rest.is_empty() {
                    return Err(FrameError::Short.into());
                }
                self.update(slot, timestamp, change, rest, limits)?
            }
            Kind::Source => {
                self.name(slot, rest, limits)?;
                return Ok(None);
            }
            // Of these nothing has a slot.
            _ if slot != 0 => return Ok(None),
            Kind::Digest => {
                match json_lines::decode_line(rest, limits, &mut RecentSources::default())? {
                    Some(frame @ Frame::Digest(_)) => frame,
                    _ => return Err(DecodeError::MalformedDigest { line: Excerpt::of(rest) }),
                }
            }
            Kind::Mark => Frame::Mark(self.vector(std::mem::take(&mut rest), limits)?),
            Kind::HistorySent => {
                nothing_left(rest)?;
                Frame::HistorySent
            }
            Kind::Acknowledgement => {
                let (handled, durable) = (number(&mut rest)?, number(&mut rest)?);
                nothing_left(rest)?;
                Frame::Acknowledgement { handled, durable }
            }
            Kind::Pack if self.reads_packs => {
                let len = number(&mut rest)?;
                self.unpacked = pack::read(len, rest)?;
                return Ok(None);
            }
            Kind::Pack => return Ok(None),
        };
        Ok(Some(frame))
    }

    /// Puts an update together from what was sent of it. `extras` is what stands behind its source, as
    /// an array, or nothing.
    fn update(
        &mut self,
        slot: u64,
        timestamp: Timestamp,
        change: &[u8],
        extras: &[u8],
        limits: &Limits,
    ) -> Result<Frame, DecodeError> {
        let source = self.source(slot)?.clone();
        // In a line it stands within the array that is the update.
        let depth = limits.nesting_depth_max.saturating_sub(1);
        let change = canonical(change, depth, limits)?;
        self.text.clear();
        self.text.push_str(&change);
        self.text.push(',');
        timestamp.write_json(&mut self.text);
        let stamped_len = self.text.len();
        if !extras.is_empty() {
            let extras = canonical(extras, limits.nesting_depth_max, limits)?;
            let elements = extras.strip_prefix('[').and_then(|extras| extras.strip_suffix(']'));
            let elements = elements.filter(|elements| !elements.is_empty());
            self.text.push(',');
            self.text.push_str(elements.ok_or(FrameError::Extras)?);
        }
        let parts = UpdateParts { text: &self.text, change_len: change.len(), stamped_len };
        let update = Update::from_parts(source, timestamp, parts);
        // Whoever speaks JSON has to be able to take it, too.
        let is_short = |update: &Update| update.line_len() - 1 <= limits.line_bytes_max;
        let update = update.filter(is_short).ok_or_else(|| too_long(limits))?;
        if self.text.capacity() > TEXT_KEPT_BYTES_MAX {
            self.text = String::new();
        }
        Ok(Frame::Update(Ok(update)))
    }

    /// Lets a slot stand for a source. Slots come into use in order, so that they take no more memory
    /// than was sent.
    fn name(&mut self, slot: u64, literal: &[u8], limits: &Limits) -> Result<(), DecodeError> {
        let source = parse_source(literal, limits)?;
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        let used = self.slots.len();
        if let Some(held) = self.slots.get_mut(slot) {
            *held = source;
        } else if slot == used && slot < SLOTS {
            self.slots.push(source);
        } else {
            return Err(FrameError::SlotOutOfTurn.into());
        }
        Ok(())
    }

    /// The length of the frame at the front of `bytes`, which it goes past; `None` when that itself has not
    /// arrived whole.
    fn frame_len(&self, bytes: &mut &[u8], limits: &Limits) -> Result<Option<usize>, DecodeError> {
        let Some(len) = varint::read(bytes)? else { return Ok(None) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        // A pack holds several frames, and is no longer than they are.
        let packs = if self.reads_packs { PACK_BYTES_MAX } else { 0 };
        if len > frame_bytes_max(limits).max(packs) {
            return Err(too_long(limits));
        }
        Ok(Some(len))
    }

    fn source(&self, slot: u64) -> Result<&SourceId, FrameError> {
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        self.slots.get(slot).ok_or(FrameError::UnknownSlot)
    }

    fn timestamp(&mut self, rest: &mut &[u8]) -> Result<Timestamp, FrameError> {
        let difference = unzigzag(number(rest)?) as u64;
        let bits = self.stamp.wrapping_add(difference);
        let timestamp = Timestamp::from_bits(bits).ok_or(FrameError::Timestamp)?;
        self.stamp = bits;
        Ok(timestamp)
    }

    fn vector(&mut self, mut rest: &[u8], limits: &Limits) -> Result<VersionVector, DecodeError> {
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let source = match number(&mut rest)? {
                0 => parse_source(bytes(&mut rest)?, limits)?,
                slot => self.source(slot - 1)?.clone(),
            };
            let timestamp = self.timestamp(&mut rest)?;
            if entries.len() >= limits.sources_max {
                return Err(LimitExceeded::new(Bound::Sources, limits.sources_max).into());
            }
            entries.push((source, timestamp));
        }
        Ok(entries.into_iter().collect())
    }
}

fn frame_bytes_max(limits: &Limits) -> usize {
    limits.line_bytes_max.saturating_add(FRAME_EXCESS_BYTES)
}

fn too_long(limits: &Limits) -> DecodeError {
    LimitExceeded::new(Bound::LineBytes, limits.line_bytes_max).into()
}

fn number(rest: &mut &[u8]) -> Result<u64, FrameError> {
    varint::read(rest)?.ok_or(FrameError::Short)
}

/// As many bytes as a number before them says.
fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], FrameError> {
    let len = usize::try_from(number(rest)?).unwrap_or(usize::MAX);
    let (bytes, after) = rest.split_at_checked(len).ok_or(FrameError::Short)?;
    *rest = after;
    Ok(bytes)
}

fn nothing_left(rest: &[u8]) -> Result<(), FrameError> {
    if rest.is_empty() { Ok(()) } else { Err(FrameError::Long) }
}

/// JSON text in the form in which it is passed on: borrowed if that is what was sent.
fn canonical<'a>(
    text: &'a [u8],
    nesting_depth_max: usize,
    limits: &Limits,
) -> Result<std::borrow::Cow<'a, str>, DecodeError> {
    json::canonicalize(text, TextLimits { nesting_depth_max }).map_err(|error| match error.kind {
        JsonErrorKind::TooDeep { .. } => {
            LimitExceeded::new(Bound::NestingDepth, limits.nesting_depth_max).into()
        }
        _ => DecodeError::NotJson { error, line: Excerpt::of(text) },
    })
}

/// The source whose JSON literal this is.
fn parse_source(literal: &[u8], limits: &Limits) -> Result<SourceId, DecodeError> {
    if literal.len() > limits.source_bytes_max {
        return Err(LimitExceeded::new(Bound::SourceBytes, limits.source_bytes_max).into());
    }
    let literal = str::from_utf8(literal).map_err(|_| FrameError::Source)?;
    let id = JsString::from_json_literal(literal).map_err(|_| FrameError::Source)?;
    Ok(SourceId::new(id).map_err(|_| FrameError::Source)?)
}
