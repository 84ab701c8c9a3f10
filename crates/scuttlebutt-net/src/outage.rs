//! What is said while a peer cannot be reached: that it is so, at once; that it is so still, at growing
//! distances; and never the same line with each try.

use std::time::Duration;

use tokio::time::Instant;

/// The first distance between two lines on one outage; each is twice the one before.
const DISTANCE_MIN: Duration = Duration::from_secs(60);
const DISTANCE_MAX: Duration = Duration::from_secs(60 * 60);

/// A peer that has not been reached since it was in sync last.
pub(crate) struct Outage {
    began: Instant,
    tries: u64,
    said: String,
    say_again_at: Instant,
    distance: Duration,
}

/// What there is to say of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It begins, or has another reason.
    Reason,
    /// It goes on.
    Still {
        tries: u64,
        since: Duration,
    },
    Nothing,
}

impl Outage {
    /// Takes note that a try failed; `outage` is the one that this belongs to, if any.
    pub(crate) fn go_on(outage: &mut Option<Self>, reason: &str) -> News {
        let now = Instant::now();
        let Some(outage) = outage else {
            *outage = Some(Self {
                began: now,
                tries: 1,
                said: reason.to_owned(),
                say_again_at: now + DISTANCE_MIN,
                distance: DISTANCE_MIN,
            });
            return News::Reason;
        };
        outage.tries += 1;
        let is_due = now >= outage.say_again_at;
        if reason != outage.said && (is_due || outage.distance == DISTANCE_MIN) {
            // Another reason is news, unless reasons take turns for long.
            outage.said = reason.to_owned();
            outage.put_off(now);
            return News::Reason;
        }
        if !is_due {
            return News::Nothing;
        }
        outage.put_off(now);
        News::Still { tries: outage.tries, since: now - outage.began }
    }

    fn put_off(&mut self, now: Instant) {
        self.distance = (2 * self.distance).min(DISTANCE_MAX);
        self.say_again_at = now + self.distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dead_peer_is_told_at_once_and_then_ever_more_seldom() {
        let mut outage = None;
        assert_eq!(Outage::go_on(&mut outage, "refused"), News::Reason);
        let mut told = vec![];
        for second in 1..=86_400_u64 {
            tokio::time::advance(Duration::from_secs(1)).await;
            if let News::Still { tries, since } = Outage::go_on(&mut outage, "refused") {
                assert_eq!((tries, since.as_secs()), (second + 1, second));
                told.push(second);
            }
        }
        assert_eq!(told[..4], [60, 180, 420, 900]);
        assert!(told.len() < 32, "{} lines a day", told.len());
    }

    #[tokio::test(start_paused = true)]
    async fn another_reason_is_told_and_reasons_that_take_turns_are_not() {
        let mut outage = None;
        Outage::go_on(&mut outage, "refused");
        assert_eq!(Outage::go_on(&mut outage, "no route"), News::Reason);
        for turn in 0..1_000 {
            let reason = ["refused", "no route"][turn % 2];
            assert_eq!(Outage::go_on(&mut outage, reason), News::Nothing);
        }
    }
}
