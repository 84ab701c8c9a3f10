//! How a session comes to speak binary: each side announces it in its digest, and switches its own
//! direction once both have.
//!
//! What is said, and when, does not depend on it: only the bytes do (`wire/encoder.rs`).

use super::{Session, SessionError};
use crate::wire::{DecodeError, Extensions};

/// In which form both sides speak once they have switched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agreed {
    Lines,
    Frames,
    /// Frames, of which some are compressed together.
    Packs,
}

impl Session {
    /// Whether both sides announced the binary protocol, so that each switches to it.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let mut session = Session::new(&mut replica, 100.0, SessionConfig::default());
    /// let digest = b"{\"id\":\"B\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n";
    /// session.receive(&mut replica, 100.0, digest)?;
    /// assert!(session.is_binary());
    ///
    /// let mut wire = Vec::new();
    /// session.transmit(&replica, &mut wire, 1024);
    /// assert!(wire.ends_with(b"}\n\"BINARY\"\n\x01\x05"), "that is: SYNC");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_binary(&self) -> bool {
        matches!(self.agreed, Some(Agreed::Frames | Agreed::Packs))
    }

    /// Whether both sides announced as well that what they send may be compressed
    /// ([`SessionConfig::compress`](crate::SessionConfig::compress)).
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.agreed == Some(Agreed::Packs)
    }

    /// Takes note of what the peer's digest announces. The first one counts: after it this side says
    /// more than digests, and a line that switches would come too late.
    pub(super) fn agree_on_binary(&mut self, peer: Option<&Extensions>) {
        let agreed = match peer {
            Some(peer) if peer.zstd && self.config.offers_packs() => Agreed::Packs,
            Some(peer) if peer.binary && self.config.offers_binary() => Agreed::Frames,
            _ => Agreed::Lines,
        };
        self.agreed.get_or_insert(agreed);
    }

    /// Whether this side's direction is to switch now: its own digest is out, nothing else is.
    pub(super) fn is_switch_due(&self) -> bool {
        self.is_binary() && !self.encoder.has_switched() && self.receiving.has_asked()
    }

    /// The peer says that it goes on in binary. To a side that announced none this is one of the
    /// strings that mean nothing.
    pub(super) fn peer_switches(&mut self) -> Result<(), SessionError> {
        if self.is_binary() {
            self.decoder.switch(self.is_compressed());
        } else if self.config.offers_binary() {
            return Err(self.fail(DecodeError::NotAgreed.into()));
        }
        Ok(())
    }
}
