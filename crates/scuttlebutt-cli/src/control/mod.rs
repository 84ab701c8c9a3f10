//! How a command reaches the node that has a data directory open: a Unix socket in that directory.
//!
//! One request a connection: a line of JSON. What follows is the answer, another line of JSON, or,
//! for a file to be written, the file. This never goes over a network; who may open the socket may
//! do all of it.

mod client;
mod server;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use client::find;
pub(crate) use server::{Control, listen};

/// A request is no longer than this: the longest line of an update, escaped.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// An answer is no longer than this.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// What is asked of the node.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Request {
    /// Answer with a file of everything.
    Export,
    /// Take the file that follows.
    Import,
    /// Copy the store into this directory.
    Backup(PathBuf),
    /// Count what the store holds.
    Inspect,
    /// Write this change, JSON text, if this is the model.
    Write { model: String, change: String },
}

/// What is answered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(Value),
    Failed(String),
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
