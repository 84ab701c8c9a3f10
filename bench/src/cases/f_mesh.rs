//! f: everybody linked with everybody, and how often each update travels.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{TIMES, check_equal, grouped, listen};
use crate::driver::{Child, Context, Kind, NPM, OURS, Relay};
use crate::results::{Case, Quantity, Setting};

const MESSAGES: Quantity = Quantity { name: "messages, each update", unit: "1" };
const WIRE: Quantity = Quantity { name: "bytes on all links, each update", unit: "bytes" };
const MINIMUM: &str = "least possible";

/// How long nothing more may be said before all is taken for said.
const QUIET: Duration = Duration::from_millis(300);

pub(super) fn measure(context: &Context) -> Result<Case> {
    let mut case = Case::new('f', "mesh", (MESSAGES, "nodes"));
    case.method(
        "Every node is linked with every other, each link through a relay that counts lines which \
         hold an update, both ways. Every node writes: either one node one update at a time, the next \
         one when all have it; or all nodes at once, ten times as many each. The least possible is one \
         message to each other node.",
    );
    for nodes in context.sizes.meshes {
        for round in 0..context.rounds {
            if context.is_time_up() {
                case.note(format!("{nodes} nodes: {round} rounds, for want of time"));
                break;
            }
            for kind in Kind::BOTH {
                one_mesh(context, &mut case, round, kind, *nodes)?;
            }
        }
    }
    for nodes in context.sizes.meshes {
        for how in [SINGLY, AT_ONCE] {
            let setting = setting(*nodes, how);
            let npm = case.ratio(&setting, MESSAGES, OURS, NPM);
            let text = format!("{}: messages, npm scuttlebutt being 1", setting.name);
            case.at_most(&text, 0.5, TIMES, npm);
        }
    }
    Ok(case)
}

const SINGLY: &str = "one at a time";
const AT_ONCE: &str = "all at once";

fn setting(nodes: u64, how: &str) -> Setting {
    Setting::along(format!("{} nodes, {how}", grouped(nodes)), nodes, how)
}

fn one_mesh(
    context: &Context,
    case: &mut Case,
    round: usize,
    kind: Kind,
    count: u64,
) -> Result<()> {
    let mut nodes = Vec::new();
    let mut ports = Vec::new();
    for n in 0..count {
        let mut node = context.peer(kind, &format!("node-{n}"))?;
        ports.push(listen(&mut node)?);
        nodes.push(node);
    }
    let mut relays = Vec::new();
    for (n, node) in nodes.iter_mut().enumerate() {
        for port in &ports[..n] {
            let relay = Relay::to(*port)?;
            node.ask(&json!({ "do": "connect", "port": relay.port, "keys": 0 }))?;
            relays.push(relay);
        }
    }
    let each = context.sizes.mesh_updates;
    let mut written = 0;
    for (how, each) in [(SINGLY, each), (AT_ONCE, 10 * each)] {
        let setting = setting(count, how);
        let before = at_rest(&relays);
        let updates = each * count;
        let write = |from: u64, count: u64| json!({ "do": "write", "count": count, "over": count, "from": from });
        if how == SINGLY {
            for n in 0..updates {
                nodes[(n % count) as usize].ask(&write(written, 1))?;
                written += 1;
                all_have(context, &mut nodes, written)?;
            }
        } else {
            for node in &mut nodes {
                node.tell(&write(written, each))?;
                written += each;
            }
            for node in &mut nodes {
                node.hear(context.patience())?;
            }
            all_have(context, &mut nodes, written)?;
        }
        let after = at_rest(&relays);
        let name = kind.name();
        let per_update = |count: u64| count as f64 / updates as f64;
        case.record(round, &setting, name, MESSAGES, per_update(after.0 - before.0));
        case.record(round, &setting, name, WIRE, per_update(after.1 - before.1));
        case.record(round, &setting, MINIMUM, MESSAGES, (count - 1) as f64);
    }
    let (first, others) = nodes.split_at_mut(1);
    for other in others {
        check_equal(&mut first[0], other, context)?;
    }
    Ok(())
}

fn all_have(context: &Context, nodes: &mut [Child], keys: u64) -> Result<()> {
    for node in nodes.iter_mut() {
        node.tell(&json!({ "do": "wait", "keys": keys }))?;
    }
    for node in nodes {
        node.hear(context.patience())?;
    }
    Ok(())
}

/// Messages and bytes so far, once no more of them come.
fn at_rest(relays: &[Relay]) -> (u64, u64) {
    let count = || {
        let sum = |of: fn(&Relay) -> u64| relays.iter().map(of).sum::<u64>();
        (sum(Relay::updates), sum(Relay::bytes))
    };
    let mut before = count();
    loop {
        thread::sleep(QUIET);
        let now = count();
        if now == before {
            return now;
        }
        before = now;
    }
}
