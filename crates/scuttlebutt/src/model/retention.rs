//! How much of an event log is kept.
//!
//! What is let go is decided by what newer events there are, never by a clock or by what came first,
//! so that replicas with the same retention keep the same events. For each name the events that are
//! kept are the newest ones: whatever is let go is older than all of them, so it adds nothing to what
//! decides about them, and a replica that never sees it comes to the same.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::update::Update;

/// How much of an [`EventLog`](crate::EventLog) is kept, for each event name by itself. The newest
/// event of a name is always kept. By default everything is.
///
/// ```
/// use scuttlebutt::{EventLog, Model, Replica, Retention, SourceId};
///
/// let last_two = Retention { count_max: 2, ..Retention::default() };
/// let mut replica = Replica::new(SourceId::new("A")?, EventLog::with_retention(last_two));
/// for n in 1..=3 {
///     replica.local_update(f64::from(n), EventLog::emit("tick", &[n])?)?;
/// }
/// assert_eq!(replica.model().view(), r#"[["tick",2],["tick",3]]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retention {
    /// An event is let go once there are so many newer ones of its name.
    pub count_max: usize,
    /// An event is let go once the newest of its name was emitted so many milliseconds after it.
    pub age_ms_max: f64,
    /// An event is let go once the newer ones of its name have so many bytes, as JSON text.
    pub bytes_max: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { count_max: usize::MAX, age_ms_max: f64::INFINITY, bytes_max: usize::MAX }
    }
}

/// The events of one name that are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    events: BTreeSet<InOrder>,
    bytes: usize,
}

impl Kept {
    pub(super) fn insert(&mut self, update: &Update) {
        if self.events.insert(InOrder(update.clone())) {
            self.bytes += update.change_bytes().len();
        }
    }

    /// Takes out the oldest if there is too much.
    pub(super) fn let_go(&mut self, retention: &Retention) -> Option<Update> {
        let (InOrder(newest), InOrder(oldest)) = (self.events.last()?, self.events.first()?);
        let age_ms = newest.timestamp().as_millis() - oldest.timestamp().as_millis();
        let newer_bytes = self.bytes - oldest.change_bytes().len();
        let newer = self.events.len() - 1;
        let is_too_old = newer >= retention.count_max
            || age_ms > retention.age_ms_max
            || newer_bytes >= retention.bytes_max;
        if newer == 0 || !is_too_old {
            return None;
        }
        self.bytes = newer_bytes;
        self.events.pop_first().map(|InOrder(oldest)| oldest)
    }
}

/// An event in the order of the log.
#[derive(Clone, Debug)]
struct InOrder(Update);

impl Ord for InOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_order(&other.0)
    }
}

impl PartialOrd for InOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InOrder {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for InOrder {}
