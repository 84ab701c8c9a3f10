//! Records: bytes with the checksum that tells whether they are what was written.
//!
//! A record is a CRC-32 and a body. The checksum covers the key too, so that a record under another
//! key is no record. This module knows nothing of files.

use crc32fast::Hasher;
use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Timestamp, Update};

const CHECKSUM_BYTES: usize = 4;

/// How many sources are remembered while updates are read.
const SOURCES_REMEMBERED_MAX: usize = 256;

fn checksum(key: &[u8], body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize().to_le_bytes()
}

/// The record of `body` under `key`.
pub(crate) fn seal(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut record = checksum(key, body).to_vec();
    record.extend_from_slice(body);
    record
}

/// The body of a record, if it is whole.
pub(crate) fn open<'a>(key: &[u8], record: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, body) = record.split_at_checked(CHECKSUM_BYTES)?;
    (*sum == checksum(key, body)).then_some(body)
}

/// Puts the record of an update at `position` in the place of what `record` holds.
pub(crate) fn seal_update(position: u64, update: &Update, record: &mut Vec<u8>) {
    record.clear();
    record.resize(CHECKSUM_BYTES, 0);
    update.write_line(record);
    record.pop(); // the newline
    let sum = checksum(&position.to_le_bytes(), &record[CHECKSUM_BYTES..]);
    record[..CHECKSUM_BYTES].copy_from_slice(&sum);
}

/// The update in a record, if it is whole. Its text is as it was written then, so it is only taken
/// apart.
pub(crate) fn open_update(
    position: u64,
    record: &[u8],
    sources: &mut RecentSources,
) -> Option<Update> {
    let text = std::str::from_utf8(open(&position.to_le_bytes(), record)?).ok()?;
    Update::from_written_json(text, |literal| sources.get(literal)).ok()
}

/// Sources that were read lately. Updates of one source share its memory, and what stands in each
/// of them is not decoded again.
pub(crate) struct RecentSources(Vec<Option<SourceId>>);

impl RecentSources {
    pub(crate) fn new() -> Self {
        Self(vec![None; SOURCES_REMEMBERED_MAX])
    }

    /// The source whose JSON literal this is.
    fn get(&mut self, literal: &str) -> Option<SourceId> {
        let place = crc32fast::hash(literal.as_bytes()) as usize % SOURCES_REMEMBERED_MAX;
        let held = &mut self.0[place];
        if held.as_ref().is_none_or(|source| source.json_literal() != literal) {
            *held = Some(parse_source(literal)?);
        }
        held.clone()
    }
}

/// The record of an entry of the version vector.
pub(crate) fn seal_entry(source: &SourceId, timestamp: Timestamp) -> Vec<u8> {
    let bits = timestamp.as_millis().to_bits().to_le_bytes();
    seal(source.json_literal().as_bytes(), &bits)
}

/// The entry of the version vector in a record, if it is whole.
pub(crate) fn open_entry(literal: &str, record: &[u8]) -> Option<(SourceId, Timestamp)> {
    let bits = open(literal.as_bytes(), record)?.try_into().ok()?;
    let timestamp = Timestamp::new(f64::from_bits(u64::from_le_bytes(bits))).ok()?;
    Some((parse_source(literal)?, timestamp))
}

/// The source whose JSON literal this is.
pub(crate) fn parse_source(literal: &str) -> Option<SourceId> {
    SourceId::new(JsString::from_json_literal(literal).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_whole_or_nothing() {
        let update = Update::from_json(r#"[["k",{"a":[1]}],12.5,"\ud800","sig"]"#).unwrap();
        let (mut record, mut sources) = (Vec::new(), RecentSources::new());
        seal_update(7, &update, &mut record);
        assert_eq!(open_update(7, &record, &mut sources), Some(update));
        assert_eq!(open_update(8, &record, &mut sources), None, "at another position");
        for bit in 0..8 * record.len() {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_update(7, &flipped, &mut sources), None, "bit {bit}");
        }
        for len in 0..record.len() {
            assert_eq!(open_update(7, &record[..len], &mut sources), None, "cut at {len}");
        }
    }

    #[test]
    fn an_entry_is_whole_or_nothing() {
        let source = SourceId::new(JsString::from_utf16(&[0xd800, 0x22])).unwrap();
        let record = seal_entry(&source, Timestamp::MAX);
        let literal = source.json_literal();
        assert_eq!(open_entry(literal, &record), Some((source.clone(), Timestamp::MAX)));
        assert_eq!(open_entry("\"A\"", &record), None);
        assert_eq!(open_entry(literal, &seal(literal.as_bytes(), &[0; 8])), None, "no timestamp");
    }

    #[test]
    fn what_is_deeper_than_any_default_comes_back() {
        let depth = 100_000;
        let text = format!("[{}{},1,\"A\"]", "[".repeat(depth), "]".repeat(depth));
        let update = Update::from_json_within(&text, usize::MAX).unwrap();
        let (mut record, mut sources) = (Vec::new(), RecentSources::new());
        seal_update(0, &update, &mut record);
        assert_eq!(open_update(0, &record, &mut sources), Some(update));
    }

    #[test]
    fn each_of_many_sources_is_read_as_itself() {
        let mut sources = RecentSources::new();
        for round in 0..2 {
            for n in 0..3 * SOURCES_REMEMBERED_MAX {
                let source = SourceId::new(format!("source {n}")).unwrap();
                assert_eq!(sources.get(source.json_literal()), Some(source), "round {round}");
            }
        }
        assert_eq!(sources.get("\"__proto__\""), None);
    }

    proptest! {
        /// A checksum vouches for the bytes, not for who wrote them.
        #[test]
        fn what_was_never_an_update_does_no_harm(text in r#"\[("a"|1|\[\]|,|"|\]|\{|\\|é){0,12}"#) {
            let record = seal(&7u64.to_le_bytes(), text.as_bytes());
            if let Some(update) = open_update(7, &record, &mut RecentSources::new()) {
                prop_assert!(update.extras().len() <= text.len());
                prop_assert_eq!(update.to_json(), text);
            }
        }
    }
}
