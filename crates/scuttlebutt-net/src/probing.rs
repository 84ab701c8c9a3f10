//! What the system is asked to do about TCP connections whose other end is gone without a word.
//!
//! Between nodes of this kind the session's own heartbeat sees that, and sees a process that hangs, too. This
//! is for other peers, for handshakes, and for what the system has taken and cannot deliver.

use std::io;
use std::time::Duration;

use scuttlebutt::Limits;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// After how long a silent connection is probed where nothing else is asked for.
const PROBE_DEFAULT: Duration = Duration::from_secs(30);

/// So many intervals without an answer end a connection, as a session that was silent for so many ends.
const INTERVALS_MAX: u32 = 3;

/// How often a connection that is idle is probed, and whether the system ends it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probing {
    interval: Duration,
    ends: bool,
}

impl Probing {
    pub(crate) fn new(limits: &Limits) -> Self {
        match Duration::try_from_secs_f64(limits.heartbeat_ms_max / 1_000.0) {
            // What the system counts in seconds is never none.
            Ok(interval) if !interval.is_zero() => Self { interval, ends: true },
            _ => Self { interval: PROBE_DEFAULT, ends: false },
        }
    }

    /// Sets the options of a socket that carries a session.
    pub(crate) fn prepare(self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let socket = SockRef::from(stream);
        let probed = self.interval.max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new().with_time(probed).with_interval(probed);
        if !self.ends {
            return socket.set_tcp_keepalive(&keepalive);
        }
        socket.set_tcp_keepalive(&keepalive.with_retries(INTERVALS_MAX))?;
        // Counts for data on the way and for probes alike.
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.interval * INTERVALS_MAX))?;
        Ok(())
    }
}
