//! Named events that everybody receives exactly once: the original's `scuttlebutt/events`.
//!
//! It keeps every event, or as many as its [`Retention`] says. It never calls anybody back: whoever wants to hear of new events
//! reads them from the replica with a cursor ([`crate::Replica::changes`]).

use serde::Serialize;

use crate::json::{self, JsString, ToCanonicalError};
use crate::model::retention::{Retained, Retention};
use crate::model::{Merge, Model, starts_with_name};
use crate::sorted::Sorted;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update, UpdateId};

/// A log of events, each a name and any number of JSON arguments.
///
/// *Under concurrency:* every event is kept; none supersedes another, unless a [`Retention`] says how
/// many of a name are enough: then the newest are kept, the same everywhere. Each replica delivers each
/// event exactly once, in the order of arrival, which differs between replicas; events of one
/// source arrive in the order in which it emitted them, unless a link broke off before its history
/// was complete. The history, [`EventLog::iter`], is in the order of (timestamp, source), the same
/// everywhere.
///
/// *On the wire* a change is `[name, argument…]`, as npm `scuttlebutt/events` writes it. Mind that
/// a replica of the original re-emits events on the emitter itself, so an event named `error`
/// crashes one that does not listen for it.
///
/// ```
/// use scuttlebutt::{EventLog, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, EventLog::new());
/// replica.local_update(100.0, EventLog::emit("joined", &("ada", 3))?)?;
/// replica.local_update(200.0, EventLog::emit("left", &("ada",))?)?;
/// let names: Vec<_> = replica.model().iter().map(|event| event.name.to_string()).collect();
/// assert_eq!(names, ["joined", "left"]);
/// let arguments: Vec<_> = replica.model().named("joined").map(|event| event.arguments).collect();
/// assert_eq!(arguments, [vec!["\"ada\"", "3"]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias = "ReliableEventEmitter")]
#[doc(alias = "Events")]
pub struct EventLog {
    events: Sorted<Update>,
    /// If not everything is kept.
    retained: Option<Retained>,
}

impl EventLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log that keeps no more than `retention` says. All replicas should say the same: one
    /// that keeps less has less to pass on, and a peer that catches up with it hears of the rest only
    /// that it is gone.
    #[must_use]
    pub fn with_retention(retention: Retention) -> Self {
        let keeps_all = retention == Retention::default();
        Self { events: Sorted::default(), retained: (!keeps_all).then(|| Retained::new(retention)) }
    }

    /// How much is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retained.as_ref().map_or_else(Retention::default, Retained::retention)
    }

    /// The change that emits the event `name`. `arguments` serializes to an array (a tuple, a
    /// slice, a vector), one element for each argument; `&()` means none.
    ///
    /// # Errors
    /// When `arguments` cannot be serialized as a JSON array, or hold a number that would not be read back
    /// as it is (see [`Change::new`]), or the name is `__proto__`, on which replicas of the original throw.
    pub fn emit<T: Serialize + ?Sized>(
        name: impl Into<JsString>,
        arguments: &T,
    ) -> Result<Change, EmitError> {
        Self::change(&name.into(), Change::new(arguments)?.as_json())
    }

    /// [`emit`](Self::emit) that takes numbers as JavaScript would: see [`Change::new_lossy`].
    ///
    /// # Errors
    /// When `arguments` cannot be serialized as a JSON array, or the name is `__proto__`.
    pub fn emit_lossy<T: Serialize + ?Sized>(
        name: impl Into<JsString>,
        arguments: &T,
    ) -> Result<Change, EmitError> {
        Self::change(&name.into(), Change::new_lossy(arguments)?.as_json())
    }

    fn change(name: &JsString, arguments: &str) -> Result<Change, EmitError> {
        if name.as_str() == Some("__proto__") {
            return Err(EmitError::Name);
        }
        let mut change = String::with_capacity(arguments.len() + 24);
        change.push('[');
        name.write_json(&mut change);
        match json::kind(arguments) {
            json::Kind::Null => change.push(']'),
            json::Kind::Array if arguments == "[]" => change.push(']'),
            json::Kind::Array => {
                change.push(',');
                change.push_str(&arguments[1..]);
            }
            _ => return Err(EmitError::Arguments),
        }
        Ok(Change::from_canonical(change))
    }

    /// Number of events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// All events, in the order of (timestamp, source).
    #[doc(alias = "history")]
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        self.events.iter().filter_map(Event::of)
    }

    /// The events of one name, in the order of (timestamp, source). Reads all events.
    #[doc(alias = "on")]
    pub fn named(&self, name: impl Into<JsString>) -> impl Iterator<Item = Event<'_>> {
        let name = name.into();
        self.iter().filter(move |event| event.name == name)
    }
}

/// The answer to `update`, for which so much is let go.
fn merge(update: &Update, gone: &[Update]) -> Merge {
    match gone.iter().any(|gone| gone.cmp_order(update).is_eq()) {
        true => Merge::superseded(),
        false => Merge::superseding(gone.iter().map(Update::id)),
    }
}

impl Model for EventLog {
    fn name(&self) -> Option<&str> {
        Some("events")
    }

    /// `[name, argument…]`.
    fn looks_familiar(&self, update: &Update) -> bool {
        starts_with_name(update)
    }

    fn apply(&mut self, update: &Update) -> Merge {
        match name_of(update) {
            Some(Name::Proto) => {
                Merge::invalid("`__proto__` is no event name: replicas of the original refuse it")
            }
            Some(Name::Other) => {
                self.events.insert(update.clone(), |held| held.cmp_order(update));
                let Some(retained) = &mut self.retained else { return Merge::kept() };
                let gone = retained.insert(update);
                for gone in &gone {
                    self.events.remove(|held| held.cmp_order(gone));
                }
                merge(update, &gone)
            }
            None => Merge::invalid("an event is an array that starts with its name"),
        }
    }

    fn never_supersedes(&self) -> bool {
        self.retained.is_none()
    }

    fn preview(&self, update: &Update) -> Merge {
        match &self.retained {
            Some(retained) if name_of(update).is_some() => merge(update, &retained.preview(update)),
            _ => Merge::kept(),
        }
    }

    fn time_passes(&mut self, now_ms: f64) -> Vec<UpdateId> {
        let Some(retained) = &mut self.retained else { return Vec::new() };
        let gone = retained.time_passes(now_ms);
        for gone in &gone {
            self.events.remove(|held| held.cmp_order(gone));
        }
        gone.iter().map(Update::id).collect()
    }

    fn next_time(&self) -> Option<f64> {
        self.retained.as_ref()?.next_time()
    }

    /// A JSON array of all events as `[name, argument…]`, in the order of (timestamp, source).
    fn view(&self) -> String {
        let mut text = String::from("[");
        for update in self.events.iter() {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(update.change());
        }
        text.push(']');
        text
    }
}

enum Name {
    Proto,
    Other,
}

/// Which name an event has, if the update is one. Looks at no more than that takes.
fn name_of(update: &Update) -> Option<Name> {
    let change = update.bytes_from_change();
    let is_proto = if change.starts_with(b"[\"") {
        change.starts_with(b"[\"__proto__\"")
    } else if change.starts_with(b"[") {
        let name = json::elements(update.change()).next()?;
        json::to_js_string(name).as_str() == Some("__proto__")
    } else {
        return None;
    };
    Some(if is_proto { Name::Proto } else { Name::Other })
}

/// One event, decoded from the update that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its name.
    pub name: JsString,
    /// Its arguments, as JSON texts.
    pub arguments: Vec<&'a str>,
    /// Who emitted it.
    pub source: &'a SourceId,
    /// When it was emitted.
    pub timestamp: Timestamp,
}

impl<'a> Event<'a> {
    /// Reads an update of an event log; `None` when it is none. A name that is no string is coerced
    /// as JavaScript does.
    #[must_use]
    pub fn of(update: &'a Update) -> Option<Self> {
        let change = update.change();
        if json::kind(change) != json::Kind::Array {
            return None;
        }
        let mut elements = json::elements(change);
        Some(Self {
            name: json::to_js_string(elements.next()?),
            arguments: elements.collect(),
            source: update.source(),
            timestamp: update.timestamp(),
        })
    }
}

/// An event that cannot be emitted; nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The arguments do not serialize.
    #[error(transparent)]
    Json(#[from] ToCanonicalError),
    /// The arguments are one value instead of a list of them.
    #[error("the arguments of an event are an array, one element for each argument")]
    Arguments,
    /// The name is `__proto__`.
    #[error("`__proto__` cannot name an event: JavaScript replicas throw on it")]
    Name,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_a_list() {
        let text = |change: Result<Change, EmitError>| change.map(|c| c.as_json().to_owned()).ok();
        assert_eq!(text(EventLog::emit("e", &())), Some(r#"["e"]"#.to_owned()));
        assert_eq!(text(EventLog::emit("e", &[] as &[u8])), Some(r#"["e"]"#.to_owned()));
        assert_eq!(text(EventLog::emit("e", &(1, "x"))), Some(r#"["e",1,"x"]"#.to_owned()));
        assert_eq!(text(EventLog::emit("e", "x")), None);
        assert_eq!(text(EventLog::emit("__proto__", &())), None);
    }

    /// Each bound, alone and together, against the laws.
    #[test]
    fn what_is_retained_does_not_depend_on_the_order() {
        let changes: Vec<Change> = (0..12)
            .map(|n| EventLog::emit(["a", "b"][n % 2], &["x".repeat(n)]).expect("an event"))
            .collect();
        let all = Retention::default();
        let retentions = [
            Retention { count_max: 0, ..all },
            Retention { count_max: 3, ..all },
            Retention { age_ms_max: 4.0, ..all },
            Retention { bytes_max: 30, ..all },
            Retention { count_max: 4, age_ms_max: 9.0, bytes_max: 50 },
            all,
        ];
        for retention in retentions {
            let checked =
                crate::laws::check(|| EventLog::with_retention(retention), &changes, 200, 1);
            checked.unwrap_or_else(|violation| panic!("{retention:?}: {violation}"));
        }
    }

    #[test]
    fn the_newest_of_each_name_are_retained() {
        let emit = |log: &mut EventLog, name: &str, at: u32| {
            log.time_passes(1_000.0);
            let line = format!(r#"[["{name}",{at}],{at},"A"]"#);
            log.apply(&Update::from_json(&line).expect("an update"))
        };
        let all = Retention::default();
        let mut log = EventLog::with_retention(Retention { count_max: 2, ..all });
        for at in [10, 30, 40] {
            emit(&mut log, "e", at);
        }
        assert_eq!(emit(&mut log, "e", 20), Merge::superseded(), "older than both that are kept");
        emit(&mut log, "f", 5);
        assert_eq!(log.view(), r#"[["f",5],["e",30],["e",40]]"#);

        let mut log = EventLog::with_retention(Retention { age_ms_max: 10.0, ..all });
        for at in [10, 20, 21] {
            emit(&mut log, "e", at);
        }
        assert_eq!(log.view(), r#"[["e",20],["e",21]]"#);

        // `["e",10]` has eight bytes.
        let mut log = EventLog::with_retention(Retention { bytes_max: 9, ..all });
        for at in [10, 20, 30] {
            emit(&mut log, "e", at);
        }
        assert_eq!(log.view(), r#"[["e",20],["e",30]]"#);
        let mut log = EventLog::with_retention(Retention { bytes_max: 0, ..all });
        emit(&mut log, "e", 10);
        assert_eq!(log.len(), 1, "the newest is always kept");
    }

    /// A thousand events, then one that is dated a day ahead: it is shown, and drives out none of them before
    /// its time has come. Then everybody shows the same, whenever it came.
    #[test]
    fn an_event_that_is_dated_ahead_drives_out_nothing() {
        const DAY_MS: u32 = 86_400_000;
        let line = |at: u32| format!(r#"[["e",{at}],{at},"A"]"#);
        let retention = Retention { count_max: 1_000, age_ms_max: 5_000.0, ..Retention::default() };
        let log = || {
            crate::Replica::new(
                SourceId::new("R").expect("an id"),
                EventLog::with_retention(retention),
            )
        };
        let (mut late, mut early) = (log(), log());
        let ahead = Update::from_json(&line(DAY_MS)).expect("an update");
        early.remote_update(1.0, ahead.clone());
        for at in 1..=1_000 {
            for replica in [&mut late, &mut early] {
                replica.remote_update(1_000.0, Update::from_json(&line(at)).expect("an update"));
            }
        }
        late.remote_update(1_000.0, ahead);
        for replica in [&mut late, &mut early] {
            assert_eq!(replica.model().len(), 1_001);
            assert_eq!(replica.next_time(), Some(f64::from(DAY_MS)));
            replica.tell_time(f64::from(DAY_MS - 1));
            assert_eq!(replica.model().len(), 1_001);
            replica.tell_time(f64::from(DAY_MS));
            assert_eq!(replica.model().view(), format!(r#"[["e",{DAY_MS}]]"#));
            assert_eq!(replica.next_time(), None);
            assert_eq!(replica.updates_held(), 1, "what was let go takes no room");
        }
    }

    #[test]
    fn what_is_no_event_is_invalid() {
        for line in [
            "[null,1,\"n\"]",
            "[\"name\",1,\"n\"]",
            "[[],1,\"n\"]",
            "[[\"__proto__\"],1,\"n\"]",
            "[[[\"__proto__\"]],1,\"n\"]",
            "[[\"\\u005f_proto__\"],1,\"n\"]",
        ] {
            let mut log = EventLog::new();
            log.apply(&Update::from_json(line).expect("an update"));
            assert!(log.is_empty(), "{line}");
        }
    }
}
