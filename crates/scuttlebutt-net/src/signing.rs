//! Signs what a node writes, away from the replica's lock and as many updates at a time as there are
//! callers, and publishes them in the order in which they got their names.
//!
//! A caller signs its own update on its own thread. Where that is done before those before it are, it
//! waits for its turn, and so does not come before them; a caller that goes away has written all the same.

use std::sync::{Arc, Mutex};

use scuttlebutt::{Change, LocalUpdateError, Model, Replica, SignedDraft, Update};
use tokio::sync::oneshot;

use crate::engine::{Engine, lock};
use crate::shared::now_ms;

/// How often an update is drafted anew that was overtaken, by what an application wrote to the replica
/// itself. After that it is signed under the lock.
const DRAFTS_MAX: usize = 3;

/// An update that was written, and where.
pub(crate) struct Written {
    pub(crate) update: Update,
    /// The end of the log behind it.
    pub(crate) position: u64,
    pub(crate) is_durable: bool,
}

impl Written {
    fn at_head<M: Model>(update: Update, replica: &Replica<M>) -> Self {
        let position = replica.head();
        Self { update, position, is_durable: replica.durable() >= position }
    }
}

/// Who publishes after whom.
#[derive(Default)]
pub(crate) struct Turns {
    last: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Turns {
    /// The turn after all that were taken before.
    fn take(&self) -> Turn {
        let (done, is_done) = oneshot::channel();
        Turn { before: lock(&self.last).replace(is_done), _done: done }
    }
}

/// It is over when this is dropped.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

impl Turn {
    fn has_come(&mut self) -> bool {
        let is_waiting = |before: &mut oneshot::Receiver<()>| {
            matches!(before.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        };
        !self.before.as_mut().is_some_and(is_waiting)
    }

    async fn come(&mut self) {
        if let Some(before) = self.before.take() {
            // Nothing is ever sent: the sender goes away.
            let _ = before.await;
        }
    }
}

/// Writes `change` in one step, for a node that signs nothing, or at once.
pub(crate) fn write<M: Model>(
    engine: &Engine<M>,
    change: Change,
) -> Result<Written, LocalUpdateError> {
    engine.shared.write(|replica| {
        let update = replica.local_update(now_ms(), change)?;
        Ok(Written::at_head(update, replica))
    })
}

/// Writes `change` in two steps.
pub(crate) async fn sign_and_write<M: Model + Send + 'static>(
    engine: &Arc<Engine<M>>,
    change: Change,
) -> Result<Written, LocalUpdateError> {
    for _ in 0..DRAFTS_MAX {
        let drafted = engine.shared.write(|replica| {
            let draft = replica.draft(now_ms(), &change)?;
            Ok::<_, LocalUpdateError>((draft, engine.turns.take()))
        });
        let (draft, mut turn) = drafted?;
        let signed = draft.sign()?;
        let written = if turn.has_come() {
            publish(engine, signed, turn)
        } else {
            let engine_there = engine.clone();
            let waiting = engine.tasks.spawn(async move {
                turn.come().await;
                publish(&engine_there, signed, turn)
            });
            match waiting.await {
                Ok(written) => written,
                Err(ended) => match ended.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is going down, and the caller with it.
                    Err(_) => std::future::pending().await,
                },
            }
        };
        if !matches!(written, Err(LocalUpdateError::Overtaken)) {
            return written;
        }
    }
    write(engine, change)
}

fn publish<M: Model>(
    engine: &Engine<M>,
    signed: SignedDraft,
    _turn: Turn,
) -> Result<Written, LocalUpdateError> {
    engine.shared.write(|replica| {
        let update = replica.publish(now_ms(), signed)?;
        Ok(Written::at_head(update, replica))
    })
}
