//! The order of an object's members.
//!
//! JavaScript lists keys that are array indices first, in ascending order, then the others as
//! they first appeared; a repeated key keeps its first place and its last value. This module
//! tells when a text has its members otherwise, and moves them.

use std::ops::Range;

use super::canonical::Draft;

/// A member of an object, by positions in the draft. It ends where the next one starts, or its
/// object ends, less the one byte between.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// Where its key starts, with the quote.
    pub(super) start: usize,
    /// Where its key ends, with the quote.
    pub(super) key_end: usize,
}

impl Member {
    pub(super) fn key(self) -> Range<usize> {
        self.start..self.key_end
    }
}

/// The array index a key is, given as a literal with its quotes: `"0"` to `"4294967294"`,
/// without leading zeros.
#[inline]
pub(crate) fn array_index(key: &[u8]) -> Option<u32> {
    let digits = match key {
        [b'"', b'0', b'"'] => return Some(0),
        [b'"', digits @ .., b'"'] if digits.len() <= 10 => digits,
        _ => return None,
    };
    if !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut index = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        index = index * 10 + u64::from(digit - b'0');
    }
    u32::try_from(index).ok().filter(|&index| index != u32::MAX)
}

/// Whether a key appears twice. Keys are canonical literals, so equal keys have equal bytes.
#[inline]
pub(super) fn has_duplicates(members: &[Member], draft: &Draft<'_>) -> bool {
    const PAIRWISE_MAX: usize = 8;
    if members.len() > PAIRWISE_MAX {
        return has_duplicates_among_many(members, draft);
    }
    members.iter().enumerate().any(|(position, member)| {
        let key = draft.token(member.key());
        members[..position].iter().any(|earlier| draft.token(earlier.key()) == key)
    })
}

fn has_duplicates_among_many(members: &[Member], draft: &Draft<'_>) -> bool {
    let mut keys: Vec<&[u8]> = members.iter().map(|member| draft.token(member.key())).collect();
    // Any order brings equal keys together; to compare lengths first is the quickest.
    keys.sort_unstable_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// What must move in a draft, to be applied in one go when the draft is complete.
///
/// To move members as each object ends would copy the innermost once for every object around
/// it. Here every byte is copied once.
#[derive(Default)]
pub(super) struct Rearrangements {
    objects: Vec<Rearranged>,
    /// The members to keep, object by object, each in its object's new order.
    members: Vec<Range<usize>>,
}

struct Rearranged {
    /// The object in the draft, braces included.
    span: Range<usize>,
    /// Its part of [`Rearrangements::members`].
    members: Range<usize>,
}

impl Rearrangements {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Notes the right order of one object's members.
    pub(super) fn add(&mut self, span: Range<usize>, members: &[Member], draft: &Draft<'_>) {
        let key = |&position: &usize| draft.token(members[position].key());
        let mut by_key: Vec<usize> = (0..members.len()).collect();
        // A stable sort: among equal keys the first and the last stay the first and the last.
        by_key.sort_by(|a, b| key(a).cmp(key(b)));

        let mut kept: Vec<(u64, usize, usize)> = Vec::with_capacity(members.len());
        for equal in by_key.chunk_by(|a, b| key(a) == key(b)) {
            if let (Some(first), Some(&last)) = (equal.first(), equal.last()) {
                let rank = array_index(key(first)).map_or(u64::MAX, u64::from);
                kept.push((rank, *first, last));
            }
        }
        kept.sort_unstable();

        let from = self.members.len();
        self.members.extend(kept.into_iter().map(|(_, _, last)| {
            let next = members.get(last + 1).map_or(span.end, |next| next.start);
            members[last].start..next - 1
        }));
        self.objects.push(Rearranged { span, members: from..self.members.len() });
    }

    /// Copies the draft with everything in its place.
    pub(super) fn apply(&mut self, draft: &str) -> String {
        /// An object that is being copied, and what is left of it and what follows.
        struct Copying {
            members: Range<usize>,
            then: Range<usize>,
        }

        self.objects.sort_unstable_by_key(|object| object.span.start);
        let mut out = String::with_capacity(draft.len());
        let mut copying: Vec<Copying> = Vec::new();
        let mut part = 0..draft.len();
        loop {
            let next = self.objects.partition_point(|object| object.span.start < part.start);
            match self.objects.get(next).filter(|object| object.span.start < part.end) {
                Some(object) => {
                    out.push_str(&draft[part.start..=object.span.start]);
                    let members = object.members.clone();
                    copying.push(Copying { members, then: object.span.end - 1..part.end });
                }
                None => out.push_str(&draft[part]),
            }
            let Some(object) = copying.last_mut() else {
                return out;
            };
            part = match object.members.next() {
                Some(member) => {
                    if !out.ends_with('{') {
                        out.push(',');
                    }
                    self.members[member].clone()
                }
                None => {
                    let then = object.then.clone();
                    copying.pop();
                    then
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{TextLimits, canonicalize};

    fn canonical(text: &str) -> String {
        let limits = TextLimits { nesting_depth_max: 128 };
        canonicalize(text.as_bytes(), limits).expect(text).into_owned()
    }

    #[test]
    fn array_indices_are_what_javascript_takes_for_them() {
        let index = |key: &str| array_index(format!("\"{key}\"").as_bytes());
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        assert_eq!(index("4294967294"), Some(4_294_967_294));
        for key in ["", "00", "01", "-1", "1.5", "1e3", "4294967295", "9999999999", "12345678901"] {
            assert_eq!(index(key), None, "{key}");
        }
    }

    #[test]
    fn members_move_inside_members_that_move() {
        assert_eq!(
            canonical(
                r#"[{"b":{"y":[{"z":1,"0":2}],"x":3,"y":{"d":1,"c":2,"d":3}},"1":{},"0":[]},7]"#
            ),
            r#"[{"0":[],"1":{},"b":{"y":{"d":3,"c":2},"x":3}},7]"#
        );
    }

    #[test]
    fn a_large_object_keeps_the_order_of_first_appearance() {
        let list = |keys: &mut dyn Iterator<Item = (u32, u32)>| {
            let members: Vec<String> =
                keys.map(|(key, value)| format!("\"k{key}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let unique = list(&mut (0..1000).map(|n| (n * 7919 % 1000, n)));
        assert_eq!(canonical(&unique), unique);
        let repeated = list(&mut (0..2000).map(|n| (n * 7919 % 1000, n)));
        assert_eq!(canonical(&repeated), list(&mut (0..1000).map(|n| (n * 7919 % 1000, n + 1000))));
    }
}
