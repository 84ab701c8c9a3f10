//! Which sites count as one: those that print alike once their links are named by where they lead.
//!
//! A replica numbers its links in the order in which they came up, and asks of a number only whether
//! it is that of a session. So it makes no difference how often a link came up before, nor which of
//! those that are gone brought an update.

use super::state::LINKS_MAX;

/// Numbers below are no session's: they stand for what was written here, or restored.
const FIRST: u32 = 2;

/// Names the links in what a site prints. Its first lines are those of its session ends, each of
/// which begins with its link.
pub(super) fn with_links_named(text: &str) -> String {
    let mut lines = text.lines();
    let ends: [Option<u32>; LINKS_MAX] = std::array::from_fn(|_| number(lines.next()?, "(Link("));
    let mut pieces = text.split("Link(");
    let mut named = String::with_capacity(text.len());
    named.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        named.push_str("Link(");
        let Some(link) = number(piece, "").filter(|link| *link >= FIRST) else {
            named.push_str(piece);
            continue;
        };
        let end = ends.iter().position(|end| *end == Some(link));
        named.push_str(end.map_or("gone", |end| ["0th", "1st", "2nd"][end]));
        named.push_str(piece.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    named
}

/// The number after `prefix`.
fn number(text: &str, prefix: &str) -> Option<u32> {
    text.strip_prefix(prefix)?.split_once(')')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_named_by_the_end_that_has_them() {
        let text =
            "(Link(7), a)\n\n(Link(12), b)\nvia Link(0), Link(1), Link(12), Link(3), Link(7).";
        let named = "(Link(0th), a)\n\n(Link(2nd), b)\n\
                     via Link(0), Link(1), Link(2nd), Link(gone), Link(0th).";
        assert_eq!(with_links_named(text), named);
    }
}
