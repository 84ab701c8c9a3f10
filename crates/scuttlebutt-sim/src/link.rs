//! A link between two nodes: two pipes of bytes with latency, bandwidth and a bounded buffer.

use std::collections::VecDeque;

use scuttlebutt::Session;

use crate::order::Order;

/// Where a link ends; index 0 and 1.
pub(crate) type Side = usize;

pub(crate) fn other(side: Side) -> Side {
    1 - side
}

/// A link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) nodes: [usize; 2],
    /// Counts connections: what was on the way in an earlier one never arrives.
    pub(crate) epoch: u64,
    pub(crate) is_up: bool,
    /// No longer part of the world.
    pub(crate) is_gone: bool,
    pub(crate) ends: [End; 2],
    pub(crate) latency_us: u64,
    pub(crate) bytes_per_ms: u64,
    pub(crate) buffer_bytes: usize,
}

/// One end of a link.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// Absent while down, and at hostile nodes.
    pub(crate) session: Option<Session>,
    /// What is on the way from here to the other end, in the pieces in which it arrives.
    pub(crate) pipe: VecDeque<Vec<u8>>,
    /// Bytes on the way.
    pub(crate) in_flight: usize,
    /// What has left here.
    pub(crate) order: Order,
    /// A hostile peer has switched to frames.
    pub(crate) has_sent_frames: bool,
    /// When the last of them arrives.
    pub(crate) arrives_us: u64,
    /// Until when nothing gets through from here.
    pub(crate) stalled_until_us: u64,
    pub(crate) has_ended: bool,
    /// When the session is looked at because something is due soon, if that is planned.
    pub(crate) due_us: Option<u64>,
}

impl Link {
    pub(crate) fn new(nodes: [usize; 2]) -> Self {
        Self {
            nodes,
            epoch: 0,
            is_up: false,
            is_gone: false,
            ends: [End::default(), End::default()],
            latency_us: 0,
            bytes_per_ms: 1,
            buffer_bytes: 1,
        }
    }

    /// Forgets the connection.
    pub(crate) fn reset(&mut self) {
        self.epoch += 1;
        self.is_up = false;
        self.ends = [End::default(), End::default()];
    }

    /// When `bytes` sent now from `side` arrive: in order, after those before them.
    pub(crate) fn arrival_us(&mut self, side: Side, now_us: u64, bytes: usize) -> u64 {
        let end = &mut self.ends[side];
        let begins = end.arrives_us.max((now_us + self.latency_us).max(end.stalled_until_us));
        end.arrives_us = begins + bytes as u64 * 1_000 / self.bytes_per_ms;
        end.arrives_us
    }
}
