//! A map of Loro. Catching up: a snapshot, exported and imported.

use anyhow::Result;
use loro::{ExportMode, LoroDoc, LoroMap};

use crate::Document;

struct Loro {
    doc: LoroDoc,
    map: LoroMap,
}

/// An empty one.
pub(crate) fn new() -> impl Document {
    let doc = LoroDoc::new();
    let map = doc.get_map("map");
    Loro { doc, map }
}

impl Document for Loro {
    fn write(&mut self, keys: &mut dyn Iterator<Item = (String, String)>) -> Result<()> {
        for (key, value) in keys {
            self.map.insert(&key, value)?;
        }
        self.doc.commit();
        Ok(())
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = String>) -> Result<()> {
        for key in keys {
            self.map.delete(&key)?;
        }
        self.doc.commit();
        Ok(())
    }

    fn len(&mut self) -> usize {
        self.map.len()
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let value = self.map.get(key)?.into_value().ok()?;
        value.into_string().ok().map(|text| text.to_string())
    }

    fn encode(&mut self) -> Result<Vec<u8>> {
        Ok(self.doc.export(ExportMode::Snapshot)?)
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<()> {
        self.doc.import(bytes)?;
        Ok(())
    }
}
