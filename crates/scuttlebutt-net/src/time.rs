//! Tells the replica the time where nothing else does: when the time of an update comes that was dated
//! ahead, and no session has anything to say.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::{Model, Replica};

use crate::engine::Engine;
use crate::shared::now_ms;

/// How late an update may be noticed to count.
const STEP: Duration = Duration::from_secs(1);

/// Looks at the clock from time to time, until the node is shut down.
pub(crate) fn tell<M: Model + Send + 'static>(engine: &Arc<Engine<M>>) {
    let engine = engine.clone();
    let tasks = engine.tasks.clone();
    tasks.spawn(async move {
        let mut shutdown = engine.shutdown.subscribe();
        loop {
            tokio::select! {
                () = tokio::time::sleep(STEP) => {}
                _ = shutdown.wait_for(|is_down| *is_down) => return,
            }
            if engine.shared.peek(Replica::next_time).is_some_and(|due| due <= now_ms()) {
                engine.shared.write(|replica| replica.tell_time(now_ms()));
            }
        }
    });
}
