//! A sorted list in blocks: as small as its items, and as fast as a vector where they come in order,
//! which timestamps nearly always do.
//!
//! Trees leave nodes half empty when they are filled in order, and search from the top for each item.
//! Here an item behind all others is looked at once and pushed; another costs a search and moving
//! half a block. This module knows nothing of what it holds: each call says how items compare to what
//! is looked for.

use std::cmp::Ordering;
use std::fmt;

/// A block that would grow beyond this is cut in two.
const BLOCK_ITEMS_MAX: usize = 256;

/// Items in an order that the callers keep to.
#[derive(Clone)]
pub(crate) struct Sorted<T> {
    /// None is empty.
    blocks: Vec<Vec<T>>,
    len: usize,
}

/// Where an item is, or would be.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    block: usize,
    index: usize,
}

impl<T> Sorted<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.blocks.last()?.last()
    }

    /// The item that `order` calls equal. It says how an item stands to what is looked for.
    pub(crate) fn get(&self, order: impl Fn(&T) -> Ordering) -> Option<&T> {
        let place = self.search(order).ok()?;
        Some(&self.blocks[place.block][place.index])
    }

    /// Puts an item where `order` says, in the place of an equal one.
    pub(crate) fn insert(&mut self, item: T, order: impl Fn(&T) -> Ordering) {
        match self.search(order) {
            Ok(place) => *self.at_mut(place) = item,
            Err(place) => self.insert_at(place, item),
        }
    }

    /// The item at a place where [`search`](Self::search) found one.
    pub(crate) fn at_mut(&mut self, place: Place) -> &mut T {
        &mut self.blocks[place.block][place.index]
    }

    /// Puts an item where [`search`](Self::search) found none.
    pub(crate) fn insert_at(&mut self, place: Place, item: T) {
        let Place { block, index } = place;
        self.len += 1;
        match self.blocks.get_mut(block) {
            None => self.blocks.push(vec![item]),
            Some(full) if full.len() == BLOCK_ITEMS_MAX => {
                // What is behind all others leaves a full block behind; anything else two halves.
                let is_last = index == BLOCK_ITEMS_MAX;
                let mut next = Vec::with_capacity(BLOCK_ITEMS_MAX);
                let cut = if is_last { index } else { BLOCK_ITEMS_MAX / 2 };
                next.extend(full.drain(cut..));
                match index.checked_sub(cut) {
                    Some(index) => next.insert(index, item),
                    None => full.insert(index, item),
                }
                self.blocks.insert(block + 1, next);
            }
            Some(block) => block.insert(index, item),
        }
    }

    /// Takes out the item that `order` calls equal.
    pub(crate) fn remove(&mut self, order: impl Fn(&T) -> Ordering) -> Option<T> {
        let Place { block: at, index } = self.search(order).ok()?;
        let block = &mut self.blocks[at];
        let item = block.remove(index);
        self.len -= 1;
        if block.is_empty() {
            self.blocks.remove(at);
        } else if block.len() <= block.capacity() / 4 {
            block.shrink_to(block.capacity() / 2);
            self.join(at);
        }
        Some(item)
    }

    /// Makes one of a small block and the next, so that what stays of many blocks is few.
    fn join(&mut self, at: usize) {
        let len = |at: usize| self.blocks.get(at).map_or(BLOCK_ITEMS_MAX, Vec::len);
        if len(at) + len(at + 1) <= BLOCK_ITEMS_MAX / 2 {
            let mut next = self.blocks.remove(at + 1);
            self.blocks[at].append(&mut next);
        }
    }

    /// All items, in order.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.blocks.iter_mut().flatten()
    }

    /// The items from the first on that `order` does not call less.
    pub(crate) fn since(&self, order: impl Fn(&T) -> Ordering) -> impl Iterator<Item = &T> {
        let Place { block, index } = self.place(order);
        self.blocks[block..]
            .iter()
            .enumerate()
            .flat_map(move |(n, block)| block[if n == 0 { index } else { 0 }..].iter())
    }

    /// [`since`](Self::since), to be changed in what does not decide the order.
    pub(crate) fn since_mut(
        &mut self,
        order: impl Fn(&T) -> Ordering,
    ) -> impl Iterator<Item = &mut T> {
        let Place { block, index } = self.place(order);
        self.blocks[block..]
            .iter_mut()
            .enumerate()
            .flat_map(move |(n, block)| block[if n == 0 { index } else { 0 }..].iter_mut())
    }

    fn place(&self, order: impl Fn(&T) -> Ordering) -> Place {
        self.search(order).unwrap_or_else(|place| place)
    }

    /// Where the item is that `order` calls equal, or else where one would be.
    pub(crate) fn search(&self, order: impl Fn(&T) -> Ordering) -> Result<Place, Place> {
        let Some(last) = self.blocks.len().checked_sub(1) else {
            return Err(Place { block: 0, index: 0 });
        };
        if self.last().is_some_and(|item| order(item) == Ordering::Less) {
            return Err(Place { block: last, index: self.blocks[last].len() });
        }
        // The first block that ends at or behind what is looked for; there is one.
        let is_before = |block: &Vec<T>| block.last().is_some_and(|item| order(item).is_lt());
        let block = self.blocks.partition_point(is_before);
        let found = self.blocks[block].binary_search_by(order);
        found.map(|index| Place { block, index }).map_err(|index| Place { block, index })
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), len: 0 }
    }
}

/// The items: how they are cut into blocks is nobody's business.
impl<T: fmt::Debug> fmt::Debug for Sorted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    fn number(wanted: u32) -> impl Fn(&(u32, usize)) -> Ordering {
        move |(number, _)| number.cmp(&wanted)
    }

    /// Steps that fill, thin out and look around: within a small range now and then, so that they meet.
    fn steps() -> impl Strategy<Value = Vec<(u8, u32)>> {
        let spread = (0..10u8, any::<u32>());
        let dense = (0..10u8, 0..2_000u32);
        prop::collection::vec(prop_oneof![spread, dense], 0..6_000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against a tree of the standard library.
        #[test]
        fn holds_what_a_tree_holds(steps in steps(), is_rising in any::<bool>()) {
            let mut sorted = Sorted::default();
            let mut tree = BTreeMap::new();
            for (step, (kind, draw)) in steps.into_iter().enumerate() {
                let draw = if is_rising && kind < 5 { step as u32 * 7 } else { draw };
                match kind {
                    0..6 => {
                        sorted.insert((draw, step), number(draw));
                        tree.insert(draw, step);
                    }
                    6..9 => {
                        let near = tree.range(draw..).next().map_or(draw, |(near, _)| *near);
                        let removed = sorted.remove(number(near)).map(|(_, step)| step);
                        prop_assert_eq!(removed, tree.remove(&near));
                    }
                    _ => {
                        let found = sorted.get(number(draw)).map(|(_, step)| *step);
                        prop_assert_eq!(found, tree.get(&draw).copied());
                        let next: Vec<_> = sorted.since(number(draw)).take(3).copied().collect();
                        let in_tree = tree.range(draw..).take(3).map(|(n, step)| (*n, *step));
                        prop_assert_eq!(&next, &in_tree.collect::<Vec<_>>());
                        let again: Vec<_> =
                            sorted.since_mut(number(draw)).take(3).map(|item| *item).collect();
                        prop_assert_eq!(next, again);
                    }
                }
                let last = tree.last_key_value().map(|(number, step)| (*number, *step));
                prop_assert_eq!(sorted.last().copied(), last);
            }
            prop_assert_eq!(sorted.len(), tree.len());
            prop_assert!(sorted.iter().copied().eq(tree.into_iter()));
            prop_assert!(sorted.blocks.iter().all(|block| !block.is_empty()));
            prop_assert!(sorted.blocks.iter().all(|block| block.len() <= BLOCK_ITEMS_MAX));
        }
    }

    #[test]
    fn what_is_removed_leaves_no_room_behind() {
        let mut sorted = Sorted::default();
        (0..100_000).for_each(|n| sorted.insert((n, 0), number(n)));
        assert_eq!(sorted.blocks.len(), 100_000usize.div_ceil(BLOCK_ITEMS_MAX), "filled in order");
        (0..100_000)
            .filter(|n| n % 10 != 0)
            .for_each(|n| assert!(sorted.remove(number(n)).is_some()));
        let room: usize = sorted.blocks.iter().map(Vec::capacity).sum();
        assert!(room <= 4 * sorted.len(), "{room} for {}", sorted.len());
    }
}
