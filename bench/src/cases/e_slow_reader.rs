//! e: a subscriber that reads nothing, beside some that do.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{grouped, listen, state_of};
use crate::driver::{Child, Context, Kind, OURS, Usage};
use crate::results::{Case, Quantity, Setting};

const RATE: Quantity =
    Quantity { name: "updates that pass the healthy ones, per second", unit: "1/s" };
const SHARE: Quantity = Quantity { name: "share of the rate without the slow one", unit: "%" };
const LINES: Quantity = Quantity { name: "lines to each healthy one, each update", unit: "1" };
const GROWN: Quantity =
    Quantity { name: "growth of the hub's peak through the slow one", unit: "MiB" };

const HEALTHY: u64 = 4;

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('e', "a subscriber that reads nothing", (GROWN, ""));
    let [ours, npm] = context.sizes.stalled_updates;
    let keys = context.sizes.stalled_keys;
    case.method(&format!(
        "A hub overwrites {} keys, {} times in all ({} in the original's hub), before {HEALTHY} \
         subscribers that read and show its state at the end; once by themselves, and once beside one \
         that has connected and reads nothing. Its memory is the peak of the second pass less that of \
         the first. Afterwards the slow one reads after all, and must come to show the same.",
        grouped(keys),
        grouped(ours),
        grouped(npm)
    ));
    let setting = Setting::named(&format!("{} keys", grouped(keys)));
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{round} rounds, for want of time"));
            break;
        }
        for (kind, updates) in Kind::BOTH.into_iter().zip(context.sizes.stalled_updates) {
            one_round(context, &mut case, &setting, round, kind, updates)?;
        }
    }
    let measured = case.median(&setting, OURS, GROWN);
    case.at_most("growth of the hub's memory through the slow one", 1.0, "MiB", measured);
    let measured = case.median(&setting, OURS, SHARE);
    case.at_least(
        "rate of the healthy ones, that without the slow one being 100",
        95.0,
        "%",
        measured,
    );
    Ok(case)
}

fn one_round(
    context: &Context,
    case: &mut Case,
    setting: &Setting,
    round: usize,
    kind: Kind,
    updates: u64,
) -> Result<()> {
    let keys = context.sizes.stalled_keys;
    let mut hub = context.peer(kind, "hub")?;
    hub.ask(&json!({ "do": "fill", "keys": keys, "sources": 1 }))?;
    let at = listen(&mut hub)?;
    let mut readers = context.role("subscribers", &[])?;
    readers.ask(&json!({ "do": "connect", "port": at, "count": HEALTHY }))?;
    let mut slow = context.role("subscribers", &[])?;

    // One pass that is not counted: after it the hub holds what it ever holds.
    let mut flows = Flows { context, keys, updates, passed: 0 };
    flows.pass(&mut hub, &mut readers)?;
    let alone = flows.pass(&mut hub, &mut readers)?;
    slow.ask(&json!({ "do": "connect-silent", "port": at }))?;
    let beside = flows.pass(&mut hub, &mut readers)?;

    let name = kind.name();
    case.record(round, setting, name, RATE, updates as f64 / beside.seconds);
    case.record(round, setting, name, SHARE, 100.0 * alone.seconds / beside.seconds);
    let lines = (beside.lines - alone.lines) / (HEALTHY * updates) as f64;
    case.record(round, setting, name, LINES, lines);
    let grown = beside.usage.peak_bytes as f64 - alone.usage.peak_bytes as f64;
    case.record(round, setting, name, GROWN, grown / f64::from(1 << 20));

    slow.ask(&json!({ "do": "listen-again" }))?;
    slow.ask_within(&flows.end(), context.patience())?;
    Ok(())
}

/// Passes of updates over the same keys.
struct Flows<'a> {
    context: &'a Context,
    keys: u64,
    updates: u64,
    /// Each has overwritten every key equally often.
    passed: u64,
}

/// What a pass has taken.
struct Pass {
    seconds: f64,
    /// Of all passes so far.
    lines: f64,
    usage: Usage,
}

impl Flows<'_> {
    fn each_key(&self) -> u64 {
        (self.updates / self.keys).max(1)
    }

    /// The state after the passes so far, to wait for.
    fn end(&self) -> serde_json::Value {
        let overwritten = self.passed * self.each_key();
        json!({ "do": "wait", "state": state_of(0, self.keys, |_| overwritten).to_string() })
    }

    fn pass(&mut self, hub: &mut Child, readers: &mut Child) -> Result<Pass> {
        let (keys, each) = (self.keys, self.each_key());
        hub.settle()?;
        hub.reset_peak()?;
        // The keys were filled in as not overwritten yet.
        let first = self.passed * each + 1;
        self.passed += 1;
        let begun = Instant::now();
        hub.tell(&json!({
            "do": "write", "count": keys * each, "over": keys, "from": 0, "overwritten": first
        }))?;
        let end = self.end();
        let lines = readers.number(&end, "updates", self.context.patience())?;
        let seconds = begun.elapsed().as_secs_f64();
        hub.hear(self.context.patience())?;
        Ok(Pass { seconds, lines, usage: hub.usage()? })
    }
}
