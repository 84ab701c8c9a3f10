//! Walks over everything a store holds, checks each block, and counts what is damaged.

use std::path::Path;

use redb::{Range, ReadTransaction, ReadableTableMetadata};
use scuttlebutt::{Update, VersionVector};

use crate::block::{Found, RecentSources, Records, is_whole};
use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::record;
use crate::schema::{UPDATES, VECTOR};

const DOING: &str = "reading the store";

/// The updates of a store in the order of their positions, a block of them at a time. Damaged ones are
/// left out and counted.
pub(crate) struct Scan {
    rows: Range<'static, u64, &'static [u8]>,
    /// Blocks there should be.
    pub(crate) blocks_total: u64,
    pub(crate) blocks_seen: u64,
    last: Option<u64>,
    /// Bytes of the blocks that came out.
    pub(crate) bytes: u64,
    positions_max: usize,
    pub(crate) damage: Damage,
    error: Option<redb::StorageError>,
    sources: RecentSources,
}

impl Scan {
    pub(crate) fn new(
        transaction: &ReadTransaction,
        path: &Path,
        positions_max: usize,
    ) -> Result<Self, StoreError> {
        let table = transaction.open_table(UPDATES).at(path, DOING)?;
        let blocks_total = table.len().at(path, DOING)?;
        let rows = table.range::<u64>(..).at(path, DOING)?;
        let damage = Damage::default();
        Ok(Self {
            rows,
            blocks_total,
            blocks_seen: 0,
            last: None,
            bytes: 0,
            positions_max,
            damage,
            error: None,
            sources: RecentSources::new(),
        })
    }

    /// What was damaged, after the last update.
    pub(crate) fn finish(mut self, path: &Path) -> Result<Damage, StoreError> {
        match self.error {
            None => {}
            Some(redb::StorageError::Corrupted(message)) => self.damage.engine = Some(message),
            Some(error) => return Err(error).at(path, DOING),
        }
        self.damage.blocks_missing = self.blocks_total.saturating_sub(self.blocks_seen);
        Ok(self.damage)
    }

    /// All updates, one by one.
    pub(crate) fn updates(&mut self) -> impl Iterator<Item = (u64, Update)> {
        self.flatten()
    }

    fn take_apart(&mut self, first: u64, row: &[u8]) -> Vec<(u64, Update)> {
        let mut updates = Vec::new();
        self.damage.blocks += u64::from(!is_whole(first, row));
        for found in Records::of(first, row) {
            let (position, update) = match &found {
                Found::Whole(record, _) => {
                    (Some(record.position), record.update(&mut self.sources))
                }
                Found::Damaged(position) => (*position, None),
            };
            // A page in the place of another would show as positions that step back.
            let in_order = position.filter(|at| *at >= first && self.last < Some(*at));
            match (in_order, update) {
                (Some(position), Some(update)) => {
                    self.last = Some(position);
                    updates.push((position, update));
                }
                _ => self.damage.add_update(position, self.positions_max),
            }
        }
        updates
    }
}

impl Iterator for Scan {
    type Item = Vec<(u64, Update)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next()? {
            Ok((key, row)) => {
                self.blocks_seen += 1;
                self.bytes += row.value().len() as u64;
                Some(self.take_apart(key.value(), row.value()))
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
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
