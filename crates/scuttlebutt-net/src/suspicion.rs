//! How fast a peer is listened to that sends updates which nobody vouches for.
//!
//! Verifying costs the same whether the answer is yes or no, so a flood of forgeries would take it from all
//! others. Each refusal costs the session that brought it a little time in which nothing is read from it.
//! Nothing is dropped, and a peer that sends none is never held up.

use std::time::Duration;

use scuttlebutt::Limits;
use tokio::time::Instant;

/// What one peer's refused updates cost it.
pub(crate) struct Suspicion {
    wait_for_each: Duration,
    refused: u64,
    listen_from: Option<Instant>,
}

impl Suspicion {
    pub(crate) fn new(limits: &Limits) -> Self {
        let each = 1.0 / limits.unverified_per_second_max.max(1) as f64;
        Self { wait_for_each: Duration::from_secs_f64(each), refused: 0, listen_from: None }
    }

    /// So many of its updates were refused until now.
    pub(crate) fn refused(&mut self, count: u64) {
        let more = u32::try_from(count.saturating_sub(self.refused)).unwrap_or(u32::MAX);
        self.refused = count;
        if more > 0 {
            let now = Instant::now();
            let from = self.listen_from.map_or(now, |from| from.max(now));
            self.listen_from = Some(from + self.wait_for_each.saturating_mul(more));
        }
    }

    /// From when on it is listened to again, if it is not now.
    pub(crate) fn listen_from(&mut self) -> Option<Instant> {
        self.listen_from = self.listen_from.filter(|from| *from > Instant::now());
        self.listen_from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_refusal_costs_its_share_of_a_second() {
        let limits = Limits { unverified_per_second_max: 100, ..Limits::default() };
        let mut suspicion = Suspicion::new(&limits);
        assert_eq!(suspicion.listen_from(), None);
        let begun = Instant::now();
        suspicion.refused(10);
        suspicion.refused(10);
        suspicion.refused(15);
        assert_eq!(suspicion.listen_from(), Some(begun + Duration::from_millis(150)));
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(suspicion.listen_from(), None);
        suspicion.refused(16);
        assert_eq!(suspicion.listen_from(), Some(begun + Duration::from_millis(160)));
    }
}
