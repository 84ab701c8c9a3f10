//! Named events that everybody receives exactly once: the original's `scuttlebutt/events`.
//!
//! It keeps every event for ever. It never calls anybody back: whoever wants to hear of new events
//! reads them from the replica with a cursor ([`crate::Replica::changes`]).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::json::{self, JsString, ToCanonicalError};
use crate::model::{Merge, Model};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update, UpdateId};

/// A grow-only log of events, each a name and any number of JSON arguments.
///
/// *Under concurrency:* every event is kept; none supersedes another. Each replica delivers each
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
    events: BTreeMap<UpdateId, Update>,
}

impl EventLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The change that emits the event `name`. `arguments` serializes to an array (a tuple, a
    /// slice, a vector), one element for each argument; `&()` means none.
    ///
    /// # Errors
    /// When `arguments` cannot be serialized as a JSON array, or the name is `__proto__`, on which
    /// replicas of the original throw.
    pub fn emit<T: Serialize + ?Sized>(
        name: impl Into<JsString>,
        arguments: &T,
    ) -> Result<Change, EmitError> {
        let name = name.into();
        if name.as_str() == Some("__proto__") {
            return Err(EmitError::Name);
        }
        let arguments = Change::new(arguments)?;
        let text = arguments.as_json();
        let mut change = String::with_capacity(text.len() + 24);
        change.push('[');
        name.write_json(&mut change);
        match json::kind(text) {
            json::Kind::Null => change.push(']'),
            json::Kind::Array if text == "[]" => change.push(']'),
            json::Kind::Array => {
                change.push(',');
                change.push_str(&text[1..]);
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

    /// Whether nothing was ever emitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// All events, in the order of (timestamp, source).
    #[doc(alias = "history")]
    pub fn iter(&self) -> impl Iterator<Item = Event<'_>> {
        self.events.values().filter_map(Event::of)
    }

    /// The events of one name, in the order of (timestamp, source). Reads all events.
    #[doc(alias = "on")]
    pub fn named(&self, name: impl Into<JsString>) -> impl Iterator<Item = Event<'_>> {
        let name = name.into();
        self.iter().filter(move |event| event.name == name)
    }
}

impl Model for EventLog {
    fn apply(&mut self, update: &Update) -> Merge {
        match Event::of(update) {
            Some(event) if event.name.as_str() == Some("__proto__") => {
                Merge::invalid("`__proto__` is no event name: replicas of the original refuse it")
            }
            Some(_) => {
                self.events.insert(update.id(), update.clone());
                Merge::kept()
            }
            None => Merge::invalid("an event is an array that starts with its name"),
        }
    }

    /// A JSON array of all events as `[name, argument…]`, in the order of (timestamp, source).
    fn view(&self) -> String {
        let mut text = String::from("[");
        for update in self.events.values() {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(update.change());
        }
        text.push(']');
        text
    }
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

    #[test]
    fn what_is_no_event_is_invalid() {
        for line in
            ["[null,1,\"n\"]", "[\"name\",1,\"n\"]", "[[],1,\"n\"]", "[[\"__proto__\"],1,\"n\"]"]
        {
            let mut log = EventLog::new();
            log.apply(&Update::from_json(line).expect("an update"));
            assert!(log.is_empty(), "{line}");
        }
    }
}
