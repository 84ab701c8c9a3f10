//! When a node takes a fresh id although nothing happens: the id that it has is contested, and it has to
//! wait until it may.
//!
//! Whether it has to is the replica's rule; that it does at once, if it may, is `shared.rs`.

use std::sync::Arc;
use std::time::Duration;

use scuttlebutt::Model;

use crate::engine::Engine;

/// How often it is tried while the id is contested.
const RETRY: Duration = Duration::from_secs(1);

/// Tries again until the node is shut down.
pub(crate) fn start<M: Model + Send + 'static>(engine: &Arc<Engine<M>>) {
    let there = engine.clone();
    engine.tasks.spawn(async move {
        let mut shutdown = there.shutdown.subscribe();
        tokio::select! {
            _ = shutdown.wait_for(|is_down| *is_down) => {}
            () = try_again(&there) => {}
        }
    });
}

async fn try_again<M: Model>(engine: &Engine<M>) {
    let mut contested = engine.shared.contested();
    // The sender is in the engine.
    while contested.wait_for(|is_contested| *is_contested).await.is_ok() {
        tokio::time::sleep(RETRY).await;
        engine.shared.write(|_| ());
    }
}
