//! Changes of a node's state, as a stream.
//!
//! A subscription is a position in the log of the replica. However slow its reader, it holds no more
//! than one batch; what was superseded before it was read is counted instead.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use scuttlebutt::{ChangeCursor, Model, Update};
use tokio_stream::wrappers::WatchStream;

use crate::shared::Shared;

/// Something a subscriber is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The state changed.
    Changed {
        /// By this update.
        update: Update,
        /// Whether this node wrote it.
        is_local: bool,
    },
    /// This many changes were superseded before this subscriber read them. What superseded them
    /// follows.
    Missed(u64),
    /// Something that was shown counts no more, since the node [judged again](crate::Node::rejudge) what it
    /// holds, and what it had replaced may count again: read the state anew.
    Withdrawn,
}

/// A stream of [`Notice`]s, in the order in which the changes happened. It ends when the node is
/// gone.
pub struct Subscription<M> {
    shared: Arc<Shared<M>>,
    cursor: ChangeCursor,
    bell: WatchStream<()>,
    ready: VecDeque<Notice>,
    stopped: WatchStream<bool>,
    is_over: bool,
    batch_max: usize,
}

impl<M: Model> Subscription<M> {
    pub(crate) fn new(
        shared: Arc<Shared<M>>,
        cursor: ChangeCursor,
        stopped: tokio::sync::watch::Receiver<bool>,
    ) -> Self {
        let bell = WatchStream::new(shared.bell());
        let batch_max = shared.read(|replica| replica.limits().subscription_batch_max.max(1));
        let stopped = WatchStream::new(stopped);
        Self { shared, cursor, bell, ready: VecDeque::new(), stopped, is_over: false, batch_max }
    }

    /// The next notice; `None` when the node was shut down and everything was read.
    pub async fn next(&mut self) -> Option<Notice>
    where
        M: Send,
    {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    fn refill(&mut self) {
        let (ready, cursor, batch_max) = (&mut self.ready, &mut self.cursor, self.batch_max);
        self.shared.read(|replica| {
            let mut changes = replica.changes(cursor);
            if changes.take_withdrawn() {
                ready.push_back(Notice::Withdrawn);
            }
            for _ in 0..batch_max {
                let Some(changed) = changes.next() else { break };
                match changes.take_missed() {
                    0 => {}
                    missed => ready.push_back(Notice::Missed(missed)),
                }
                let update = changed.update.clone();
                ready.push_back(Notice::Changed { update, is_local: changed.is_local });
            }
        });
    }
}

impl<M: Model> Stream for Subscription<M> {
    type Item = Notice;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Notice>> {
        let this = self.get_mut();
        loop {
            if let Some(notice) = this.ready.pop_front() {
                return Poll::Ready(Some(notice));
            }
            // First ask to be woken, then look: a change in between wakes us for nothing at worst.
            let has_rung = Pin::new(&mut this.bell).poll_next(context).is_ready();
            while let Poll::Ready(stopped) = Pin::new(&mut this.stopped).poll_next(context) {
                this.is_over |= stopped.unwrap_or(true);
                if stopped.is_none() {
                    break;
                }
            }
            this.refill();
            if this.ready.is_empty() {
                if this.is_over {
                    return Poll::Ready(None);
                }
                if !has_rung {
                    return Poll::Pending;
                }
            }
        }
    }
}
