//! A map whose entries are won by the last writer: the original's `scuttlebutt/model`.
//!
//! It keeps the winning update of each key and nothing else, not even the key, which stands in the
//! update. It never forgets that a key was removed: the removal is an update like any other.

use std::borrow::Cow;
use std::cmp::Ordering;

use memchr::memchr2;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::{self, JsString, ToCanonicalError};
use crate::model::{Merge, Model, starts_with_name};
use crate::sorted::Sorted;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update};

/// A map from strings to JSON values; of two concurrent writes to a key the later one stays.
///
/// *Under concurrency:* each key by itself is a last-writer-wins register. The write with the
/// greater (timestamp, source) wins on every replica, equal timestamps included, and the other one
/// is gone; values are never merged. Removing is writing `null`, so a removal wins over earlier
/// writes and loses to later ones.
///
/// *On the wire* a change is `[key, value]`, as npm `scuttlebutt/model` writes it. What that
/// accepts from a peer is accepted: keys that are no strings are coerced as JavaScript does.
///
/// *Order:* entries iterate by key, in UTF-16 code unit order.
///
/// ```
/// use scuttlebutt::{LwwMap, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// replica.local_update(1_700_000_000_000.0, LwwMap::set("greeting", "hello")?)?;
/// let map = replica.model();
/// assert_eq!(map.get::<String>("greeting")?, Some("hello".to_owned()));
/// assert_eq!(map.to_json(), r#"{"greeting":"hello"}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias = "Model")]
pub struct LwwMap {
    /// By key.
    winners: Sorted<Update>,
    tombstones: usize,
}

impl LwwMap {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The change that writes `value` at `key`. A value that serializes to `null` removes the key.
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON, or holds a number that would not be read back as it is:
    /// see [`Change::new`].
    pub fn set<T: Serialize + ?Sized>(
        key: impl Into<JsString>,
        value: &T,
    ) -> Result<Change, ToCanonicalError> {
        let value = Change::new(value)?;
        Ok(Self::change(&key.into(), value.as_json()))
    }

    /// [`set`](Self::set) that takes numbers as JavaScript would: see [`Change::new_lossy`]. Mind that a
    /// value of NaN alone is `null` then, and removes the key.
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON.
    pub fn set_lossy<T: Serialize + ?Sized>(
        key: impl Into<JsString>,
        value: &T,
    ) -> Result<Change, ToCanonicalError> {
        let value = Change::new_lossy(value)?;
        Ok(Self::change(&key.into(), value.as_json()))
    }

    /// The change that removes `key`.
    #[must_use]
    pub fn remove(key: impl Into<JsString>) -> Change {
        Self::change(&key.into(), "null")
    }

    fn change(key: &JsString, value: &str) -> Change {
        let mut text = String::with_capacity(value.len() + 24);
        text.push('[');
        key.write_json(&mut text);
        text.push(',');
        text.push_str(value);
        text.push(']');
        Change::from_canonical(text)
    }

    /// The value at `key`, decoded; `None` when the key is absent or removed.
    ///
    /// # Errors
    /// When the value is not of the type asked for.
    pub fn get<T: DeserializeOwned>(
        &self,
        key: impl Into<JsString>,
    ) -> Result<Option<T>, serde_json::Error> {
        self.get_raw(key).map(serde_json::from_str).transpose()
    }

    /// The value at `key` as JSON text; `None` when the key is absent or removed.
    pub fn get_raw(&self, key: impl Into<JsString>) -> Option<&str> {
        self.entry(key).map(|entry| entry.value)
    }

    /// The value at `key` and who wrote it when; `None` when the key is absent or removed.
    pub fn entry(&self, key: impl Into<JsString>) -> Option<MapEntry<'_>> {
        let key = key.into();
        MapEntry::present(self.winners.get(with_key(key.as_bytes()))?)
    }

    /// Whether `key` has a value.
    pub fn contains(&self, key: impl Into<JsString>) -> bool {
        self.entry(key).is_some()
    }

    /// Number of keys that have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.winners.len() - self.tombstones
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys that were removed; each still costs its removal.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.tombstones
    }

    /// The keys that have a value, in UTF-16 order.
    pub fn keys(&self) -> impl Iterator<Item = JsString> {
        self.iter().map(|entry| entry.key)
    }

    /// The entries that have a value, by key in UTF-16 order.
    #[doc(alias = "each")]
    #[doc(alias = "forEach")]
    pub fn iter(&self) -> impl Iterator<Item = MapEntry<'_>> {
        self.winners.iter().filter_map(MapEntry::present)
    }

    /// The map as one JSON object, without removed keys.
    #[must_use]
    #[doc(alias = "toJSON")]
    pub fn to_json(&self) -> String {
        let mut text = String::from("{");
        for entry in self.iter() {
            if text.len() > 1 {
                text.push(',');
            }
            entry.key.write_json(&mut text);
            text.push(':');
            text.push_str(entry.value);
        }
        text.push('}');
        text
    }
}

impl Model for LwwMap {
    fn name(&self) -> Option<&str> {
        Some("map")
    }

    /// `[key, value]`, and nothing more.
    fn looks_familiar(&self, update: &Update) -> bool {
        starts_with_name(update) && json::elements(update.change()).count() == 2
    }

    fn apply(&mut self, update: &Update) -> Merge {
        let Some((_, value)) = parts(update.change()) else {
            return Merge::invalid("null is no change of a map");
        };
        let key = key_of(update);
        if &*key == b"__proto__" {
            return Merge::invalid("`__proto__` is no key: replicas of the original refuse it");
        }
        let removes = usize::from(is_removal(value));
        let place = match self.winners.search(with_key(&key)) {
            Ok(place) => place,
            Err(place) => {
                self.winners.insert_at(place, update.clone());
                self.tombstones += removes;
                return Merge::kept();
            }
        };
        let winner = self.winners.at_mut(place);
        if winner.cmp_order(update).is_gt() {
            return Merge::superseded();
        }
        let removed = usize::from(is_removal(value_of(winner)));
        self.tombstones = self.tombstones + removes - removed;
        let earlier = std::mem::replace(winner, update.clone());
        match earlier.cmp_id(update.timestamp(), update.source()).is_eq() {
            // The other side of a fork stays.
            true => Merge::kept(),
            false => Merge::superseding([earlier.id()]),
        }
    }

    fn preview(&self, update: &Update) -> Merge {
        match self.winners.get(with_key(&key_of(update))) {
            Some(winner) if winner.cmp_order(update).is_gt() => Merge::superseded(),
            Some(winner) if winner.id() != update.id() => Merge::superseding([winner.id()]),
            _ => Merge::kept(),
        }
    }

    fn view(&self) -> String {
        self.to_json()
    }
}

/// A key that has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry<'a> {
    /// The key.
    pub key: JsString,
    /// Its value, as JSON text.
    pub value: &'a str,
    /// The update that wrote it.
    pub update: &'a Update,
}

impl<'a> MapEntry<'a> {
    fn present(update: &'a Update) -> Option<Self> {
        let value = value_of(update).filter(|text| *text != "null")?;
        Some(Self { key: JsString::from_bytes(key_of(update)), value, update })
    }
}

/// What an update did to a map, decoded from it.
///
/// ```
/// use scuttlebutt::{LwwMap, MapChange, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// let update = replica.local_update(100.0, LwwMap::set("k", &7)?)?;
/// let change = MapChange::of(&update).expect("a map's update");
/// assert_eq!((change.key.as_str(), change.value), (Some("k"), Some("7")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapChange<'a> {
    /// The key that was written.
    pub key: JsString,
    /// The value as JSON text, or `None` when the key was removed.
    pub value: Option<&'a str>,
    /// Who wrote it.
    pub source: &'a SourceId,
    /// When it was written.
    pub timestamp: Timestamp,
}

impl<'a> MapChange<'a> {
    /// Reads an update of a map; `None` when it is none.
    #[must_use]
    pub fn of(update: &'a Update) -> Option<Self> {
        let (_, value) = parts(update.change())?;
        Some(Self {
            key: JsString::from_bytes(key_of(update)),
            value: value.filter(|text| *text != "null"),
            source: update.source(),
            timestamp: update.timestamp(),
        })
    }
}

/// The texts of `change[0]` and `change[1]`, as JavaScript would answer. `None` for `null`, on which
/// the original throws.
fn parts(change: &str) -> Option<(Option<&str>, Option<&str>)> {
    match json::kind(change) {
        json::Kind::Array => {
            let mut elements = json::elements(change);
            Some((elements.next(), elements.next()))
        }
        json::Kind::Object => {
            let member = |name: &str| {
                json::members(change).find(|(key, _)| *key == name).map(|(_, value)| value)
            };
            Some((member("\"0\""), member("\"1\"")))
        }
        json::Kind::Null => None,
        // A number or a boolean has no elements. A string has its code units: a replica of the
        // original takes the change "kv" for the key "k" and the value "v", text that stands nowhere.
        // Here it counts as a change without a key.
        json::Kind::Bool | json::Kind::Number | json::Kind::String => Some((None, None)),
    }
}

/// The bytes of the key that an update writes, as [`JsString`] has them. They stand in the update, unless
/// the key is written with escapes or is no string.
fn key_of(update: &Update) -> Cow<'_, [u8]> {
    if let Some(literal) = update.bytes_from_change().strip_prefix(b"[\"")
        && let Some(end) = memchr2(b'"', b'\\', literal)
        && literal[end] == b'"'
    {
        return Cow::Borrowed(&literal[..end]);
    }
    let key = parts(update.change()).and_then(|(key, _)| key);
    let key = key.map_or_else(|| JsString::from("undefined"), json::to_js_string);
    Cow::Owned(key.as_bytes().to_vec())
}

/// How an update stands to what writes the key of these bytes.
fn with_key(key: &[u8]) -> impl Fn(&Update) -> Ordering {
    let is_plain = memchr2(b'"', b'\\', key).is_none();
    move |held| {
        let plainly = is_plain.then(|| compare_plain(held.bytes_from_change(), key)).flatten();
        plainly.unwrap_or_else(|| json::compare(&key_of(held), key))
    }
}

/// How the key at the beginning of `change` stands to one that a literal has without escapes, seen from
/// the first byte that differs; `None` if that takes decoding.
fn compare_plain(change: &[u8], key: &[u8]) -> Option<Ordering> {
    let held = change.strip_prefix(b"[\"")?;
    let same = json::same_bytes(held, key);
    match (held.get(same)?, &key[same..]) {
        (b'\\', _) => None,
        (b'"', rest) => Some(0.cmp(&rest.len())),
        (_, []) => Some(Ordering::Greater),
        (_, rest) => Some(json::compare_different(&held[same..], rest)),
    }
}

fn value_of(update: &Update) -> Option<&str> {
    parts(update.change()).and_then(|(_, value)| value)
}

fn is_removal(value: Option<&str>) -> bool {
    value.is_none_or(|text| text == "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(line: &str) -> Update {
        Update::from_json(line).expect("a valid update")
    }

    fn map(lines: &[&str]) -> LwwMap {
        let mut map = LwwMap::new();
        for line in lines {
            map.apply(&update(line));
        }
        map
    }

    #[test]
    fn equal_timestamps_are_decided_by_source_in_either_order() {
        let (a, b) = (r#"[["k","a"],100,"A"]"#, r#"[["k","b"],100,"B"]"#);
        assert_eq!(map(&[a, b]).get_raw("k"), Some("\"b\""));
        assert_eq!(map(&[b, a]).get_raw("k"), Some("\"b\""));
    }

    #[test]
    fn a_removed_key_is_absent_and_counted() {
        let mut map = map(&[r#"[["k",1],1,"A"]"#, r#"[["j",1],2,"A"]"#, r#"[["k",null],3,"A"]"#]);
        assert_eq!((map.len(), map.tombstones(), map.contains("k")), (1, 1, false));
        assert_eq!(map.to_json(), r#"{"j":1}"#);
        map.apply(&update(r#"[["k",false],4,"A"]"#));
        assert_eq!((map.len(), map.tombstones(), map.get_raw("k")), (2, 0, Some("false")));
    }

    #[test]
    fn keys_are_coerced_as_javascript_does() {
        let map = map(&[
            r#"[[5,"five"],1,"A"]"#,
            r#"[[null,"null"],2,"A"]"#,
            r#"[[],3,"A"]"#,
            r#"[{"0":"k","1":"v"},4,"A"]"#,
        ]);
        assert_eq!(map.to_json(), r#"{"5":"five","k":"v","null":"null"}"#);
    }

    #[test]
    fn keys_are_found_however_they_are_written() {
        let keys = ["", "a\"b", "line\nend", "\u{ff5e}", "\u{1f600}", "plain", "back\\slash"];
        let mut map = LwwMap::new();
        for (n, key) in (1..).zip(keys) {
            let change = LwwMap::set(key, &n).expect("a number");
            let at = Timestamp::new(f64::from(n)).expect("positive");
            map.apply(&Update::new(&change, at, SourceId::new("A").expect("an id")));
        }
        map.apply(&update(r#"[["\ud800",8],8,"A"]"#));
        for (n, key) in (1..).zip(keys) {
            assert_eq!(map.get::<i32>(key).expect("a number"), Some(n), "{key}");
        }
        let in_order: Vec<_> = map.keys().map(|key| key.to_json_literal()).collect();
        let sorted = [
            r#""""#,
            r#""a\"b""#,
            r#""back\\slash""#,
            r#""line\nend""#,
            r#""plain""#,
            r#""\ud800""#,
            "\"\u{1f600}\"",
            "\"\u{ff5e}\"",
        ];
        assert_eq!(in_order, sorted, "by UTF-16 code units");
    }

    #[test]
    fn a_null_change_and_the_proto_key_are_invalid() {
        let mut map = LwwMap::new();
        for line in [r#"[null,1,"n"]"#, r#"[["__proto__",1],2,"n"]"#] {
            assert!(matches!(map.apply(&update(line)), Merge(crate::model::Verdict::Invalid(_))));
        }
        assert!(map.is_empty());
    }
}
