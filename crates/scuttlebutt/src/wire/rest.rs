//! What is left to be sent of updates that are too long to be copied at once.
//!
//! Their text is shared with whoever else holds it, and copied out by the portion: a peer that reads slowly costs
//! a reference, not the length of the update.

use std::collections::VecDeque;
use std::ops::Range;

use crate::update::Update;

/// From this length on an update is not copied at once, in bytes.
pub(crate) const LONG_UPDATE_BYTES_MIN: usize = 16 << 10;

/// Pieces in the order in which they are sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    pieces: VecDeque<Piece>,
    /// How much of the first was sent.
    sent: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    /// A part of an update's text.
    Text(Update, Range<usize>),
    Bytes(Vec<u8>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(update, range) => &update.bytes_from_change()[range.clone()],
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Rest {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn push_text(&mut self, update: &Update, range: Range<usize>) {
        if !range.is_empty() {
            self.pieces.push_back(Piece::Text(update.clone(), range));
        }
    }

    pub(crate) fn push_bytes(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.pieces.push_back(Piece::Bytes(bytes));
        }
    }

    /// Bytes that are left to be sent.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes().len()).sum::<usize>() - self.sent
    }

    /// Bytes that are held on its account: of a text its part, since others hold it too.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = |piece: &Piece| match piece {
            Piece::Text(update, _) => update.heap_bytes() / update.holders(),
            Piece::Bytes(bytes) => bytes.capacity(),
        };
        self.pieces.iter().map(held).sum()
    }

    /// Appends to `out` what comes next, at most `room` bytes.
    pub(crate) fn copy(&mut self, out: &mut Vec<u8>, mut room: usize) {
        while let Some(piece) = self.pieces.front() {
            let left = &piece.bytes()[self.sent..];
            let count = left.len().min(room);
            out.extend_from_slice(&left[..count]);
            room -= count;
            if count < left.len() {
                self.sent += count;
                return;
            }
            self.sent = 0;
            self.pieces.pop_front();
        }
        self.pieces = VecDeque::new();
    }
}
