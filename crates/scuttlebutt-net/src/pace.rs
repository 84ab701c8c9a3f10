//! Whether a peer keeps up a conversation: takes what waits for it, and ends the lines it begins. And
//! how much of lines that were begun a node holds, over all its sessions.
//!
//! An idle peer has taken everything and is within no line: nothing here ever ends its session.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use scuttlebutt::Limits;
use tokio::time::Instant;

use crate::error::LinkError;

/// As much of a line has to come, or its end, for the wait to begin anew.
const PROGRESS_BYTES_MIN: usize = 1 << 10;

/// How long one peer has taken for what.
pub(crate) struct Pace {
    write_wait: Duration,
    line_wait: Duration,
    /// Since when output waits and none of it was taken.
    waiting_since: Option<Instant>,
    /// Since when a line goes on without progress, and how much of it came meanwhile.
    line: Option<(Instant, usize)>,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            write_wait: Duration::from_millis(limits.write_wait_ms_max),
            line_wait: Duration::from_millis(limits.line_wait_ms_max),
            waiting_since: None,
            line: None,
        }
    }

    /// Whether there is output for the peer, asked before each wait.
    pub(crate) fn output_waits(&mut self, waits: bool) {
        if !waits {
            self.waiting_since = None;
        } else if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
        }
    }

    /// The peer took some of it.
    pub(crate) fn taken(&mut self) {
        self.waiting_since = None;
    }

    /// Bytes came, and the last line among them has its end or has not.
    pub(crate) fn received(&mut self, bytes: usize, has_ended_line: bool, is_within_line: bool) {
        if !is_within_line {
            self.line = None;
            return;
        }
        let so_far = match self.line {
            Some((_, so_far)) if !has_ended_line => so_far + bytes,
            _ => usize::MAX,
        };
        if so_far >= PROGRESS_BYTES_MIN {
            self.line = Some((Instant::now(), 0));
        } else if let Some((_, bytes)) = &mut self.line {
            *bytes = so_far;
        }
    }

    /// When the peer will have waited too long, if nothing comes of it.
    pub(crate) fn due(&self) -> Option<Instant> {
        let output = self.waiting_since.map(|since| since + self.write_wait);
        let line = self.line.map(|(since, _)| since + self.line_wait);
        [output, line].into_iter().flatten().min()
    }

    /// What the peer has failed to do in time.
    pub(crate) fn failure(&self) -> Option<LinkError> {
        let now = Instant::now();
        let is_over = |since: Instant, wait| now.saturating_duration_since(since) >= wait;
        if self.waiting_since.is_some_and(|since| is_over(since, self.write_wait)) {
            return Some(LinkError::TookNothing { waited_ms: self.write_wait.as_millis() as u64 });
        }
        if self.line.is_some_and(|(since, _)| is_over(since, self.line_wait)) {
            return Some(LinkError::SlowLine { waited_ms: self.line_wait.as_millis() as u64 });
        }
        None
    }
}

/// What a node may hold of lines that were begun.
pub(crate) struct Unfinished {
    held: AtomicUsize,
    bytes_max: usize,
}

impl Unfinished {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { held: AtomicUsize::new(0), bytes_max }
    }

    /// One session's share, which is given back when it is dropped.
    pub(crate) fn share(&self) -> Share<'_> {
        Share { all: self, held: 0 }
    }
}

/// What one session holds of a line.
pub(crate) struct Share<'a> {
    all: &'a Unfinished,
    held: usize,
}

impl Share<'_> {
    /// From now on it holds so much.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), LinkError> {
        if bytes == self.held {
            return Ok(());
        }
        let grown = bytes.saturating_sub(self.held);
        let before = if grown > 0 {
            self.all.held.fetch_add(grown, Relaxed)
        } else {
            self.all.held.fetch_sub(self.held - bytes, Relaxed)
        };
        self.held = bytes;
        // What fits into one portion is let pass, so that nobody can stop short lines by holding
        // long ones.
        let is_over = grown > 0 && before + grown > self.all.bytes_max && bytes > SHORT_BYTES_MAX;
        if is_over {
            return Err(LinkError::TooMuchUnfinished { limit: self.all.bytes_max });
        }
        Ok(())
    }
}

/// A line of this length is never refused for what others hold.
const SHORT_BYTES_MAX: usize = 4 << 10;

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.held, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(&Limits { write_wait_ms_max: 1_000, line_wait_ms_max: 100, ..Limits::default() })
    }

    async fn pass(ms: u64) {
        tokio::time::advance(Duration::from_millis(ms)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_some_or_has_taken_all_is_never_too_slow() {
        let mut pace = pace();
        for _ in 0..10 {
            pace.output_waits(true);
            pass(999).await;
            assert!(pace.failure().is_none());
            pace.taken();
        }
        pace.output_waits(false);
        pass(1_000_000).await;
        assert!(pace.failure().is_none() && pace.due().is_none());
        pace.output_waits(true);
        pass(500).await;
        pace.output_waits(true);
        pass(500).await;
        assert!(matches!(pace.failure(), Some(LinkError::TookNothing { waited_ms: 1_000 })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_has_to_go_on() {
        let mut pace = pace();
        pace.received(1, false, true);
        for _ in 0..10 {
            pass(99).await;
            pace.received(PROGRESS_BYTES_MIN, false, true);
            assert!(pace.failure().is_none(), "it goes on");
        }
        pass(99).await;
        pace.received(2, true, true);
        pass(99).await;
        assert!(pace.failure().is_none(), "it is another line");
        pace.received(1, false, true);
        pass(1).await;
        assert!(matches!(pace.failure(), Some(LinkError::SlowLine { waited_ms: 100 })));
        pace.received(1, true, false);
        assert!(pace.failure().is_none());
    }

    #[test]
    fn what_all_sessions_hold_is_bounded_and_given_back() {
        let unfinished = Unfinished::new(10_000);
        let [mut a, mut b] = [unfinished.share(), unfinished.share()];
        assert!(a.set(9_000).is_ok());
        assert!(b.set(SHORT_BYTES_MAX).is_ok(), "short lines pass");
        assert!(b.set(5_000).is_err());
        drop(b);
        assert!(a.set(10_000).is_ok());
        assert!(a.set(0).is_ok());
        assert_eq!(unfinished.held.load(Relaxed), 0);
    }
}
