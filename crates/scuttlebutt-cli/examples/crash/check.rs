//! What a writer writes, and what must be found of it. Every change carries a checksum of itself.

use std::collections::BTreeMap;

use scuttlebutt::{Change, EventLog, LwwMap, Model, Update, UpdateId};
use serde_json::Value;

/// Keys of a map, so that they are overwritten all the time.
const KEYS: u64 = 40;

/// A data model under test.
pub(crate) trait Kind: Model + Default + Send + 'static {
    const NAME: &'static str;

    /// Whether an update that is not there may be superseded by what is.
    fn supersedes(held: &Update, missing: &Update) -> bool;
}

impl Kind for LwwMap {
    const NAME: &'static str = "map";

    fn supersedes(held: &Update, missing: &Update) -> bool {
        name(held) == name(missing) && held.id() > missing.id()
    }
}

impl Kind for EventLog {
    const NAME: &'static str = "events";

    fn supersedes(_: &Update, _: &Update) -> bool {
        false
    }
}

fn checksum(n: u64, text: &str) -> u64 {
    text.bytes().fold(n ^ 0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    }) >> 12
}

/// The `n`-th change of a writer.
pub(crate) fn change(n: u64, text_bytes: usize) -> Change {
    let text = "0123456789abcdef".repeat(text_bytes / 16 + 1);
    let text = &text[..text_bytes];
    let json =
        format!(r#"["key{}",{{"n":{n},"text":"{text}","sum":{}}}]"#, n % KEYS, checksum(n, text));
    Change::from_json(&json).expect("JSON")
}

fn parts(update: &Update) -> Value {
    serde_json::from_str(update.change()).expect("an update is JSON")
}

fn name(update: &Update) -> Value {
    parts(update)[0].clone()
}

fn is_whole(update: &Update) -> bool {
    let value = &parts(update)[1];
    let (n, text, sum) = (value["n"].as_u64(), value["text"].as_str(), value["sum"].as_u64());
    matches!((n, text), (Some(n), Some(text)) if sum == Some(checksum(n, text)))
}

/// Reads a file of `export`.
pub(crate) fn parse(file: &str) -> Result<BTreeMap<UpdateId, Update>, String> {
    if !file.ends_with("\"SYNC\"\n") {
        return Err(format!("the exported file is not whole: {file:.200}"));
    }
    let mut updates = BTreeMap::new();
    for line in file.lines().filter(|line| line.starts_with("[[")) {
        let update = Update::from_json(line).map_err(|error| format!("{line:.200}: {error}"))?;
        if updates.insert(update.id(), update).is_some() {
            return Err(format!("twice: {line:.200}"));
        }
    }
    Ok(updates)
}

/// Whether everything acknowledged is among what is held, and all of that is whole.
pub(crate) fn check<M: Kind>(
    held: &BTreeMap<UpdateId, Update>,
    acknowledged: &[Update],
) -> Result<(), String> {
    if let Some(broken) = held.values().find(|update| !is_whole(update)) {
        return Err(format!("not what any writer wrote: {broken:?}"));
    }
    let lost = acknowledged.iter().filter(|update| match held.get(&update.id()) {
        Some(found) => found.change() != update.change(),
        None => !held.values().any(|held| M::supersedes(held, update)),
    });
    let lost: Vec<_> = lost.collect();
    match lost.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} acknowledged updates lost, first {first:?}", lost.len())),
    }
}
