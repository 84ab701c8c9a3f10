//! d: one hub, many subscribers.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use super::{TIMES, grouped, listen, state_of};
use crate::driver::{Context, Kind, NPM, OURS};
use crate::results::{Case, Quantity, Setting};

const RATE: Quantity = Quantity { name: "deliveries per second", unit: "1/s" };
const CPU_RATE: Quantity =
    Quantity { name: "deliveries per second of the hub's processor time", unit: "1/s" };
const EACH: Quantity = Quantity { name: "hub's processor time, each delivery", unit: "µs" };
const MEMORY: Quantity = Quantity { name: "hub's memory, each connection", unit: "KiB" };
const PEAK: Quantity = Quantity { name: "hub's peak memory", unit: "MiB" };
const IDLE: Quantity = Quantity { name: "hub's memory for idle connections", unit: "MiB" };

/// What each subscriber is given first.
const KEYS: u64 = 100;

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('d', "fan-out", (CPU_RATE, "subscribers"));
    case.method(&format!(
        "A hub holds {KEYS} keys; subscribers in one other process connect and get them. Then the hub \
         writes updates of new keys, and the time runs until every subscriber has every one. The \
         subscribers speak the original's protocol and keep no replica, so that what they cost does \
         not hide what the hub costs; each is checked to show the hub's state. The original's hub \
         writes a tenth of the updates ours does.",
    ));
    for (subscribers, updates) in context.sizes.fan_out {
        let text = format!("{} subscribers", grouped(*subscribers));
        let setting = Setting::along(text, *subscribers, "");
        for round in 0..context.rounds {
            if context.is_time_up() {
                case.note(format!("{}: {round} rounds, for want of time", setting.name));
                break;
            }
            for kind in Kind::BOTH {
                let updates = if kind == Kind::Ours { *updates } else { (*updates / 10).max(1) };
                fan_out(context, &mut case, &setting, round, kind, (*subscribers, updates))?;
            }
        }
    }
    idle(context, &mut case)?;

    let most = context.sizes.fan_out.last().map_or(0, |(subscribers, _)| *subscribers);
    let setting = Setting::along(format!("{} subscribers", grouped(most)), most, "");
    let npm = case.ratio(&setting, CPU_RATE, OURS, NPM);
    let text = format!(
        "{} subscribers: times the deliveries of npm scuttlebutt per second of the hub's processor time",
        grouped(most)
    );
    case.at_least(&text, 20.0, TIMES, npm);
    let connections = context.sizes.idle_connections;
    let setting = Setting::named(&format!("{} idle connections", grouped(connections)));
    let measured = case.median(&setting, OURS, IDLE);
    let text = format!("{} idle connections", grouped(connections));
    case.at_most(&text, 200.0, "MiB", measured);
    Ok(case)
}

fn fan_out(
    context: &Context,
    case: &mut Case,
    setting: &Setting,
    round: usize,
    kind: Kind,
    (subscribers, updates): (u64, u64),
) -> Result<()> {
    let mut hub = context.peer(kind, "hub")?;
    hub.ask(&json!({ "do": "fill", "keys": KEYS, "sources": 1 }))?;
    let at = listen(&mut hub)?;
    let mut readers = context.role("subscribers", &[])?;
    let before = hub.usage()?;
    readers.ask_within(
        &json!({ "do": "connect", "port": at, "count": subscribers }),
        context.patience(),
    )?;
    let wait = |state: u64| json!({ "do": "wait", "state": state.to_string() });
    readers.ask_within(&wait(state_of(0, KEYS, |_| 0)), context.patience())?;
    hub.settle()?;
    let connected = hub.usage()?;
    hub.reset_peak()?;
    let end = wait(state_of(0, KEYS + updates, |_| 0));
    let begun = Instant::now();
    hub.tell(&json!({ "do": "write", "count": updates, "over": updates, "from": KEYS }))?;
    readers.ask_within(&end, context.patience())?;
    let seconds = begun.elapsed().as_secs_f64();
    hub.hear(context.patience())?;
    let after = hub.usage()?;

    let name = kind.name();
    let deliveries = (subscribers * updates) as f64;
    let cpu_ms = after.cpu_ms_since(&connected);
    case.record(round, setting, name, RATE, deliveries / seconds);
    case.record(round, setting, name, CPU_RATE, deliveries / cpu_ms * 1e3);
    case.record(round, setting, name, EACH, cpu_ms * 1e3 / deliveries);
    let grown = connected.resident_bytes.saturating_sub(before.resident_bytes);
    case.record(round, setting, name, MEMORY, grown as f64 / 1024.0 / subscribers as f64);
    case.record(round, setting, name, PEAK, after.peak_bytes as f64 / f64::from(1 << 20));
    Ok(())
}

/// What connections cost on which nothing happens. Ours only.
fn idle(context: &Context, case: &mut Case) -> Result<()> {
    let connections = context.sizes.idle_connections;
    let setting = Setting::named(&format!("{} idle connections", grouped(connections)));
    let files_max = rlimit::increase_nofile_limit(u64::MAX)?;
    if files_max < connections + 100 {
        case.note(format!(
            "{} were not measured: {files_max} open files are allowed",
            setting.name
        ));
        return Ok(());
    }
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{}: {round} rounds, for want of time", setting.name));
            break;
        }
        let mut hub = context.peer(Kind::Ours, "hub")?;
        hub.ask(&json!({ "do": "fill", "keys": KEYS, "sources": 1 }))?;
        let at = listen(&mut hub)?;
        let mut readers = context.role("subscribers", &[])?;
        let before = hub.usage()?;
        let connect = json!({ "do": "connect", "port": at, "count": connections });
        readers.ask_within(&connect, context.patience())?;
        let state = state_of(0, KEYS, |_| 0).to_string();
        readers.ask_within(&json!({ "do": "wait", "state": state }), context.patience())?;
        hub.settle()?;
        let grown = hub.usage()?.resident_bytes.saturating_sub(before.resident_bytes);
        case.record(round, &setting, OURS, IDLE, grown as f64 / f64::from(1 << 20));
        case.record(round, &setting, OURS, MEMORY, grown as f64 / 1024.0 / connections as f64);
    }
    Ok(())
}
