//! What the fuzzers run: one module for each target. The targets themselves are one line each, so
//! that the corpora and every input that ever failed are replayed by ordinary tests as well.
//!
//! Each `run` takes any bytes whatsoever, and panics when a rule is broken.

pub mod decode;
pub mod json;
pub mod laws;
pub mod roundtrip;
pub mod session_pair;
