//! Who comes in: every connection that others begin has a seat, from the moment it is accepted; seats are
//! counted, in all and for each address, and so is what is refused.
//!
//! It knows addresses and numbers, no streams. What the node itself dials takes no seat, so strangers leave it
//! room whatever they do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use scuttlebutt::{Limits, SessionError};

use crate::engine::lock;
use crate::error::LinkError;
use crate::peer_log::{Begun, PeerLog, Topic};
use crate::status::Refusals;

/// The seats of a node.
pub(crate) struct Door {
    sessions_max: usize,
    per_address_max: usize,
    seats: Mutex<Seats>,
    counts: Counts,
    log: Arc<PeerLog>,
}

#[derive(Default)]
struct Seats {
    taken: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

#[derive(Default)]
struct Counts {
    over_sessions: AtomicU64,
    over_sessions_per_address: AtomicU64,
    failed_handshakes: AtomicU64,
    took_nothing: AtomicU64,
    slow_lines: AtomicU64,
    over_unfinished: AtomicU64,
    silent: AtomicU64,
}

/// A connection's place among those there are, given up when dropped.
pub(crate) struct Seat {
    door: Arc<Door>,
    address: Option<IpAddr>,
}

impl Door {
    pub(crate) fn new(limits: &Limits, log: Arc<PeerLog>) -> Arc<Self> {
        Arc::new(Self {
            sessions_max: limits.sessions_max,
            per_address_max: limits.sessions_per_address_max,
            seats: Mutex::default(),
            counts: Counts::default(),
            log,
        })
    }

    /// A seat for a connection that was accepted, from `address` if that is known.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Seat, LinkError> {
        let address = address.map(customer);
        let mut seats = lock(&self.seats);
        if seats.taken >= self.sessions_max {
            return Err(LinkError::TooManySessions { limit: self.sessions_max });
        }
        if let Some(address) = address {
            let taken = seats.by_address.entry(address).or_default();
            if *taken >= self.per_address_max {
                let limit = self.per_address_max;
                // There is an entry to keep unless the bound is zero.
                if *taken == 0 {
                    seats.by_address.remove(&address);
                }
                return Err(LinkError::TooManyFromAddress { address, limit });
            }
            *taken += 1;
        }
        seats.taken += 1;
        Ok(Seat { door: self.clone(), address })
    }

    /// Counts an accepted connection that did not end well, and logs it.
    pub(crate) fn note(&self, error: &LinkError) {
        if let Some(count) = self.counts.of(error) {
            count.fetch_add(1, Relaxed);
        }
        if self.log.allows(Begun::There, Topic::of_error(error)) {
            tracing::warn!("{error}");
        }
    }

    pub(crate) fn refusals(&self) -> Refusals {
        let counts = &self.counts;
        Refusals {
            over_sessions: counts.over_sessions.load(Relaxed),
            over_sessions_per_address: counts.over_sessions_per_address.load(Relaxed),
            failed_handshakes: counts.failed_handshakes.load(Relaxed),
            took_nothing: counts.took_nothing.load(Relaxed),
            slow_lines: counts.slow_lines.load(Relaxed),
            over_unfinished: counts.over_unfinished.load(Relaxed),
            silent: counts.silent.load(Relaxed),
        }
    }
}

impl Counts {
    fn of(&self, error: &LinkError) -> Option<&AtomicU64> {
        Some(match error {
            LinkError::TooManySessions { .. } => &self.over_sessions,
            LinkError::TooManyFromAddress { .. } => &self.over_sessions_per_address,
            LinkError::Tls(_) => &self.failed_handshakes,
            LinkError::TookNothing { .. } => &self.took_nothing,
            LinkError::SlowLine { .. } => &self.slow_lines,
            LinkError::TooMuchUnfinished { .. } => &self.over_unfinished,
            LinkError::Session(SessionError::NoDigest { .. } | SessionError::Silent { .. }) => {
                &self.silent
            }
            _ => return None,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.door.seats);
        seats.taken -= 1;
        if let Some(address) = self.address
            && let Some(taken) = seats.by_address.get_mut(&address)
        {
            *taken -= 1;
            if *taken == 0 {
                seats.by_address.remove(&address);
            }
        }
    }
}

/// What one customer of a provider has: an IPv4 address, or an IPv6 network of 64 bits.
fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(sessions_max: usize, sessions_per_address_max: usize) -> Arc<Door> {
        let limits = Limits { sessions_max, sessions_per_address_max, ..Limits::default() };
        Door::new(&limits, PeerLog::new())
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn a_seat_that_is_left_is_free() {
        let door = door(3, 2);
        let seats = [door.enter(ip("10.0.0.1")), door.enter(ip("::ffff:10.0.0.1"))];
        let third = door.enter(ip("10.0.0.1"));
        assert!(matches!(third, Err(LinkError::TooManyFromAddress { limit: 2, .. })));
        let _by_unix_socket = door.enter(None);
        assert!(matches!(door.enter(None), Err(LinkError::TooManySessions { limit: 3 })));
        drop(seats);
        assert!(door.enter(ip("10.0.0.1")).is_ok());
        assert!(lock(&door.seats).by_address.is_empty(), "nothing is kept of who has left");
    }

    #[test]
    fn one_ipv6_network_is_one_customer() {
        let door = door(10, 1);
        let _first = door.enter(ip("2001:db8:0:1::1"));
        assert!(door.enter(ip("2001:db8:0:1:ffff::2")).is_err());
        assert!(door.enter(ip("2001:db8:0:2::1")).is_ok());
        assert!(lock(&door.seats).by_address.len() == 1);
    }
}
