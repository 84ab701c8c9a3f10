//! g: what keys cost in memory and on the disk.

use std::fs;

use anyhow::Result;
use serde_json::json;

use super::{grouped, of_keys};
use crate::driver::{Child, Context, Kind, OURS};
use crate::results::{Case, Quantity, Setting};

const FILLED: Quantity = Quantity { name: "memory, each key", unit: "bytes" };
const OVERWRITTEN: Quantity =
    Quantity { name: "memory, each key, after 10 overwrites", unit: "bytes" };
const REMOVED: Quantity =
    Quantity { name: "memory, each key ever written, after 9 of 10 were removed", unit: "bytes" };
const STORED: Quantity = Quantity { name: "stored", unit: "KiB" };

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('g', "memory and storage", (FILLED, "keys"));
    case.method(
        "A replica in a process of its own writes the keys; memory is what the process then occupies \
         more than before, garbage collected where there is a collector. Then it overwrites each key \
         10 times, then it removes 9 of 10. A removal is an update which has to be remembered, so a \
         removed key is not free. Yrs, Automerge and Loro keep tombstones or history instead.",
    );
    case.method(&format!(
        "Stored: the files after {} overwrites of 10 keys. Ours in its store, closed in order. The \
         original in a file to which its history is piped, which is what it offers: it grows with \
         every update.",
        grouped(context.sizes.overwrites)
    ));
    for keys in context.sizes.memory_keys {
        memory(context, &mut case, *keys)?;
    }
    stored(context, &mut case)?;

    for keys in context.sizes.memory_keys {
        let setting = of_keys(*keys, "in process");
        let filled = case.median(&setting, OURS, FILLED);
        let text = format!("{} keys: memory of each", grouped(*keys));
        case.at_most(&text, 200.0, "bytes", filled);
        let residue = case.median(&setting, OURS, OVERWRITTEN).zip(filled);
        let text =
            format!("{} keys: memory after 10 overwrites, that before being 1", grouped(*keys));
        case.at_most(&text, 1.2, "×", residue.map(|(after, before)| after / before));
        // A tenth is still there.
        let residue = case.median(&setting, OURS, REMOVED).zip(filled);
        let text = format!(
            "{} keys: memory after 9 of 10 were removed, that before being 1",
            grouped(*keys)
        );
        case.at_most(&text, 0.12, "×", residue.map(|(after, before)| after / before));
    }
    Ok(case)
}

/// Who is filled.
fn subjects(context: &Context, keys: u64) -> Result<Vec<(&'static str, Child)>> {
    let mut all = vec![
        (Kind::Ours.name(), context.role("memory", &[])?),
        (Kind::Npm.name(), context.node("memory", &[])?),
    ];
    let most = context.sizes.alternatives.last().copied().unwrap_or(0);
    for library in ["yrs", "automerge", "loro"] {
        let is_small = keys <= most.max(10_000);
        if is_small && let Some(child) = context.alternative("memory", &[library])? {
            all.push((library, child));
        }
    }
    Ok(all)
}

fn memory(context: &Context, case: &mut Case, keys: u64) -> Result<()> {
    let setting = of_keys(keys, "in process");
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{}: {round} rounds, for want of time", setting.name));
            break;
        }
        for (name, mut child) in subjects(context, keys)? {
            // Something small first, so that what the program itself needs is there.
            child.ask(&json!({ "do": "fill", "keys": 10 }))?;
            let before = child.usage()?.resident_bytes;
            let each = |child: &Child| -> Result<f64> {
                let grown = child.usage()?.resident_bytes.saturating_sub(before);
                Ok(grown as f64 / keys as f64)
            };
            child.ask_within(&json!({ "do": "fill", "keys": keys }), context.patience())?;
            case.record(round, &setting, name, FILLED, each(&child)?);
            for times in 1..=10 {
                let overwrite = json!({ "do": "overwrite", "times": times });
                let answer = child.ask_within(&overwrite, context.patience())?;
                check_keys(&answer, keys)?;
            }
            case.record(round, &setting, name, OVERWRITTEN, each(&child)?);
            let answer = child.ask_within(&json!({ "do": "remove" }), context.patience())?;
            check_keys(&answer, keys.div_ceil(10))?;
            case.record(round, &setting, name, REMOVED, each(&child)?);
        }
    }
    Ok(())
}

fn check_keys(answer: &serde_json::Value, wanted: u64) -> Result<()> {
    if answer["keys"].as_u64() != Some(wanted) {
        anyhow::bail!("there should be {wanted} keys: {answer}");
    }
    Ok(())
}

fn stored(context: &Context, case: &mut Case) -> Result<()> {
    let count = context.sizes.overwrites;
    let setting = Setting::named(&format!("{} overwrites of 10 keys", grouped(count)));
    for round in 0..context.rounds.min(3) {
        for kind in Kind::BOTH {
            let dir = std::env::temp_dir()
                .join(format!("scuttlebutt-bench-{}-{round}", std::process::id()));
            fs::create_dir_all(&dir)?;
            let mut child = match kind {
                Kind::Ours | Kind::Binary | Kind::Compressed => context.role("memory", &[])?,
                Kind::Npm => context.node("memory", &[])?,
            };
            let store = json!({ "do": "store", "dir": dir, "count": count });
            let bytes = child.number(&store, "bytes", context.patience());
            fs::remove_dir_all(&dir)?;
            case.record(round, &setting, kind.name(), STORED, bytes? / 1024.0);
        }
    }
    Ok(())
}
