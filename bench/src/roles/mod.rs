//! What our own processes do that take part: each role reads what to do from standard input, a line
//! of JSON each, and answers in the same way.

mod echo;
mod floor;
mod in_process;
mod memory;
mod peer;
mod subscribers;

use std::io::{BufRead, Write};

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Plays a role until standard input ends.
pub(crate) fn play(role: &str, arguments: &[String]) -> Result<()> {
    match role {
        "echo" => answer_all(&mut echo::Echo::new()?),
        "floor" => answer_all(&mut floor::Floor::default()),
        "in-process" => answer_all(&mut in_process::InProcess),
        "memory" => answer_all(&mut memory::Memory::default()),
        "peer" => {
            let id = arguments.first().map_or("peer", String::as_str);
            let form = arguments.get(1).map_or("json", String::as_str);
            answer_all(&mut peer::Peer::new(id, form)?)
        }
        "subscribers" => answer_all(&mut subscribers::Subscribers::new()?),
        _ => bail!("there is no role {role}"),
    }
}

/// Who does as it is told.
trait Role {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value>;
}

fn answer_all(role: &mut impl Role) -> Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let what: Value = serde_json::from_str(&line?)?;
        let answer = role.handle(what["do"].as_str().unwrap_or_default(), &what);
        let answer = answer.unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

fn number(what: &Value, name: &str) -> Result<u64> {
    match what[name].as_u64() {
        Some(number) => Ok(number),
        None => bail!("{name} is missing in {what}"),
    }
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn unknown(name: &str) -> anyhow::Error {
    anyhow::anyhow!("this role cannot do {name:?}")
}
