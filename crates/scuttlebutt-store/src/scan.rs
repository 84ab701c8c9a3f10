//! Walks over everything a store holds, checks each record, and counts what is damaged.

use std::path::Path;

use redb::{Range, ReadTransaction, ReadableTableMetadata};
use scuttlebutt::{Update, VersionVector};

use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::record::{self, RecentSources};
use crate::schema::{UPDATES, VECTOR};

const DOING: &str = "reading the store";

/// The updates of a store in the order of their positions. Damaged ones are left out and counted.
pub(crate) struct Scan {
    rows: Range<'static, u64, &'static [u8]>,
    /// Updates there should be.
    pub(crate) total: u64,
    seen: u64,
    last: Option<u64>,
    /// Bytes of the updates that came out.
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
        let total = table.len().at(path, DOING)?;
        let rows = table.range::<u64>(..).at(path, DOING)?;
        let damage = Damage::default();
        Ok(Self {
            rows,
            total,
            seen: 0,
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
        self.damage.updates_missing = self.total.saturating_sub(self.seen);
        Ok(self.damage)
    }
}

impl Iterator for Scan {
    type Item = (u64, Update);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = match self.rows.next()? {
                Ok(row) => row,
                Err(error) => {
                    self.error = Some(error);
                    return None;
                }
            };
            let (position, record) = (key.value(), value.value());
            self.seen += 1;
            // A page in the place of another would show as positions that step back.
            let is_in_order = self.last.is_none_or(|last| last < position);
            self.last = Some(position);
            let update = record::open_update(position, record, &mut self.sources);
            match update.filter(|_| is_in_order) {
                Some(update) => {
                    self.bytes += record.len() as u64;
                    return Some((position, update));
                }
                None => self.damage.add_update(position, self.positions_max),
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
