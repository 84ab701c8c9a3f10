//! The table of updates, as commits change it: it grows at its end, and thins out where updates were let
//! go.
//!
//! What is let go stays in its block until a fifth of the block is dead. Until then it comes back when the
//! store is opened, and is superseded again: an update is true for ever. This module never starts or
//! commits a transaction.

use std::collections::{BTreeMap, BTreeSet};

use redb::{AccessGuard, ReadableTable, Table};
use scuttlebutt::Update;

use crate::block::{Block, Found, Records, is_whole, write_record};

type Rows<'txn> = Table<'txn, u64, &'static [u8]>;

/// What is known of the table between commits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    /// The block that the next updates go to; not known until the first commit.
    open: Option<Block>,
    /// By the key of their block, the positions of updates in it that were let go.
    dead: BTreeMap<u64, BTreeSet<u64>>,
}

impl Blocks {
    /// Adds updates, whose positions are behind all that are there.
    pub(crate) fn add<'a>(
        &mut self,
        rows: &mut Rows<'_>,
        updates: impl IntoIterator<Item = (u64, &'a Update)>,
    ) -> Result<(), redb::Error> {
        let mut updates = updates.into_iter().peekable();
        let Some((position, _)) = updates.peek() else { return Ok(()) };
        let mut open = match self.open.take() {
            Some(open) => open,
            None => resume(rows)?.unwrap_or_else(|| Block::new(*position)),
        };
        let mut record = Vec::new();
        for (position, update) in updates {
            write_record(position, update, &mut record);
            if !open.has_room(record.len()) {
                rows.insert(open.first, open.seal())?;
                open = Block::new(position);
            }
            open.push(&record);
        }
        rows.insert(open.first, open.seal())?;
        self.open = Some(open);
        Ok(())
    }

    /// Takes note that nobody needs the updates at these positions any more.
    pub(crate) fn remove(
        &mut self,
        rows: &mut Rows<'_>,
        positions: &[u64],
    ) -> Result<(), redb::Error> {
        let mut touched = BTreeSet::new();
        for position in positions {
            let Some(first) = rows.range(..=*position)?.next_back().transpose()? else { continue };
            let first = first.0.value();
            self.dead.entry(first).or_default().insert(*position);
            touched.insert(first);
        }
        for first in touched {
            self.thin_out(rows, first)?;
        }
        Ok(())
    }

    /// Writes a block without its dead updates, if those are a fifth of it or more, and joins it with the
    /// one before if that has room.
    fn thin_out(&mut self, rows: &mut Rows<'_>, first: u64) -> Result<(), redb::Error> {
        let Some(dead) = self.dead.get(&first) else { return Ok(()) };
        let Some(row) = rows.get(first)?.map(|row| row.value().to_vec()) else {
            self.dead.remove(&first);
            return Ok(());
        };
        if !is_whole(first, &row) {
            let message = format!("the block at {first} is not what was written");
            return Err(redb::Error::Corrupted(message));
        }
        let records = || {
            Records::of(&row, true).filter_map(|found| match found {
                Found::Whole(record, bytes) => Some((record.position, bytes)),
                Found::Damaged(_) => None,
            })
        };
        let live: Vec<&[u8]> = records()
            .filter(|(position, _)| !dead.contains(position))
            .map(|(_, bytes)| bytes)
            .collect();
        if 5 * live.len() > 4 * records().count() {
            return Ok(());
        }
        self.dead.remove(&first);
        // Whatever it is joined with, it is the last one again when more is added.
        self.open = self.open.take().filter(|open| open.first != first);
        let len = live.iter().map(|bytes| bytes.len()).sum();
        let before = rows.range(..first)?.next_back().transpose()?.and_then(whole);
        let joined = before.filter(|before| !live.is_empty() && before.has_room(len));
        if joined.is_some() || live.is_empty() {
            rows.remove(first)?;
        }
        if !live.is_empty() {
            let mut block = joined.unwrap_or_else(|| Block::new(first));
            live.into_iter().for_each(|bytes| block.push(bytes));
            rows.insert(block.first, block.seal())?;
        }
        Ok(())
    }
}

/// The last block, to go on with.
fn resume(rows: &Rows<'_>) -> Result<Option<Block>, redb::Error> {
    Ok(rows.last()?.and_then(whole))
}

/// A block in its row, if it is what was written. Nothing is ever added to another.
fn whole((key, row): (AccessGuard<'_, u64>, AccessGuard<'_, &'static [u8]>)) -> Option<Block> {
    let (first, row) = (key.value(), row.value());
    is_whole(first, row).then(|| Block::resume(first, row))
}
