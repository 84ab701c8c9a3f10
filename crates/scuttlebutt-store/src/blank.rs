//! Which parts of the file nothing was written to yet, and are to be filled before something is.
//!
//! The first write to such a part has the file system record where it lies, and the sync behind it waits for
//! that too. So a part is filled as a whole before its first page is used: then the syncs of all its other
//! pages wait for nothing but their own bytes. This module keeps the account; it neither reads nor writes.

use std::ops::Range;

/// What is known of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// It was written to, or may have been.
    #[default]
    Used,
    /// The system told of a hole there.
    Hole,
    /// The file has grown by it since it was opened.
    Grown,
}

/// A part that is to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) range: Range<u64>,
    /// Nobody but the system knows that nothing was written there. Some have told of holes where there were none.
    pub(crate) is_hearsay: bool,
}

/// The account of one file: what is known of each part of a fixed length.
#[derive(Debug)]
pub(crate) struct Blank {
    part_bytes: u64,
    len: u64,
    /// How long it ever was. A small file may shrink and grow with every few commits; to fill that each time
    /// would be more to write than all else.
    len_max: u64,
    parts: Vec<Part>,
}

impl Blank {
    /// Of a file of that length with these holes. With parts of no length there is nothing to fill, ever.
    pub(crate) fn new(part_bytes: u64, len: u64, holes: &[Range<u64>]) -> Self {
        let mut blank = Self { part_bytes, len, len_max: len, parts: Vec::new() };
        blank.follow_len();
        holes.iter().for_each(|hole| blank.mark(hole.clone(), Part::Hole));
        blank
    }

    /// The file has a new length. What it never was so long for is blank.
    pub(crate) fn resize(&mut self, len: u64) {
        self.len = len;
        self.follow_len();
        self.mark(self.len_max..len, Part::Grown);
        self.len_max = self.len_max.max(len);
    }

    fn follow_len(&mut self) {
        let parts = self.len.checked_div(self.part_bytes).map_or(0, |whole| whole + 1);
        self.parts.resize(usize::try_from(parts).unwrap_or(0), Part::Used);
    }

    /// Says of what lies as a whole in this range what is known of it; the end of the file ends its last part.
    fn mark(&mut self, range: Range<u64>, known: Part) {
        if self.part_bytes == 0 || range.is_empty() {
            return;
        }
        let first = range.start.div_ceil(self.part_bytes);
        let end = match range.end >= self.len {
            true => self.parts.len() as u64,
            false => range.end / self.part_bytes,
        };
        for part in first..end {
            if let Some(part) = self.part(part) {
                *part = known;
            }
        }
    }

    /// Something is about to be written here: what is to be filled before, which then counts as used.
    pub(crate) fn take(&mut self, written: Range<u64>) -> Vec<Fill> {
        if self.part_bytes == 0 || written.is_empty() {
            return Vec::new();
        }
        let (part_bytes, len) = (self.part_bytes, self.len);
        (written.start / part_bytes..written.end.div_ceil(part_bytes))
            .filter_map(|number| {
                let known = std::mem::take(self.part(number)?);
                let range = number * part_bytes..((number + 1) * part_bytes).min(len);
                // What is written over as a whole needs no filling.
                let is_kept = range.start < written.start || written.end < range.end;
                (known != Part::Used && is_kept)
                    .then_some(Fill { range, is_hearsay: known == Part::Hole })
            })
            .collect()
    }

    fn part(&mut self, number: u64) -> Option<&mut Part> {
        usize::try_from(number).ok().and_then(|number| self.parts.get_mut(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(fills: Vec<Fill>) -> Vec<(u64, u64)> {
        fills.into_iter().map(|fill| (fill.range.start, fill.range.end)).collect()
    }

    #[test]
    fn each_part_is_filled_before_its_first_write_only() {
        let mut blank = Blank::new(100, 0, &[]);
        blank.resize(290);
        assert_eq!(ranges(blank.take(30..50)), [(0, 100)]);
        assert!(blank.take(60..100).is_empty());
        assert_eq!(ranges(blank.take(199..210)), [(100, 200), (200, 290)]);
        assert!(blank.take(0..290).is_empty());
    }

    #[test]
    fn what_is_written_over_as_a_whole_is_not_filled() {
        let mut blank = Blank::new(100, 0, &[]);
        blank.resize(300);
        assert_eq!(ranges(blank.take(50..250)), [(0, 100), (200, 300)]);
        assert!(blank.take(100..200).is_empty());
    }

    #[test]
    fn holes_of_a_file_that_was_there_are_hearsay() {
        let mut blank = Blank::new(100, 620, &[10..90, 150..410, 599..620]);
        assert!(blank.take(0..200).is_empty(), "some of it is no hole");
        let filled = [200..300, 300..400].map(|range| Fill { range, is_hearsay: true });
        assert_eq!(blank.take(250..310), filled);
        assert!(blank.take(400..600).is_empty());
        assert_eq!(ranges(blank.take(600..601)), [(600, 620)]);
        blank.resize(800);
        let grown = [Fill { range: 700..800, is_hearsay: false }];
        assert_eq!(blank.take(700..701), grown);
    }

    #[test]
    fn a_file_that_shrank_is_blank_where_it_never_was_as_long() {
        let mut blank = Blank::new(100, 0, &[]);
        blank.resize(300);
        blank.resize(150);
        assert_eq!(ranges(blank.take(120..130)), [(100, 150)]);
        blank.resize(500);
        assert!(blank.take(100..300).is_empty());
        assert_eq!(ranges(blank.take(310..311)), [(300, 400)]);
    }

    #[test]
    fn without_parts_nothing_is_filled() {
        let mut blank = Blank::new(0, 300, &[0..200, 250..300]);
        blank.resize(500);
        assert!(blank.take(0..500).is_empty());
    }
}
