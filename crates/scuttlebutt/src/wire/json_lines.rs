//! The original's codec: one JSON value per line.
//!
//! Reading tolerates what the original tolerates: white space around a line, fields and scalars it
//! does not know, clocks of odd types. Blank lines are skipped. Writing is byte for byte what the
//! original writes. It costs one pass over the bytes, whatever their chunks.

use std::borrow::Cow;

use crate::json::{self, JsString, JsonErrorKind};
use crate::label::Label;
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::place::Place;
use crate::recent_sources::RecentSources;
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::UpdateId;
use crate::version_vector::VersionVector;

use super::{DecodeError, Digest, Excerpt, Extensions, Foreign, Frame, NoRoom};

/// The line that ends a history.
pub(crate) const HISTORY_SENT: &str = "\"SYNC\"\n";

/// The line that says only that its writer is there: one of the strings that mean nothing.
pub(crate) const HEARTBEAT: &str = "\"ALIVE\"\n";

/// Cuts a stream of bytes into lines and reads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decoder {
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
    /// What comes up to the next newline is the rest of a line that is too long.
    is_passing_over: bool,
    has_begun: bool,
    sources: RecentSources,
}

impl Decoder {
    /// Reads the next frame off the front of `input`; `None` when the rest has to arrive first (and
    /// `input` is empty).
    pub(crate) fn decode(
        &mut self,
        input: &mut &[u8],
        limits: &Limits,
    ) -> Result<Option<Frame>, DecodeError> {
        if !self.has_begun {
            self.check_beginning(input)?;
        }
        while !input.is_empty() {
            let end = memchr::memchr(b'\n', input);
            let (line, rest) = match end {
                Some(end) => (&input[..end], &input[end + 1..]),
                None => (*input, &input[input.len()..]),
            };
            if self.is_passing_over {
                *input = rest;
                self.is_passing_over = end.is_none();
                continue;
            }
            if self.partial.len() + line.len() > limits.line_bytes_max {
                let exceeded = LimitExceeded::new(Bound::LineBytes, limits.line_bytes_max);
                let partial = std::mem::take(&mut self.partial);
                if !is_update(partial.iter().chain(line)) {
                    return Err(exceeded.into());
                }
                *input = rest;
                self.is_passing_over = end.is_none();
                return Ok(Some(Frame::Oversized(exceeded)));
            }
            *input = rest;
            if end.is_none() {
                self.partial.extend_from_slice(line);
                break;
            }
            let frame = if self.partial.is_empty() {
                decode_line(line, limits, &mut self.sources)?
            } else {
                self.partial.extend_from_slice(line);
                let whole = std::mem::take(&mut self.partial);
                decode_line(&whole, limits, &mut self.sources)?
            };
            if frame.is_some() {
                return Ok(frame);
            }
        }
        Ok(None)
    }

    /// What the beginning of a line takes whose end has not arrived.
    pub(crate) fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Reads what is left when the stream has ended: a last line may lack its newline.
    pub(crate) fn finish(&mut self, limits: &Limits) -> Result<Option<Frame>, DecodeError> {
        let rest = std::mem::take(&mut self.partial);
        decode_line(&rest, limits, &mut self.sources).map_err(|error| match error {
            DecodeError::NotJson { line, .. } => DecodeError::BrokenOff { line },
            other => other,
        })
    }

    /// Recognises another protocol at once, also where it never sends a newline.
    fn check_beginning(&mut self, input: &[u8]) -> Result<(), DecodeError> {
        let Some(start) = input.iter().position(|byte| !b" \t\r\n".contains(byte)) else {
            return Ok(());
        };
        self.has_begun = true;
        match input[start] {
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => Ok(()),
            _ => Err(DecodeError::Foreign(Foreign::recognise(&input[start..]))),
        }
    }
}

/// Whether a line that begins so is an update, if it is anything.
fn is_update<'a>(mut line: impl Iterator<Item = &'a u8>) -> bool {
    line.find(|byte| !b" \t\r".contains(byte)) == Some(&b'[')
}

/// Reads one line; `None` when it is blank.
pub(crate) fn decode_line(
    line: &[u8],
    limits: &Limits,
    sources: &mut RecentSources,
) -> Result<Option<Frame>, DecodeError> {
    // An entry of a digest may be an infinity, which is no `null`.
    let is_object = line.trim_ascii_start().starts_with(b"{");
    let canonicalize = if is_object { json::canonicalize_infinite } else { json::canonicalize };
    let text = match canonicalize(line, limits.text()) {
        Ok(text) => text,
        Err(error) => {
            return match error.kind {
                JsonErrorKind::Empty => Ok(None),
                JsonErrorKind::TooDeep { .. } => {
                    let limit = limits.nesting_depth_max;
                    let exceeded = LimitExceeded::new(Bound::NestingDepth, limit);
                    match is_update(line.iter()) {
                        true => Ok(Some(Frame::Oversized(exceeded))),
                        false => Err(exceeded.into()),
                    }
                }
                _ => Err(DecodeError::NotJson { error, line: Excerpt::of(line) }),
            };
        }
    };
    Ok(Some(match json::kind(&text) {
        json::Kind::Array => Frame::Update(crate::Update::from_canonical(&text, sources)),
        json::Kind::Object => decode_object(&text, limits)?,
        json::Kind::String if text == "\"SYNC\"" => Frame::HistorySent,
        json::Kind::String if text == "\"BINARY\"" => Frame::Switch,
        _ => Frame::Unknown,
    }))
}

/// The longest name of a bound that is passed on.
const BOUND_NAME_BYTES_MAX: usize = 64;

fn decode_object(text: &str, limits: &Limits) -> Result<Frame, DecodeError> {
    let mut digest = Digest::default();
    let mut clock = None;
    let mut mark = None;
    let mut refused = None;
    let mut place = None;
    for (name, value) in json::members(text) {
        match name {
            "\"id\"" => digest.id = JsString::from_json_literal(value).ok(),
            "\"clock\"" => clock = Some(value),
            "\"meta\"" => {
                let limit = limits.metadata_bytes_max;
                match value.len() <= limit {
                    // It is handed on, and has the form of everything that is.
                    true => {
                        let value = json::canonicalize(value.as_bytes(), limits.text()).ok();
                        digest.metadata = value.map(Cow::into_owned);
                    }
                    false => {
                        digest.exceeded = Some(LimitExceeded::new(Bound::MetadataBytes, limit));
                    }
                }
            }
            "\"ext\"" => digest.extensions = decode_extensions(value, limits)?,
            "\"mark\"" => mark = Some(value),
            "\"refused\"" => refused = Some(value),
            "\"place\"" => place = decode_place(value, limits),
            _ => {}
        }
    }
    if let (None, None, Some((at, since))) = (clock, mark, &place) {
        return Ok(Frame::Place { at: at.clone(), since: *since });
    }
    if let (None, None, Some(refused)) = (clock, mark, refused) {
        return Ok(Frame::NoRoom(decode_no_room(refused, text, limits)));
    }
    match (clock, mark) {
        (None, Some(mark)) => Ok(Frame::Mark(decode_vector(mark, limits).0)),
        // The values that JavaScript takes for false.
        (None | Some("null" | "false" | "0" | "\"\""), _) => {
            Err(DecodeError::MalformedDigest { line: Excerpt::of(text.as_bytes()) })
        }
        (Some(clock), _) => {
            let (vector, exceeded) = decode_vector(clock, limits);
            digest.vector = vector;
            digest.exceeded = exceeded.or(digest.exceeded);
            Ok(Frame::Digest(digest))
        }
    }
}

fn decode_no_room(refused: &str, text: &str, limits: &Limits) -> NoRoom {
    let (vector, _) = decode_vector(refused, limits);
    let update = vector.iter().next();
    let update = update.map(|(source, timestamp)| UpdateId { timestamp, source: source.clone() });
    let member =
        |name| json::members(text).find(|(found, _)| *found == name).map(|(_, value)| value);
    let bound = member("\"bound\"").and_then(|value| JsString::from_json_literal(value).ok());
    let bound = bound.map(|bound| bound.to_string()).unwrap_or_default();
    let bound = bound.chars().filter(char::is_ascii_graphic).take(BOUND_NAME_BYTES_MAX).collect();
    let limit = member("\"limit\"").map_or(f64::NAN, json::parse_number);
    NoRoom { update, bound, limit }
}

/// Reads a vector as the original compares with it: what is no object names nobody, and what is no
/// number is coerced to one. Entries beyond a bound are passed over, since whoever says less than it holds
/// is sent more than it needs and promises less; the bound is told.
fn decode_vector(text: &str, limits: &Limits) -> (VersionVector, Option<LimitExceeded>) {
    let mut entries = Vec::new();
    let mut exceeded = None;
    if json::kind(text) != json::Kind::Object {
        return (VersionVector::new(), None);
    }
    for (name, value) in json::members(text) {
        let number = json::to_js_number(value);
        let timestamp = match Timestamp::new(number) {
            Ok(timestamp) => timestamp,
            // The original sends nothing of a source whose entry compares as greater than, or not at
            // all with, a number.
            Err(_) if number.is_nan() || number == f64::INFINITY => Timestamp::MAX,
            Err(_) => continue,
        };
        if name.len() > limits.source_bytes_max {
            exceeded = Some(LimitExceeded::new(Bound::SourceBytes, limits.source_bytes_max));
            continue;
        }
        if entries.len() >= limits.sources_max {
            exceeded = Some(LimitExceeded::new(Bound::Sources, limits.sources_max));
            break;
        }
        let id = JsString::from_json_literal(name).ok().and_then(|id| SourceId::new(id).ok());
        if let Some(id) = id {
            entries.push((id, timestamp));
        }
    }
    (entries.into_iter().collect(), exceeded)
}

/// Reads what a peer announces of its own kind; nothing where it does not say `marks`, which all else
/// stands on. Members that are unknown, or of another type than they should be, are as if they were not
/// there.
fn decode_extensions(text: &str, limits: &Limits) -> Result<Option<Extensions>, LimitExceeded> {
    if json::kind(text) != json::Kind::Object {
        return Ok(None);
    }
    let mut found = Extensions::default();
    let mut marks = None;
    // The highest version that the peer understands: it understands ours, too.
    let is_version = |value: &str| json::parse_number(value) >= 1.0;
    for (name, value) in json::members(text) {
        match name {
            "\"marks\"" => marks = Some(value),
            "\"binary\"" => found.binary = is_version(value),
            "\"zstd\"" => found.zstd = is_version(value),
            "\"refusals\"" => found.refusals = is_version(value),
            "\"evidence\"" => found.without_evidence = value == "0",
            "\"model\"" => found.model = decode_label(value, limits)?,
            "\"cluster\"" => found.cluster = decode_label(value, limits)?,
            "\"heartbeat\"" => {
                let number = json::parse_number(value);
                found.heartbeat_ms = (number >= 1.0 && number.is_finite()).then_some(number);
            }
            "\"life\"" => found.life = decode_integer(value),
            "\"places\"" if json::kind(value) == json::Kind::Array => {
                let places = json::elements(value).take(limits.histories_resumed_max);
                found.places = places.filter_map(|text| decode_resumed(text, limits)).collect();
            }
            _ => {}
        }
    }
    let zstd = found.binary && found.zstd;
    Ok(marks.map(|marks| Extensions { promises: marks == "1", zstd, ..found }))
}

/// A number that is a count: none that a double does not hold exactly.
fn decode_integer(value: &str) -> Option<u64> {
    let number = json::parse_number(value);
    (number >= 0.0 && number <= (1_u64 << 53) as f64 && number.fract() == 0.0)
        .then_some(number as u64)
}

/// `[timestamp, source, position]`.
fn decode_place(text: &str, limits: &Limits) -> Option<(UpdateId, u64)> {
    if json::kind(text) != json::Kind::Array {
        return None;
    }
    let mut elements = json::elements(text);
    let timestamp = Timestamp::new(json::parse_number(elements.next()?)).ok()?;
    let source = elements.next().filter(|literal| literal.len() <= limits.source_bytes_max)?;
    let source = SourceId::new(JsString::from_json_literal(source).ok()?).ok()?;
    let since = decode_integer(elements.next()?)?;
    Some((UpdateId { timestamp, source }, since))
}

/// `[life, [timestamp, source, position]]`.
fn decode_resumed(text: &str, limits: &Limits) -> Option<Place> {
    if json::kind(text) != json::Kind::Array {
        return None;
    }
    let mut elements = json::elements(text);
    let life = decode_integer(elements.next()?)?;
    let (at, since) = decode_place(elements.next()?, limits)?;
    Some(Place { life, at, since })
}

fn write_place(at: &UpdateId, since: u64, out: &mut String) {
    out.push('[');
    at.timestamp.write_json(out);
    out.push(',');
    out.push_str(at.source.json_literal());
    out.push_str(&format!(",{since}]"));
}

/// Appends the line that says how far a history got.
pub(crate) fn encode_place(at: &UpdateId, since: u64, out: &mut String) {
    out.push_str("{\"place\":");
    write_place(at, since, out);
    out.push_str("}\n");
}

fn decode_label(value: &str, limits: &Limits) -> Result<Option<Label>, LimitExceeded> {
    if json::kind(value) != json::Kind::String {
        return Ok(None);
    }
    if value.len() > limits.label_bytes_max {
        return Err(LimitExceeded::new(Bound::LabelBytes, limits.label_bytes_max));
    }
    Ok(Label::of_peer(value))
}

/// Appends a digest's line.
pub(crate) fn encode_digest<'a>(
    id_literal: &str,
    vector: impl Iterator<Item = (&'a SourceId, Timestamp)>,
    metadata: Option<&str>,
    extensions: Option<&Extensions>,
    out: &mut String,
) {
    out.push_str("{\"id\":");
    out.push_str(id_literal);
    out.push_str(",\"clock\":");
    encode_vector(vector, out);
    if let Some(metadata) = metadata {
        out.push_str(",\"meta\":");
        out.push_str(metadata);
    }
    if let Some(extensions) = extensions {
        encode_extensions(extensions, out);
    }
    out.push_str("}\n");
}

fn encode_extensions(extensions: &Extensions, out: &mut String) {
    // By name, so that a new member has to be thought of here.
    let Extensions {
        promises,
        binary,
        zstd,
        refusals,
        without_evidence,
        model,
        cluster,
        heartbeat_ms,
        life,
        places,
    } = extensions;
    out.push_str(if *promises { ",\"ext\":{\"marks\":1" } else { ",\"ext\":{\"marks\":0" });
    out.push_str(if *binary { ",\"binary\":1" } else { "" });
    out.push_str(if *zstd { ",\"zstd\":1" } else { "" });
    out.push_str(if *refusals { ",\"refusals\":1" } else { "" });
    out.push_str(if *without_evidence { ",\"evidence\":0" } else { "" });
    let labels = [(",\"model\":", model), (",\"cluster\":", cluster)];
    for (name, label) in
        labels.into_iter().filter_map(|(name, label)| Some((name, label.as_ref()?)))
    {
        out.push_str(name);
        out.push_str(label.as_json());
    }
    if let Some(heartbeat_ms) = heartbeat_ms {
        out.push_str(",\"heartbeat\":");
        json::write_number(*heartbeat_ms, out);
    }
    if let Some(life) = life {
        out.push_str(&format!(",\"life\":{life}"));
    }
    for (nth, Place { life, at, since }) in places.iter().enumerate() {
        out.push_str(if nth == 0 { ",\"places\":[" } else { "," });
        out.push_str(&format!("[{life},"));
        write_place(at, *since, out);
        out.push(']');
    }
    out.push_str(if places.is_empty() { "}" } else { "]}" });
}

/// Appends a mark's line.
pub(crate) fn encode_mark<'a>(
    vector: impl Iterator<Item = (&'a SourceId, Timestamp)>,
    out: &mut String,
) {
    out.push_str("{\"mark\":");
    encode_vector(vector, out);
    out.push_str("}\n");
}

/// Appends the line by which a peer is told what there was no room for.
pub(crate) fn encode_no_room(no_room: &NoRoom, out: &mut String) {
    out.push_str("{\"refused\":");
    encode_vector(no_room.update.iter().map(|update| (&update.source, update.timestamp)), out);
    out.push_str(",\"bound\":");
    JsString::from(no_room.bound.as_str()).write_json(out);
    out.push_str(",\"limit\":");
    json::write_number(no_room.limit, out);
    out.push_str("}\n");
}

/// In the order in which a JavaScript object lists its keys: array indices first, ascending, then
/// the others as they come.
fn encode_vector<'a>(vector: impl Iterator<Item = (&'a SourceId, Timestamp)>, out: &mut String) {
    let mut indices = Vec::new();
    let mut others = Vec::new();
    for (source, timestamp) in vector {
        match json::array_index(source.json_literal().as_bytes()) {
            Some(index) => indices.push((index, source, timestamp)),
            None => others.push((source, timestamp)),
        }
    }
    indices.sort_unstable_by_key(|(index, ..)| *index);
    let indices = indices.into_iter().map(|(_, source, timestamp)| (source, timestamp));
    out.push('{');
    for (nth, (source, timestamp)) in indices.chain(others).enumerate() {
        if nth > 0 {
            out.push(',');
        }
        out.push_str(source.json_literal());
        out.push(':');
        timestamp.write_json(out);
    }
    out.push('}');
}

#[cfg(test)]
mod tests;
