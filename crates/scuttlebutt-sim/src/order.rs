//! The order in which a source's updates leave over one direction of one connection.
//!
//! A peer of the original's kind drops whatever is not newer than the newest that it has seen of a source,
//! so what leaves out of order is lost to it. Here every direction of every link is read along, in
//! whichever codec, and held to that. Nothing here knows why a session sends what it sends.

use std::collections::BTreeMap;

use scuttlebutt::{Model, Replica, Session, SourceId, Tap, Timestamp, Update, UpdateId};

use crate::truth::Truth;
use crate::world::limits;

/// What has left over one direction since the peer last said what it holds.
#[derive(Debug, Default)]
pub(crate) struct Order {
    tap: Tap,
    /// For each source what was sent, and at which position the sender held it then.
    sent: BTreeMap<SourceId, BTreeMap<Timestamp, u64>>,
    /// How many digests of the peer were answered before.
    histories_begun: u64,
}

impl Order {
    /// Reads what a session of `replica` sends, and answers which updates these are. With `is_strict` each source's updates must ascend; else
    /// only as far as the replica accepted them in that order.
    ///
    /// A peer that announces anew what it holds is sent what it lacks from there on; what is sent while
    /// that begins may be from before.
    pub(crate) fn check<M: Model>(
        &mut self,
        replica: &Replica<M>,
        session: &Session,
        bytes: &[u8],
        is_strict: bool,
        truth: &Truth,
    ) -> Result<Vec<UpdateId>, String> {
        let mut updates = Vec::new();
        let tell = |line: &str| updates.extend(Update::from_json(line).ok());
        let failed = |error| format!("what a node sends cannot be read: {error}");
        self.tap.read(bytes, &limits(), tell).map_err(failed)?;
        let begun = session.tally().histories_begun;
        if std::mem::replace(&mut self.histories_begun, begun) != begun {
            self.sent.clear();
            return Ok(Vec::new());
        }
        // All sides of a fork are sent again when another one shows.
        updates.retain(|update| !truth.has_two(&update.id()));
        // Of two writers neither knows when the other writes.
        updates.retain(|update| truth.is_told_by_vectors(update.source()));
        for update in &updates {
            self.check_update(replica, update, is_strict)?;
        }
        Ok(updates.iter().map(Update::id).collect())
    }

    fn check_update<M: Model>(
        &mut self,
        replica: &Replica<M>,
        update: &Update,
        is_strict: bool,
    ) -> Result<(), String> {
        let Some(position) = replica.position(&update.id()) else {
            // It was said in part already when it was superseded and let go.
            return Ok(());
        };
        let sent = self.sent.entry(update.source().clone()).or_default();
        let mut newer = sent.range(update.timestamp()..);
        let overtaken_by = match is_strict {
            true => newer.next_back(),
            false => newer.find(|(_, other)| **other > position),
        };
        if let Some((timestamp, _)) = overtaken_by
            && *timestamp != update.timestamp()
        {
            return Err(format!("sends {update:?} after one of {timestamp} of the same source"));
        }
        sent.insert(update.timestamp(), position);
        Ok(())
    }
}
