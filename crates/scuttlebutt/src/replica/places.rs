//! Where histories broke off, and how their senders are asked to go on from there.
//!
//! A place says how far one sender got. It promises nothing: the version vector moves when the history has
//! ended, as ever. It is worth something only to that sender in its present life, and is forgotten with
//! this replica's own.

use crate::place::Place;

/// The places of the histories that are under way, or broke off; the newest comes last.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    /// A history got further.
    pub(super) fn note(&mut self, place: Place, places_max: usize) {
        self.forget(place.life);
        if self.0.len() >= places_max {
            self.0.remove(0);
        }
        self.0.push(place);
    }

    /// The history has ended.
    pub(super) fn forget(&mut self, life: u64) {
        self.0.retain(|place| place.life != life);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::UpdateId;
    use crate::{SourceId, Timestamp};

    #[test]
    fn there_is_one_for_each_sender_and_no_more_than_the_bound() {
        let place = |life, since| {
            let (timestamp, source) = (Timestamp::new(1.0).unwrap(), SourceId::new("A").unwrap());
            Place { life, at: UpdateId { timestamp, source }, since }
        };
        let mut places = Places::default();
        for (life, since) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
            places.note(place(life, since), 2);
        }
        let kept: Vec<_> = places.iter().map(|place| (place.life, place.since)).collect();
        assert_eq!(kept, [(1, 3), (3, 4)]);
        places.forget(1);
        assert_eq!(places.iter().count(), 1);
    }
}
