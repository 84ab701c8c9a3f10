//! c: two replicas in sync, one of which writes.

use std::time::Instant;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{TIMES, WIRE, bytes, check_equal, listen};
use crate::driver::{Child, Context, Kind, NPM, OURS};
use crate::results::{Case, Quantity, Setting};

const ECHO: &str = "bare tokio echo";
const RATE: Quantity = Quantity { name: "updates per second", unit: "1/s" };
const CPU: Quantity = Quantity { name: "processor time of both, each update", unit: "µs" };
const EACH: Quantity = Quantity { name: "bytes on the wire, each update", unit: "bytes" };
const P50: Quantity = Quantity { name: "round trip, median", unit: "µs" };
const P99: Quantity = Quantity { name: "round trip, 99 of 100 within", unit: "µs" };
const P999: Quantity = Quantity { name: "round trip, 999 of 1,000 within", unit: "µs" };

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('c', "live updates", (RATE, ""));
    case.method(
        "Two replicas are in sync. One writes, one update after the other, and the time runs until \
         the other shows the last of them. With one hot key ours passes over what was superseded \
         before it was sent; the original sends all of it. The original writes in portions of 50 and \
         waits while its socket has more than it can take: flooded, it is several times slower.",
    );
    case.method(
        "A round trip: one replica writes, the other answers with a write of its own as soon as it is \
         told of the first. Beside it a bare tokio echo of a line of the same length.",
    );
    throughput(context, &mut case)?;
    latency(context, &mut case)?;

    for name in ["distinct keys", "one hot key"] {
        let npm = case.ratio(&Setting::named(name), RATE, OURS, NPM);
        case.at_least(&format!("{name}: times the updates of npm scuttlebutt"), 10.0, TIMES, npm);
    }
    let echo = case.ratio(&Setting::named("ping-pong"), P50, OURS, ECHO);
    case.at_most("median round trip, a bare tokio echo being 1", 2.0, TIMES, echo);
    Ok(case)
}

fn pair(context: &Context, kind: Kind) -> Result<(Child, Child)> {
    let (mut writer, mut reader) = (context.peer(kind, "writer")?, context.peer(kind, "reader")?);
    let at = listen(&mut writer)?;
    reader.ask(&json!({ "do": "connect", "port": at, "keys": 0 }))?;
    Ok((writer, reader))
}

fn throughput(context: &Context, case: &mut Case) -> Result<()> {
    let count = context.sizes.live_updates;
    let mut pairs = Vec::new();
    for kind in Kind::ALL {
        let (writer, reader) = pair(context, kind)?;
        pairs.push((kind, writer, reader));
    }
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("throughput: {round} rounds, for want of time"));
            break;
        }
        for (name, over) in [("distinct keys", count), ("one hot key", 1)] {
            let setting = Setting::named(name);
            for (kind, writer, reader) in &mut pairs {
                let from = if over == 1 { u64::from(u32::MAX) } else { round as u64 * count };
                let first = if over == 1 { round as u64 * count } else { 0 };
                let write = json!({
                    "do": "write", "count": count, "over": over, "from": from, "overwritten": first
                });
                let (last, times) =
                    if over == 1 { (from, first + count - 1) } else { (from + count - 1, 0) };
                let wait = json!({ "do": "wait", "key": last, "overwritten": times });
                let before = (writer.usage()?, reader.usage()?, bytes(writer)?);
                let begun = Instant::now();
                writer.tell(&write)?;
                reader.ask_within(&wait, context.patience())?;
                let seconds = begun.elapsed().as_secs_f64();
                writer.hear(context.patience())?;
                let after = (writer.usage()?, reader.usage()?, bytes(writer)?);
                let cpu = after.0.cpu_ms_since(&before.0) + after.1.cpu_ms_since(&before.1);
                let (name, each) = (kind.name(), count as f64);
                case.record(round, &setting, name, RATE, each / seconds);
                case.record(round, &setting, name, CPU, cpu * 1e3 / each);
                case.record(round, &setting, name, EACH, (after.2 - before.2) / each);
            }
        }
    }
    for (_, mut writer, mut reader) in pairs {
        check_equal(&mut writer, &mut reader, context)?;
    }
    Ok(())
}

fn latency(context: &Context, case: &mut Case) -> Result<()> {
    let setting = Setting::named("ping-pong");
    let pings = context.sizes.pings;
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("round trips: {round} rounds, for want of time"));
            break;
        }
        for kind in Kind::ALL {
            let (mut asking, mut answering) = pair(context, kind)?;
            answering.ask(&json!({ "do": "pong" }))?;
            // Some to warm up.
            let warm_up = json!({ "do": "ping", "count": pings / 10 });
            asking.ask_within(&warm_up, context.patience())?;
            let before = bytes(&mut asking)?;
            let ping = json!({ "do": "ping", "count": pings });
            let answer = asking.ask_within(&ping, context.patience())?;
            let after = bytes(&mut asking)?;
            record(case, round, &setting, kind.name(), &answer)?;
            case.record(round, &setting, kind.name(), WIRE, (after - before) / pings as f64);
            check_equal(&mut asking, &mut answering, context)?;
        }
        let (mut asking, mut answering) = (context.role("echo", &[])?, context.role("echo", &[])?);
        let at = listen(&mut answering)?;
        for count in [pings / 10, pings] {
            let ping = json!({ "do": "ping", "port": at, "count": count });
            let answer = asking.ask_within(&ping, context.patience())?;
            if count == pings {
                record(case, round, &setting, ECHO, &answer)?;
            }
        }
    }
    Ok(())
}

fn record(
    case: &mut Case,
    round: usize,
    setting: &Setting,
    subject: &str,
    answer: &Value,
) -> Result<()> {
    let mut micros: Vec<f64> =
        answer["us"].as_array().context("no times")?.iter().filter_map(Value::as_f64).collect();
    micros.sort_by(f64::total_cmp);
    let within = |share: f64| micros[((micros.len() - 1) as f64 * share).round() as usize];
    for (quantity, share) in [(P50, 0.5), (P99, 0.99), (P999, 0.999)] {
        case.record(round, setting, subject, quantity, within(share));
    }
    Ok(())
}
