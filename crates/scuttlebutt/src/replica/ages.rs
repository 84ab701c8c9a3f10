//! Which updates were accepted some time ago: three positions and two times, for all of them.

/// What has been here for at least a while.
#[derive(Clone, Debug, Default)]
pub(super) struct Ages {
    /// What is below has been here for a while...
    old_below: u64,
    /// ...and this was the log's end...
    young_from: u64,
    /// ...at this time.
    young_since_ms: f64,
    last_ms: f64,
}

impl Ages {
    /// Something was accepted at `now_ms`; before it the log ended at `head`.
    pub(super) fn note(&mut self, head: u64, now_ms: f64, while_ms: f64) {
        if now_ms < self.young_since_ms {
            // The clock was set back.
            self.young_since_ms = now_ms;
        }
        if now_ms - self.young_since_ms >= while_ms {
            self.old_below = self.young_from;
            (self.young_from, self.young_since_ms) = (head, now_ms);
        }
        self.last_ms = now_ms;
    }

    /// Below which position everything has been here for `while_ms`, in a log that ends at `head`. It
    /// may be more.
    pub(super) fn old_below(&self, head: u64, now_ms: f64, while_ms: f64) -> u64 {
        if now_ms - self.last_ms >= while_ms {
            head
        } else if now_ms - self.young_since_ms >= while_ms {
            self.young_from
        } else {
            self.old_below
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_has_been_here_for_a_while() {
        let mut ages = Ages::default();
        assert_eq!(ages.old_below(7, 5_000.0, 100.0), 7, "all of it was restored");
        for nth in 0..100 {
            ages.note(nth, 5_000.0 + 10.0 * nth as f64, 100.0);
        }
        let old = ages.old_below(100, 5_990.0, 100.0);
        assert!((70..=89).contains(&old), "{old}");
        assert_eq!(ages.old_below(100, 6_090.0, 100.0), 100);
        ages.note(100, 1_000.0, 100.0);
        assert!(ages.old_below(101, 1_001.0, 100.0) < 101, "the clock was set back");
    }
}
