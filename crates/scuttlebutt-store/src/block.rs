//! Blocks: many updates in one row of the engine, so that a row costs little to each.
//!
//! A block is a CRC-32, which covers the row's key too, and records. A record is an update with a
//! checksum of its own, so that what is left of a damaged block can be told from what is not, and with a
//! mark that no text contains, so that it can be found without knowing where it begins. This module
//! knows nothing of files.

use crc32fast::Hasher;
use scuttlebutt::{RecentSources, Timestamp, Update, UpdateParts};

/// A block that would grow beyond this is ended, if it holds a record: with what the engine adds it
/// fills one page of 4,096 bytes.
pub(crate) const BLOCK_BYTES_MAX: usize = 4_064;

/// How a record begins: a byte that is in no UTF-8.
const MARK: u8 = 0xff;

const SUM_BYTES: usize = 4;

/// The rows of one table entry, growing.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The key: at most the position of its first record.
    pub(crate) first: u64,
    /// Room for the checksum, then the records.
    bytes: Vec<u8>,
}

impl Block {
    pub(crate) fn new(first: u64) -> Self {
        Self { first, bytes: vec![0; SUM_BYTES] }
    }

    /// Takes up the block in a row again, to add to it.
    pub(crate) fn resume(first: u64, row: &[u8]) -> Self {
        Self { first, bytes: row.to_vec() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.len() == SUM_BYTES
    }

    /// Whether `more` bytes still belong into it.
    pub(crate) fn has_room(&self, more: usize) -> bool {
        self.is_empty() || self.bytes.len() + more <= BLOCK_BYTES_MAX
    }

    pub(crate) fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
    }

    /// The row.
    pub(crate) fn seal(&mut self) -> &[u8] {
        let sum = checksum(self.first, &self.bytes[SUM_BYTES..]);
        self.bytes[..SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
        &self.bytes
    }
}

fn checksum(first: u64, records: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&first.to_le_bytes());
    hasher.update(records);
    hasher.finalize()
}

/// Whether a row is what was written, to the last bit.
pub(crate) fn is_whole(first: u64, row: &[u8]) -> bool {
    row.split_first_chunk::<SUM_BYTES>()
        .is_some_and(|(sum, records)| u32::from_le_bytes(*sum) == checksum(first, records))
}

/// Puts the record of an update in the place of what `record` holds.
pub(crate) fn write_record(position: u64, update: &Update, record: &mut Vec<u8>) {
    let UpdateParts { text, change_len, stamped_len } = update.parts();
    let source = update.source().json_literal();
    record.clear();
    record.push(MARK);
    record.extend_from_slice(&[0; SUM_BYTES]);
    let stamp_len = stamped_len - change_len;
    for number in [position, change_len as u64, stamp_len as u64, source.len() as u64] {
        push_varint(number, record);
    }
    push_varint((text.len() - stamped_len) as u64, record);
    record.extend_from_slice(&update.timestamp().as_millis().to_bits().to_le_bytes());
    record.extend_from_slice(text.as_bytes());
    record.extend_from_slice(source.as_bytes());
    let sum = crc32fast::hash(&record[1 + SUM_BYTES..]);
    record[1..=SUM_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// A record, taken apart but not checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) position: u64,
    sum: u32,
    /// What the checksum covers.
    covered: &'a [u8],
    timestamp: f64,
    change_len: usize,
    stamped_len: usize,
    text: &'a [u8],
    source: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`, and how long it is.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let (mark, rest) = bytes.split_first()?;
        let (sum, rest) = rest.split_first_chunk::<SUM_BYTES>()?;
        let covered = rest;
        let (position, rest) = take_varint(rest)?;
        let (change_len, rest) = take_len(rest)?;
        let (stamp_len, rest) = take_len(rest)?;
        let (source_len, rest) = take_len(rest)?;
        let (extras_len, rest) = take_len(rest)?;
        let (bits, rest) = rest.split_first_chunk::<8>()?;
        let stamped_len = change_len.checked_add(stamp_len)?;
        let (text, rest) = rest.split_at_checked(stamped_len.checked_add(extras_len)?)?;
        let (source, rest) = rest.split_at_checked(source_len)?;
        let record = Self {
            position,
            sum: u32::from_le_bytes(*sum),
            covered: &covered[..covered.len() - rest.len()],
            timestamp: f64::from_bits(u64::from_le_bytes(*bits)),
            change_len,
            stamped_len,
            text,
            source,
        };
        (*mark == MARK).then_some((record, bytes.len() - rest.len()))
    }

    /// Whether it is what was written. Cheap to deny where something else stands.
    pub(crate) fn is_whole(&self) -> bool {
        self.text.get(self.change_len) == Some(&b',')
            && self.source.first() == Some(&b'"')
            && crc32fast::hash(self.covered) == self.sum
    }

    /// The update, of a record that is whole.
    pub(crate) fn update(&self, sources: &mut RecentSources) -> Option<Update> {
        let parts = UpdateParts {
            text: std::str::from_utf8(self.text).ok()?,
            change_len: self.change_len,
            stamped_len: self.stamped_len,
        };
        let source = sources.get(std::str::from_utf8(self.source).ok()?)?;
        Update::from_parts(source, Timestamp::new(self.timestamp).ok()?, parts)
    }
}

/// What stands in a row.
pub(crate) enum Found<'a> {
    /// A record that is what was written, and its bytes.
    Whole(Record<'a>, &'a [u8]),
    /// Something else: most likely one record, at this position if at any.
    Damaged(Option<u64>),
}

/// What stands in a row, one after the other.
pub(crate) struct Records<'a> {
    rest: &'a [u8],
    /// The block's checksum vouches for all of it.
    is_whole: bool,
}

impl<'a> Records<'a> {
    /// `is_whole` is what [`is_whole`] says of the row.
    pub(crate) fn of(row: &'a [u8], is_whole: bool) -> Self {
        Self { rest: row.get(SUM_BYTES..).unwrap_or_default(), is_whole }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let read = Record::read(self.rest);
        if let Some((record, len)) = read
            && (self.is_whole || record.is_whole())
        {
            let (bytes, rest) = self.rest.split_at(len);
            self.rest = rest;
            return Some(Found::Whole(record, bytes));
        }
        // No length in it can be trusted, so the next one is where the next checksum is right.
        let next = find_whole(&self.rest[1..]).map(|(at, _)| at + 1);
        self.rest = &self.rest[next.unwrap_or(self.rest.len())..];
        Some(Found::Damaged(read.map(|(record, _)| record.position)))
    }
}

/// The first whole record in `bytes`, wherever it begins.
pub(crate) fn find_whole(bytes: &[u8]) -> Option<(usize, Record<'_>)> {
    let marks = bytes.iter().enumerate().filter(|(_, byte)| **byte == MARK);
    marks
        .filter_map(|(at, _)| Some((at, Record::read(&bytes[at..])?.0)))
        .find(|(_, record)| record.is_whole())
}

fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[index + 1..]));
        }
    }
    None
}

fn take_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = take_varint(bytes)?;
    Some((usize::try_from(number).ok().filter(|len| *len <= rest.len())?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn update(line: &str) -> Update {
        Update::from_json(line).unwrap()
    }

    fn record(position: u64, update: &Update) -> Vec<u8> {
        let mut record = Vec::new();
        write_record(position, update, &mut record);
        record
    }

    fn read(bytes: &[u8]) -> Option<(u64, Update)> {
        let (record, len) = Record::read(bytes)?;
        let is_whole = len == bytes.len() && record.is_whole();
        is_whole.then(|| Some((record.position, record.update(&mut RecentSources::default())?)))?
    }

    #[test]
    fn a_record_is_whole_or_nothing() {
        let update = update(r#"[["k",{"a":[1]}],12.5,"\ud800","sig"]"#);
        let bytes = record(1 << 40, &update);
        assert_eq!(read(&bytes), Some((1 << 40, update)));
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn what_is_deeper_than_any_default_comes_back() {
        let depth = 100_000;
        let text = format!("[{}{},1,\"A\"]", "[".repeat(depth), "]".repeat(depth));
        let update = Update::from_json_within(&text, usize::MAX).unwrap();
        assert_eq!(read(&record(0, &update)), Some((0, update)));
    }

    #[test]
    fn a_block_takes_a_page_or_one_update() {
        let small = record(1, &update(r#"[["k",1],100,"A"]"#));
        let mut block = Block::new(1);
        let mut count = 0;
        while block.has_room(small.len()) {
            block.push(&small);
            count += 1;
        }
        assert!(block.seal().len() <= BLOCK_BYTES_MAX && count > 80, "{count}");
        assert!(Block::new(1).has_room(1 << 20), "one that fits nowhere");
        let resumed = Block::resume(1, block.seal());
        assert_eq!(Records::of(&resumed.bytes, true).count(), count);
    }

    /// Whatever byte of a block changes, it is noticed, and only the records it is in are lost.
    #[test]
    fn what_is_left_of_a_damaged_block_is_told_from_what_is_not() {
        let updates: Vec<_> =
            (1..=20).map(|n| update(&format!(r#"[["key {n}",{n}],{n},"A"]"#))).collect();
        let mut block = Block::new(1);
        for (position, update) in (1..).zip(&updates) {
            block.push(&record(position, update));
        }
        let row = block.seal().to_vec();
        assert!(is_whole(1, &row) && !is_whole(2, &row));
        for at in 0..row.len() {
            let mut damaged = row.clone();
            damaged[at] ^= 0x10;
            assert!(!is_whole(1, &damaged));
            let (mut left, mut named) = (0, Vec::new());
            for found in Records::of(&damaged, false) {
                match found {
                    Found::Whole(..) => left += 1,
                    Found::Damaged(position) => named.push(position),
                }
            }
            let lost = usize::from(at >= SUM_BYTES);
            assert_eq!((left, named.len()), (20 - lost, lost), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            push_varint(number, &mut bytes);
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(take_varint(&bytes), Some((number, &rest[..])));
        }

        /// A checksum vouches for the bytes, not for who wrote them.
        #[test]
        fn what_was_never_a_record_does_no_harm(mut bytes: Vec<u8>) {
            let found = Records::of(&bytes, false).filter(|found| matches!(found, Found::Whole(..)));
            prop_assert_eq!(found.count(), 0);
            bytes.insert(0, MARK);
            if let Some((record, _)) = Record::read(&bytes) {
                let _ = record.update(&mut RecentSources::default());
            }
        }
    }
}
