//! Writing what is said to a peer, in the way that was agreed on.

use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Update, UpdateId};

use super::{Extensions, NoRoom, Rest, binary, json_lines};

/// Appends what is said to bytes: lines at first, frames once it has switched to them.
#[derive(Clone, Debug, Default)]
pub(crate) enum Encoder {
    #[default]
    Lines,
    Frames(Box<binary::Encoder>),
}

impl Encoder {
    /// What an update takes at most.
    pub(crate) fn update_len_max(&self, update: &Update, source: &SourceId) -> usize {
        match self {
            Self::Lines => update.line_len(),
            Self::Frames(_) => binary::Encoder::update_len_max(update, source),
        }
    }

    /// Appends an update of `source`, which is given apart: always the same copy in memory.
    pub(crate) fn update(&mut self, update: &Update, source: &SourceId, out: &mut Vec<u8>) {
        match self {
            Self::Lines => update.write_line(out),
            Self::Frames(frames) => frames.update(update, source, out),
        }
    }

    /// As [`update`](Self::update), for a long one: its beginning is appended to `out`, the rest to `rest`.
    pub(crate) fn long_update(
        &mut self,
        update: &Update,
        source: &SourceId,
        out: &mut Vec<u8>,
        rest: &mut Rest,
    ) {
        let (stamped, extras) = update.extents();
        match self {
            Self::Lines => {
                out.push(b'[');
                rest.push_text(update, stamped);
                rest.push_bytes([b",", source.json_literal().as_bytes()].concat());
                rest.push_text(update, extras);
                rest.push_bytes(b"]\n".to_vec());
            }
            Self::Frames(frames) => {
                frames.update_head(update, source, out);
                rest.push_text(update, 0..update.change_bytes().len());
                if !extras.is_empty() {
                    rest.push_bytes(b"[".to_vec());
                    rest.push_text(update, extras.start + 1..extras.end);
                    rest.push_bytes(b"]".to_vec());
                }
            }
        }
    }

    /// Appends a digest.
    pub(crate) fn digest<'a>(
        &mut self,
        id: &SourceId,
        vector: impl Iterator<Item = (&'a SourceId, Timestamp)>,
        metadata: Option<&str>,
        extensions: Option<&Extensions>,
        out: &mut Vec<u8>,
    ) {
        let mut line = String::new();
        json_lines::encode_digest(id.json_literal(), vector, metadata, extensions, &mut line);
        match self {
            Self::Lines => out.extend_from_slice(line.as_bytes()),
            Self::Frames(_) => binary::Encoder::digest(&line, out),
        }
    }

    /// Appends a mark.
    pub(crate) fn mark<'a>(
        &mut self,
        vector: impl Iterator<Item = (&'a SourceId, Timestamp)>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Self::Lines => {
                let mut line = String::new();
                json_lines::encode_mark(vector, &mut line);
                out.extend_from_slice(line.as_bytes());
            }
            Self::Frames(frames) => frames.mark(vector, out),
        }
    }

    /// Appends what there was no room for.
    pub(crate) fn no_room(&mut self, no_room: &NoRoom, out: &mut Vec<u8>) {
        let mut line = String::new();
        json_lines::encode_no_room(no_room, &mut line);
        match self {
            Self::Lines => out.extend_from_slice(line.as_bytes()),
            Self::Frames(_) => binary::Encoder::no_room(&line, out),
        }
    }

    /// Appends how far a history got.
    pub(crate) fn place(&mut self, at: &UpdateId, since: u64, out: &mut Vec<u8>) {
        let mut line = String::new();
        json_lines::encode_place(at, since, &mut line);
        match self {
            Self::Lines => out.extend_from_slice(line.as_bytes()),
            Self::Frames(_) => binary::Encoder::place(&line, out),
        }
    }

    /// Appends the end of a history.
    pub(crate) fn history_sent(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Lines => out.extend_from_slice(json_lines::HISTORY_SENT.as_bytes()),
            Self::Frames(_) => binary::Encoder::history_sent(out),
        }
    }

    /// Appends a word that means nothing but that this side is there.
    pub(crate) fn heartbeat(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Lines => out.extend_from_slice(json_lines::HEARTBEAT.as_bytes()),
            Self::Frames(_) => binary::Encoder::heartbeat(out),
        }
    }

    /// Appends how many of the peer's updates were dealt with, and what of that is durable: in frames
    /// only, lines have no word for it.
    pub(crate) fn acknowledgement(&mut self, handled: u64, durable: u64, out: &mut Vec<u8>) {
        if let Self::Frames(_) = self {
            binary::Encoder::acknowledgement(handled, durable, out);
        }
    }

    /// Appends the line by which this direction switches to frames.
    pub(crate) fn switch(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(binary::SWITCH.as_bytes());
        *self = Self::Frames(Box::default());
    }

    pub(crate) fn has_switched(&self) -> bool {
        matches!(self, Self::Frames(_))
    }
}
