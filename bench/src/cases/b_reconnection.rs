//! b: two replicas that hold much, and nearly the same, meet again.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{TIME, TIMES, WIRE, bytes, check_equal, grouped, listen, of_keys};
use crate::driver::{Child, Context, Kind, NPM, OURS};
use crate::results::{Case, Quantity, Setting};

const CLIENT_CPU: Quantity = Quantity { name: "processor time of both", unit: "ms" };

/// What is still said after both are in sync, such as a promise, is counted too.
const LAST_WORDS: Duration = Duration::from_millis(40);

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('b', "reconnection", (TIME, "keys held by both"));
    case.method(
        "Both replicas hold the same keys of one source; then the server writes some new ones, and \
         the client connects again. The time runs in the client from before it dials until it is in \
         sync and holds all keys.",
    );
    let news = context.sizes.news;
    for keys in context.sizes.stores {
        let settings: Vec<_> = news
            .iter()
            .map(|new| (*new, of_keys(*keys, &format!("{} new", grouped(*new)))))
            .collect();
        reconnect(context, &mut case, &settings, *keys, 1)?;
    }
    let (least, most) = (context.sizes.stores.first(), context.sizes.stores.last());
    let (least, most) = (least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    let nothing_new = of_keys(most, "0 new");
    let npm = case.ratio(&of_keys(1_000_000, "0 new"), TIME, NPM, OURS);
    case.at_least(
        "1,000,000 keys, nothing new: times faster than npm scuttlebutt",
        1_000.0,
        TIMES,
        npm,
    );
    let flat = case
        .median(&nothing_new, OURS, TIME)
        .zip(case.median(&of_keys(least, "0 new"), OURS, TIME))
        .map(|(most, least)| most / least);
    let text =
        format!("flat: time with {} keys, that with {} being 1", grouped(most), grouped(least));
    case.at_most(&text, 2.0, TIMES, flat);
    // Later on what the server writes in each round is of a second source.
    let wire = case.first(&nothing_new, OURS, WIRE);
    case.at_most("bytes when nothing is new and there is one source", 200.0, "bytes", wire);
    Ok(case)
}

/// A server, its port, a client, and how many keys the server holds.
type Pair = (Kind, Child, u16, Child, u64);

/// Measures reconnections in each setting: so many new updates, in stores of so many keys.
pub(super) fn reconnect(
    context: &Context,
    case: &mut Case,
    settings: &[(u64, Setting)],
    keys: u64,
    sources: u64,
) -> Result<()> {
    let mut pairs = Vec::new();
    for kind in Kind::ALL {
        let mut ends = [context.peer(kind, "server")?, context.peer(kind, "client")?];
        for end in &mut ends {
            let fill = json!({ "do": "fill", "keys": keys, "sources": sources });
            end.ask_within(&fill, context.patience())?;
        }
        let [mut server, client] = ends;
        let at = listen(&mut server)?;
        let mut pair: Pair = (kind, server, at, client, keys);
        // The first meeting is that of strangers, and finds programs that have done nothing yet.
        meet(context, &mut pair)?;
        pairs.push(pair);
    }
    for round in 0..context.rounds {
        if context.is_time_up() {
            case.note(format!("{} keys: {round} rounds, for want of time", grouped(keys)));
            break;
        }
        for (new, setting) in settings {
            for pair in &mut pairs {
                let (.., held) = pair;
                let write = json!({ "do": "write", "count": new, "over": new, "from": *held });
                *held += new;
                pair.1.ask_within(&write, context.patience())?;
                for end in [&pair.1, &pair.3] {
                    end.settle()?;
                }
                let before = (pair.1.usage()?, pair.3.usage()?);
                let (ms, wire) = meet(context, pair)?;
                let after = (pair.1.usage()?, pair.3.usage()?);
                let name = pair.0.name();
                let cpu = after.0.cpu_ms_since(&before.0) + after.1.cpu_ms_since(&before.1);
                case.record(round, setting, name, TIME, ms);
                case.record(round, setting, name, WIRE, wire);
                case.record(round, setting, name, CLIENT_CPU, cpu);
            }
        }
    }
    for (_, mut server, _, mut client, _) in pairs {
        check_equal(&mut server, &mut client, context)?;
    }
    Ok(())
}

/// One meeting: its time in milliseconds, and its bytes.
fn meet(context: &Context, (_, _, at, client, held): &mut Pair) -> Result<(f64, f64)> {
    let connect = json!({ "do": "connect", "port": *at, "keys": *held });
    let ms = client.number(&connect, "ms", context.patience())?;
    thread::sleep(LAST_WORDS);
    let wire = bytes(client)?;
    client.ask(&json!({ "do": "disconnect" }))?;
    thread::sleep(LAST_WORDS);
    Ok((ms, wire))
}
