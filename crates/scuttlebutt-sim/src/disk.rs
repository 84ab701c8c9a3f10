//! Where a node keeps what it must not forget.
//!
//! The simulated disk loses at a crash what was not synced, and tears the last record it was
//! writing. What was synced it keeps.

use scuttlebutt::{Timestamp, Update, VersionVector};

use crate::chance::Chance;

/// What a node needs of a disk: append, sync, read back. A durable store implements the same for
/// real.
pub trait Disk {
    /// Appends an update. It is not safe before [`sync`](Self::sync).
    fn append(&mut self, update: &Update);

    /// Appends the announced version vector. Everything that it covers was appended before.
    fn append_vector(&mut self, vector: &VersionVector);

    /// Makes everything appended safe.
    fn sync(&mut self);

    /// Reads back the updates in the order in which they were appended, and the last vector.
    fn read(&self) -> (Vec<Update>, VersionVector);
}

/// A disk in memory, written to as lines of text.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk {
    bytes: Vec<u8>,
    synced: usize,
}

impl SimulatedDisk {
    /// The machine stops: some of what was not synced is lost, wherever that tears a line.
    pub fn crash(&mut self, chance: &mut Chance) {
        let unsynced = self.bytes.len() - self.synced;
        self.bytes.truncate(self.synced + chance.index(unsynced + 1));
        // What survived was cut at a line that is whole, as a store's recovery does.
        let whole = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.bytes.truncate(whole.max(self.synced));
        self.synced = self.bytes.len();
    }
}

impl Disk for SimulatedDisk {
    fn append(&mut self, update: &Update) {
        self.bytes.extend_from_slice(update.to_json().as_bytes());
        self.bytes.push(b'\n');
    }

    fn append_vector(&mut self, vector: &VersionVector) {
        let entries: serde_json::Map<String, serde_json::Value> = vector
            .iter()
            .map(|(source, timestamp)| (source.to_string(), timestamp.as_millis().into()))
            .collect();
        self.bytes.extend_from_slice(serde_json::Value::from(entries).to_string().as_bytes());
        self.bytes.push(b'\n');
    }

    fn sync(&mut self) {
        self.synced = self.bytes.len();
    }

    fn read(&self) -> (Vec<Update>, VersionVector) {
        let mut updates = Vec::new();
        let mut vector = VersionVector::new();
        for line in String::from_utf8_lossy(&self.bytes).lines() {
            if let Ok(update) = Update::from_json(line) {
                updates.push(update);
            } else if let Ok(entries) =
                serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line)
            {
                for (source, timestamp) in entries {
                    if let (Ok(source), Some(Ok(timestamp))) =
                        (scuttlebutt::SourceId::new(source), timestamp.as_f64().map(Timestamp::new))
                    {
                        vector.advance(&source, timestamp);
                    }
                }
            }
        }
        (updates, vector)
    }
}
