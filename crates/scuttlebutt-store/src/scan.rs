//! Walks over everything a store holds, checks each block, and counts what is damaged.

use std::collections::VecDeque;
use std::path::Path;

use redb::{Range, ReadTransaction, ReadableTableMetadata};
use scuttlebutt::{RecentSources, Update, VersionVector};

use crate::block::{Found, Records, is_whole};
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::record;
use crate::schema::{UPDATES, VECTOR};

const DOING: &str = "reading the store";

/// As much is read before it is taken apart.
const READ_BYTES_MIN: usize = 64 << 10;

/// Blocks as they stand in the file, one behind the other.
#[derive(Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    first: u64,
    is_whole: bool,
    end: usize,
}

/// Reads the rows of a store, in order, and checks whether each is what was written.
pub(crate) struct Reader {
    range: Range<'static, u64, &'static [u8]>,
    /// Blocks there should be.
    blocks_total: u64,
    blocks_seen: u64,
    error: Option<redb::StorageError>,
}

impl Reader {
    fn new(transaction: &ReadTransaction, path: &Path) -> Result<Self, StoreError> {
        let table = transaction.open_table(UPDATES).at(path, DOING)?;
        let blocks_total = table.len().at(path, DOING)?;
        let range = table.range::<u64>(..).at(path, DOING)?;
        Ok(Self { range, blocks_total, blocks_seen: 0, error: None })
    }

    /// The share of all blocks that was read.
    pub(crate) fn share(&self) -> f64 {
        self.blocks_seen as f64 / self.blocks_total.max(1) as f64
    }

    /// Puts the next blocks, of at least so many bytes if there are, in the place of what `rows` holds.
    /// Answers whether there were any.
    pub(crate) fn read(&mut self, rows: &mut Rows, bytes_min: usize) -> bool {
        rows.bytes.clear();
        rows.rows.clear();
        while rows.bytes.len() < bytes_min && self.error.is_none() {
            match self.range.next() {
                Some(Ok((key, row))) => {
                    let (first, row) = (key.value(), row.value());
                    self.blocks_seen += 1;
                    rows.bytes.extend_from_slice(row);
                    let (is_whole, end) = (is_whole(first, row), rows.bytes.len());
                    rows.rows.push(Row { first, is_whole, end });
                }
                Some(Err(error)) => self.error = Some(error),
                None => break,
            }
        }
        !rows.rows.is_empty()
    }
}

/// Takes blocks apart. Damaged updates are left out and counted.
pub(crate) struct Decoder {
    last: Option<u64>,
    /// Bytes of the blocks.
    pub(crate) bytes: u64,
    positions_max: usize,
    damage: Damage,
    sources: RecentSources,
}

impl Decoder {
    /// Adds what is in the blocks to `updates`.
    pub(crate) fn decode(&mut self, rows: &Rows, updates: &mut VecDeque<(u64, Update)>) {
        let mut start = 0;
        for row in &rows.rows {
            self.take_apart(row, &rows.bytes[start..row.end], updates);
            start = row.end;
        }
        self.bytes += rows.bytes.len() as u64;
    }

    fn take_apart(&mut self, row: &Row, bytes: &[u8], updates: &mut VecDeque<(u64, Update)>) {
        self.damage.blocks += u64::from(!row.is_whole);
        for found in Records::of(bytes, row.is_whole) {
            let (position, update) = match &found {
                Found::Whole(record, _) => {
                    (Some(record.position), record.update(&mut self.sources))
                }
                Found::Damaged(position) => (*position, None),
            };
            // A page in the place of another would show as positions that step back.
            let in_order = position.filter(|at| *at >= row.first && self.last < Some(*at));
            match (in_order, update) {
                (Some(position), Some(update)) => {
                    self.last = Some(position);
                    updates.push_back((position, update));
                }
                _ => self.damage.add_update(position, self.positions_max),
            }
        }
    }
}

/// The updates of a store in the order of their positions.
pub(crate) struct Scan {
    pub(crate) reader: Reader,
    pub(crate) decoder: Decoder,
}

impl Scan {
    pub(crate) fn new(
        transaction: &ReadTransaction,
        path: &Path,
        positions_max: usize,
    ) -> Result<Self, StoreError> {
        let decoder = Decoder {
            last: None,
            bytes: 0,
            positions_max,
            damage: Damage::default(),
            sources: RecentSources::default(),
        };
        Ok(Self { reader: Reader::new(transaction, path)?, decoder })
    }

    /// All updates, one by one.
    pub(crate) fn updates(&mut self) -> impl Iterator<Item = (u64, Update)> {
        let Self { reader, decoder } = self;
        let (mut rows, mut updates) = (Rows::default(), VecDeque::new());
        std::iter::from_fn(move || {
            while updates.is_empty() && reader.read(&mut rows, READ_BYTES_MIN) {
                decoder.decode(&rows, &mut updates);
            }
            updates.pop_front()
        })
    }

    /// What was damaged, after the last update.
    pub(crate) fn finish(self, path: &Path) -> Result<Damage, StoreError> {
        let mut damage = self.decoder.damage;
        match self.reader.error {
            None => {}
            Some(redb::StorageError::Corrupted(message)) => damage.engine = Some(message),
            Some(error) => return Err(error).at(path, DOING),
        }
        damage.blocks_missing = self.reader.blocks_total.saturating_sub(self.reader.blocks_seen);
        Ok(damage)
    }
}

/// The announced version vector, and how many of its entries are damaged.
pub(crate) fn read_vector(
    transaction: &ReadTransaction,
    path: &Path,
) -> Result<(VersionVector, u64), StoreError> {
    let table = transaction.open_table(VECTOR).at(path, DOING)?;
    let total = table.len().at(path, DOING)?;
    let mut vector = VersionVector::new();
    for row in table.range::<&str>(..).at(path, DOING)? {
        let (literal, record) = row.at(path, DOING)?;
        if let Some((source, timestamp)) = record::open_entry(literal.value(), record.value()) {
            vector.advance(&source, timestamp);
        }
    }
    let damaged = total.saturating_sub(vector.len() as u64);
    Ok((vector, damaged))
}
