//! The hot paths, each as a piece of work of any size, for counting: what is counted repeats where
//! times do not.

use std::hint::black_box;

use scuttlebutt::{LwwMap, Replica, Session, SessionConfig, SourceId, Update, VersionVector};

use crate::workload;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Every path by its name.
pub const ALL: [(&str, Prepare); 7] = [
    ("apply local", apply_local),
    ("apply remote", apply_remote),
    ("overwrite remote", overwrite_remote),
    ("decode", decode),
    ("encode", encode),
    ("catch-up, sending", catch_up_sending),
    ("catch-up, receiving", catch_up_receiving),
];

/// Prepares so many operations; the work is done when the answer is called. What it leaves behind is
/// forgotten, so that freeing it is not counted.
pub type Prepare = fn(u64) -> Result<Work>;

/// What is measured.
pub type Work = Box<dyn FnOnce()>;

/// How much a session may say at once, as in a node.
const PORTION_BYTES: usize = 64 << 10;

/// Later than all that is filled in.
const NOW_MS: f64 = 1_800_000_000_000.0;

/// An empty map.
///
/// # Errors
/// Never for an id that is one.
pub fn replica(id: &str) -> Result<Replica<LwwMap>> {
    Ok(Replica::new(SourceId::new(id)?, LwwMap::new()))
}

/// The updates of so many keys, in the order in which they were written.
///
/// # Errors
/// Never: the lines are well formed.
pub fn updates(keys: u64, sources: u64) -> Result<Vec<Update>> {
    (0..keys).map(|n| Ok(Update::from_json(&workload::line(n, sources))?)).collect()
}

/// Gives a replica so many keys of so many sources, and has it promise them.
///
/// # Errors
/// When an update is not accepted.
pub fn fill(replica: &mut Replica<LwwMap>, keys: u64, sources: u64) -> Result<()> {
    let mut held = VersionVector::new();
    for n in 0..keys {
        let update = Update::from_json(&workload::line(n, sources))?;
        held.advance(update.source(), update.timestamp());
        replica.remote_update(NOW_MS, update);
    }
    if replica.updates_held() as u64 != keys {
        return Err("a replica did not take what it was to be filled with".into());
    }
    replica.promise(&held);
    Ok(())
}

/// The lines of so many keys as they stand on the wire, one after the other.
#[must_use]
pub fn lines(keys: u64, sources: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..keys {
        bytes.extend_from_slice(workload::line(n, sources).as_bytes());
        bytes.push(b'\n');
    }
    bytes
}

/// All that a session of a filled replica sends to one that holds nothing.
///
/// # Errors
/// When the sessions do not understand each other.
pub fn history(keys: u64, sources: u64) -> Result<Vec<u8>> {
    let mut server = replica("server")?;
    fill(&mut server, keys, sources)?;
    let mut session = asked(&mut server)?;
    let mut bytes = Vec::new();
    while session.has_output(&server) {
        session.transmit(&server, &mut bytes, PORTION_BYTES);
    }
    Ok(bytes)
}

/// A session that speaks JSON, as the floor program reads it.
fn in_lines() -> SessionConfig {
    SessionConfig { announce_binary: false, ..SessionConfig::default() }
}

/// A session that was told that its peer holds nothing.
fn asked(server: &mut Replica<LwwMap>) -> Result<Session> {
    let mut client = replica("client")?;
    let mut asking = Session::new(&mut client, NOW_MS, in_lines());
    let mut digest = Vec::new();
    asking.transmit(&client, &mut digest, PORTION_BYTES);
    let mut session = Session::new(server, NOW_MS, in_lines());
    session.receive(server, NOW_MS, &digest)?;
    Ok(session)
}

/// Sends all that a session has to say, and answers how many bytes that were.
pub fn drain(session: &mut Session, replica: &Replica<LwwMap>) -> usize {
    let mut portion = Vec::with_capacity(PORTION_BYTES);
    let mut bytes = 0;
    while session.has_output(replica) {
        portion.clear();
        bytes += session.transmit(replica, &mut portion, PORTION_BYTES);
    }
    bytes
}

fn apply_local(count: u64) -> Result<Work> {
    let mut replica = replica("local")?;
    let changes: Vec<_> = (0..count).map(|n| workload::change(n, 0)).collect();
    Ok(Box::new(move || {
        for change in changes {
            black_box(replica.local_update(NOW_MS, change).is_ok());
        }
        std::mem::forget(replica);
    }))
}

fn apply_remote(count: u64) -> Result<Work> {
    let mut replica = replica("remote")?;
    let updates = updates(count, 1)?;
    Ok(Box::new(move || {
        for update in updates {
            black_box(replica.remote_update(NOW_MS, update));
        }
        std::mem::forget(replica);
    }))
}

fn overwrite_remote(count: u64) -> Result<Work> {
    let mut replica = replica("remote")?;
    let later = updates(count, 1)?;
    fill(&mut replica, count.min(1_000), 2)?;
    let keys = count.min(1_000);
    let overwriting: Vec<Update> = later
        .iter()
        .enumerate()
        .map(|(n, update)| {
            let change = workload::change(n as u64 % keys, 1);
            let at = scuttlebutt::Timestamp::new(update.timestamp().as_millis() + 1e9)?;
            Ok(Update::new(&change, at, update.source().clone()))
        })
        .collect::<Result<_>>()?;
    Ok(Box::new(move || {
        for update in overwriting {
            black_box(replica.remote_update(NOW_MS, update));
        }
        std::mem::forget(replica);
    }))
}

fn decode(count: u64) -> Result<Work> {
    let lines: Vec<String> = (0..count).map(|n| workload::line(n, 1)).collect();
    Ok(Box::new(move || {
        for line in &lines {
            // Not let go of: that is not part of decoding.
            black_box(std::mem::ManuallyDrop::new(Update::from_json(line)));
        }
        std::mem::forget(lines);
    }))
}

fn encode(count: u64) -> Result<Work> {
    let updates = updates(count, 1)?;
    let mut out = Vec::with_capacity(256);
    Ok(Box::new(move || {
        for update in &updates {
            out.clear();
            update.write_line(&mut out);
            black_box(&out);
        }
        std::mem::forget(updates);
    }))
}

fn catch_up_sending(count: u64) -> Result<Work> {
    let mut server = replica("server")?;
    fill(&mut server, count, 1)?;
    let mut session = asked(&mut server)?;
    Ok(Box::new(move || {
        black_box(drain(&mut session, &server));
        std::mem::forget((server, session));
    }))
}

fn catch_up_receiving(count: u64) -> Result<Work> {
    let bytes = history(count, 1)?;
    let mut client = replica("client")?;
    let mut session = Session::new(&mut client, NOW_MS, SessionConfig::default());
    Ok(Box::new(move || {
        for portion in bytes.chunks(PORTION_BYTES) {
            black_box(session.receive(&mut client, NOW_MS, portion).is_ok());
        }
        assert_eq!(client.model().len() as u64, count, "a key is missing");
        std::mem::forget((bytes, client));
    }))
}
