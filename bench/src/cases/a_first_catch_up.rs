//! a: a replica that holds nothing catches up with one that holds much.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{TIME, TIMES, WIRE, bytes, check_equal, grouped, listen, of_keys, port};
use crate::driver::{BINARY, Child, Context, Kind, NPM, OURS};
use crate::results::{Case, Quantity, Setting};

const FLOOR: &str = "floor program";
const CLIENT_CPU: Quantity = Quantity { name: "processor time of the client", unit: "ms" };
const SERVER_CPU: Quantity = Quantity { name: "processor time of the server", unit: "ms" };
const CLIENT_MEMORY: Quantity = Quantity {
    name: "peak memory of the client by that of a server filled by itself",
    unit: TIMES,
};
const SERVER_MEMORY: Quantity =
    Quantity { name: "peak memory of the server by what it began with", unit: TIMES };
const RESIDENT: Quantity = Quantity { name: "memory of the client afterwards", unit: "MiB" };

/// How many times longer than ours the original is waited for where it cannot come to an end.
const STOPPED_AFTER: f64 = 60.0;

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('a', "first catch-up", (TIME, "keys"));
    case.method(
        "A server holds the keys of one or of many sources; a client that holds nothing connects. \
         The time runs in the client from before it dials until it is in sync and holds all of them. \
         The floor program reads the same bytes off a socket, from a server that only writes what it \
         has ready, splits them with serde_json and inserts them into a hash map.",
    );
    case.method(
        "In process, nothing but the libraries: one side encodes all it has, the other applies it. \
         Yrs, Automerge and Loro keep more of the past and no timestamps, sources or signatures per \
         key; of each the fastest way its documentation names was taken. Chitchat gossips over its \
         channel transport every 10 ms, one datagram's worth at a time.",
    );
    let many = context.sizes.many_sources;
    for keys in context.sizes.stores {
        for sources in [1, many] {
            let family = if sources == 1 {
                "1 source".to_owned()
            } else {
                format!("{} sources", grouped(sources))
            };
            over_tcp(context, &mut case, &of_keys(*keys, &family), *keys, sources)?;
        }
    }
    in_process(context, &mut case)?;
    targets(context, &mut case);
    Ok(case)
}

fn over_tcp(
    context: &Context,
    case: &mut Case,
    setting: &Setting,
    keys: u64,
    sources: u64,
) -> Result<()> {
    let takes_npm = keys <= context.sizes.npm_catch_up_keys_max;
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{}: {round} rounds, for want of time", setting.name));
            break;
        }
        let mut ours = None;
        for kind in Kind::ALL_FORMS.into_iter().filter(|kind| *kind != Kind::Npm || takes_npm) {
            let (mut server, at) = server(context, kind, keys, sources)?;
            let mut client = context.peer(kind, "client")?;
            let connect = json!({ "do": "connect", "port": at, "keys": keys });
            let before = (server.usage()?, client.usage()?);
            server.reset_peak()?;
            let ms = client.number(&connect, "ms", context.patience())?;
            let after = (server.usage()?, client.usage()?);
            let name = kind.name();
            case.record(round, setting, name, TIME, ms);
            case.record(round, setting, name, CLIENT_CPU, after.1.cpu_ms_since(&before.1));
            case.record(round, setting, name, SERVER_CPU, after.0.cpu_ms_since(&before.0));
            let by = |peak: u64, state: u64| peak as f64 / state as f64;
            // What the client ends with may hold room that only catching up has needed.
            let client_by = by(after.1.peak_bytes, before.0.resident_bytes);
            let server_by = by(after.0.peak_bytes, before.0.resident_bytes);
            case.record(round, setting, name, CLIENT_MEMORY, client_by);
            case.record(round, setting, name, SERVER_MEMORY, server_by);
            let mib = after.1.resident_bytes as f64 / f64::from(1 << 20);
            case.record(round, setting, name, RESIDENT, mib);
            check_equal(&mut server, &mut client, context)?;
            case.record(round, setting, name, WIRE, bytes(&mut client)?);
            if kind == Kind::Ours {
                ours = Some(ms);
            }
        }
        floor(context, case, setting, round, (keys, sources))?;
        let stopped_npm = format!("{NPM}, stopped");
        if let Some(ours) = ours
            && !takes_npm
            && sources == 1
            && case.median(setting, &stopped_npm, TIME).is_none()
        {
            stopped(context, case, setting, (round, keys, ours))?;
        }
    }
    Ok(())
}

fn server(context: &Context, kind: Kind, keys: u64, sources: u64) -> Result<(Child, u16)> {
    let mut server = context.peer(kind, "server")?;
    let fill = json!({ "do": "fill", "keys": keys, "sources": sources });
    server.ask_within(&fill, context.patience())?;
    let at = listen(&mut server)?;
    Ok((server, at))
}

fn floor(
    context: &Context,
    case: &mut Case,
    setting: &Setting,
    round: usize,
    (keys, sources): (u64, u64),
) -> Result<()> {
    let mut server = context.role("floor", &[])?;
    let serve = json!({ "do": "serve", "keys": keys, "sources": sources });
    let at = port(&server.ask_within(&serve, context.patience())?)?;
    let mut client = context.role("floor", &[])?;
    let before = client.usage()?;
    let ms = client.number(&json!({ "do": "connect", "port": at }), "ms", context.patience())?;
    let after = client.usage()?;
    client.ask_within(&json!({ "do": "check", "keys": keys }), context.patience())?;
    case.record(round, setting, FLOOR, TIME, ms);
    case.record(round, setting, FLOOR, CLIENT_CPU, after.cpu_ms_since(&before));
    case.record(round, setting, FLOOR, WIRE, bytes(&mut client)?);
    Ok(())
}

/// Gives the original many times as long as we take, and then stops it.
fn stopped(
    context: &Context,
    case: &mut Case,
    setting: &Setting,
    (round, keys, ours_ms): (usize, u64, f64),
) -> Result<()> {
    let limit = Duration::from_secs_f64(ours_ms / 1e3 * STOPPED_AFTER);
    if limit > context.patience() / 2 {
        case.note(format!(
            "{}: {NPM} was not measured; giving it {STOPPED_AFTER:.0} times what we take would have \
             taken {:.0} s",
            setting.name,
            limit.as_secs_f64()
        ));
        return Ok(());
    }
    let (mut server, at) = server(context, Kind::Npm, keys, 1)?;
    let mut client = context.peer(Kind::Npm, "client")?;
    client.tell(&json!({ "do": "connect", "port": at, "keys": keys }))?;
    let name = match client.hear_within(limit) {
        Ok(Some(answer)) => {
            check_equal(&mut server, &mut client, context)?;
            let ms = answer["ms"].as_f64().unwrap_or(f64::NAN);
            case.record(round, setting, NPM, TIME, ms);
            return Ok(());
        }
        Ok(None) => format!("{NPM}, stopped"),
        Err(error) => {
            case.note(format!("{}: {NPM} failed: {error:#}", setting.name));
            return Ok(());
        }
    };
    case.record(round, setting, &name, TIME, limit.as_secs_f64() * 1e3);
    case.note(format!(
        "{}: {NPM} had not caught up after {:.0} s and was stopped: its time is a lower bound. The \
         buffer of what it has to send takes time that is quadratic in its length.",
        setting.name,
        limit.as_secs_f64()
    ));
    Ok(())
}

fn in_process(context: &Context, case: &mut Case) -> Result<()> {
    for keys in context.sizes.alternatives {
        let setting = of_keys(*keys, "in process");
        for round in 0..context.rounds {
            if context.is_time_up() {
                case.note(format!("{}: {round} rounds, for want of time", setting.name));
                break;
            }
            let number =
                |answer: &serde_json::Value, name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
            for (name, binary) in [(OURS, false), (BINARY, true)] {
                let catch_up = json!({ "do": "catch-up", "keys": keys, "binary": binary });
                let answer =
                    context.role("in-process", &[])?.ask_within(&catch_up, context.patience())?;
                case.record(round, &setting, name, TIME, number(&answer, "ms"));
                case.record(round, &setting, name, WIRE, number(&answer, "bytes"));
            }
            for library in ["yrs", "automerge", "loro", "chitchat"] {
                if library == "chitchat" && (*keys > 10_000 || round > 0) {
                    continue;
                }
                let keys = keys.to_string();
                let Some(mut child) = context.alternative("catch-up", &[library, &keys])? else {
                    case.note("the alternatives were not built");
                    continue;
                };
                let answer = child.hear(context.patience())?;
                case.record(round, &setting, library, TIME, number(&answer, "ms"));
                case.record(round, &setting, library, WIRE, number(&answer, "bytes"));
            }
        }
    }
    Ok(())
}

fn targets(context: &Context, case: &mut Case) {
    let one = "1 source";
    let at = |keys: u64| of_keys(keys, one);
    let npm = case.ratio(&at(100_000), TIME, NPM, OURS);
    case.at_least("100,000 keys: times faster than npm scuttlebutt", 10.0, TIMES, npm);
    let npm = case.ratio(&at(100_000), TIME, NPM, BINARY);
    let text = "100,000 keys, binary: times faster than npm scuttlebutt";
    case.at_least(text, 20.0, TIMES, npm);
    let million = at(1_000_000);
    let stopped = format!("{NPM}, stopped");
    let npm = case
        .ratio(&million, TIME, NPM, OURS)
        .or_else(|| case.ratio(&million, TIME, &stopped, OURS));
    case.at_least(
        "1,000,000 keys: times faster than npm scuttlebutt (at least, where that was stopped)",
        50.0,
        TIMES,
        npm,
    );
    let alternatives = context.sizes.alternatives.last().copied().unwrap_or(0);
    let yrs = case.ratio(&of_keys(alternatives, "in process"), TIME, "yrs", OURS);
    let text = format!("{} keys in process: times faster than yrs", grouped(alternatives));
    case.at_least(&text, 1.0, TIMES, yrs);
    for keys in context.sizes.stores {
        let floor = case.ratio(&at(*keys), TIME, OURS, FLOOR);
        let text = format!("{} keys: time, the floor program being 1", grouped(*keys));
        case.at_most(&text, 1.5, TIMES, floor);
    }
    let most = context.sizes.stores.last().copied().unwrap_or(0);
    for (end, quantity) in [("client", CLIENT_MEMORY), ("server", SERVER_MEMORY)] {
        let text = format!("{} keys: peak memory of the {end} by its state", grouped(most));
        let measured = case.median(&at(most), OURS, quantity);
        case.at_most(&text, 1.3, TIMES, measured);
    }
}
