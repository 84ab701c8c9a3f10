//! What is said to a peer that reads packs: several frames at a time, compressed together.
//!
//! What is in them, and in which order, is decided elsewhere: to whoever unpacks them nothing is different.

use super::Session;
use crate::model::Model;
use crate::replica::Replica;
use crate::wire::{PACK_BYTES_MAX, pack};

impl Session {
    /// As [`produce`](Self::produce), in the form that was agreed on.
    pub(super) fn produce_next<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        match self.is_compressed() && self.encoder.has_switched() {
            true => self.produce_pack(replica, left),
            false => self.produce(replica, out, left),
        }
    }

    /// Puts the next frames into the carry, as many as there is room for and fit into a pack; answers whether
    /// there were any.
    fn produce_pack<M: Model>(&mut self, replica: &Replica<M>, left: usize) -> bool {
        // What is chosen now is not chosen later, when the peer may have it from others: no more than would be
        // without compression.
        let bytes_max = left.min(PACK_BYTES_MAX);
        let mut frames = Vec::new();
        let mut room = bytes_max;
        while room > 0 && self.produce(replica, &mut frames, room) {
            if !self.rest.is_empty() {
                // A long one, of which this is the beginning.
                let beginning = std::mem::take(&mut self.carry);
                self.pack(&frames);
                self.carry.extend_from_slice(&beginning);
                return true;
            }
            if frames.len() + self.carry.len() > PACK_BYTES_MAX {
                // A large one, which comes after what is here.
                let large = std::mem::take(&mut self.carry);
                self.pack(&frames);
                self.pack(&large);
                return true;
            }
            frames.append(&mut self.carry);
            room = bytes_max.saturating_sub(frames.len());
        }
        self.pack(&frames);
        !frames.is_empty()
    }

    fn pack(&mut self, frames: &[u8]) {
        self.tally.packs_sent += u64::from(pack(frames, &mut self.carry));
    }
}
