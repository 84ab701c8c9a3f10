//! The hybrid logical clock that stamps local writes (invariant I4, "time moves forward").
//!
//! It never reads the time: the caller hands in the wall clock's reading. What comes out is greater
//! than everything that went in, also when the wall clock lags, stands still or steps back.

use crate::timestamp::Timestamp;

/// Greater than every timestamp made or observed so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    latest: Option<Timestamp>,
}

impl Clock {
    /// The timestamp of a write made now: `now_ms`, or the next double after the latest timestamp if
    /// that is later. `None` only when the largest double was used up.
    pub(crate) fn tick(&mut self, now_ms: f64) -> Option<Timestamp> {
        // A wall clock that reads nonsense is no reason to refuse a write: order comes first.
        let wall = Timestamp::new(now_ms).ok();
        let logical = match self.latest {
            Some(latest) => Some(latest.next()?),
            None => None,
        };
        let tick = wall.max(logical).or(Timestamp::new(1.0).ok())?;
        self.latest = Some(tick);
        Some(tick)
    }

    /// Lifts the clock above a timestamp that was accepted from outside.
    pub(crate) fn observe(&mut self, seen: Timestamp) {
        self.latest = self.latest.max(Some(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// I4: whatever the wall clock and the peers do, each local timestamp exceeds all before it.
        #[test]
        fn i4_time_moves_forward(steps in prop::collection::vec((any::<bool>(), any::<f64>()), 1..200)) {
            let mut clock = Clock::default();
            let mut greatest: Option<Timestamp> = None;
            for (local, millis) in steps {
                if local {
                    let Some(tick) = clock.tick(millis) else { break };
                    prop_assert!(Some(tick) > greatest);
                    greatest = Some(tick);
                } else if let Ok(seen) = Timestamp::new(millis) {
                    clock.observe(seen);
                    greatest = greatest.max(Some(seen));
                }
            }
        }
    }

    #[test]
    fn a_wall_clock_ahead_is_followed_exactly() {
        let mut clock = Clock::default();
        assert_eq!(clock.tick(100.0).map(Timestamp::as_millis), Some(100.0));
        assert_eq!(clock.tick(250.0).map(Timestamp::as_millis), Some(250.0));
    }
}
