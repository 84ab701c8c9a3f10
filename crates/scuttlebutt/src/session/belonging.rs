//! Whether the peer belongs here: holds the same model, and is of the same cluster.
//!
//! Each side says it in its digest, if it knows. Where both do and differ, the session ends before
//! anything of the peer counts, and both sides are to know why: so whoever is first to see it still says
//! its own digest. A side that says nothing is let in; its driver is told by the digest's event.

use super::sending::Sending;
use super::{Session, SessionError, SessionEvent};
use crate::label::Label;
use crate::model::Model;
use crate::replica::Replica;
use crate::update::Update;
use crate::wire::Extensions;

impl Session {
    /// Why the peer does not belong here, by what its digest says.
    pub(super) fn stranger<M: Model>(
        &self,
        replica: &Replica<M>,
        peer: Option<&Extensions>,
    ) -> Option<SessionError> {
        let peer = peer?;
        let different = |ours: Option<Label>, theirs: &Option<Label>| {
            ours.zip(theirs.clone()).filter(|(ours, theirs)| ours != theirs)
        };
        if let Some((ours, theirs)) = different(replica.model_label(), &peer.model) {
            return Some(SessionError::OtherModel { ours, theirs });
        }
        let (ours, theirs) = different(self.config.cluster.clone(), &peer.cluster)?;
        Some(SessionError::OtherCluster { ours, theirs })
    }

    /// Ends the session with `error`, once the peer has been sent this side's digest.
    pub(super) fn part(&mut self, error: SessionError) -> Result<(), SessionError> {
        if !self.config.announces()
            || self.has_parted()
            || matches!(self.sending, Sending::Finished)
        {
            return Err(self.fail(error));
        }
        self.parting = Some(error);
        Ok(())
    }

    /// Takes note of an update of a peer that may hold another model, as far as can be seen by it.
    pub(super) fn look_at<M: Model>(&mut self, replica: &Replica<M>, update: &Update) {
        if self.is_model_unsure && !replica.model().looks_familiar(update) {
            self.is_model_unsure = false;
            self.emit(SessionEvent::LooksForeign { update: update.id() });
        }
    }

    /// Whether nothing more is to be said to a peer that is parted with.
    pub(super) fn has_parted(&self) -> bool {
        self.receiving.has_asked() && self.has_sent_carry()
    }

    /// Ends the session if it was only waiting for that.
    pub(super) fn end_parting(&mut self) {
        if self.has_parted()
            && let Some(error) = self.parting.take()
        {
            self.fail(error);
        }
    }
}
