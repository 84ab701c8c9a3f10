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
use super::{FRAME_EXCESS_BYTES, Kind, NO_ROOM, PLACE, SLOTS, unzigzag, varint};

/// Reads one direction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a frame whose end has not arrived.
    partial: Vec<u8>,
    /// How many bytes of a frame that is too long are yet to be passed over.
    left_over: u64,
    /// What each slot stands for; nothing where that would exceed a bound.
    slots: Vec<Option<SourceId>>,
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

/// What a frame is, and when an update was written, is within so many bytes.
const BEGINNING_BYTES_MAX: usize = 2 * varint::BYTES_MAX;

/// What has arrived of the frame that comes next.
enum Front {
    /// All of it: so many bytes.
    Whole(usize),
    /// Not all: at least so many bytes are missing.
    Missing(usize),
    /// It is longer than what may be held, and perhaps enough is there to tell what it is.
    TooLong { len: u64, can_be_told: bool },
}

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
            let passed = usize::try_from(self.left_over).unwrap_or(usize::MAX).min(input.len());
            *input = &input[passed..];
            self.left_over -= passed as u64;
            if input.is_empty() {
                return Ok(None);
            }
            let frame = if self.partial.is_empty() {
                let mut rest = *input;
                match self.front(&mut rest, limits)? {
                    Front::Whole(len) => {
                        let (body, rest) = rest.split_at(len);
                        *input = rest;
                        self.read(body, limits)?
                    }
                    Front::TooLong { len, can_be_told: true } => {
                        let beginning = &rest[..BEGINNING_BYTES_MAX];
                        *input = &rest[BEGINNING_BYTES_MAX..];
                        self.pass_over(len, beginning, limits)?
                    }
                    Front::Missing(_) | Front::TooLong { .. } => {
                        self.partial.extend_from_slice(input);
                        *input = &[];
                        return Ok(None);
                    }
                }
            } else {
                let mut body = &self.partial[..];
                let missing = match self.front(&mut body, limits)? {
                    Front::Missing(missing) => missing,
                    // It is read as soon as it can be told what it is.
                    Front::Whole(_) | Front::TooLong { .. } => 1,
                };
                let (more, rest) = input.split_at(missing.min(input.len()));
                *input = rest;
                self.partial.extend_from_slice(more);
                let mut body = &self.partial[..];
                match self.front(&mut body, limits)? {
                    Front::Whole(_) => {
                        let start = self.partial.len() - body.len();
                        let whole = std::mem::take(&mut self.partial);
                        self.read(&whole[start..], limits)?
                    }
                    Front::TooLong { len, can_be_told: true } => {
                        let start = self.partial.len() - body.len();
                        let partial = std::mem::take(&mut self.partial);
                        self.pass_over(len, &partial[start..], limits)?
                    }
                    Front::Missing(_) | Front::TooLong { .. } => continue,
                }
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
            let body = bytes(&mut rest)?;
            if matches!(Kind::split(number(&mut &*body)?), (Kind::Pack, 0)) {
                return Err(FrameError::PackInPack.into());
            }
            self.unpacked_at = unpacked.len() - rest.len();
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
            return self.pass_over(body.len() as u64, body, limits);
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
            Kind::Digest if slot == u64::from(NO_ROOM) || slot == u64::from(PLACE) => {
                match json_lines::decode_line(rest, limits, &mut RecentSources::default())? {
                    Some(frame @ (Frame::NoRoom(_) | Frame::Place { .. })) => frame,
                    _ => return Ok(None),
                }
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
        let Some(source) = self.source(slot)?.cloned() else {
            return Ok(Frame::Oversized(source_too_long(limits)));
        };
        // In a line it stands within the array that is the update.
        let depth = limits.nesting_depth_max.saturating_sub(1);
        let change = match canonical(change, depth, limits) {
            Err(DecodeError::Limit(exceeded)) => return Ok(Frame::Oversized(exceeded)),
            change => change?,
        };
        self.text.clear();
        self.text.push_str(&change);
        self.text.push(',');
        timestamp.write_json(&mut self.text);
        let stamped_len = self.text.len();
        if !extras.is_empty() {
            let extras = match canonical(extras, limits.nesting_depth_max, limits) {
                Err(DecodeError::Limit(exceeded)) => return Ok(Frame::Oversized(exceeded)),
                extras => extras?,
            };
            let elements = extras.strip_prefix('[').and_then(|extras| extras.strip_suffix(']'));
            let elements = elements.filter(|elements| !elements.is_empty());
            self.text.push(',');
            self.text.push_str(elements.ok_or(FrameError::Extras)?);
        }
        let parts = UpdateParts { text: &self.text, change_len: change.len(), stamped_len };
        let update = Update::from_parts(source, timestamp, parts).ok_or(FrameError::Short)?;
        if self.text.capacity() > TEXT_KEPT_BYTES_MAX {
            self.text = String::new();
        }
        Ok(Frame::Update(Ok(update)))
    }

    /// Lets a slot stand for a source. Slots come into use in order, so that they take no more memory
    /// than was sent.
    fn name(&mut self, slot: u64, literal: &[u8], limits: &Limits) -> Result<(), DecodeError> {
        let is_short = literal.len() <= limits.source_bytes_max;
        let source = if is_short { Some(parse_source(literal)?) } else { None };
        self.put(slot, source)
    }

    fn put(&mut self, slot: u64, source: Option<SourceId>) -> Result<(), DecodeError> {
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

    /// What there is of the frame at the front of `bytes`, whose length it goes past.
    fn front(&self, bytes: &mut &[u8], limits: &Limits) -> Result<Front, DecodeError> {
        let Some(len) = varint::read(bytes)? else { return Ok(Front::Missing(1)) };
        // A pack holds several frames, and is no longer than they are.
        let packs = if self.reads_packs { PACK_BYTES_MAX } else { 0 };
        let len_max = frame_bytes_max(limits).max(packs);
        Ok(match usize::try_from(len).ok().filter(|len| *len <= len_max) {
            Some(len) if len <= bytes.len() => Front::Whole(len),
            Some(len) => Front::Missing(len - bytes.len()),
            None => Front::TooLong { len, can_be_told: bytes.len() >= BEGINNING_BYTES_MAX },
        })
    }

    /// Reads what has to be known of a frame that is too long to be held, whose beginning this is, and
    /// passes over the rest. What is no update cannot be passed over.
    fn pass_over(
        &mut self,
        len: u64,
        body: &[u8],
        limits: &Limits,
    ) -> Result<Option<Frame>, DecodeError> {
        let mut rest = body;
        let (kind, slot) = Kind::split(number(&mut rest)?);
        let frame = match kind {
            Kind::Update | Kind::UpdateWithExtras => {
                // The next one is counted from here.
                self.timestamp(&mut rest)?;
                self.source(slot)?;
                Some(Frame::Oversized(line_too_long(limits)))
            }
            Kind::Source => {
                self.put(slot, None)?;
                None
            }
            _ => return Err(line_too_long(limits).into()),
        };
        self.left_over = len - body.len() as u64;
        Ok(frame)
    }

    /// What a slot stands for; nothing if that exceeds a bound.
    fn source(&self, slot: u64) -> Result<Option<&SourceId>, FrameError> {
        let slot = usize::try_from(slot).unwrap_or(usize::MAX);
        self.slots.get(slot).map(Option::as_ref).ok_or(FrameError::UnknownSlot)
    }

    fn timestamp(&mut self, rest: &mut &[u8]) -> Result<Timestamp, FrameError> {
        let difference = unzigzag(number(rest)?) as u64;
        let bits = self.stamp.wrapping_add(difference);
        let timestamp = Timestamp::from_bits(bits).ok_or(FrameError::Timestamp)?;
        self.stamp = bits;
        Ok(timestamp)
    }

    /// Entries beyond a bound are passed over: whoever says less promises less.
    fn vector(&mut self, mut rest: &[u8], limits: &Limits) -> Result<VersionVector, DecodeError> {
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let source = match number(&mut rest)? {
                0 => Some(bytes(&mut rest)?)
                    .filter(|literal| literal.len() <= limits.source_bytes_max)
                    .map(parse_source)
                    .transpose()?,
                slot => self.source(slot - 1)?.cloned(),
            };
            let timestamp = self.timestamp(&mut rest)?;
            entries.extend(
                source.filter(|_| entries.len() < limits.sources_max).map(|id| (id, timestamp)),
            );
        }
        Ok(entries.into_iter().collect())
    }
}

fn frame_bytes_max(limits: &Limits) -> usize {
    limits.line_bytes_max.saturating_add(FRAME_EXCESS_BYTES)
}

fn line_too_long(limits: &Limits) -> LimitExceeded {
    LimitExceeded::new(Bound::LineBytes, limits.line_bytes_max)
}

fn source_too_long(limits: &Limits) -> LimitExceeded {
    LimitExceeded::new(Bound::SourceBytes, limits.source_bytes_max)
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
fn parse_source(literal: &[u8]) -> Result<SourceId, DecodeError> {
    let literal = str::from_utf8(literal).map_err(|_| FrameError::Source)?;
    let id = JsString::from_json_literal(literal).map_err(|_| FrameError::Source)?;
    Ok(SourceId::new(id).map_err(|_| FrameError::Source)?)
}
