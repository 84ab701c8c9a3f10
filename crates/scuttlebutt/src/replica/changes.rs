//! Changes of state as values: what subscribers read.
//!
//! A reader is a position in the order of arrival. It costs one number, however far it lags; what
//! was superseded before it was read is counted, not queued.

use super::Link;
use super::arrival::Arrival;
use crate::update::Update;

/// Where a reader of [`Replica::changes`](crate::Replica::changes) stands.
///
/// ```
/// use scuttlebutt::{ChangeCursor, LwwMap, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// let mut cursor = ChangeCursor::default();
/// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
/// replica.local_update(200.0, LwwMap::set("j", &1)?)?;
/// replica.local_update(300.0, LwwMap::set("k", &2)?)?;
///
/// let seen: Vec<_> = replica.changes(&mut cursor).map(|c| c.update.change().to_owned()).collect();
/// assert_eq!(seen, [r#"["j",1]"#, r#"["k",2]"#]);
/// assert_eq!(cursor.take_missed(), 1, "the first write of k was superseded before it was read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeCursor {
    position: u64,
    missed: u64,
    /// How often something had been withdrawn when this was read last.
    withdrawals: u64,
    was_withdrawn: bool,
}

impl ChangeCursor {
    pub(crate) fn at(position: u64, withdrawals: u64) -> Self {
        Self { position, withdrawals, ..Self::default() }
    }

    /// The position in the order of arrival that is read next.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many updates were superseded before this reader came to them, since it was last asked. It
    /// may count some that were superseded by the time they arrived, and so never shown to anybody.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Whether something that this reader may have been shown was [withdrawn](crate::Replica::rejudge), since
    /// it was last asked: then the state has to be read anew. It is known once the changes that follow are
    /// read.
    pub fn take_withdrawn(&mut self) -> bool {
        std::mem::take(&mut self.was_withdrawn)
    }
}

/// An update that changed the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed<'r> {
    /// The update.
    pub update: &'r Update,
    /// Whether it was written by this replica.
    pub is_local: bool,
}

/// Iterator over changes; see [`Replica::changes`](crate::Replica::changes).
pub struct Changes<'r> {
    log: &'r Arrival,
    cursor: &'r mut ChangeCursor,
}

impl<'r> Changes<'r> {
    pub(crate) fn new(log: &'r Arrival, cursor: &'r mut ChangeCursor, withdrawals: u64) -> Self {
        let has_changed = std::mem::replace(&mut cursor.withdrawals, withdrawals) != withdrawals;
        cursor.was_withdrawn |= has_changed && cursor.position > 0;
        Self { log, cursor }
    }
}

impl Changes<'_> {
    /// [`ChangeCursor::take_missed`], while iterating.
    pub fn take_missed(&mut self) -> u64 {
        self.cursor.take_missed()
    }

    /// [`ChangeCursor::take_withdrawn`], while iterating.
    pub fn take_withdrawn(&mut self) -> bool {
        self.cursor.take_withdrawn()
    }
}

impl<'r> Iterator for Changes<'r> {
    type Item = Changed<'r>;

    fn next(&mut self) -> Option<Changed<'r>> {
        // What was superseded when it arrived never changed the state.
        let mut never_shown = 0;
        let next = self.log.from(self.cursor.position).find(|(position, entry)| {
            never_shown += u64::from(entry.superseded_by == *position);
            entry.is_live()
        });
        let end = next.map_or(self.log.head(), |(position, _)| position);
        self.cursor.missed += end.saturating_sub(self.cursor.position + never_shown);
        self.cursor.position = end.max(self.cursor.position);
        let (_, entry) = next?;
        self.cursor.position += 1;
        Some(Changed { update: &entry.update, is_local: entry.via == Link::LOCAL })
    }
}
