//! Long lines are read one at a time, and off the threads on which everything else runs.
//!
//! To read a line of many megabytes takes a good part of a second. Peers that send nothing else have one processor
//! among them, however many they are; whoever sends short lines waits for none of them.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// From this length on a line is a long one.
const LONG_LINE_BYTES_MIN: usize = 256 << 10;

pub(crate) struct LongLines(Semaphore);

impl Default for LongLines {
    fn default() -> Self {
        Self(Semaphore::new(1))
    }
}

impl LongLines {
    /// Reads, with so many bytes of a line there already.
    pub(crate) async fn read<T>(&self, bytes: usize, read: impl FnOnce() -> T) -> T {
        if bytes < LONG_LINE_BYTES_MIN {
            return read();
        }
        // It is never closed.
        let _turn = self.0.acquire().await;
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => tokio::task::block_in_place(read),
            _ => read(),
        }
    }
}
