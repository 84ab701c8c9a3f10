//! Guides: longer texts for those who come from somewhere. Each block of Rust in them is a test.

#[doc = include_str!("../docs/from_javascript.md")]
pub mod from_javascript {}
