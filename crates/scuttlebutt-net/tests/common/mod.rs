//! What the tests of nodes have in common.

use std::time::Duration;

use scuttlebutt::Limits;

/// Waits for what comes about by itself.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about in 20 s");
}

/// Bounds of a node that dials again at once.
#[allow(dead_code, reason = "each test file uses some of what is here")]
pub(crate) fn impatient() -> Limits {
    Limits { redial_delay_ms_min: 5, redial_delay_ms_max: 50, ..Limits::default() }
}
