//! The tests of the example: `cargo test` builds examples but runs what is in them only from here.

#[path = "../examples/custom_model.rs"]
mod custom_model;
