//! What a session holds on account of its peer, so that whoever drives many can bound it over all of them.
//!
//! It is an estimate from counts, and asks nothing that takes long.

use super::Session;
use super::sending::Sending;
use crate::version_vector::VersionVector;

/// What an entry of a version vector takes beside the name of its source.
const ENTRY_BYTES: usize = 128;

impl Session {
    /// Bytes that the session holds on account of its peer: output that waits, what the peer has announced
    /// beyond what is held here, and how far each source was sent. Of the text of an update, which it shares
    /// with all who hold it, that is a part.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let output = self.carry.capacity() + self.rest.held_bytes();
        let entries = self.unanswered.as_ref().map_or(0, VersionVector::len)
            + self.answers.entries()
            + self.receiving.pending_entries()
            + self.unsettled.promised_entries()
            + self.ahead.len();
        let (positions, ahead) = match &self.sending {
            Sending::CatchingUp(catch_up) => (catch_up.held_bytes(), 0),
            Sending::InOrder(walk) => (walk.held_bytes(), walk.entries()),
            _ => (0, 0),
        };
        output + (entries + ahead) * self.entry_bytes + positions
    }

    /// Takes note of how long the names are in what the peer announces.
    pub(super) fn note_names(&mut self, vector: &VersionVector) {
        let names: usize = vector.iter().map(|(source, _)| source.json_literal().len()).sum();
        self.entry_bytes = ENTRY_BYTES + names / vector.len().max(1);
    }
}
