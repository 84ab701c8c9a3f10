//! One replicated write, and the text of what it changes.
//!
//! An [`Update`] keeps its change as the JSON text that arrived, shared by all who hold it, in the
//! form in which it is sent: forwarding it a thousand times encodes nothing. This module knows
//! nothing of what a change means; that is the model's business.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

use memchr::memrchr;
use serde::Serialize;
use triomphe::{Arc, ThinArc};

use crate::json::{self, JsonError, TextLimits};
use crate::limits::Limits;
use crate::recent_sources::RecentSources;
use crate::source::SourceId;
use crate::timestamp::Timestamp;

/// What an update changes: JSON text as JavaScript's `JSON.stringify` would print it.
///
/// ```
/// use scuttlebutt::Change;
///
/// let change = Change::new(&("key", 1.0))?;
/// assert_eq!(change.as_json(), r#"["key",1]"#);
/// # Ok::<(), scuttlebutt::json::ToCanonicalError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "trx")]
pub struct Change(Box<str>);

impl Change {
    /// The change that `value` serializes to. Numbers are doubles, as everywhere on this wire.
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON, nests deeper than the default
    /// [`Limits::nesting_depth_max`] allows, or holds a number that would not be read back as it is
    /// ([`NumberError`](json::NumberError)): an integer beyond what a double has digits for, NaN, an
    /// infinity.
    pub fn new<T: Serialize + ?Sized>(value: &T) -> Result<Self, json::ToCanonicalError> {
        Ok(Self(json::to_canonical(value, Limits::default().text())?.into_boxed_str()))
    }

    /// [`new`](Self::new) that takes numbers as JavaScript would: the nearest double, and `null` for NaN
    /// and the infinities.
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON, or nests deeper than the default
    /// [`Limits::nesting_depth_max`] allows.
    pub fn new_lossy<T: Serialize + ?Sized>(value: &T) -> Result<Self, json::ToCanonicalError> {
        Ok(Self(json::to_canonical_lossy(value, Limits::default().text())?.into_boxed_str()))
    }

    /// The change whose JSON text this is, in whatever layout.
    ///
    /// # Errors
    /// When `text` is not one JSON value, or holds a number that would be stored as another one, as
    /// with [`new`](Self::new).
    pub fn from_json(text: &str) -> Result<Self, json::ToCanonicalError> {
        let text = json::canonicalize_exactly(text, Limits::default().text())?;
        Ok(Self(text.into_owned().into_boxed_str()))
    }

    /// [`from_json`](Self::from_json) that takes numbers as `JSON.parse` does.
    ///
    /// # Errors
    /// [`JsonError`] when `text` is not one JSON value.
    pub fn from_json_lossy(text: &str) -> Result<Self, JsonError> {
        let text = json::canonicalize(text.as_bytes(), Limits::default().text())?;
        Ok(Self(text.into_owned().into_boxed_str()))
    }

    /// A change from text that is canonical already.
    pub(crate) fn from_canonical(text: String) -> Self {
        Self(text.into_boxed_str())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// One write of one source. Cheap to clone; never changes.
///
/// On the wire it is `[change, timestamp, source, …]`. What follows the source (the signature of
/// the original's security plug-in, or what others put there) is kept and passed on untouched.
///
/// ```
/// use scuttlebutt::{Change, SourceId, Timestamp, Update};
///
/// let update = Update::new(&Change::new(&("k", 1))?, Timestamp::new(100.0)?, SourceId::new("A")?);
/// assert_eq!(update.to_json(), r#"[["k",1],100,"A"]"#);
/// assert_eq!(update.change(), r#"["k",1]"#);
/// assert_eq!(Update::from_json(&update.to_json())?, update);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Update(ThinArc<Head, u8>);

/// What stands before the text in the one allocation of an update.
///
/// The text is `change,timestamp`, which is all that is sent of most updates except their source. Where the
/// change ends is not kept: at the last comma, since there is none in a number. If anything follows the source,
/// it follows here as `,extra…`, and behind it stands how long that is, in eight bytes.
struct Head {
    source: SourceId,
    /// In milliseconds; negative if anything follows the source.
    signed_millis: f64,
}

impl Update {
    /// The update by which `source` wrote `change` at `timestamp`.
    #[must_use]
    pub fn new(change: &Change, timestamp: Timestamp, source: SourceId) -> Self {
        let change = change.as_json();
        let mut text = String::with_capacity(change.len() + 32);
        text.push_str(change);
        text.push(',');
        timestamp.write_json(&mut text);
        Self::plain(source, timestamp, &text)
    }

    /// One that nothing follows the source of.
    fn plain(source: SourceId, timestamp: Timestamp, text: &str) -> Self {
        let head = Head { source, signed_millis: timestamp.as_millis() };
        Self(ThinArc::from_header_and_slice(head, text.as_bytes()))
    }

    /// One with these extras, each with its comma before it.
    fn with_extras(source: SourceId, timestamp: Timestamp, stamped: &str, extras: &str) -> Self {
        if extras.is_empty() {
            return Self::plain(source, timestamp, stamped);
        }
        let extras_len = (extras.len() as u64).to_le_bytes();
        let bytes = [stamped.as_bytes(), extras.as_bytes(), &extras_len].concat();
        let head = Head { source, signed_millis: -timestamp.as_millis() };
        Self(ThinArc::from_header_and_slice(head, &bytes))
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    /// `change,timestamp`, and what follows the source on the wire, each element with its comma before it.
    fn split(&self) -> (&[u8], &[u8]) {
        if self.head().signed_millis > 0.0 {
            return (&self.0.slice, &[]);
        }
        let (text, extras_len) = self.0.slice.split_last_chunk().unwrap_or((&[], &[0; 8]));
        text.split_at(text.len() - u64::from_le_bytes(*extras_len) as usize)
    }

    /// The text, from the beginning of the change to the end of the extras.
    fn text(&self) -> &[u8] {
        let (stamped, extras) = self.split();
        &self.0.slice[..stamped.len() + extras.len()]
    }

    /// Reads an update from its wire line (without the newline).
    ///
    /// # Errors
    /// [`UpdateError`] says which part of it is no good.
    pub fn from_json(line: &str) -> Result<Self, UpdateError> {
        Self::from_json_within(line, Limits::default().nesting_depth_max)
    }

    /// [`from_json`](Self::from_json) with another bound than the default one on how deep arrays and
    /// objects may nest, for whoever reads back what a replica with bounds of its own accepted.
    ///
    /// ```
    /// use scuttlebutt::Update;
    ///
    /// let line = r#"[["k",[[1]]],100,"A"]"#;
    /// assert_eq!(Update::from_json_within(line, 4)?.to_json(), line);
    /// assert!(Update::from_json_within(line, 3).is_err());
    /// # Ok::<(), scuttlebutt::UpdateError>(())
    /// ```
    ///
    /// # Errors
    /// [`UpdateError`] says which part of it is no good.
    pub fn from_json_within(line: &str, nesting_depth_max: usize) -> Result<Self, UpdateError> {
        let text = json::canonicalize(line.as_bytes(), TextLimits { nesting_depth_max })?;
        Ok(Self::from_canonical(&text, &mut RecentSources::default())?)
    }

    /// Puts together again what [`parts`](Self::parts) took apart, for a store that knows by a
    /// checksum that it did. Nothing is read or checked but that the lengths fit the text.
    ///
    /// Parts that never were an update's make none, or one that makes no sense, but no panic.
    ///
    /// ```
    /// use scuttlebutt::{Update, UpdateParts};
    ///
    /// let update = Update::from_json(r#"[["k",1],100,"A","sgn="]"#)?;
    /// let parts = update.parts();
    /// assert_eq!(parts, UpdateParts { text: r#"["k",1],100,"sgn=""#, change_len: 7, stamped_len: 11 });
    /// let again = Update::from_parts(update.source().clone(), update.timestamp(), parts);
    /// assert_eq!(again, Some(update.clone()));
    /// # Ok::<(), scuttlebutt::UpdateError>(())
    /// ```
    #[must_use]
    pub fn from_parts(
        source: SourceId,
        timestamp: Timestamp,
        parts: UpdateParts<'_>,
    ) -> Option<Self> {
        let UpdateParts { text, change_len, stamped_len } = parts;
        let (stamped, extras) = text.split_at_checked(stamped_len)?;
        let fits = memrchr(b',', stamped.as_bytes()) == Some(change_len);
        fits.then(|| Self::with_extras(source, timestamp, stamped, extras))
    }

    /// Its text and where that is cut, beside its [`source`](Self::source) and its
    /// [`timestamp`](Self::timestamp).
    #[must_use]
    pub fn parts(&self) -> UpdateParts<'_> {
        let stamped_len = self.split().0.len();
        let change_len = self.change_bytes().len();
        UpdateParts { text: as_str(self.text()), change_len, stamped_len }
    }

    /// Reads an update from canonical text that is known to be an array.
    pub(crate) fn from_canonical(
        text: &str,
        sources: &mut RecentSources,
    ) -> Result<Self, InvalidUpdate> {
        let mut elements = json::elements(text);
        let (Some(_), Some(timestamp), Some(literal)) =
            (elements.next(), elements.next(), elements.next())
        else {
            return Err(InvalidUpdate::TooShort);
        };
        if json::kind(timestamp) != json::Kind::Number {
            // Infinity is the one number that canonical text prints as something else: null.
            return Err(InvalidUpdate::TimestampType);
        }
        let timestamp = Timestamp::new(json::parse_number(timestamp))
            .map_err(|error| InvalidUpdate::Timestamp(error.0))?;
        if json::kind(literal) != json::Kind::String {
            return Err(InvalidUpdate::SourceType);
        }
        // Canonical text has no space: the source stands between two commas, after `[change,timestamp`
        // and before the extras and `]`.
        let source_start = literal.as_ptr() as usize - text.as_ptr() as usize;
        let stamped = &text[1..source_start - 1];
        let extras = text[source_start + literal.len()..].strip_suffix(']');
        let extras = extras.ok_or(InvalidUpdate::TooShort)?;
        let source = sources.get(literal).ok_or(InvalidUpdate::SourceName)?;
        Ok(Self::with_extras(source, timestamp, stamped, extras))
    }

    /// Who wrote it.
    #[must_use]
    pub fn source(&self) -> &SourceId {
        &self.head().source
    }

    /// When it was written.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::of_positive(self.head().signed_millis.abs())
    }

    /// The change, as canonical JSON text.
    ///
    /// Looks at every byte: keep the answer rather than ask twice.
    #[must_use]
    pub fn change(&self) -> &str {
        as_str(self.change_bytes())
    }

    /// The bytes of [`change`](Self::change), not looked at but for the comma behind them.
    pub(crate) fn change_bytes(&self) -> &[u8] {
        let (stamped, _) = self.split();
        &stamped[..memrchr(b',', stamped).unwrap_or(0)]
    }

    /// The bytes of [`change`](Self::change) and more behind them, for whoever looks at its beginning only.
    pub(crate) fn bytes_from_change(&self) -> &[u8] {
        &self.0.slice
    }

    /// Where in [these bytes](Self::bytes_from_change) `change,timestamp` stands, and where what follows the source
    /// on the wire.
    pub(crate) fn extents(&self) -> (Range<usize>, Range<usize>) {
        let (stamped, extras) = self.split();
        (0..stamped.len(), stamped.len()..stamped.len() + extras.len())
    }

    /// How many hold it: this one is one of them.
    pub(crate) fn holders(&self) -> usize {
        ThinArc::strong_count(&self.0).max(1)
    }

    /// What follows the source on the wire, each element with its comma before it; not looked at.
    pub(crate) fn extras_bytes(&self) -> &[u8] {
        self.split().1
    }

    /// What follows the source on the wire, as JSON texts: index 0 is the original's signature.
    #[must_use]
    pub fn extras(&self) -> Vec<String> {
        let extras = as_str(self.extras_bytes());
        let array = format!("[{}]", extras.strip_prefix(',').unwrap_or(extras));
        json::elements(&array).map(str::to_owned).collect()
    }

    /// The same update with `signature` as a JSON string behind all else that it carries.
    ///
    /// ```
    /// use scuttlebutt::Update;
    ///
    /// let update = Update::from_json(r#"[["k",1],100,"A"]"#)?;
    /// assert_eq!(update.signed("sgn=").to_json(), r#"[["k",1],100,"A","sgn="]"#);
    /// # Ok::<(), scuttlebutt::UpdateError>(())
    /// ```
    #[must_use]
    pub fn signed(&self, signature: &str) -> Self {
        let literal = json::JsString::from(signature).to_json_literal();
        let (stamped, extras) = self.split();
        let extras = [as_str(extras), ",", &literal].concat();
        Self::with_extras(self.source().clone(), self.timestamp(), as_str(stamped), &extras)
    }

    /// Its name: no two different updates share one, unless a source that signs has
    /// [forked](crate::ForkProof).
    #[must_use]
    pub fn id(&self) -> UpdateId {
        UpdateId { timestamp: self.timestamp(), source: self.source().clone() }
    }

    /// How its [`id`](Self::id) stands to that of what `source` wrote at `timestamp`.
    pub(crate) fn cmp_id(&self, timestamp: Timestamp, source: &SourceId) -> Ordering {
        self.timestamp().cmp(&timestamp).then_with(|| self.source().cmp(source))
    }

    /// The order in which the later of two writes wins: by [`id`](Self::id), and where a source gave one
    /// name to two changes, by the bytes of these. A signature does not count.
    ///
    /// ```
    /// use scuttlebutt::Update;
    ///
    /// let one = Update::from_json(r#"[["k",1],100,"A","s1"]"#)?;
    /// let two = Update::from_json(r#"[["k",2],100,"A","s2"]"#)?;
    /// let later = Update::from_json(r#"[["k",0],100,"B"]"#)?;
    /// assert!(one.cmp_order(&two).is_lt() && two.cmp_order(&later).is_lt());
    /// # Ok::<(), scuttlebutt::UpdateError>(())
    /// ```
    #[must_use]
    pub fn cmp_order(&self, other: &Self) -> Ordering {
        self.cmp_id(other.timestamp(), other.source())
            .then_with(|| self.change_bytes().cmp(other.change_bytes()))
    }

    /// The wire line, without its newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = Vec::with_capacity(self.line_len());
        self.write_line(&mut line);
        line.pop();
        String::from_utf8(line).expect("made of strings")
    }

    /// Length of the wire line with its newline, in bytes.
    #[must_use]
    pub fn line_len(&self) -> usize {
        self.text().len() + self.source().json_literal().len() + 4
    }

    /// Appends the wire line with its newline: copies, encodes nothing.
    ///
    /// ```
    /// use scuttlebutt::Update;
    ///
    /// let update = Update::from_json(r#"[["k",1],100,"A"]"#)?;
    /// let mut out = Vec::new();
    /// update.write_line(&mut out);
    /// assert_eq!(out, b"[[\"k\",1],100,\"A\"]\n");
    /// assert_eq!(out.len(), update.line_len());
    /// # Ok::<(), scuttlebutt::UpdateError>(())
    /// ```
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let (stamped, extras) = self.split();
        out.push(b'[');
        out.extend_from_slice(stamped);
        out.push(b',');
        out.extend_from_slice(self.source().json_literal().as_bytes());
        out.extend_from_slice(extras);
        out.extend_from_slice(b"]\n");
    }

    /// The same update sharing `source`'s memory, for a replica that knows it already. Nothing is done
    /// for one that somebody else holds, too.
    pub(crate) fn with_source(mut self, source: &SourceId) -> Self {
        if self.source().shares_memory_with(source) {
            return self;
        }
        self.0.with_arc_mut(|shared| {
            if let Some(update) = Arc::get_mut(shared) {
                update.header_mut().source = source.clone();
            }
        });
        self
    }

    /// Bytes that this update occupies.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.slice.len() + size_of::<Head>() + 2 * size_of::<usize>()
    }
}

/// The text of an update, which was a string before.
fn as_str(text: &[u8]) -> &str {
    str::from_utf8(text).expect("made of strings, and cut where strings began")
}

/// The text of an update and where it is cut: see [`Update::from_parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateParts<'a> {
    /// `change,timestamp` and then, if anything follows the source on the wire, `,extra…`.
    pub text: &'a str,
    /// Where the change ends, in bytes.
    pub change_len: usize,
    /// Where the timestamp ends, in bytes.
    pub stamped_len: usize,
}

impl PartialEq for Update {
    fn eq(&self, other: &Self) -> bool {
        self.timestamp() == other.timestamp()
            && self.source() == other.source()
            && self.split() == other.split()
    }
}

impl Eq for Update {}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

/// The name of an update. Ordered by timestamp, then by source in UTF-16 order: the order of
/// history, and the order in which the later of two writes wins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "order")]
pub struct UpdateId {
    /// When it was written.
    pub timestamp: Timestamp,
    /// Who wrote it.
    pub source: SourceId,
}

impl Ord for UpdateId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.timestamp.cmp(&other.timestamp).then_with(|| self.source.cmp(&other.source))
    }
}

impl PartialOrd for UpdateId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.source, self.timestamp)
    }
}

/// A line of JSON that is an array but no update. The original drops such lines without a word.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUpdate {
    /// Fewer than three elements.
    #[error("an update is [change, timestamp, source]; this array is shorter")]
    TooShort,
    /// The second element is no number.
    #[error("the timestamp is not a finite number")]
    TimestampType,
    /// Zero or negative.
    #[error("the timestamp {0} is not greater than zero")]
    Timestamp(f64),
    /// The third element is no string.
    #[error("the source is not a string")]
    SourceType,
    /// `__proto__`.
    #[error("the source is `__proto__`")]
    SourceName,
}

/// Text that could not be read as an update.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// It is not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON but no update.
    #[error(transparent)]
    Invalid(#[from] InvalidUpdate),
}

impl Limits {
    /// The bounds that apply to any JSON text.
    pub(crate) fn text(&self) -> TextLimits {
        TextLimits { nesting_depth_max: self.nesting_depth_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_found_again_whatever_follows_the_source() {
        for extras in ["", r#","""#, r#","sgn=",null,[1]"#, &format!(",\"{}\"", "s".repeat(70_000))]
        {
            for change in ["1", r#"["k","v"]"#, &format!("\"{}\"", "c".repeat(70_000))] {
                let line = format!("[{change},1.5e+300,\"A\"{extras}]");
                let update = Update::from_json(&line).unwrap();
                assert_eq!(update.change(), change);
                assert_eq!(update.extras_bytes(), extras.as_bytes());
                assert_eq!(update.to_json(), line);
                let parts = update.parts();
                let again = Update::from_parts(update.source().clone(), update.timestamp(), parts);
                assert_eq!(again.unwrap(), update);
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_make_no_update() {
        let (source, timestamp) = (SourceId::new("A").unwrap(), Timestamp::new(1.0).unwrap());
        let made = |text, change_len, stamped_len| {
            let parts = UpdateParts { text, change_len, stamped_len };
            Update::from_parts(source.clone(), timestamp, parts).is_some()
        };
        let text = r#"["k",1],100,"é""#;
        assert!(made(text, 7, 11));
        assert!(!made(text, 11, 7), "ends before it begins");
        assert!(!made(text, 4, 11) && !made(text, 8, 11) && !made("1", 0, 1), "at no comma");
        assert!(!made(text, 7, 14), "within a character");
        assert!(!made(text, 7, 100) && !made(text, 7, usize::MAX) && !made(text, usize::MAX, 11));
    }

    #[test]
    fn where_most_updates_are_cut_takes_no_room() {
        let update = Update::from_json(r#"[["k",1],100,"A"]"#).unwrap();
        assert_eq!(update.heap_bytes(), r#"["k",1],100"#.len() + 4 * size_of::<usize>());
    }
}
