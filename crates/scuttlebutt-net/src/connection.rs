//! One session over one stream: reads, applies, copies out, writes.
//!
//! Everything happens in one task without queues: a peer that does not read only leaves its position
//! in the log behind. What has arrived is read without the replica's lock, and applied under it for a bounded
//! number of frames at a time.

use std::future::ready;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{CloseReason, Limits, Model, Session, SessionConfig, SessionEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::budget::{BudgetShare, SMALL_PORTION_BYTES};
use crate::engine::Engine;
use crate::error::LinkError;
use crate::long_lines::LongLines;
use crate::pace::{Pace, Share};
use crate::peer_log::Begun;
use crate::shared::{Shared, now_ms};
use crate::stream::{Halves, Reader, Writer};
use crate::suspicion::Suspicion;

/// Sees the events of a session as they happen.
pub(crate) trait Observer: Send {
    fn event(&mut self, event: &SessionEvent);
    fn bytes(&mut self, _received: usize, _sent: usize) {}
    fn standing(&mut self, _session: &Session) {}
}

/// The smallest portion to read: what an idle connection holds.
const INPUT_BYTES_MIN: usize = 1 << 10;

/// How much is taken in at a time of what may be compressed: it can stand for 64 times as much.
const COMPRESSED_INPUT_BYTES: usize = 1 << 10;

/// Drives a session until it is over. `shutdown` becoming true lets it send what is accepted and
/// leave.
pub(crate) async fn drive<M: Model>(
    engine: &Engine<M>,
    halves: Halves,
    config: SessionConfig,
    begun: Begun,
    shutdown: watch::Receiver<bool>,
    observer: &mut impl Observer,
) -> Result<(), LinkError> {
    let (shared, limits) = (&engine.shared, &engine.limits);
    let session = shared.write(|replica| Session::new(replica, now_ms(), config));
    let shutdown_wait = Duration::from_millis(limits.shutdown_wait_ms_max);
    let connection = Connection {
        shared,
        limits,
        long_lines: &engine.long_lines,
        session,
        bell: shared.bell(),
        reader: halves.reader,
        writer: halves.writer,
        holds_back: halves.holds_back,
        unasked: shared.unasked(),
        unasked_max: limits.unasked_updates_max.max(1),
        input: vec![0; INPUT_BYTES_MIN],
        untaken: 0..0,
        input_max: limits.input_bytes_max.max(INPUT_BYTES_MIN),
        output: Vec::new(),
        output_last: 0,
        written: 0,
        output_max: limits.output_bytes_max.max(1),
        is_flush_due: false,
        pace: Pace::new(limits),
        suspicion: Suspicion::new(limits),
        unfinished: engine.unfinished.share(),
        budget: engine.budget.share(begun),
        has_closed_output: false,
        peer_has_ended: false,
    };
    connection.run(shutdown, shutdown_wait, observer).await
}

struct Connection<'a, M> {
    shared: &'a Arc<Shared<M>>,
    limits: &'a Limits,
    long_lines: &'a LongLines,
    session: Session,
    bell: watch::Receiver<()>,
    reader: Reader,
    writer: Writer,
    holds_back: bool,
    unasked: watch::Receiver<usize>,
    unasked_max: usize,
    input: Vec<u8>,
    /// What of it has arrived and was not taken in yet.
    untaken: Range<usize>,
    input_max: usize,
    output: Vec<u8>,
    /// How long the last portion was: about as long as the next.
    output_last: usize,
    written: usize,
    output_max: usize,
    /// Whether the stream may hold back some of what was written.
    is_flush_due: bool,
    pace: Pace,
    suspicion: Suspicion,
    unfinished: Share<'a>,
    budget: BudgetShare<'a>,
    has_closed_output: bool,
    peer_has_ended: bool,
}

impl<M: Model> Connection<'_, M> {
    async fn run(
        mut self,
        mut shutdown: watch::Receiver<bool>,
        shutdown_wait: Duration,
        observer: &mut impl Observer,
    ) -> Result<(), LinkError> {
        let mut must_end_by: Option<tokio::time::Instant> = None;
        // Set anew only when it has rung: progress costs no timer.
        let alarm = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(alarm);
        let mut goes_on = false;
        loop {
            self.settle();
            self.pull();
            if let Some(end) = self.report(observer) {
                match &end {
                    Err(LinkError::Session(error)) if error.is_mutual() => {
                        // It ends as it would have; how the farewell went is nobody's concern.
                        let _ = tokio::time::timeout(shutdown_wait, self.part(observer)).await;
                    }
                    Err(LinkError::Session(_)) => {}
                    _ => tokio::time::timeout(shutdown_wait, self.write_rest(observer))
                        .await
                        .map_err(|_| LinkError::ShutDown)??,
                }
                return end;
            }
            if std::mem::take(&mut goes_on) {
                // A peer with much to say lets timers and other sessions have their turn; nothing that it said is
                // held meanwhile.
                tokio::task::yield_now().await;
            }
            if self.session.is_output_finished()
                && self.output.is_empty()
                && !self.has_closed_output
            {
                // A stream that encrypts has something to say at its end, too.
                tokio::time::timeout(shutdown_wait, self.writer.shutdown())
                    .await
                    .map_err(|_| LinkError::ShutDown)??;
                self.is_flush_due = false;
                self.has_closed_output = true;
                must_end_by.get_or_insert_with(|| tokio::time::Instant::now() + shutdown_wait);
            }
            self.budget.set(self.session.held_bytes() + self.output.capacity());
            let timeout = self.session.next_timeout();
            let is_writing = !self.output.is_empty() || self.is_flush_due;
            self.pace.output_waits(is_writing);
            let due = self.pace.due();
            if let Some(due) = due
                && (alarm.is_elapsed() || alarm.deadline() > due)
            {
                alarm.as_mut().reset(due);
            }
            let mut arrived = None;
            // Who sends more than can be verified is not read from, so that others have their turn; nor is,
            // for a while, who sends what is refused.
            let has_room = *self.unasked.borrow_and_update() < self.unasked_max;
            self.suspicion.refused(self.session.tally().updates_unverified);
            let listen_from = self.suspicion.listen_from();
            let may_come = has_room && listen_from.is_none();
            tokio::select! {
                read = self.reader.read(&mut self.input),
                        if may_come && self.untaken.is_empty() && !self.peer_has_ended => {
                    arrived = Some(read?);
                }
                () = ready(()), if may_come && !self.untaken.is_empty() => goes_on = true,
                written = write_or_flush(&mut self.writer, &self.output[self.written..]),
                        if is_writing => {
                    self.sent(written?, observer)?;
                }
                // Sent on by `pull`; whoever cannot take more now need not know that there is more.
                _ = self.bell.changed(),
                    if self.output.is_empty() || self.session.awaits_verdicts() => {}
                _ = self.unasked.changed(), if !has_room => {}
                () = sleep_until(listen_from), if listen_from.is_some() => {}
                error = self.budget.exceeded() => return Err(error),
                () = at(timeout), if timeout.is_some() => {
                    if !may_come {
                        self.session.excuse_silence();
                    }
                    let _ = self.session.handle_timeout(now_ms());
                }
                () = &mut alarm, if due.is_some() => {
                    if let Some(failure) = self.pace.failure() {
                        return Err(failure);
                    }
                }
                _ = shutdown.wait_for(|is_down| *is_down), if must_end_by.is_none() => {
                    self.session.leave();
                    must_end_by = Some(tokio::time::Instant::now() + shutdown_wait);
                }
                () = sleep_until(must_end_by), if must_end_by.is_some() => {
                    // A peer that stays after all was said on both sides keeps us from nothing.
                    let is_done = self.has_closed_output && self.session.is_synced();
                    return if is_done { Ok(()) } else { Err(LinkError::ShutDown) };
                }
            }
            if let Some(count) = arrived {
                self.received(count, observer).await?;
                goes_on = count > INPUT_BYTES_MIN;
            } else if goes_on {
                self.take_in().await?;
            }
        }
    }

    /// Writes what the session has said, and closes this direction.
    async fn write_rest(&mut self, observer: &mut impl Observer) -> io::Result<()> {
        let rest = &self.output[self.written..];
        self.writer.write_all(rest).await?;
        self.writer.shutdown().await?;
        observer.bytes(0, rest.len());
        Ok(())
    }

    /// The same for a peer that is to see by it why the session ended, and then ends it, too: a stream that
    /// is closed while something is unread may take what was written last with it.
    async fn part(&mut self, observer: &mut impl Observer) -> io::Result<()> {
        self.write_rest(observer).await?;
        while self.reader.read(&mut self.input).await? > 0 {}
        Ok(())
    }

    /// Takes note of verdicts on what the peer sent.
    fn settle(&mut self) {
        let session = &mut self.session;
        if session.awaits_verdicts() && self.shared.read(|replica| session.has_verdicts(replica)) {
            self.shared.write(|replica| session.settle(replica));
        }
    }

    /// Copies out the next portion, once the last one is written.
    fn pull(&mut self) {
        if !self.output.is_empty() {
            return;
        }
        self.bell.mark_unchanged();
        let portion_max = match self.budget.is_tight() {
            true => self.output_max.min(SMALL_PORTION_BYTES),
            false => self.output_max,
        };
        let (session, output) = (&mut self.session, &mut self.output);
        self.shared.read(|replica| {
            if session.has_output(replica) {
                output.reserve(self.output_last);
                self.output_last = session.transmit(replica, output, portion_max);
            }
        });
        if self.output.is_empty() && self.output.capacity() > INPUT_BYTES_MIN {
            // An idle connection holds next to nothing.
            self.output = Vec::new();
        }
    }

    async fn received(
        &mut self,
        count: usize,
        observer: &mut impl Observer,
    ) -> Result<(), LinkError> {
        observer.bytes(count, 0);
        if count == 0 {
            let (session, limits) = (&mut self.session, self.limits);
            let long = session.unfinished_bytes();
            self.long_lines.read(long, || session.decode_end(limits)).await;
            // A failure is reported by its event, after those that came before it.
            let _ = self.shared.write(|replica| session.receive_end(replica, now_ms()));
            self.peer_has_ended = true;
            return self.unfinished.set(self.session.unfinished_bytes());
        }
        // As much as comes at once, and little while nothing comes.
        if count == self.input.len() && count < self.input_max {
            self.input.resize((2 * count).min(self.input_max), 0);
        } else if count < self.input.len() / 8 && self.input.len() > INPUT_BYTES_MIN {
            self.input.truncate(self.input.len() / 2);
            self.input.shrink_to_fit();
        }
        self.untaken = 0..count;
        self.take_in().await
    }

    /// Hands what has arrived to the session: all of it, or a portion of what may be compressed.
    async fn take_in(&mut self) -> Result<(), LinkError> {
        let Range { start, end } = self.untaken;
        let portion_end = match self.session.is_compressed() {
            true => end.min(start + COMPRESSED_INPUT_BYTES),
            false => end,
        };
        let (session, limits) = (&mut self.session, self.limits);
        let mut portion = &self.input[start..portion_end];
        let lines = session.tally().lines_received;
        let mut has_more = true;
        while has_more {
            let long = session.unfinished_bytes();
            let decode = || session.decode(&mut portion, limits);
            has_more = self.long_lines.read(long, decode).await;
            if session.has_decoded() {
                // A failure is reported by its event, after those that came before it.
                let _ = self.shared.write(|replica| session.apply(replica, now_ms()));
            }
        }
        self.untaken = portion_end..end;
        let unfinished = session.unfinished_bytes();
        let has_ended_line = session.tally().lines_received > lines;
        self.pace.received(portion_end - start, has_ended_line, unfinished > 0);
        self.unfinished.set(unfinished)
    }

    fn sent(&mut self, count: usize, observer: &mut impl Observer) -> Result<(), LinkError> {
        if self.output.is_empty() {
            self.is_flush_due = false;
            return Ok(());
        }
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        observer.bytes(0, count);
        self.pace.taken();
        self.is_flush_due = self.holds_back;
        self.written += count;
        if self.written == self.output.len() {
            self.written = 0;
            self.output.clear();
        }
        Ok(())
    }

    /// Passes the events on; answers how the session ended, if it did.
    fn report(&mut self, observer: &mut impl Observer) -> Option<Result<(), LinkError>> {
        observer.standing(&self.session);
        while let Some(event) = self.session.next_event() {
            observer.event(&event);
            if let SessionEvent::Closed { reason } = event {
                return Some(match reason {
                    CloseReason::Failed(error) => Err(error.into()),
                    CloseReason::PeerLeft => Err(LinkError::Incomplete),
                    _ => Ok(()),
                });
            }
        }
        None
    }
}

/// Writes some of it; once there is nothing left, what the stream has held back.
async fn write_or_flush(writer: &mut Writer, output: &[u8]) -> io::Result<usize> {
    match output {
        [] => writer.flush().await.map(|()| 0),
        _ => writer.write(output).await,
    }
}

/// Sleeps until a wall-clock time.
async fn at(timeout_ms: Option<f64>) {
    let wait_ms = timeout_ms.map_or(0.0, |due| (due - now_ms()).max(0.0));
    // Never much longer, in case the wall clock is set; the caller asks again. An idle connection, whose
    // next heartbeat is half a minute away, is not to wake up for that each second.
    let wait = Duration::from_secs_f64((wait_ms / 1_000.0).min(10.0));
    tokio::time::sleep(wait).await;
}

async fn sleep_until(instant: Option<tokio::time::Instant>) {
    if let Some(instant) = instant {
        tokio::time::sleep_until(instant).await;
    }
}
