//! The naive twin: every update ever made, sorted. It shares no code with the replica.

use std::collections::{BTreeMap, BTreeSet};

use scuttlebutt::{
    Change, EventLog, LwwMap, Model, Register, Replica, SourceId, Timestamp, Update, UpdateId,
    VersionVector,
};

/// A model that the bench can drive and the twin can imitate.
pub(crate) trait Subject: Model + Default {
    /// A change of what `key` stands for, different for each `number`.
    fn change(key: u8, number: u32) -> Change;

    /// What an update is about: of two updates about the same thing the greater id stays. `None`
    /// when it contends with no other.
    fn subject(change: &str) -> Option<String>;

    /// The state that live updates in the order of their ids make.
    fn view_of(live: &[&Update]) -> String;
}

impl Subject for LwwMap {
    fn change(key: u8, number: u32) -> Change {
        let key = format!("k{key}");
        if number.is_multiple_of(6) {
            LwwMap::remove(key)
        } else {
            LwwMap::set(key, &number).unwrap()
        }
    }

    fn subject(change: &str) -> Option<String> {
        let (key, _): (String, serde_json::Value) = serde_json::from_str(change).unwrap();
        Some(key)
    }

    fn view_of(live: &[&Update]) -> String {
        let mut map = BTreeMap::new();
        for update in live {
            let (key, value): (String, serde_json::Value) =
                serde_json::from_str(update.change()).unwrap();
            if !value.is_null() {
                map.insert(key, value);
            }
        }
        serde_json::to_string(&map).unwrap()
    }
}

impl Subject for Register {
    fn change(_: u8, number: u32) -> Change {
        Register::set(&number).unwrap()
    }

    fn subject(_: &str) -> Option<String> {
        Some(String::new())
    }

    fn view_of(live: &[&Update]) -> String {
        live.last().map_or("null", |update| update.change()).into()
    }
}

impl Subject for EventLog {
    fn change(key: u8, number: u32) -> Change {
        EventLog::emit(format!("e{key}"), &(number,)).unwrap()
    }

    fn subject(_: &str) -> Option<String> {
        None
    }

    fn view_of(live: &[&Update]) -> String {
        let events: Vec<_> = live.iter().map(|update| update.change()).collect();
        format!("[{}]", events.join(","))
    }
}

#[derive(Default)]
pub(crate) struct Twin {
    updates: BTreeMap<UpdateId, (Option<String>, Update)>,
    newest_ever: BTreeMap<SourceId, Timestamp>,
}

impl Twin {
    pub(crate) fn add<M: Subject>(&mut self, update: Update) {
        let (source, timestamp) = (update.source().clone(), update.timestamp());
        let newest = self.newest_ever.entry(source).or_insert(timestamp);
        *newest = timestamp.max(*newest);
        let subject = M::subject(update.change());
        let twice = self.updates.insert(update.id(), (subject, update));
        assert!(twice.is_none(), "{twice:?}: the name was used before");
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&UpdateId) -> bool) {
        self.updates.retain(|id, _| keep(id));
    }

    pub(crate) fn newest_ever(&self, source: &SourceId) -> Option<Timestamp> {
        self.newest_ever.get(source).copied()
    }

    /// What nothing supersedes, by (timestamp, source).
    pub(crate) fn live(&self) -> Vec<&Update> {
        let mut winners = BTreeMap::new();
        for (id, (subject, _)) in &self.updates {
            if let Some(subject) = subject {
                winners.insert(subject, id);
            }
        }
        let live = self.updates.iter().filter(|(id, (subject, _))| {
            subject.as_ref().is_none_or(|subject| winners.get(subject) == Some(id))
        });
        live.map(|(_, (_, update))| update).collect()
    }

    pub(crate) fn view<M: Subject>(&self) -> String {
        M::view_of(&self.live())
    }

    /// I2: of every update that the vector covers, the replica holds it, or one that supersedes it.
    pub(crate) fn check_no_gaps<M: Subject>(&self, replica: &Replica<M>) {
        let nothing = VersionVector::new();
        let held = replica.updates_since(&nothing);
        let gap = self.gap::<M>(&replica.version_vector(), held);
        assert_eq!(gap, None, "I2: {} holds {:?}", replica.id(), replica.model().view());
    }

    /// The first update that `vector` covers and `held` neither has nor supersedes.
    pub(crate) fn gap<'u, M: Subject>(
        &self,
        vector: &VersionVector,
        held: impl Iterator<Item = &'u Update>,
    ) -> Option<String> {
        let mut ids = BTreeSet::new();
        let mut newest = BTreeMap::new();
        for update in held {
            ids.insert(update.id());
            if let Some(subject) = M::subject(update.change()) {
                let newest = newest.entry(subject).or_insert_with(|| update.id());
                *newest = update.id().max(newest.clone());
            }
        }
        let covered =
            self.updates.iter().filter(|(id, _)| vector.includes(&id.source, id.timestamp));
        let mut missing = covered.filter(|(id, (subject, _))| match subject {
            Some(subject) => newest.get(subject).is_none_or(|newest| newest < id),
            None => !ids.contains(id),
        });
        let (_, (_, update)) = missing.next()?;
        Some(format!("{vector:?} covers {update:?}"))
    }
}
