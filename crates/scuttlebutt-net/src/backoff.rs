//! How long to wait before dialling again: longer with each failure, and never in step with others.

use std::time::Duration;

use scuttlebutt::Limits;

/// Exponential backoff with jitter between two bounds of [`Limits`].
#[derive(Debug)]
pub(crate) struct Backoff {
    min_ms: u64,
    max_ms: u64,
    /// Dials and sessions in a row that came to nothing.
    failures: u32,
    /// Sessions in a row that got somewhere and ended soon after. A peer that leaves after each is not dialled
    /// without a pause, and what failed before such a session holds up nobody after it.
    short: u32,
}

/// A session that got somewhere and lasted this long was no short one.
const SHORT: Duration = Duration::from_secs(5);

impl Backoff {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (min_ms, max_ms) = (limits.redial_delay_ms_min, limits.redial_delay_ms_max);
        Self { min_ms, max_ms, failures: 0, short: 0 }
    }

    /// Starts over.
    pub(crate) fn reset(&mut self) {
        (self.failures, self.short) = (0, 0);
    }

    /// Neither sync nor anything new came of it.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// A session got somewhere, and has ended after so long.
    pub(crate) fn succeeded(&mut self, lasted: Duration) {
        self.failures = 0;
        self.short = if lasted < SHORT { self.short.saturating_add(1) } else { 0 };
    }

    /// The delay from now on. `random` is uniform in 0..1 and decides on half of it.
    pub(crate) fn delay(&self, random: f64) -> Duration {
        let doublings = self.failures.max(self.short).saturating_sub(1).min(32);
        let longest = self.min_ms.saturating_mul(1 << doublings).min(self.max_ms) as f64;
        Duration::from_secs_f64((longest / 2.0 + longest / 2.0 * random) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        let limits =
            Limits { redial_delay_ms_min: 100, redial_delay_ms_max: 500, ..Limits::default() };
        Backoff::new(&limits)
    }

    /// After one more failure.
    fn failed(backoff: &mut Backoff) -> u128 {
        backoff.failed();
        backoff.delay(1.0).as_millis()
    }

    #[test]
    fn delays_double_up_to_the_bound_and_start_over() {
        let mut backoff = backoff();
        assert_eq!([(); 4].map(|()| failed(&mut backoff)), [100, 200, 400, 500]);
        assert_eq!(backoff.delay(0.0).as_millis(), 250);
        backoff.reset();
        assert_eq!(failed(&mut backoff), 100);
        assert_eq!(backoff.delay(0.0).as_millis(), 50);
        for _ in 0..100 {
            assert!(failed(&mut backoff) <= 500);
        }
    }

    #[test]
    fn a_link_that_was_good_is_dialled_at_once_whatever_failed_before_it() {
        for lasted in [Duration::ZERO, SHORT] {
            let mut backoff = backoff();
            while failed(&mut backoff) < 500 {}
            backoff.succeeded(lasted);
            assert_eq!(backoff.delay(1.0).as_millis(), 100);
        }
    }

    #[test]
    fn a_peer_that_leaves_after_each_sync_is_not_dialled_without_a_pause() {
        let mut backoff = backoff();
        let mut again = |lasted| {
            backoff.succeeded(lasted);
            backoff.delay(1.0).as_millis()
        };
        assert_eq!([(); 4].map(|()| again(Duration::ZERO)), [100, 200, 400, 500]);
        assert_eq!(again(SHORT), 100);
        assert_eq!(again(Duration::ZERO), 100);
    }
}
