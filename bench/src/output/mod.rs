//! How numbers are told: on the terminal, as pictures, and in docs/benchmarks.md.

mod chart;
mod number;
mod report;
mod table;

pub(crate) use chart::draw;
pub(crate) use number::grouped;
pub(crate) use report::write_report;
pub(crate) use table::print;
