//! A relay between two participants that counts what passes: the same for all of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use anyhow::Result;

/// A port that leads to another one.
pub(crate) struct Relay {
    pub(crate) port: u16,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    bytes: AtomicU64,
    /// Lines that begin as an array does: an update, whoever sent it.
    updates: AtomicU64,
}

impl Relay {
    /// Leads whoever connects to `port`.
    pub(crate) fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let relay = Self { port: listener.local_addr()?.port(), counted: Arc::default() };
        let counted = relay.counted.clone();
        thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let Ok(there) = TcpStream::connect(("127.0.0.1", port)) else { break };
                let _ = (here.set_nodelay(true), there.set_nodelay(true));
                for (from, to) in [(&here, &there), (&there, &here)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
                    let counted = counted.clone();
                    thread::spawn(move || pass(from, to, &counted));
                }
            }
        });
        Ok(relay)
    }

    pub(crate) fn updates(&self) -> u64 {
        self.counted.updates.load(Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.counted.bytes.load(Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, counted: &Counted) {
    let mut buffer = vec![0; 64 << 10];
    let mut is_line_start = true;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let portion = &buffer[..count];
        let mut updates = 0;
        for byte in portion {
            updates += u64::from(is_line_start && *byte == b'[');
            is_line_start = *byte == b'\n';
        }
        counted.updates.fetch_add(updates, Relaxed);
        counted.bytes.fetch_add(count as u64, Relaxed);
        if to.write_all(portion).is_err() {
            break;
        }
    }
    // Either end may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
