//! Sources that were met lately, so that what stands in each update is decoded once.
//!
//! It forgets whenever it likes, and costs no more than a look where it has forgotten. It never decides
//! what a source is.

use std::fmt;

use crate::json::JsString;
use crate::source::SourceId;

/// How many are remembered at first, and at most: where many sources take turns the memory grows.
const SOURCES_REMEMBERED_MIN: usize = 128;
const SOURCES_REMEMBERED_MAX: usize = 2_048;

/// A small memory from literals to the ids they stand for: updates of one source share that source's
/// memory, and are read faster.
///
/// ```
/// use scuttlebutt::{RecentSources, SourceId};
///
/// let mut sources = RecentSources::default();
/// assert_eq!(sources.get(r#""A""#), Some(SourceId::new("A")?));
/// assert_eq!(sources.get(r#""A""#), Some(SourceId::new("A")?), "without decoding it again");
/// assert_eq!(sources.get(r#""__proto__""#), None);
/// # Ok::<(), scuttlebutt::InvalidSource>(())
/// ```
#[derive(Clone, Default)]
pub struct RecentSources {
    last: Option<SourceId>,
    /// By a number made from the literal. Empty until a second source is met.
    others: Vec<Option<SourceId>>,
    /// How often one took another's place since it grew.
    displaced: usize,
}

impl RecentSources {
    /// The source whose JSON literal this is; `None` if it is no string, or no source.
    pub fn get(&mut self, literal: &str) -> Option<SourceId> {
        if let Some(last) = &self.last
            && last.json_literal() == literal
        {
            return Some(last.clone());
        }
        if self.last.is_none() {
            self.last = parse(literal);
            return self.last.clone();
        }
        if self.displaced >= self.others.len() && self.others.len() < SOURCES_REMEMBERED_MAX {
            let places = (4 * self.others.len()).max(SOURCES_REMEMBERED_MIN);
            self.others = vec![None; places.min(SOURCES_REMEMBERED_MAX)];
            self.displaced = 0;
        }
        let place = place_of(literal) % self.others.len();
        let held = &mut self.others[place];
        if held.as_ref().is_none_or(|held| held.json_literal() != literal) {
            self.displaced += usize::from(held.is_some());
            *held = Some(parse(literal)?);
        }
        self.last = held.clone();
        held.clone()
    }
}

fn parse(literal: &str) -> Option<SourceId> {
    SourceId::new(JsString::from_json_literal(literal).ok()?).ok()
}

/// Somebody who chooses ids that meet at one place only makes them be decoded more often.
fn place_of(literal: &str) -> usize {
    let mix = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    literal.as_bytes().iter().fold(0x811c_9dc5, mix) as usize
}

/// Nothing: what it remembers changes nothing but the time that things take.
impl fmt::Debug for RecentSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecentSources")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_sources_is_read_as_itself() {
        let mut sources = RecentSources::default();
        for round in 0..2 {
            for n in 0..3 * SOURCES_REMEMBERED_MAX {
                let source = SourceId::new(format!("source {n}")).expect("an id");
                let read = sources.get(source.json_literal());
                assert_eq!(read, Some(source), "round {round}");
            }
        }
        assert_eq!(sources.get("\"__proto__\""), None);
        assert_eq!(sources.get("no literal"), None);
        assert_eq!(sources.others.len(), SOURCES_REMEMBERED_MAX, "no more than that");
    }

    #[test]
    fn one_source_shares_its_memory() {
        let mut sources = RecentSources::default();
        for literal in ["\"A\"", "\"B\"", "\"A\"", "\"B\""] {
            sources.get(literal);
        }
        let [a, again] = [0, 1].map(|_| sources.get("\"A\"").expect("an id"));
        assert!(a.shares_memory_with(&again));
    }
}
