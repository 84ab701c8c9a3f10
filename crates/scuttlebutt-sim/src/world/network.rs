//! How bytes travel: links come up and are cut, sessions are pulled and fed.

use scuttlebutt::{
    CloseReason, DecodeError, Direction, Refusal, Session, SessionConfig, SessionError,
    SessionEvent, UpdateId,
};

use super::{Checked, Event, Node, NodeKind, World, limits};
use crate::chance::Chance;
use crate::link::{End, Link, Side, other};
use crate::scenario::Topology;
use crate::subject::Subject;

/// What is read at a time where there are verdicts: fewer updates than may wait.
const PORTION_BYTES_MAX: usize = 512;

impl<S: Subject> World<'_, S> {
    pub(super) fn pairs(&mut self) -> Vec<[usize; 2]> {
        let count = self.scenario.nodes;
        let parents = |chance: &mut Chance| {
            (1..count).map(|node| [chance.index(node), node]).collect::<Vec<_>>()
        };
        match self.scenario.topology {
            Topology::Line => (1..count).map(|node| [node - 1, node]).collect(),
            Topology::Ring => (0..count).map(|node| [node, (node + 1) % count]).collect(),
            Topology::Star => (1..count).map(|node| [0, node]).collect(),
            Topology::Tree | Topology::Changing => parents(&mut self.chance),
            Topology::Mesh if count <= 12 => (0..count)
                .flat_map(|left| (left + 1..count).map(move |right| [left, right]))
                .collect(),
            Topology::Mesh | Topology::Random => {
                let mut pairs = parents(&mut self.chance);
                pairs.extend(parents(&mut self.chance));
                pairs
            }
        }
    }

    pub(super) fn add_link(&mut self, nodes: [usize; 2]) {
        if nodes[0] == nodes[1] {
            return;
        }
        let mut link = Link::new(nodes);
        let (low, high) = self.scenario.latency_ms;
        link.latency_us = 100 + self.chance.between(low * 1_000, high * 1_000);
        link.bytes_per_ms = if self.is_calm { 100_000 } else { self.scenario.bytes_per_ms };
        link.buffer_bytes = self.scenario.buffer_bytes;
        self.links.push(link);
        self.plan_connect(self.links.len() - 1);
    }

    pub(super) fn plan_connect(&mut self, link: usize) {
        let wait_us = self.chance.between(1_000, if self.is_calm { 50_000 } else { 500_000 });
        let epoch = self.links[link].epoch;
        self.schedule(self.now_us + wait_us, Event::Connect { link, epoch });
    }

    pub(super) fn connect(&mut self, link: usize, epoch: u64) -> Checked {
        let nodes = self.links[link].nodes;
        let is_present = |node: &Node<S::Model>| {
            !node.is_lost && (node.is_running() || node.kind == NodeKind::Hostile)
        };
        if self.links[link].epoch != epoch
            || self.links[link].is_up
            || self.links[link].is_gone
            || !nodes.iter().all(|node| is_present(&self.nodes[*node]))
        {
            return Ok(());
        }
        self.note(format_args!("link {link} {}-{} comes up", nodes[0], nodes[1]));
        self.links[link].is_up = true;
        for (side, index) in nodes.into_iter().enumerate() {
            let now_ms = self.wall_ms(index);
            if self.nodes[index].kind == NodeKind::Hostile {
                self.schedule(self.now_us, Event::Trick { link, epoch, from: side });
                continue;
            }
            if let Some(original) = &mut self.nodes[index].original {
                self.coverage.hit("peer: original");
                original.connect((link, side));
                continue;
            }
            let config = self.config(index);
            let Some(replica) = &mut self.nodes[index].replica else { continue };
            self.links[link].ends[side].session = Some(Session::new(replica, now_ms, config));
        }
        for side in 0..2 {
            self.pump(link, side);
        }
        Ok(())
    }

    pub(super) fn config(&mut self, index: usize) -> SessionConfig {
        let Node { speaks_binary, compresses, .. } = self.nodes[index];
        let mut config = SessionConfig {
            announce_binary: speaks_binary,
            compress: compresses,
            ..SessionConfig::default()
        };
        if let NodeKind::OneWay(direction) = self.nodes[index].kind {
            self.coverage.hit(match direction {
                Direction::SendOnly => "peer: only sends",
                _ => "peer: only receives",
            });
            config.direction = direction;
        }
        config
    }

    /// The connection is gone, with what was on the way.
    pub(super) fn cut(&mut self, link: usize) {
        let nodes = self.links[link].nodes;
        self.mark("cut", format_args!("link {link} {}-{} is cut", nodes[0], nodes[1]));
        if self.links[link].ends.iter().any(|end| end.in_flight > 0) {
            self.coverage.hit("fault: cut with bytes on the way");
        }
        self.end_session(link, 0);
        self.end_session(link, 1);
        self.links[link].reset();
        self.plan_connect(link);
    }

    /// One end is gone; what it counted stays.
    pub(super) fn end_session(&mut self, link: usize, side: Side) {
        if let Some(original) = &mut self.nodes[self.links[link].nodes[side]].original {
            original.disconnect((link, side));
        }
        if let Some(session) = self.links[link].ends[side].session.take() {
            if session.is_binary() {
                self.coverage.hit("session: spoke binary");
            }
            self.coverage.add_tally(session.tally());
        }
    }

    /// Whether both ends have said everything, and it has arrived.
    pub(crate) fn is_quiet(&self, link: usize) -> bool {
        let Link { ends, nodes, .. } = &self.links[link];
        ends.iter().zip(nodes).enumerate().all(|(side, (end, node))| {
            let node = &self.nodes[*node];
            if let Some(original) = &node.original {
                let stream = (link, side);
                return end.in_flight == 0
                    && original.is_synced(stream)
                    && !original.has_output(stream);
            }
            end.in_flight == 0
                && match (&end.session, &node.replica) {
                    (Some(session), Some(replica)) => {
                        session.is_synced()
                            && !session.awaits_verdicts()
                            && !session.has_output(replica)
                            && replica.durable() == replica.head()
                    }
                    _ => true,
                }
        })
    }

    /// Moves what a session has to say onto the link, as far as the link takes it.
    pub(super) fn pump(&mut self, link: usize, side: Side) {
        let index = self.links[link].nodes[side];
        if self.nodes[index].original.is_some() {
            self.pump_original(link, side);
            return;
        }
        let peer = &self.nodes[self.links[link].nodes[other(side)]].kind;
        let is_strict = *peer == NodeKind::Original && !self.is_tainted;
        loop {
            let (Some(replica), end) =
                (&self.nodes[index].replica, &mut self.links[link].ends[side])
            else {
                return;
            };
            let buffer = if self.is_calm { 1 << 16 } else { self.scenario.buffer_bytes };
            let Some(session) = &mut end.session else { return };
            let room = buffer.saturating_sub(end.in_flight);
            if room == 0 || !session.has_output(replica) {
                break;
            }
            let mut bytes = Vec::new();
            session.transmit(replica, &mut bytes, room);
            assert!(bytes.len() <= room, "a session sent more than there was room for");
            if bytes.is_empty() {
                break;
            }
            match end.order.check(replica, session, &bytes, is_strict, &self.truth) {
                Ok(sent) if is_strict => {
                    let vector = replica.version_vector();
                    let is_promised = |id: &UpdateId| {
                        id.source == *replica.id() || vector.includes(&id.source, id.timestamp)
                    };
                    for id in sent.iter().filter(|id| !is_promised(id)) {
                        self.coverage.hit("session: update sent without a promise");
                        self.truth.note_released(&id.source);
                    }
                }
                Ok(_) => {}
                Err(what) => {
                    self.out_of_order.get_or_insert_with(|| format!("order: node {index} {what}"));
                }
            }
            self.send(link, side, bytes);
        }
        let end = &mut self.links[link].ends[side];
        if let Some(session) = &mut end.session
            && session.is_output_finished()
            && !end.has_ended
        {
            end.has_ended = true;
            self.plan_end(link, side);
        }
        self.take_events(link, side);
        self.plan_due(link, side);
    }

    fn pump_original(&mut self, link: usize, side: Side) {
        let stream = (link, side);
        let index = self.links[link].nodes[side];
        let Some(original) = &mut self.nodes[index].original else { return };
        if !self.links[link].is_up {
            return;
        }
        let buffer = if self.is_calm { 1 << 16 } else { self.scenario.buffer_bytes };
        let end = &mut self.links[link].ends[side];
        let bytes = original.transmit(stream, buffer.saturating_sub(end.in_flight));
        if original.has_ended(stream) && !std::mem::replace(&mut end.has_ended, true) {
            self.plan_end(link, side);
        }
        if !bytes.is_empty() {
            self.send(link, side, bytes);
        }
    }

    /// The other end hears that nothing more comes.
    fn plan_end(&mut self, link: usize, side: Side) {
        let epoch = self.links[link].epoch;
        let at = self.links[link].arrival_us(side, self.now_us, 0);
        self.schedule(at, Event::End { link, epoch, to: other(side) });
    }

    pub(super) fn send(&mut self, link: usize, side: Side, bytes: Vec<u8>) {
        self.bytes_sent += bytes.len() as u64;
        let epoch = self.links[link].epoch;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // Cut anywhere, so that lines arrive in pieces.
            let length = if self.chance.happens(0.5) {
                rest.len()
            } else {
                1 + self.chance.index(rest.len())
            };
            let (piece, remaining) = rest.split_at(length);
            rest = remaining;
            self.links[link].ends[side].in_flight += length;
            let at = self.links[link].arrival_us(side, self.now_us, length);
            self.links[link].ends[side].pipe.push_back(piece.to_vec());
            self.schedule(at, Event::Deliver { link, epoch, to: other(side) });
        }
    }

    pub(super) fn deliver(&mut self, link: usize, epoch: u64, to: Side) -> Checked {
        if self.links[link].epoch != epoch {
            return Ok(());
        }
        let from = other(to);
        let stalled_until_us = self.links[link].ends[from].stalled_until_us;
        if stalled_until_us > self.now_us && !self.is_calm {
            self.schedule(stalled_until_us, Event::Deliver { link, epoch, to });
            return Ok(());
        }
        let index = self.links[link].nodes[to];
        if self.has_enough_to_verify(index) {
            self.nodes[index].unread.push((link, epoch, to));
            return Ok(());
        }
        let pipe = &mut self.links[link].ends[from].pipe;
        let Some(mut bytes) = pipe.pop_front() else { return Ok(()) };
        if self.scenario.verdicts.is_some() && bytes.len() > PORTION_BYTES_MAX {
            pipe.push_front(bytes.split_off(PORTION_BYTES_MAX));
            self.schedule(self.now_us, Event::Deliver { link, epoch, to });
        }
        let sender = self.links[link].nodes[from];
        self.links[link].ends[from].in_flight -= bytes.len();
        self.note(format_args!("node {sender} > node {index}: {}", bytes.escape_ascii()));
        if self.nodes[index].kind == NodeKind::Hostile {
            let heard = &mut self.nodes[index].heard;
            heard.extend_from_slice(&bytes);
            let excess = heard.len().saturating_sub(4_096);
            heard.drain(..excess);
            self.pump(link, from);
            return Ok(());
        }
        if let Some(original) = &mut self.nodes[index].original {
            for line in original.receive((link, to), &bytes) {
                let original = self.nodes[index].original.as_mut();
                let taken = original.and_then(|original| original.read((link, to), &line));
                if let Some((before, update)) = taken {
                    self.last_change_us = self.now_us;
                    self.note_skipped(index, sender, before, &update);
                }
            }
            self.pump(link, from);
            self.pump_all(index);
            return Ok(());
        }
        let now_ms = self.wall_ms(index);
        let (Some(replica), Some(session)) =
            (&mut self.nodes[index].replica, &mut self.links[link].ends[to].session)
        else {
            // A half-open link: the bytes vanish.
            self.pump(link, from);
            return Ok(());
        };
        let was = (replica.revision(), replica.id().clone());
        let was_contested = replica.is_identity_contested();
        let received = session.receive(replica, now_ms, &bytes);
        let has_changed = |now: Option<&scuttlebutt::Replica<S::Model>>| {
            now.is_some_and(|replica| (replica.revision(), replica.id()) != (was.0, &was.1))
        };
        if !was_contested && replica.is_identity_contested() {
            self.coverage.hit("state: identity contested");
        }
        self.renew_id_if_due(index)?;
        self.ask(index);
        self.take_events(link, to);
        let has_changed = has_changed(self.nodes[index].replica.as_ref());
        if let Err(error) = received {
            self.note(format_args!("node {index} hangs up on node {sender}: {error}"));
            if self.nodes[sender].kind != NodeKind::Hostile {
                return self.violation(format!("an honest peer was at fault: {error}"));
            }
            if has_changed {
                self.after_change(index)?;
            }
            self.cut(link);
            return Ok(());
        }
        self.pump(link, from);
        if has_changed {
            self.last_change_us = self.now_us;
            self.after_change(index)
        } else {
            self.pump(link, to);
            Ok(())
        }
    }

    pub(super) fn deliver_end(&mut self, link: usize, epoch: u64, to: Side) -> Checked {
        if self.links[link].epoch != epoch {
            return Ok(());
        }
        if self.links[link].ends[other(to)].in_flight > 0 {
            // What was sent before it is held up.
            self.schedule(self.now_us + 10_000, Event::End { link, epoch, to });
            return Ok(());
        }
        let index = self.links[link].nodes[to];
        let now_ms = self.wall_ms(index);
        if let Some(original) = &mut self.nodes[index].original {
            original.receive_end((link, to));
            self.pump(link, to);
        }
        if let (Some(replica), Some(session)) =
            (&mut self.nodes[index].replica, &mut self.links[link].ends[to].session)
        {
            let ended = session.receive_end(replica, now_ms);
            self.ask(index);
            self.take_events(link, to);
            if let Err(error) = ended {
                return self.violation(format!("an honest peer broke off: {error}"));
            }
            self.pump(link, to);
        }
        self.cut_if_over(link);
        Ok(())
    }

    pub(super) fn cut_if_over(&mut self, link: usize) {
        let Link { ends, nodes, .. } = &self.links[link];
        let is_over = |(side, (end, node)): (Side, (&End, &usize))| {
            let original = self.nodes[*node].original.as_ref();
            original.is_none_or(|original| {
                !original.is_connected((link, side)) || original.has_ended((link, side))
            }) && end.session.as_ref().is_none_or(Session::is_closed)
        };
        if ends.iter().zip(nodes).enumerate().all(is_over) {
            self.cut(link);
        }
    }

    pub(super) fn take_events(&mut self, link: usize, side: Side) {
        let Some(session) = &mut self.links[link].ends[side].session else { return };
        let buffered = session.buffered_bytes();
        // A line, and a pack before it.
        let most = limits().line_bytes_max + (64 << 10);
        assert!(buffered <= most, "a session holds {buffered} bytes");
        while let Some(event) = session.next_event() {
            let name = match &event {
                SessionEvent::Synced => "session: synced",
                SessionEvent::Confirmed { .. } => "session: confirmed",
                SessionEvent::Closed {
                    reason: CloseReason::Failed(SessionError::Decode(error @ DecodeError::Limit(_))),
                } if self.scenario.hostiles == 0 => {
                    panic!("a bound ended a session: {error}")
                }
                SessionEvent::RefusedByPeer { .. } => "session: refused by the peer",
                SessionEvent::Closed { reason: CloseReason::Failed(_) } => {
                    "session: closed, failed"
                }
                SessionEvent::Closed { reason: CloseReason::PeerLeft } => {
                    "session: closed, peer left early"
                }
                SessionEvent::Closed { .. } => "session: closed, finished",
                SessionEvent::Refused { refusal: Refusal::ClockSkew { .. }, .. } => {
                    continue;
                }
                // The tally counts the others.
                _ => continue,
            };
            self.coverage.hit(name);
        }
    }
}
