//! A replica that acts as npm `scuttlebutt` 5.6.15 does, without any code of ours but the model.
//!
//! Its clock is the newest that it has seen of each source, and what is not newer it drops. It passes on
//! each update when it takes it in, also to whom it came from, and never one that its model had no use for.
//! It keeps no evidence, knows no promises, and waits for nobody. (Ties alone it decides as we do, where
//! npm's map lets whatever came last win: nothing of ours could mend that.)

use std::collections::{BTreeMap, VecDeque};

use scuttlebutt::{Change, Model, SourceId, Timestamp, Update, UpdateId};
use serde_json::Value;

use crate::link::Side;

/// A stream of it is one end of one link.
pub(crate) type StreamId = (usize, Side);

/// One replica.
#[derive(Debug)]
pub(crate) struct Original<M> {
    id: SourceId,
    model: M,
    clock: BTreeMap<SourceId, Timestamp>,
    /// What its history is, in the order in which it sends that.
    history: BTreeMap<UpdateId, Update>,
    streams: BTreeMap<StreamId, Stream>,
}

/// One conversation.
#[derive(Debug, Default)]
struct Stream {
    /// What the peer has, as far as it said so or was sent it; `None` before its header.
    peer_clock: Option<BTreeMap<SourceId, Timestamp>>,
    has_synced: bool,
    /// The peer has ended, so this side does when everything was sent.
    is_ending: bool,
    unfinished: Vec<u8>,
    /// Without a bound, as there.
    output: VecDeque<u8>,
}

impl Stream {
    fn say(&mut self, line: &str) {
        self.output.extend(line.bytes().chain([b'\n']));
    }

    /// Sends an update unless the peer has one of its source that is not older.
    fn send(&mut self, update: &Update) {
        let Some(clock) = &mut self.peer_clock else { return };
        if clock.get(update.source()) < Some(&update.timestamp()) {
            clock.insert(update.source().clone(), update.timestamp());
            self.say(&update.to_json());
        }
    }
}

impl<M: Model> Original<M> {
    pub(crate) fn new(id: SourceId, model: M) -> Self {
        let (clock, history, streams) = Default::default();
        Self { id, model, clock, history, streams }
    }

    /// What it would send to somebody who has nothing.
    pub(crate) fn history(&self) -> impl Iterator<Item = &Update> {
        self.history.values()
    }

    pub(crate) fn holds(&self, id: &UpdateId) -> bool {
        self.history.contains_key(id)
    }

    pub(crate) fn connect(&mut self, stream: StreamId) {
        let entries = self.clock.iter().map(|(id, at)| format!("{}:{at}", id.json_literal()));
        let clock = entries.collect::<Vec<_>>().join(",");
        let header = format!("{{\"id\":{},\"clock\":{{{clock}}}}}", self.id.json_literal());
        self.streams.entry(stream).or_default().say(&header);
    }

    pub(crate) fn disconnect(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// Writes; `None` where it loses what it writes without a word, because its clock is behind what it
    /// has seen.
    pub(crate) fn write(&mut self, now_ms: f64, change: &Change) -> Option<Update> {
        // Several in one millisecond get fractions of it.
        let own = self.clock.get(&self.id).map_or(0.0, |own| own.as_millis());
        let millis = if own.floor() == now_ms { own.next_up() } else { now_ms };
        let line = format!("[{},{},{}]", change.as_json(), millis, self.id.json_literal());
        let update = Update::from_json(&line).ok()?;
        self.take_in(&update).then_some(update)
    }

    /// Takes bytes, and gives back the lines that are whole with them, to be [read](Self::read) in order.
    pub(crate) fn receive(&mut self, stream: StreamId, bytes: &[u8]) -> Vec<String> {
        let Some(end) = self.streams.get_mut(&stream) else { return Vec::new() };
        end.unfinished.extend_from_slice(bytes);
        let Some(last) = end.unfinished.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = end.unfinished.split_off(last + 1);
        let lines = std::mem::replace(&mut end.unfinished, rest);
        String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect()
    }

    /// Reads a line. Answers the update that it took in, and what its clock said of the source before.
    pub(crate) fn read(
        &mut self,
        stream: StreamId,
        line: &str,
    ) -> Option<(Option<Timestamp>, Update)> {
        match serde_json::from_str(line) {
            Ok(Value::Object(header)) => self.answer(stream, &header),
            Ok(Value::Array(_)) => {
                let update = Update::from_json(line).ok()?;
                let before = self.clock.get(update.source()).copied();
                self.take_in(&update);
                return (before < Some(update.timestamp())).then_some((before, update));
            }
            Ok(Value::String(word)) if word == "SYNC" => {
                self.streams.entry(stream).or_default().has_synced = true;
            }
            _ => {}
        }
        None
    }

    fn answer(&mut self, stream: StreamId, header: &serde_json::Map<String, Value>) {
        let entries = header.get("clock").and_then(Value::as_object).into_iter().flatten();
        let clock = entries.filter_map(|(id, at)| {
            Some((SourceId::new(id.as_str()).ok()?, Timestamp::new(at.as_f64()?).ok()?))
        });
        let Some(end) = self.streams.get_mut(&stream) else { return };
        end.peer_clock = Some(clock.collect());
        for update in self.history.values() {
            end.send(update);
        }
        end.say("\"SYNC\"");
    }

    /// Answers whether it became part of the state.
    fn take_in(&mut self, update: &Update) -> bool {
        if self.clock.get(update.source()) >= Some(&update.timestamp()) {
            return false;
        }
        self.clock.insert(update.source().clone(), update.timestamp());
        let merge = self.model.apply(update);
        let Some(superseded) = merge.as_kept() else { return false };
        for id in superseded {
            self.history.remove(id);
        }
        self.history.insert(update.id(), update.clone());
        for stream in self.streams.values_mut() {
            stream.send(update);
        }
        true
    }

    /// The peer says nothing more.
    pub(crate) fn receive_end(&mut self, stream: StreamId) {
        if let Some(end) = self.streams.get_mut(&stream) {
            end.is_ending = true;
            end.peer_clock = None;
        }
    }

    /// Whether it says nothing more either.
    pub(crate) fn has_ended(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|end| end.is_ending && end.output.is_empty())
    }

    /// Whether there is such a conversation.
    pub(crate) fn is_connected(&self, stream: StreamId) -> bool {
        self.streams.contains_key(&stream)
    }

    pub(crate) fn has_output(&self, stream: StreamId) -> bool {
        self.streams.get(&stream).is_some_and(|end| !end.output.is_empty())
    }

    /// Both have told each other all that they had.
    pub(crate) fn is_synced(&self, stream: StreamId) -> bool {
        self.streams
            .get(&stream)
            .is_some_and(|end| end.has_synced && (end.peer_clock.is_some() || end.is_ending))
    }

    /// At most `room` bytes of what it says.
    pub(crate) fn transmit(&mut self, stream: StreamId, room: usize) -> Vec<u8> {
        let Some(end) = self.streams.get_mut(&stream) else { return Vec::new() };
        let length = end.output.len().min(room);
        end.output.drain(..length).collect()
    }
}
