//! Small records: what the store knows of itself, and the entries of the version vector, each with the
//! checksum that tells whether it is what was written.
//!
//! A record is a CRC-32 and a body. The checksum covers the key too, so that a record under another
//! key is no record. This module knows nothing of files.

use crc32fast::Hasher;
use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Timestamp};

const CHECKSUM_BYTES: usize = 4;

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

    #[test]
    fn an_entry_is_whole_or_nothing() {
        let source = SourceId::new(JsString::from_utf16(&[0xd800, 0x22])).unwrap();
        let record = seal_entry(&source, Timestamp::MAX);
        let literal = source.json_literal();
        assert_eq!(open_entry(literal, &record), Some((source.clone(), Timestamp::MAX)));
        assert_eq!(open_entry("\"A\"", &record), None);
        assert_eq!(open_entry(literal, &seal(literal.as_bytes(), &[0; 8])), None, "no timestamp");
    }
}
