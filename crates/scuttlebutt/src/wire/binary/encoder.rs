//! Frames to bytes.

use std::collections::BTreeMap;
use std::fmt;

use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::Update;

use super::{HEARTBEAT_SLOT, Kind, NO_ROOM, PLACE, SLOTS, varint, zigzag};

/// Writes one direction.
#[derive(Clone, Default)]
pub(crate) struct Encoder {
    /// What each slot stands for.
    slots: Vec<SourceId>,
    /// The slot of each of these, by where it lies in memory: to compare one number is enough, since
    /// what is in a slot stays where it is. A source that lies in two places is named twice.
    places: BTreeMap<usize, u16>,
    /// The source of the last update, which most often is that of the next.
    last: Option<(usize, u16)>,
    /// The slot that is given away next.
    next_slot: u16,
    /// The bits of the last timestamp.
    stamp: u64,
}

/// A mark that names no more sources than these gives them slots: it will be followed by others of the
/// same. A larger one would only drive out what updates need.
const SOURCES_NAMED_BY_MARK_MAX: usize = 16;

impl Encoder {
    /// No update takes more than this beyond its text and the literal of its source: four numbers for
    /// naming it, four for itself, and brackets around what follows the source.
    const UPDATE_OVERHEAD_BYTES: usize = 8 * varint::BYTES_MAX;

    /// What an update takes at most.
    pub(crate) fn update_len_max(update: &Update, source: &SourceId) -> usize {
        let parts = update.change_bytes().len() + update.extras_bytes().len();
        parts + source.json_literal().len() + Self::UPDATE_OVERHEAD_BYTES
    }

    /// Appends an update of `source`, which is given apart so that each is always the same copy in
    /// memory.
    pub(crate) fn update(&mut self, update: &Update, source: &SourceId, out: &mut Vec<u8>) {
        self.update_head(update, source, out);
        out.extend_from_slice(update.change_bytes());
        let extras = update.extras_bytes();
        if !extras.is_empty() {
            out.push(b'[');
            out.extend_from_slice(&extras[1..]);
            out.push(b']');
        }
    }

    /// Appends what stands before the change.
    pub(crate) fn update_head(&mut self, update: &Update, source: &SourceId, out: &mut Vec<u8>) {
        let slot = self.slot_or_name(source, out);
        let stamp = self.stamp(update.timestamp());
        let (change, extras) = (update.change_bytes(), update.extras_bytes());
        if extras.is_empty() {
            let head = Kind::Update.with_slot(slot);
            let len = varint::len(head) + varint::len(stamp) + change.len();
            varint::write(len as u64, out);
            varint::write(head, out);
            varint::write(stamp, out);
        } else {
            let head = Kind::UpdateWithExtras.with_slot(slot);
            let change_len = change.len() as u64;
            // A bracket takes the place of the comma, and another one ends it.
            let extras_len = extras.len() + 1;
            let numbers = varint::len(head) + varint::len(stamp) + varint::len(change_len);
            varint::write((numbers + change.len() + extras_len) as u64, out);
            varint::write(head, out);
            varint::write(stamp, out);
            varint::write(change_len, out);
        }
    }

    /// Appends a digest whose line of JSON this is.
    pub(crate) fn digest(line: &str, out: &mut Vec<u8>) {
        frame(Kind::Digest.with_slot(0), line.trim_end().as_bytes(), out);
    }

    /// Appends what there was no room for, whose line of JSON this is.
    pub(crate) fn no_room(line: &str, out: &mut Vec<u8>) {
        frame(Kind::Digest.with_slot(NO_ROOM), line.trim_end().as_bytes(), out);
    }

    /// Appends how far a history got, from its line.
    pub(crate) fn place(line: &str, out: &mut Vec<u8>) {
        frame(Kind::Digest.with_slot(PLACE), line.trim_end().as_bytes(), out);
    }

    /// Appends a mark.
    pub(crate) fn mark<'a>(
        &mut self,
        vector: impl Iterator<Item = (&'a SourceId, Timestamp)>,
        out: &mut Vec<u8>,
    ) {
        let entries: Vec<_> = vector.collect();
        if entries.len() <= SOURCES_NAMED_BY_MARK_MAX {
            for (source, _) in &entries {
                self.slot_or_name(source, out);
            }
        }
        let mut body = Vec::with_capacity(8 * entries.len());
        for (source, timestamp) in entries {
            match self.slot(source) {
                Some(slot) => varint::write(u64::from(slot) + 1, &mut body),
                None => {
                    let literal = source.json_literal().as_bytes();
                    varint::write(0, &mut body);
                    varint::write(literal.len() as u64, &mut body);
                    body.extend_from_slice(literal);
                }
            }
            varint::write(self.stamp(timestamp), &mut body);
        }
        frame(Kind::Mark.with_slot(0), &body, out);
    }

    /// Appends the end of a history.
    pub(crate) fn history_sent(out: &mut Vec<u8>) {
        frame(Kind::HistorySent.with_slot(0), &[], out);
    }

    /// Appends a frame that readers pass over: this side is there.
    pub(crate) fn heartbeat(out: &mut Vec<u8>) {
        frame(Kind::HistorySent.with_slot(HEARTBEAT_SLOT), &[], out);
    }

    /// Appends how many of the other direction's updates were dealt with, and how many of these are
    /// durable.
    pub(crate) fn acknowledgement(handled: u64, durable: u64, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(2 * varint::BYTES_MAX);
        varint::write(handled, &mut body);
        varint::write(durable, &mut body);
        frame(Kind::Acknowledgement.with_slot(0), &body, out);
    }

    /// What is written for `timestamp`: how far it is from the one before.
    fn stamp(&mut self, timestamp: Timestamp) -> u64 {
        let bits = timestamp.to_bits();
        let difference = bits.wrapping_sub(self.stamp) as i64;
        self.stamp = bits;
        zigzag(difference)
    }

    fn slot(&self, source: &SourceId) -> Option<u16> {
        let place = source.place();
        match self.last {
            Some((last, slot)) if last == place => Some(slot),
            _ => self.places.get(&place).copied(),
        }
    }

    /// The slot of `source`, which takes the next one if it has none: that of the source which has had
    /// one for longest.
    #[inline]
    fn slot_or_name(&mut self, source: &SourceId, out: &mut Vec<u8>) -> u16 {
        let slot = self.slot(source).unwrap_or_else(|| self.name(source, out));
        self.last = Some((source.place(), slot));
        slot
    }

    #[cold]
    fn name(&mut self, source: &SourceId, out: &mut Vec<u8>) -> u16 {
        let slot = self.next_slot;
        self.next_slot = (slot + 1) % SLOTS as u16;
        match self.slots.get_mut(usize::from(slot)) {
            Some(held) => {
                self.places.remove(&held.place());
                *held = source.clone();
            }
            None => self.slots.push(source.clone()),
        }
        self.places.insert(source.place(), slot);
        frame(Kind::Source.with_slot(slot), source.json_literal().as_bytes(), out);
        slot
    }
}

fn frame(head: u64, body: &[u8], out: &mut Vec<u8>) {
    varint::write((varint::len(head) + body.len()) as u64, out);
    varint::write(head, out);
    out.extend_from_slice(body);
}

/// What decides about what is written; where it lies in memory does not.
impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, places: _, last: _, next_slot, stamp } = self;
        write!(f, "{:?}", (slots, next_slot, stamp))
    }
}
