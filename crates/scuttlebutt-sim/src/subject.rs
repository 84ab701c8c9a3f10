//! What is run: a data model, how it is written to, and what it must show.

use std::collections::BTreeMap;

use scuttlebutt::{Change, EventLog, LwwMap, Model, Register, Retention, Update};

use crate::chance::Chance;
use crate::scenario::Keys;

/// A model under test.
pub trait Subject {
    /// The model.
    type Model: Model;

    /// An empty one.
    fn new_model(&self) -> Self::Model;

    /// A random write.
    fn change(&self, chance: &mut Chance, keys: Keys) -> Change;

    /// What a replica that holds exactly these updates must show, computed in another way than the
    /// model does. `updates` come in the order of (timestamp, source).
    fn expected(&self, updates: &[&Update]) -> String;
}

/// `LwwMap`, with an oracle that sorts.
pub struct MapSubject;

impl Subject for MapSubject {
    type Model = LwwMap;

    fn new_model(&self) -> LwwMap {
        LwwMap::new()
    }

    fn change(&self, chance: &mut Chance, keys: Keys) -> Change {
        let key = format!("key-{}", keys.draw(chance));
        if chance.happens(0.15) {
            LwwMap::remove(key)
        } else {
            let length = if chance.happens(0.02) { 2_000 } else { chance.index(40) };
            let value = format!("{:x}{}", chance.bits(), "v".repeat(length));
            LwwMap::set(key, &value).expect("a string is JSON")
        }
    }

    fn expected(&self, updates: &[&Update]) -> String {
        let mut map = BTreeMap::new();
        for update in updates {
            // In order, so that the last one stays.
            if let Ok((key, value)) =
                serde_json::from_str::<(String, serde_json::Value)>(update.change())
            {
                map.insert(key, value);
            }
        }
        map.retain(|_, value| !value.is_null());
        serde_json::to_string(&map).expect("strings are JSON")
    }
}

/// `EventLog`, with an oracle that lists.
pub struct EventsSubject;

impl Subject for EventsSubject {
    type Model = EventLog;

    fn new_model(&self) -> EventLog {
        EventLog::new()
    }

    fn change(&self, chance: &mut Chance, keys: Keys) -> Change {
        EventLog::emit(format!("event-{}", keys.draw(chance)), &(chance.bits() >> 12,))
            .expect("a number is JSON")
    }

    fn expected(&self, updates: &[&Update]) -> String {
        let events: Vec<&str> = updates.iter().map(|update| update.change()).collect();
        format!("[{}]", events.join(","))
    }
}

/// `EventLog` with a retention, with an oracle that lists and cuts.
pub struct RetainedSubject {
    /// Events of each name that are kept.
    pub count: usize,
}

impl Subject for RetainedSubject {
    type Model = EventLog;

    fn new_model(&self) -> EventLog {
        EventLog::with_retention(Retention { count_max: self.count, ..Retention::default() })
    }

    fn change(&self, chance: &mut Chance, keys: Keys) -> Change {
        EventsSubject.change(chance, keys)
    }

    fn expected(&self, updates: &[&Update]) -> String {
        let mut left: BTreeMap<String, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for update in updates.iter().rev() {
            let event: Vec<serde_json::Value> =
                serde_json::from_str(update.change()).expect("an event is an array");
            let left = left.entry(event[0].to_string()).or_insert(self.count);
            if *left > 0 {
                *left -= 1;
                kept.push(update.change());
            }
        }
        kept.reverse();
        format!("[{}]", kept.join(","))
    }
}

/// `Register`, with an oracle that takes the last.
pub struct ValueSubject;

impl Subject for ValueSubject {
    type Model = Register;

    fn new_model(&self) -> Register {
        Register::new()
    }

    fn change(&self, chance: &mut Chance, _keys: Keys) -> Change {
        Register::set(&(chance.bits() >> 12)).expect("a number is JSON")
    }

    fn expected(&self, updates: &[&Update]) -> String {
        updates.last().map_or("null", |update| update.change()).to_owned()
    }
}

/// A model of a user: the reference is the model itself, told of the updates in order.
pub(crate) struct Custom<N, C> {
    pub(crate) new_model: N,
    pub(crate) change: C,
}

impl<M: Model, N: Fn() -> M, C: Fn(&mut Chance) -> Change> Subject for Custom<N, C> {
    type Model = M;

    fn new_model(&self) -> M {
        (self.new_model)()
    }

    fn change(&self, chance: &mut Chance, _keys: Keys) -> Change {
        (self.change)(chance)
    }

    fn expected(&self, updates: &[&Update]) -> String {
        let mut model = self.new_model();
        for update in updates {
            model.apply(update);
        }
        model.view()
    }
}
