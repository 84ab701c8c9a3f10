//! A map of Yrs. Catching up: the whole state in its first encoding, for an empty state vector.

use anyhow::Result;
use yrs::updates::decoder::Decode;
use yrs::{Doc, Map, MapRef, Out, ReadTxn, StateVector, Transact, Update};

use crate::Document;

struct Yrs {
    doc: Doc,
    map: MapRef,
}

/// An empty one.
pub(crate) fn new(id: u64) -> impl Document {
    let doc = Doc::with_client_id(id);
    let map = doc.get_or_insert_map("map");
    Yrs { doc, map }
}

impl Document for Yrs {
    fn write(&mut self, keys: &mut dyn Iterator<Item = (String, String)>) -> Result<()> {
        let mut transaction = self.doc.transact_mut();
        for (key, value) in keys {
            self.map.insert(&mut transaction, key, value);
        }
        Ok(())
    }

    fn remove(&mut self, keys: &mut dyn Iterator<Item = String>) -> Result<()> {
        let mut transaction = self.doc.transact_mut();
        for key in keys {
            self.map.remove(&mut transaction, &key);
        }
        Ok(())
    }

    fn len(&mut self) -> usize {
        self.map.len(&self.doc.transact()) as usize
    }

    fn get(&mut self, key: &str) -> Option<String> {
        match self.map.get(&self.doc.transact(), key)? {
            Out::Any(value) => Some(value.to_string()),
            _ => None,
        }
    }

    fn encode(&mut self) -> Result<Vec<u8>> {
        Ok(self.doc.transact().encode_diff_v1(&StateVector::default()))
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<()> {
        self.doc.transact_mut().apply_update(Update::decode_v1(bytes)?)?;
        Ok(())
    }
}
