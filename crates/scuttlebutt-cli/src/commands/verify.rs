//! `scuttlebutt verify`: which updates of a file are signed by whom they name.
//!
//! The lines are read one after the other and judged in portions, on every processor there is; what is
//! said of them keeps their order.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use scuttlebutt::{Limits, Update};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::task::JoinHandle;

use crate::cli::{SignatureKind, Verify};
use crate::exit::Failure;
use crate::file::{self, Place};
use crate::printer::print_at_once;
use crate::progress::{Progress, Unit};
use crate::trust::{Doubt, Rules};

/// Bytes and lines of a portion: enough for several batches.
const PORTION_BYTES: usize = 1 << 20;
const PORTION_LINES: usize = 4096;

pub(crate) async fn run(mut args: Verify) -> Result<(), Failure> {
    if args.trust.verify.is_empty() && args.trust.rsa_keys.is_none() {
        args.trust.verify.push(SignatureKind::Ed25519);
    }
    let Some(rules) = Rules::named(&args.trust, None).await? else {
        return Err(Failure::usage("whom to believe?"));
    };
    let line_bytes_max = args.limits.over(Limits::default()).line_bytes_max;
    let (reader, extent) = file::open(&Place::from(args.file.as_str())).await?;
    let mut lines = BufReader::with_capacity(1 << 16, reader);
    let mut progress = Progress::new("verifying", Unit::Bytes);
    let portions_max = std::thread::available_parallelism().map_or(1, usize::from);
    let mut judged = Judged::default();
    let mut portions = VecDeque::new();
    let mut line = 1;
    loop {
        let portion = read_portion(&mut lines, line_bytes_max).await.map_err(|error| {
            Failure::failed(format!("{}: {error}, at line {line} or later", args.file))
        })?;
        let is_end = portion.is_empty();
        if !is_end {
            let (rules, first) = (rules.clone(), line);
            line += portion.len() as u64;
            portions.push_back(tokio::task::spawn_blocking(move || judge(&rules, first, &portion)));
        }
        while portions.len() >= portions_max || is_end && !portions.is_empty() {
            judged.add(portions.pop_front()).await?;
        }
        if is_end {
            return judged.report();
        }
        if let Some(extent) = &extent {
            progress.at(extent.read.load(Ordering::Relaxed), extent.total);
        }
    }
}

/// The next lines; none at the end.
async fn read_portion(
    reader: &mut (impl AsyncBufRead + Unpin),
    line_bytes_max: usize,
) -> io::Result<Vec<Vec<u8>>> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while bytes < PORTION_BYTES && lines.len() < PORTION_LINES {
        let mut line = Vec::new();
        let bound = line_bytes_max as u64 + 1;
        if (&mut *reader).take(bound).read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        if line.len() > line_bytes_max && !line.ends_with(b"\n") {
            return Err(io::Error::other(format!("a line of more than {line_bytes_max} bytes")));
        }
        bytes += line.len();
        lines.push(line);
    }
    Ok(lines)
}

/// What is to be said of a portion.
struct Verdicts {
    believed: u64,
    /// Where, and what.
    doubts: Vec<(u64, String)>,
}

fn judge(rules: &Arc<Rules>, first: u64, lines: &[Vec<u8>]) -> Verdicts {
    let mut doubts = Vec::new();
    let (mut places, mut updates) = (Vec::new(), Vec::new());
    for (place, line) in (first..).zip(lines) {
        let text = line.trim_ascii();
        // What announces and ends a history is signed by nobody.
        if text.is_empty() || text.starts_with(b"{") || text == b"\"SYNC\"" {
            continue;
        }
        let update = str::from_utf8(text)
            .map_err(|error| error.to_string())
            .and_then(|text| Update::from_json(text).map_err(|error| error.to_string()));
        match update {
            Ok(update) => {
                places.push(place);
                updates.push(update);
            }
            Err(error) => doubts.push((place, format!("no update: {error}"))),
        }
    }
    let verdicts = rules.doubts(&updates);
    let believed = verdicts.iter().filter(|doubt| doubt.is_none()).count() as u64;
    for ((place, update), doubt) in places.iter().zip(&updates).zip(verdicts) {
        if let Some(doubt) = doubt {
            doubts.push((*place, describe(doubt, update)));
        }
    }
    doubts.sort_by_key(|(place, _)| *place);
    Verdicts { believed, doubts }
}

fn describe(doubt: Doubt, update: &Update) -> String {
    let what = match doubt {
        Doubt::Unsigned => "unsigned",
        Doubt::NoKey => "no key",
        Doubt::NotTrusted => "not trusted",
        Doubt::BadSignature => "bad signature",
    };
    format!("{what}: {} at {}", update.source().json_literal(), update.timestamp())
}

/// What was said so far.
#[derive(Default)]
struct Judged {
    believed: u64,
    doubted: u64,
}

impl Judged {
    async fn add(&mut self, portion: Option<JoinHandle<Verdicts>>) -> Result<(), Failure> {
        let Some(portion) = portion else { return Ok(()) };
        let verdicts = portion
            .await
            .map_err(|panic| Failure::failed(format!("this is a fault of scuttlebutt: {panic}")))?;
        self.believed += verdicts.believed;
        self.doubted += verdicts.doubts.len() as u64;
        print_at_once(|out| {
            for (place, doubt) in &verdicts.doubts {
                writeln!(out, "line {place}: {doubt}")?;
            }
            Ok(())
        })
    }

    fn report(&self) -> Result<(), Failure> {
        let Self { believed, doubted } = self;
        print_at_once(|out| writeln!(out, "{believed} updates are signed by those they name"))?;
        match doubted {
            0 => Ok(()),
            _ => Err(Failure::failed(format!(
                "{doubted} of {} updates are not to be believed",
                believed + doubted
            ))),
        }
    }
}
