//! The updates held, in the order in which they were accepted.
//!
//! Positions ascend for ever and are never used again, so a reader is one number, however far it
//! lags (invariant I6). Removing an update frees its text at once; its slot goes when a quarter of
//! its block is empty. This module knows nothing of sources or models.

use std::collections::BTreeMap;
use std::fmt;

use super::{Link, SourceIndex};
use crate::update::Update;

/// An update in the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) update: Update,
    pub(crate) source: SourceIndex,
    /// The session that brought it, so that it is not sent back there.
    pub(crate) via: Link,
    /// The position of what superseded it, or [`Entry::LIVE`]. A superseded update is kept until
    /// that is durable, and as the newest of its source: the evidence for that source's entry in the
    /// version vector (invariant I1).
    pub(crate) superseded_by: u64,
}

impl Entry {
    /// Nothing superseded it.
    pub(crate) const LIVE: u64 = u64::MAX;

    pub(crate) fn is_live(&self) -> bool {
        self.superseded_by == Self::LIVE
    }
}

/// A block spans this many positions.
const BLOCK: u64 = 256;

#[derive(Clone, Default)]
struct Block {
    /// Ascending by offset; `None` where an update was removed since the last compaction.
    slots: Vec<Option<Entry>>,
    /// The offsets of the slots, once they are not simply 0, 1, 2 and so on.
    offsets: Option<Vec<u8>>,
    held: usize,
}

impl Block {
    /// The slot that is for `offset`, if there is one.
    fn find(&self, offset: u8) -> Option<usize> {
        match &self.offsets {
            None => Some(usize::from(offset)).filter(|slot| *slot < self.slots.len()),
            Some(offsets) => offsets.binary_search(&offset).ok(),
        }
    }

    fn offset(&self, slot: usize) -> u64 {
        match &self.offsets {
            None => slot as u64,
            Some(offsets) => u64::from(offsets[slot]),
        }
    }

    /// The first slot for `offset` or what follows.
    fn first_from(&self, offset: u8) -> usize {
        match &self.offsets {
            None => usize::from(offset).min(self.slots.len()),
            Some(offsets) => offsets.partition_point(|at| *at < offset),
        }
    }

    fn push(&mut self, offset: u8, entry: Entry) {
        match &mut self.offsets {
            None if self.slots.len() == usize::from(offset) => {}
            None => self.offsets = Some(self.all_offsets().chain([offset]).collect()),
            Some(offsets) => offsets.push(offset),
        }
        self.slots.push(Some(entry));
        self.held += 1;
    }

    fn all_offsets(&self) -> impl Iterator<Item = u8> {
        (0..self.slots.len()).map(|slot| self.offset(slot) as u8)
    }

    /// Leaves out the empty slots.
    fn compact(&mut self) {
        let held = self.all_offsets().zip(&self.slots).filter(|(_, entry)| entry.is_some());
        self.offsets = Some(held.map(|(offset, _)| offset).collect());
        self.slots.retain(Option::is_some);
        self.slots.shrink_to_fit();
    }
}

/// The updates: how they are kept is nobody's business.
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(slot, entry)| Some((self.offset(slot), entry.as_ref()?)));
        f.debug_map().entries(entries).finish()
    }
}

/// All updates held, by arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival {
    blocks: BTreeMap<u64, Block>,
    head: u64,
    held: usize,
    /// How many of them nothing supersedes.
    live: usize,
    bytes: usize,
    #[cfg(test)]
    pub(crate) touched: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Arrival {
    /// The position that the next update will get.
    pub(crate) fn head(&self) -> u64 {
        self.head
    }

    /// Number of updates held.
    pub(crate) fn len(&self) -> usize {
        self.held
    }

    /// Number of updates held that nothing supersedes.
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// Bytes of text held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Leaves out the positions before `position`; never goes back.
    pub(crate) fn skip_to(&mut self, position: u64) {
        self.head = self.head.max(position);
    }

    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        let position = self.head;
        self.head += 1;
        self.held += 1;
        self.live += usize::from(entry.is_live());
        self.bytes += entry.update.heap_bytes();
        let number = position / BLOCK;
        let block = match self.blocks.last_entry() {
            Some(last) if *last.key() == number => last.into_mut(),
            _ => self.blocks.entry(number).or_default(),
        };
        block.push((position % BLOCK) as u8, entry);
        position
    }

    pub(crate) fn get(&self, position: u64) -> Option<&Entry> {
        self.touch();
        let block = self.blocks.get(&(position / BLOCK))?;
        block.slots[block.find((position % BLOCK) as u8)?].as_ref()
    }

    /// Remembers that the update at `position` is superseded by the one at `by`; answers whether it is held.
    pub(crate) fn supersede(&mut self, position: u64, by: u64) -> bool {
        let Some(block) = self.blocks.get_mut(&(position / BLOCK)) else { return false };
        let slot = block.find((position % BLOCK) as u8);
        let Some(entry) = slot.and_then(|slot| block.slots[slot].as_mut()) else { return false };
        self.live -= usize::from(entry.is_live());
        entry.superseded_by = by;
        true
    }

    pub(crate) fn remove(&mut self, position: u64) -> Option<Entry> {
        let number = position / BLOCK;
        let block = self.blocks.get_mut(&number)?;
        let slot = block.find((position % BLOCK) as u8)?;
        let entry = block.slots[slot].take()?;
        block.held -= 1;
        self.held -= 1;
        self.live -= usize::from(entry.is_live());
        self.bytes -= entry.update.heap_bytes();
        if block.held == 0 && number != self.head / BLOCK {
            self.blocks.remove(&number);
        } else if block.slots.len() - block.held > block.slots.len() / 4 + 8 {
            // At least a quarter of the slots go, each of which was filled once: O(1) amortised.
            block.compact();
        }
        Some(entry)
    }

    /// The updates held from `position` on, with their positions.
    pub(crate) fn from(&self, position: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let number = position / BLOCK;
        self.blocks.range(number..).flat_map(move |(&at, block)| {
            let first = if at == number { block.first_from((position % BLOCK) as u8) } else { 0 };
            block.slots[first..].iter().zip(first..).filter_map(move |(entry, slot)| {
                self.touch();
                Some((at * BLOCK + block.offset(slot), entry.as_ref()?))
            })
        })
    }

    /// All updates held, with their positions.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (u64, Entry)> {
        self.blocks.into_iter().flat_map(|(number, block)| {
            let offsets: Vec<u64> = (0..block.slots.len()).map(|slot| block.offset(slot)).collect();
            let entries = offsets.into_iter().zip(block.slots);
            entries.filter_map(move |(offset, entry)| Some((number * BLOCK + offset, entry?)))
        })
    }

    fn touch(&self) {
        #[cfg(test)]
        self.touched.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(number: u64) -> Entry {
        let line = format!("[{number},{},\"A\"]", number + 1);
        Entry {
            update: Update::from_json(&line).expect("an update"),
            source: SourceIndex(0),
            via: Link::LOCAL,
            superseded_by: Entry::LIVE,
        }
    }

    proptest! {
        /// Against a naive twin: a map from positions to texts.
        #[test]
        fn holds_what_a_plain_map_holds(steps in prop::collection::vec((0..4u8, any::<u64>()), 0..2_000)) {
            let mut log = Arrival::default();
            let mut twin = BTreeMap::new();
            for (step, draw) in steps {
                if step < 2 || log.head() == 0 {
                    let position = log.push(entry(draw >> 12));
                    twin.insert(position, format!("{}", draw >> 12));
                } else if step == 2 {
                    let position = draw % log.head();
                    let removed = log.remove(position).map(|entry| entry.update.change().to_owned());
                    prop_assert_eq!(removed, twin.remove(&position));
                } else {
                    let position = draw % log.head();
                    let text = log.get(position).map(|entry| entry.update.change().to_owned());
                    prop_assert_eq!(text.as_ref(), twin.get(&position));
                    let next = log.from(position).next().map(|(at, _)| at);
                    prop_assert_eq!(next, twin.range(position..).next().map(|(at, _)| *at));
                }
            }
            prop_assert_eq!((log.len(), log.live()), (twin.len(), twin.len()));
            let all: Vec<_> = log.from(0).map(|(at, entry)| (at, entry.update.change().to_owned())).collect();
            prop_assert_eq!(all, twin.into_iter().collect::<Vec<_>>());
            prop_assert!(log.blocks.values().rev().skip(1).all(|block| block.held > 0));
        }
    }
}
