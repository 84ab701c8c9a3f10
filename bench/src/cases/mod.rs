//! The cases, one file each. A case tells participants what to do, checks that they end in equal
//! states, and records what it took.

mod a_first_catch_up;
mod b_reconnection;
mod c_live;
mod d_fan_out;
mod e_slow_reader;
mod f_mesh;
mod g_memory;
mod h_handshake;
mod i_in_process;

use anyhow::{Result, bail};
use scuttlebutt_bench::workload;
use serde_json::{Value, json};

use crate::driver::{Child, Context};
use crate::results::{Case, Quantity, Setting};

/// A case: its letter, and what measures it.
pub(crate) type Measure = fn(&Context) -> Result<Case>;

/// All of them.
pub(crate) const ALL: [(char, Measure); 9] = [
    ('a', a_first_catch_up::measure),
    ('b', b_reconnection::measure),
    ('c', c_live::measure),
    ('d', d_fan_out::measure),
    ('e', e_slow_reader::measure),
    ('f', f_mesh::measure),
    ('g', g_memory::measure),
    ('h', h_handshake::measure),
    ('i', i_in_process::measure),
];

const TIME: Quantity = Quantity { name: "time", unit: "ms" };
const WIRE: Quantity = Quantity { name: "bytes on the wire, both ways", unit: "bytes" };
const TIMES: &str = "×";

/// Waits until both show the same state, or says that they do not.
fn check_equal(a: &mut Child, b: &mut Child, context: &Context) -> Result<()> {
    let states =
        [a, b].map(|child| child.ask_within(&json!({ "do": "state" }), context.patience()));
    let [a, b] = states;
    let (a, b) = (a?, b?);
    if a != b || a["keys"] == 0 {
        bail!("the end states differ: {a} and {b}");
    }
    Ok(())
}

/// Has a participant listen; answers the port.
fn listen(child: &mut Child) -> Result<u16> {
    let answer = child.ask(&json!({ "do": "listen" }))?;
    port(&answer)
}

fn port(answer: &Value) -> Result<u16> {
    match answer["port"].as_u64().and_then(|port| u16::try_from(port).ok()) {
        Some(port) => Ok(port),
        None => bail!("no port in {answer}"),
    }
}

/// What a participant's connections have carried so far.
fn bytes(child: &mut Child) -> Result<f64> {
    let answer = child.ask(&json!({ "do": "bytes" }))?;
    let number = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    Ok(number("received") + number("sent"))
}

fn grouped(number: u64) -> String {
    crate::output::grouped(number)
}

/// The fingerprint of a state in which keys `from..from + over` were overwritten so many times.
fn state_of(from: u64, over: u64, overwritten: impl Fn(u64) -> u64) -> u64 {
    (from..from + over)
        .map(|key| workload::weight(workload::change_text(key, overwritten(key)).as_bytes()))
        .fold(0, u64::wrapping_add)
}

/// A setting of so many keys.
fn of_keys(keys: u64, family: &str) -> Setting {
    Setting::along(format!("{} keys, {family}", grouped(keys)), keys, family)
}
