//! What all sessions that others began hold together, and who goes when that is too much.
//!
//! Bounds for each session do not bound a node that has thousands. Over the bound the session goes that holds
//! most: whoever costs little stays, however many there are, and it is not the newcomer's fault. Sessions with peers
//! that are dialled are not counted: they are as many as the node was told to dial.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::engine::lock;
use crate::error::LinkError;
use crate::peer_log::Begun;

/// A session that holds less is not counted.
const COUNTED_BYTES_MIN: usize = 16 << 10;

/// A portion of output while much is held, in bytes: so little that it is not counted.
pub(crate) const SMALL_PORTION_BYTES: usize = 4 << 10;

pub(crate) struct Budget {
    bytes_max: usize,
    next_id: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    by_session: BTreeMap<u64, (usize, Arc<Notify>)>,
}

/// One session's part.
pub(crate) struct BudgetShare<'a> {
    all: &'a Budget,
    id: u64,
    is_counted: bool,
    bytes: usize,
    gone: Arc<Notify>,
}

impl Budget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, next_id: AtomicU64::new(0), held: Mutex::default() }
    }

    pub(crate) fn share(&self, begun: Begun) -> BudgetShare<'_> {
        BudgetShare {
            all: self,
            id: self.next_id.fetch_add(1, Relaxed),
            is_counted: begun == Begun::There,
            bytes: 0,
            gone: Arc::default(),
        }
    }
}

impl Held {
    fn remove(&mut self, id: u64) -> Option<Arc<Notify>> {
        let (bytes, gone) = self.by_session.remove(&id)?;
        self.bytes -= bytes;
        Some(gone)
    }

    fn largest(&self) -> Option<u64> {
        let bytes_of = |(_, (bytes, _)): &(&u64, &(usize, Arc<Notify>))| *bytes;
        self.by_session.iter().max_by_key(bytes_of).map(|(id, _)| *id)
    }
}

impl BudgetShare<'_> {
    /// From now on the session holds so much. Lets others go if that is too much for all.
    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = if bytes < COUNTED_BYTES_MIN || !self.is_counted { 0 } else { bytes };
        if bytes == self.bytes {
            return;
        }
        self.bytes = bytes;
        let mut held = lock(&self.all.held);
        held.remove(self.id);
        if bytes > 0 {
            held.bytes += bytes;
            held.by_session.insert(self.id, (bytes, self.gone.clone()));
        }
        while held.bytes > self.all.bytes_max
            && let Some(largest) = held.largest()
            && let Some(gone) = held.remove(largest)
        {
            gone.notify_one();
        }
    }

    /// Waits until the session has to go, because it holds most.
    pub(crate) async fn exceeded(&self) -> LinkError {
        self.gone.notified().await;
        LinkError::HeldMost { limit: self.all.bytes_max }
    }

    /// Whether sessions should take small portions.
    pub(crate) fn is_tight(&self) -> bool {
        self.bytes > 0 && lock(&self.all.held).bytes > self.all.bytes_max / 2
    }
}

impl Drop for BudgetShare<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            lock(&self.all.held).remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn must_go(share: &BudgetShare<'_>) -> bool {
        tokio::time::timeout(std::time::Duration::ZERO, share.exceeded()).await.is_ok()
    }

    #[tokio::test]
    async fn who_holds_most_goes_and_who_holds_little_stays() {
        let budget = Budget::new(1 << 20);
        let mut small: Vec<_> = (0..1_000).map(|_| budget.share(Begun::There)).collect();
        for share in &mut small {
            share.set(COUNTED_BYTES_MIN - 1);
        }
        let [mut large, mut larger, mut newcomer] = [(); 3].map(|()| budget.share(Begun::There));
        large.set(400 << 10);
        larger.set(500 << 10);
        assert!(!must_go(&large).await && !must_go(&larger).await);
        newcomer.set(300 << 10);
        assert!(must_go(&larger).await);
        assert!(!must_go(&large).await && !must_go(&newcomer).await && !must_go(&small[0]).await);
        let mut dialled = budget.share(Begun::Here);
        dialled.set(1 << 30);
        assert!(!must_go(&dialled).await && !must_go(&large).await);
    }

    #[tokio::test]
    async fn what_is_let_go_is_given_back() {
        let budget = Budget::new(1 << 20);
        let mut share = budget.share(Begun::There);
        share.set(900 << 10);
        drop(budget.share(Begun::There));
        share.set(20 << 10);
        let mut other = budget.share(Begun::There);
        other.set(900 << 10);
        assert!(!must_go(&other).await && other.is_tight());
        drop((share, other));
        assert_eq!(lock(&budget.held).bytes, 0);
    }
}
