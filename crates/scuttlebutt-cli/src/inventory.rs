//! What a store holds, for people and for programs.

use std::fmt::Write;

use scuttlebutt::Timestamp;
use scuttlebutt_store::Inspection;
use serde_json::{Value, json};

use crate::terminal::harmless;

/// Sources that a person is shown; programs get all.
const SOURCES_SHOWN_MAX: usize = 20;

/// As one object.
pub(crate) fn to_json(inspection: &Inspection) -> Value {
    let at = |at: Option<Timestamp>| at.map(number);
    let sources = inspection.sources.iter().map(|(id, source)| {
        json!({
            "id": id.to_string(),
            "updates": source.updates,
            "oldest": at(source.oldest),
            "newest": at(source.newest),
            "announced": at(source.announced),
        })
    });
    let range = inspection.time_range();
    json!({
        "path": inspection.path,
        "format": inspection.format,
        "id": inspection.id.to_string(),
        "model": inspection.model,
        "updates": inspection.updates,
        "update_bytes": inspection.update_bytes,
        "live_bytes": inspection.live_bytes,
        "file_bytes": inspection.file_bytes,
        "oldest": at(range.map(|(oldest, _)| oldest)),
        "newest": at(range.map(|(_, newest)| newest)),
        "damage": (!inspection.damage.is_none()).then(|| inspection.damage.to_string()),
        "sources": sources.collect::<Vec<_>>(),
    })
}

/// A timestamp as JavaScript prints it.
fn number(at: Timestamp) -> Value {
    serde_json::from_str(&at.to_string()).unwrap_or_default()
}

/// For a person to read.
pub(crate) fn to_text(inventory: &Value) -> String {
    let mut text = String::new();
    let word = |name: &str| match &inventory[name] {
        Value::String(text) => harmless(text).into_owned(),
        value => value.to_string(),
    };
    for (label, name) in [("file", "path"), ("model", "model"), ("writes as", "id")] {
        let _ = writeln!(text, "{label:<10} {}", word(name));
    }
    let _ = writeln!(text, "{:<10} {}, {} bytes", "updates", word("updates"), word("update_bytes"));
    let (live, all) = (word("live_bytes"), word("file_bytes"));
    let _ = writeln!(text, "{:<10} {all} bytes, of which {live} are in use", "on disk");
    if !inventory["oldest"].is_null() {
        let (oldest, newest) = (word("oldest"), word("newest"));
        let _ = writeln!(text, "{:<10} {oldest} to {newest} ms after the epoch", "written");
    }
    let health = match &inventory["damage"] {
        Value::String(damage) => format!("DAMAGED: {}", harmless(damage)),
        _ => "whole".to_owned(),
    };
    let _ = writeln!(text, "{:<10} {health}", "health");
    let sources = inventory["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let _ = writeln!(text, "{:<10} {}", "sources", sources.len());
    let mut busiest: Vec<&Value> = sources.iter().collect();
    busiest.sort_by_key(|source| std::cmp::Reverse(source["updates"].as_u64()));
    for source in busiest.iter().take(SOURCES_SHOWN_MAX) {
        let (id, updates) = (source["id"].as_str().unwrap_or_default(), &source["updates"]);
        let newest = &source["newest"];
        let _ = writeln!(text, "  {:>9}  {}  newest {newest}", updates.to_string(), harmless(id));
    }
    if sources.len() > SOURCES_SHOWN_MAX {
        let _ = writeln!(text, "  … {} more (--json shows all)", sources.len() - SOURCES_SHOWN_MAX);
    }
    text
}
