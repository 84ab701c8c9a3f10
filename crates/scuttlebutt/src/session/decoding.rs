//! What was read off the peer's bytes and not applied yet.
//!
//! Reading needs no replica, and for a long line takes long: whoever shares a replica behind a lock reads
//! without it ([`Session::decode`]) and holds the lock for a bounded number of frames ([`Session::apply`]).

use std::collections::VecDeque;

use super::{Session, SessionError};
use crate::limits::Limits;
use crate::model::Model;
use crate::replica::Replica;
use crate::wire::{DecodeError, Frame};

/// Frames that are read before they are applied.
const FRAMES_MAX: usize = 256;

/// Room that is kept between two portions: an idle session holds next to nothing.
const FRAMES_KEPT_MAX: usize = 8;

#[derive(Clone, Debug, Default)]
pub(super) struct Decoded {
    frames: VecDeque<Frame>,
    /// What follows these cannot be understood.
    fault: Option<DecodeError>,
}

impl Session {
    /// The first half of [`receive`](Self::receive), which needs no replica: reads bytes off the front of
    /// `bytes`, until there is something to [`apply`](Self::apply). Answers whether there may be more, so that
    /// it is to be called again after that; a few bytes may unpack to many frames. `limits` are those of
    /// the replica.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId};
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
    /// let limits = replica.limits().clone();
    /// let mut session = Session::new(&mut replica, 100.0, SessionConfig::default());
    /// let mut bytes = &b"{\"id\":\"B\",\"clock\":{}}\n[[\"k\",1],100,\"B\"]\n"[..];
    /// let mut has_more = true;
    /// while has_more {
    ///     has_more = session.decode(&mut bytes, &limits);
    ///     session.apply(&mut replica, 100.0)?;
    /// }
    /// assert_eq!(replica.model().to_json(), r#"{"k":1}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(&mut self, bytes: &mut &[u8], limits: &Limits) -> bool {
        if !bytes.is_empty() {
            self.heartbeat.heard();
        }
        while self.listens() && self.decoded.fault.is_none() {
            match self.decoder.decode(bytes, limits) {
                Ok(Some(frame)) => {
                    self.tally.lines_received += 1;
                    // What comes after these is read as they say.
                    let is_turn = matches!(frame, Frame::Digest(_) | Frame::Switch);
                    if !matches!(frame, Frame::Unknown) {
                        self.decoded.frames.push_back(frame);
                    }
                    if is_turn || self.decoded.frames.len() >= FRAMES_MAX {
                        return true;
                    }
                }
                Ok(None) => return false,
                Err(error) => self.decoded.fault = Some(error),
            }
        }
        *bytes = &[];
        false
    }

    /// The first half of [`receive_end`](Self::receive_end), which needs no replica: reads what is left.
    pub fn decode_end(&mut self, limits: &Limits) {
        if !self.listens() || self.peer_has_ended || self.decoded.fault.is_some() {
            return;
        }
        match self.decoder.finish(limits) {
            Ok(frame) => self.decoded.frames.extend(frame),
            Err(error) => self.decoded.fault = Some(error),
        }
    }

    /// Whether there is something to [`apply`](Self::apply).
    #[must_use]
    pub fn has_decoded(&self) -> bool {
        !self.decoded.frames.is_empty() || self.decoded.fault.is_some()
    }

    /// The second half of [`receive`](Self::receive): applies what was read.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn apply<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
    ) -> Result<(), SessionError> {
        self.now_ms = now_ms;
        replica.tell_time(now_ms);
        self.settle(replica);
        self.apply_decoded(replica, now_ms)?;
        self.note_handled(replica);
        Ok(())
    }

    /// Whether anything that the peer says still counts.
    fn listens(&self) -> bool {
        !self.is_closed && self.parting.is_none()
    }

    pub(super) fn apply_decoded<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
    ) -> Result<(), SessionError> {
        self.follow_rules(replica);
        while self.listens() {
            match self.decoded.frames.pop_front() {
                Some(frame) => self.handle(replica, now_ms, frame)?,
                None => break,
            }
        }
        if !self.listens() || self.decoded.frames.capacity() > FRAMES_KEPT_MAX {
            self.decoded.frames = VecDeque::new();
        }
        match self.decoded.fault.take() {
            Some(fault) if self.listens() => Err(self.fail(fault.into())),
            _ => Ok(()),
        }
    }
}
