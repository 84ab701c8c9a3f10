//! Records: bytes with the checksum that tells whether they are what was written.
//!
//! A record is a CRC-32 and a body. The checksum covers the key too, so that a record under another
//! key is no record. This module knows nothing of files.

use crc32fast::Hasher;
use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Timestamp, Update};

const CHECKSUM_BYTES: usize = 4;

/// Deeper than any text is long.
const NESTING_DEPTH_ANY: usize = usize::MAX;

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

/// The update in a record, if it is whole.
pub(crate) fn open_update(position: u64, record: &[u8]) -> Option<Update> {
    let text = std::str::from_utf8(open(&position.to_le_bytes(), record)?).ok()?;
    // The replica held it, so it was within its bounds then.
    Update::from_json_within(text, NESTING_DEPTH_ANY).ok()
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
    fn a_record_is_whole_or_nothing() {
        let update = Update::from_json(r#"[["k",{"a":[1]}],12.5,"\ud800","sig"]"#).unwrap();
        let mut record = Vec::new();
        seal_update(7, &update, &mut record);
        assert_eq!(open_update(7, &record), Some(update));
        assert_eq!(open_update(8, &record), None, "at another position");
        for bit in 0..8 * record.len() {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_update(7, &flipped), None, "bit {bit}");
        }
        for len in 0..record.len() {
            assert_eq!(open_update(7, &record[..len]), None, "cut at {len}");
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
        let mut record = Vec::new();
        seal_update(0, &update, &mut record);
        assert_eq!(open_update(0, &record), Some(update));
    }
}
