//! Benchmarks: ours, the npm package, and what a user might pick instead, in turn on one machine.
//!
//! The driver starts every participant as a process of its own, tells it in lines of JSON what to
//! do, and reads from the system what that costs. It never measures two at a time, and never takes
//! a number from a run whose end states differ.

pub mod paths;
pub mod workload;
