//! A map at the root of an Automerge document. Catching up: the document saved and loaded, which its
//! sync protocol falls back to when a peer has nothing.

use anyhow::Result;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ReadDoc};

use crate::Document;

/// An empty one.
pub(crate) fn new() -> impl Document {
    Automerge(AutoCommit::new())
}

struct Automerge(AutoCommit);

impl Document for Automerge {
    fn write(&mut self, keys: &mut dyn Iterator<Item = (String, String)>) -> Result<()> {
        for (key, value) in keys {
            self.0.put(ROOT, key, value)?;
        }
        self.0.commit();
        Ok(())
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = String>) -> Result<()> {
        for key in keys {
            self.0.delete(ROOT, key)?;
        }
        self.0.commit();
        Ok(())
    }

    fn len(&mut self) -> usize {
        self.0.length(ROOT)
    }

    fn get(&mut self, key: &str) -> Option<String> {
        let (value, _) = self.0.get(ROOT, key).ok()??;
        value.into_string().ok()
    }

    fn encode(&mut self) -> Result<Vec<u8>> {
        Ok(self.0.save_nocompress())
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.load_incremental(bytes)?;
        Ok(())
    }
}
