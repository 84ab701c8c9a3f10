//! The hybrid logical clock that stamps local writes (invariant I4, "time moves forward").
//!
//! It never reads the time: the caller hands in the wall clock's reading. What comes out is greater
//! than everything that went in, also when the wall clock lags, stands still or steps back.

use crate::timestamp::Timestamp;

/// Who gave a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// This replica, now or before it was read from a store.
    Own,
    Other,
}

/// Greater than every timestamp made or observed so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    latest: Option<Timestamp>,
    /// The latest of them that another writer gave.
    others: Option<Timestamp>,
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

    /// Lifts the clock above a timestamp that was accepted.
    pub(crate) fn observe(&mut self, seen: Timestamp, writer: Writer) {
        self.latest = self.latest.max(Some(seen));
        if writer == Writer::Other {
            self.others = self.others.max(Some(seen));
        }
    }

    /// By how many milliseconds the next timestamp will be ahead of the wall clock.
    pub(crate) fn lead_ms(&self, now_ms: f64) -> f64 {
        let lead_ms = |latest: Timestamp| latest.as_millis() - now_ms;
        self.latest.map(lead_ms).filter(|lead_ms| *lead_ms > 0.0).unwrap_or_default()
    }

    /// By how many milliseconds others have been ahead of what the wall clock shows now. They are not
    /// accepted from far ahead; so if this is long, the wall clock was later before, and is behind now.
    pub(crate) fn others_lead_ms(&self, now_ms: f64) -> f64 {
        self.others.map_or(0.0, |latest| (latest.as_millis() - now_ms).max(0.0))
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
                    clock.observe(seen, Writer::Other);
                    greatest = greatest.max(Some(seen));
                }
            }
        }
    }

    #[test]
    fn it_knows_whose_timestamps_are_ahead() {
        let mut clock = Clock::default();
        assert_eq!((clock.lead_ms(50.0), clock.others_lead_ms(50.0)), (0.0, 0.0));
        clock.tick(1_000.0);
        assert_eq!((clock.lead_ms(50.0), clock.others_lead_ms(50.0)), (950.0, 0.0));
        clock.observe(Timestamp::new(500.0).unwrap(), Writer::Other);
        clock.observe(Timestamp::new(700.0).unwrap(), Writer::Own);
        assert_eq!((clock.lead_ms(50.0), clock.others_lead_ms(50.0)), (950.0, 450.0));
        assert_eq!((clock.lead_ms(2_000.0), clock.others_lead_ms(600.0)), (0.0, 0.0));
    }

    #[test]
    fn a_wall_clock_ahead_is_followed_exactly() {
        let mut clock = Clock::default();
        assert_eq!(clock.tick(100.0).map(Timestamp::as_millis), Some(100.0));
        assert_eq!(clock.tick(250.0).map(Timestamp::as_millis), Some(250.0));
    }
}
