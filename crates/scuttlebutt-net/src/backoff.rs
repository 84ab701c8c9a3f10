//! How long to wait before dialling again: longer with each failure, and never in step with others.

use std::time::Duration;

use scuttlebutt::Limits;

/// Exponential backoff with jitter between two bounds of [`Limits`].
#[derive(Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { min_ms: limits.redial_delay_ms_min, max_ms: limits.redial_delay_ms_max, failures: 0 }
    }

    /// Starts over.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The longest delay there is.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_millis(self.max_ms)
    }

    /// The next delay. `random` is uniform in 0..1 and decides on half of it.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let doubled = self.min_ms.saturating_mul(1 << self.failures.min(32));
        self.failures += 1;
        let longest = doubled.min(self.max_ms) as f64;
        Duration::from_secs_f64((longest / 2.0 + longest / 2.0 * random) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound_and_start_over() {
        let limits =
            Limits { redial_delay_ms_min: 100, redial_delay_ms_max: 500, ..Limits::default() };
        let mut backoff = Backoff::new(&limits);
        let delays: Vec<_> = (0..4).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 500]);
        assert_eq!(backoff.next(0.0).as_millis(), 250);
        backoff.reset();
        assert_eq!(backoff.next(0.0).as_millis(), 50);
        for _ in 0..100 {
            assert!(backoff.next(1.0).as_millis() <= 500);
        }
    }
}
