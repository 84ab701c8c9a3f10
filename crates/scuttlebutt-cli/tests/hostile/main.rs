//! The daemon under peers that mean it no good: it serves the others, and its memory stays bounded.
//!
//! One file for each kind of attack; SECURITY.md has a row for each.

#[path = "../common/mod.rs"]
mod common;

mod floods;
mod latency;
mod lies;
mod lines;
mod logs;
mod memory;
mod pace;
mod secrets;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use common::{Running, done};
use socket2::{Domain, Socket, Type};

/// The most the daemon may ever have held, measured by the kernel. An honest idle one holds about 8
/// MiB; a line may have 16 MiB (`Limits::line_bytes_max`), and is held in a few forms while it is
/// read.
const PEAK_BYTES_MAX: u64 = 192 << 20;

/// How long the daemon may take to hang up: it reads what was sent before, on a busy machine without
/// optimisation.
const HANG_UP_WAIT: Duration = Duration::from_secs(90);

/// What a peer says first.
const DIGEST: &[u8] = b"{\"id\":\"H\",\"clock\":{}}\n";

/// The same, and that what follows is frames.
const BINARY: &[u8] =
    b"{\"id\":\"H\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n\"BINARY\"\n";

/// The same, and that some of these may be packs.
const PACKS: &[u8] =
    b"{\"id\":\"H\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1,\"zstd\":1}}\n\"BINARY\"\n";

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("accepts");
    stream.set_read_timeout(Some(HANG_UP_WAIT)).expect("a timeout");
    stream
}

/// Connects from another address of this machine.
fn connect_from(host: u8, address: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(&from.into()).expect("all of 127.0.0.0/8 is this machine");
    let to: SocketAddr = address.parse().expect("an address");
    socket.connect(&to.into()).expect("accepts");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(HANG_UP_WAIT)).expect("a timeout");
    stream
}

/// Sends bytes and waits until the daemon hangs up; it may do so before it has read everything.
fn send(address: &str, bytes: &[u8]) {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    wait_for_end(stream);
}

/// Waits until the daemon hangs up.
fn wait_for_end(mut stream: TcpStream) {
    let mut answer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut answer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the daemon does not hang up")
            }
            // Cut off with bytes of ours unread.
            Err(_) => return,
        }
    }
}

/// What `/proc/PID/status` says under this name, in bytes.
fn memory(serve: &Running, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.id())).expect("runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
    let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kib.parse::<u64>().expect("a number") * 1024
}

/// The most it has ever held.
fn peak_bytes(serve: &Running) -> u64 {
    memory(serve, "VmHWM")
}

/// What it holds now.
fn held_bytes(serve: &Running) -> u64 {
    memory(serve, "VmRSS")
}

/// Sends this to a daemon that holds something, which afterwards serves it as before and has held no
/// more than it may.
fn survives(bytes: &[u8]) {
    survives_serving(&[], bytes);
}

/// The same of one that compresses.
fn survives_compressing(bytes: &[u8]) {
    survives_serving(&["--compress"], bytes);
}

fn survives_serving(arguments: &[&str], bytes: &[u8]) {
    let (serve, address) = Running::serve(arguments);
    done(&["set", "--peer", &address, "k", "1"]);
    send(&address, bytes);
    assert_eq!(done(&["get", "--peer", &address, "k"]), "1\n");
    let peak = peak_bytes(&serve);
    assert!(peak < PEAK_BYTES_MAX, "{} MiB", peak >> 20);
}
