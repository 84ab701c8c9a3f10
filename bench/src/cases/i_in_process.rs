//! i: the core by itself, without sockets.

use anyhow::Result;
use serde_json::json;

use crate::driver::{Context, NPM, OURS};
use crate::results::{Case, Quantity, Setting};

const RATE: Quantity = Quantity { name: "operations per second", unit: "1/s" };

const SPLIT: &str = "serde_json, split only";
const TREE: &str = "serde_json, into a tree";
const ENCODE: &str = "serde_json";
const COPY: &str = "memcpy";

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('i', "in process", (RATE, ""));
    case.method(
        "One thread, no sockets: writing updates of distinct keys to a map; taking in updates that \
         another has written; decoding lines and encoding them. Beside that a plain pass of serde_json \
         over the same bytes, which splits each line into change, timestamp and source, or parses all \
         of it into a tree; and a copy of the same bytes, line by line. Decoding by us makes each line \
         canonical and keeps it; the plain passes keep nothing.",
    );
    let count = context.sizes.in_process;
    let settings = ["local updates", "remote updates", "decode", "encode"].map(Setting::named);
    let [local, remote, decode, encode] = &settings;
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{round} rounds, for want of time"));
            break;
        }
        let rates = json!({ "do": "rates", "count": count });
        let ours = context.role("in-process", &[])?.ask_within(&rates, context.patience())?;
        let npm = context.node("in-process", &[])?.ask_within(&rates, context.patience())?;
        for (setting, subject, value) in [
            (local, OURS, &ours["local"]),
            (local, NPM, &npm["local"]),
            (remote, OURS, &ours["remote"]),
            (remote, NPM, &npm["remote"]),
            (decode, OURS, &ours["decode"]),
            (decode, NPM, &npm["decode"]),
            (decode, SPLIT, &ours["serde split"]),
            (decode, TREE, &ours["serde tree"]),
            (decode, COPY, &ours["copy"]),
            (encode, OURS, &ours["encode"]),
            (encode, NPM, &npm["encode"]),
            (encode, ENCODE, &ours["serde encode"]),
            (encode, COPY, &ours["copy"]),
        ] {
            case.record(round, setting, subject, RATE, value.as_f64().unwrap_or(f64::NAN));
        }
    }
    for setting in [local, remote] {
        let measured = case.median(setting, OURS, RATE);
        case.at_least(&format!("{} per second", setting.name), 1_000_000.0, "1/s", measured);
    }
    Ok(case)
}
