//! How much of an event log is kept.
//!
//! What is let go is decided by what newer events there are, never by what came first, so that replicas
//! with the same retention keep the same events. For each name the events that are kept are the newest
//! ones: whatever is let go is older than all of them, so it adds nothing to what decides about them, and a
//! replica that never sees it comes to the same.
//!
//! An event counts as newer only once the wall clock has come to its time: one that is dated ahead must not
//! drive out those before it. The clock decides when something is let go, and never what.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::json::{self, JsString};
use crate::update::Update;

/// How much of an [`EventLog`](crate::EventLog) is kept, for each event name by itself. The newest
/// event of a name is always kept. By default everything is.
///
/// An event whose time has not come, by the clock that the replica is told, is kept and shown and does
/// not count yet: it drives out no other.
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

impl Retention {
    /// Whether the oldest event of a name is let go beside so many newer ones of so many bytes.
    fn lets_go(&self, oldest: &Update, newest: &Update, newer: usize, newer_bytes: usize) -> bool {
        let age_ms = newest.timestamp().as_millis() - oldest.timestamp().as_millis();
        let is_too_old =
            newer >= self.count_max || age_ms > self.age_ms_max || newer_bytes >= self.bytes_max;
        newer > 0 && is_too_old
    }
}

/// The events that are kept.
#[derive(Clone, Debug)]
pub(super) struct Retained {
    retention: Retention,
    names: BTreeMap<JsString, Kept>,
    /// Those whose time has not come.
    ahead: BTreeSet<InOrder>,
    now_ms: f64,
}

impl Retained {
    /// Nothing yet, and no time has come.
    pub(super) fn new(retention: Retention) -> Self {
        let now_ms = f64::NEG_INFINITY;
        Self { retention, names: BTreeMap::new(), ahead: BTreeSet::new(), now_ms }
    }

    pub(super) fn retention(&self) -> Retention {
        self.retention
    }

    /// Takes in an event; answers what is let go for it, oldest first: perhaps that event itself.
    pub(super) fn insert(&mut self, update: &Update) -> Vec<Update> {
        if due_ms(update) > self.now_ms {
            self.ahead.insert(InOrder(update.clone()));
            return Vec::new();
        }
        self.count(update)
    }

    /// What [`insert`](Self::insert) would answer.
    pub(super) fn preview(&self, update: &Update) -> Vec<Update> {
        match self.names.get(&name_of(update)) {
            Some(kept) if due_ms(update) <= self.now_ms => kept.preview(update, &self.retention),
            _ => Vec::new(),
        }
    }

    /// Counts the events whose time has come; answers what is let go for them.
    pub(super) fn time_passes(&mut self, now_ms: f64) -> Vec<Update> {
        // A clock that is set back takes back nothing: what was let go would be shown again.
        self.now_ms = self.now_ms.max(now_ms);
        let mut gone = Vec::new();
        while self.next_time().is_some_and(|due| due <= self.now_ms)
            && let Some(InOrder(update)) = self.ahead.pop_first()
        {
            gone.append(&mut self.count(&update));
        }
        gone
    }

    /// When the time of the next event comes.
    pub(super) fn next_time(&self) -> Option<f64> {
        self.ahead.first().map(|InOrder(update)| due_ms(update))
    }

    fn count(&mut self, update: &Update) -> Vec<Update> {
        let kept = self.names.entry(name_of(update)).or_default();
        kept.insert(update);
        std::iter::from_fn(|| kept.let_go(&self.retention)).collect()
    }
}

/// The millisecond from which on an event counts: the wall clock shows whole ones, and what comes behind
/// the point says only in which order events were emitted.
fn due_ms(update: &Update) -> f64 {
    update.timestamp().as_millis().floor()
}

fn name_of(update: &Update) -> JsString {
    json::to_js_string(json::elements(update.change()).next().unwrap_or_default())
}

/// The events of one name that are kept and count.
#[derive(Clone, Debug, Default)]
struct Kept {
    events: BTreeSet<InOrder>,
    bytes: usize,
}

impl Kept {
    fn insert(&mut self, update: &Update) {
        if self.events.insert(InOrder(update.clone())) {
            self.bytes += update.change_bytes().len();
        }
    }

    /// Takes out the oldest if there is too much.
    fn let_go(&mut self, retention: &Retention) -> Option<Update> {
        let (InOrder(newest), InOrder(oldest)) = (self.events.last()?, self.events.first()?);
        let (newer, newer_bytes) =
            (self.events.len() - 1, self.bytes - oldest.change_bytes().len());
        if !retention.lets_go(oldest, newest, newer, newer_bytes) {
            return None;
        }
        self.bytes = newer_bytes;
        self.events.pop_first().map(|InOrder(oldest)| oldest)
    }

    /// What would be let go with `update`, if that is new.
    fn preview(&self, update: &Update, retention: &Retention) -> Vec<Update> {
        let update = InOrder(update.clone());
        let newest = self.events.last().filter(|last| **last > update).unwrap_or(&update);
        let (older, later) = (self.events.range(..&update), self.events.range(&update..));
        let in_order = older.chain(std::iter::once(&update)).chain(later);
        let mut newer = self.events.len();
        let mut newer_bytes = self.bytes + update.0.change_bytes().len();
        in_order
            .take_while(|InOrder(oldest)| {
                newer_bytes -= oldest.change_bytes().len();
                let lets_go = retention.lets_go(oldest, &newest.0, newer, newer_bytes);
                newer = newer.saturating_sub(1);
                lets_go
            })
            .map(|InOrder(gone)| gone.clone())
            .collect()
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
