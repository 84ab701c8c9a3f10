//! Numbers for things: each distinct thing gets the next one. Nothing is ever forgotten.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

pub(super) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;
pub(super) type QuickSet<K> = HashSet<K, BuildHasherDefault<Quick>>;

/// A hash function for small numbers that nobody chose to collide.
#[derive(Default)]
pub(super) struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn finish(&self) -> u64 {
        // Tables take the lowest bits and the highest.
        (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }
}

/// Things in the order of their numbers. The table beside them holds only numbers, so that a thing
/// is kept once.
pub(super) struct Numbers<T> {
    things: Vec<T>,
    /// One more than a number, or 0. The length is a power of two.
    slots: Vec<u32>,
}

impl<T: Hash + Eq> Numbers<T> {
    pub(super) fn new() -> Self {
        Self { things: Vec::new(), slots: vec![0; 64] }
    }

    pub(super) fn len(&self) -> usize {
        self.things.len()
    }

    pub(super) fn get(&self, number: u32) -> &T {
        &self.things[number as usize]
    }

    /// The number of `thing`. It is new if it is what [`len`](Self::len) was.
    pub(super) fn number(&mut self, thing: T) -> u32 {
        let mut slot = self.slot_of(&thing);
        if self.slots[slot] == 0 {
            if (self.things.len() + 1) * 2 > self.slots.len() {
                self.grow();
                slot = self.slot_of(&thing);
            }
            self.things.push(thing);
            self.slots[slot] = u32::try_from(self.things.len()).expect("fewer than 2^32 things");
        }
        self.slots[slot] - 1
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.things.len() {
            let slot = self.slot_of(&self.things[number]);
            self.slots[slot] = number as u32 + 1;
        }
    }

    /// Where it is, or the free slot where it belongs.
    fn slot_of(&self, thing: &T) -> usize {
        let mut hasher = Quick::default();
        thing.hash(&mut hasher);
        let mask = self.slots.len() - 1;
        let mut slot = hasher.finish() as usize & mask;
        while let Some(number) = self.slots[slot].checked_sub(1)
            && self.things[number as usize] != *thing
        {
            slot = (slot + 1) & mask;
        }
        slot
    }
}

/// 128 bits of what is written to it: of a hundred million texts two look alike by one chance in
/// 10^22.
#[derive(Default)]
pub(super) struct Fingerprint(u128);

impl Fingerprint {
    pub(super) fn of(thing: &impl fmt::Display) -> u128 {
        let mut fingerprint = Self::default();
        // Writing into a number cannot fail.
        let _ = fmt::Write::write_fmt(&mut fingerprint, format_args!("{thing}"));
        fingerprint.0
    }

    fn mix(&mut self, word: u128) {
        self.0 =
            (self.0 ^ word).wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9).rotate_left(61);
    }
}

impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.mix(text.len() as u128);
        for chunk in text.as_bytes().chunks(15) {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u128::from_le_bytes(word));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_have_equal_numbers_however_many_there_are() {
        let mut numbers = Numbers::new();
        for round in 0..2 {
            for thing in 0..10_000_u32 {
                assert_eq!(numbers.number([thing, thing / 3]), thing, "round {round}");
            }
        }
        assert_eq!(numbers.len(), 10_000);
        assert_eq!(numbers.get(300), &[300, 100]);
    }

    #[test]
    fn a_fingerprint_tells_texts_apart_by_content_and_cut() {
        let texts = ["", "a", "b", "ab", "0123456789abcde", "0123456789abcdef"];
        let distinct: HashSet<u128> = texts.iter().map(Fingerprint::of).collect();
        assert_eq!(distinct.len(), texts.len());
    }
}
