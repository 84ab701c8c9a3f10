//! How a command reaches the node that has a data directory open: a Unix socket in that directory.
//!
//! One request a connection: a line of JSON. What follows is the answer, another line of JSON, and
//! for whoever reads a session behind it; or, for a file to be written, the file. This never goes over
//! a network; who may open the socket may do all of it.

mod client;
mod server;

use std::path::{Path, PathBuf};

use scuttlebutt::Retention;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use client::{Session, find};
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
    Import { skip_invalid: bool },
    /// Copy the store into this directory.
    Backup(PathBuf),
    /// Count what the store holds.
    Inspect,
    /// Say when the newest update of this source was written, a JSON literal.
    Newest(String),
    /// Say what is held, and begin a session that sends and takes nothing.
    Read,
    /// Write this change, JSON text, if this is the model.
    Write { model: String, change: String },
}

/// What is answered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Done(Value),
    Failed(String),
    /// The model refuses such a change.
    Invalid(String),
    /// A bound does.
    Refused(String),
    /// It holds a model of this name.
    OtherModel(String),
}

/// What a node holds, and how much of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Its model, by the name on the command line.
    pub(crate) model: String,
    keep_count: Option<usize>,
    keep_age_ms: Option<f64>,
    keep_bytes: Option<usize>,
}

impl Held {
    fn new(model: &str, retention: Retention) -> Self {
        let Retention { count_max, age_ms_max, bytes_max } = retention;
        let bounded = |bound| Some(bound).filter(|bound| *bound < usize::MAX);
        Self {
            model: model.to_owned(),
            keep_count: bounded(count_max),
            keep_age_ms: Some(age_ms_max).filter(|age| age.is_finite()),
            keep_bytes: bounded(bytes_max),
        }
    }

    /// How many events it keeps.
    pub(crate) fn retention(&self) -> Retention {
        let all = Retention::default();
        Retention {
            count_max: self.keep_count.unwrap_or(all.count_max),
            age_ms_max: self.keep_age_ms.unwrap_or(all.age_ms_max),
            bytes_max: self.keep_bytes.unwrap_or(all.bytes_max),
        }
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
