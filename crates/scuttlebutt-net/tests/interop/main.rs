//! Our nodes against the real npm scuttlebutt, in Node processes over real sockets.
//!
//! Every scenario ends with the histories of both sides compared update by update, byte for byte,
//! and with no error that the original let escape. It needs Node and what `npm ci` installs in
//! `interop/`; without them each test fails and says so. What it waits for are conditions, never
//! times.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bulk;
mod catch_up;
mod deliver;
mod files;
mod js;
mod lines;
mod mesh;
mod options;
mod ours;
mod relay;
mod resume;
mod swarm;
mod ties;
mod values;

/// Runs each generic scenario for the three models.
macro_rules! for_each_model {
    ($($scenario:ident),+ $(,)?) => {
        mod map {
            $(#[tokio::test] async fn $scenario() { super::$scenario::<scuttlebutt::LwwMap>().await })+
        }
        mod events {
            $(#[tokio::test] async fn $scenario() { super::$scenario::<scuttlebutt::EventLog>().await })+
        }
        mod value {
            $(#[tokio::test] async fn $scenario() { super::$scenario::<scuttlebutt::Register>().await })+
        }
    };
}
use for_each_model;
