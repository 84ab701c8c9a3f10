//! What goes wrong: faults of links, nodes and clocks, and what hostile peers do.

use scuttlebutt::{SourceId, Update};

use super::{Checked, EPOCH_MS, Event, Fault, NodeKind, World, YEAR_MS, limits};
use crate::hostile::{self, Trick};
use crate::link::Side;
use crate::subject::Subject;

impl<S: Subject> World<'_, S> {
    pub(super) fn fault(&mut self, fault: Fault) -> Checked {
        if self.is_calm {
            return Ok(());
        }
        let faults = &self.scenario.faults;
        let every = match fault {
            Fault::Cut => faults.cut,
            Fault::Stall => faults.stall,
            Fault::HalfOpen => faults.half_open,
            Fault::Restart => faults.restart,
            Fault::Loss => faults.loss,
            Fault::ClockJump => faults.clock_jump,
            Fault::Leave => faults.leave,
            Fault::SetBack => faults.set_back,
            Fault::Copy => faults.copied,
            Fault::Revoke => faults.revoked,
            Fault::Move => Some(300.0),
        };
        self.plan_fault(fault, every.unwrap_or(f64::MAX / 4.0));
        let up: Vec<usize> = (0..self.links.len()).filter(|link| self.links[*link].is_up).collect();
        let running: Vec<usize> =
            (0..self.nodes.len()).filter(|node| self.nodes[*node].is_running()).collect();
        match fault {
            Fault::Cut if !up.is_empty() => {
                self.coverage.hit("fault: cut");
                let link = *self.chance.pick(&up);
                self.cut(link);
            }
            Fault::Stall if !up.is_empty() => {
                self.coverage.hit("fault: stall");
                let (link, side) = (*self.chance.pick(&up), self.chance.index(2));
                let until = self.now_us + self.chance.between(1_000, 3_000_000);
                self.links[link].ends[side].stalled_until_us = until;
                self.mark("stall", format_args!("link {link} stalls from end {side}"));
            }
            Fault::HalfOpen if !up.is_empty() => {
                let (link, side) = (*self.chance.pick(&up), self.chance.index(2));
                self.coverage.hit("fault: half-open link");
                self.mark(
                    "half-open link",
                    format_args!("link {link} is half open: end {side} is gone"),
                );
                self.end_session(link, side);
                let (epoch, wait) = (self.links[link].epoch, self.chance.between(1_000, 2_000_000));
                self.schedule(self.now_us + wait, Event::Notice { link, epoch });
            }
            Fault::Restart if !running.is_empty() => {
                let node = *self.chance.pick(&running);
                let keeps_disk = self.nodes[node].disk.is_some();
                self.coverage.hit(match keeps_disk {
                    true => "fault: restart with disk",
                    false => "fault: restart without disk",
                });
                self.mark("restart", format_args!("node {node} stops"));
                self.stop(node);
                self.plan_restart(node);
            }
            Fault::SetBack | Fault::Copy => {
                // One of the original's kind does not know that this can happen.
                let ours = |node: &usize| self.nodes[*node].kind == NodeKind::Ours;
                let ours: Vec<usize> = running.into_iter().filter(ours).collect();
                let has_disk = |node: &usize| self.nodes[*node].disk.is_some();
                let with_disk: Vec<usize> = ours.iter().copied().filter(has_disk).collect();
                if with_disk.is_empty() {
                    return Ok(());
                }
                let (from, to) = (*self.chance.pick(&with_disk), *self.chance.pick(&ours));
                match fault {
                    Fault::SetBack => self.set_back(from),
                    _ if from != to => self.copy_disk(from, to),
                    _ => {}
                }
            }
            Fault::Loss if running.len() > 2 => {
                // The worst moment: in the middle of sending history.
                let sending: Vec<usize> = up
                    .iter()
                    .flat_map(|link| (0..2).map(move |side| (*link, side)))
                    .filter(|(link, side)| {
                        let end = &self.links[*link].ends[*side];
                        end.in_flight > 0 && end.session.as_ref().is_some_and(|s| !s.is_synced())
                    })
                    .map(|(link, side)| self.links[link].nodes[side])
                    .filter(|node| *node != 0)
                    .collect();
                let node = if sending.is_empty() {
                    *self.chance.pick(&running)
                } else {
                    self.coverage.hit("fault: node lost while sending history");
                    *self.chance.pick(&sending)
                };
                self.coverage.hit("fault: node lost for good");
                self.mark("node lost", format_args!("node {node} is lost"));
                self.stop(node);
                self.nodes[node].is_lost = true;
            }
            Fault::ClockJump if !running.is_empty() => {
                let node = *self.chance.pick(&running);
                let (name, by) = match self.chance.below(4) {
                    0 => ("fault: clock years ahead", YEAR_MS * (1.0 + self.chance.unit() * 20.0)),
                    1 => ("fault: clock jumped ahead", self.chance.unit() * 3_600_000.0),
                    2 => ("fault: clock stepped back", -self.chance.unit() * 3_600_000.0),
                    _ => ("fault: clock stepped back", -YEAR_MS * self.chance.unit()),
                };
                self.coverage.hit(name);
                self.nodes[node].clock_offset_ms += by;
                self.mark("clock jump", format_args!("node {node}: the clock jumps by {by} ms"));
            }
            Fault::Leave if !up.is_empty() => {
                let (link, side) = (*self.chance.pick(&up), self.chance.index(2));
                if let Some(session) = &mut self.links[link].ends[side].session {
                    self.coverage.hit("fault: session left");
                    session.leave();
                    self.mark("leave", format_args!("link {link}: end {side} takes its leave"));
                    self.pump(link, side);
                }
            }
            Fault::Revoke => self.revoke(),
            Fault::Move if !up.is_empty() => {
                self.coverage.hit("fault: link moved");
                let link = *self.chance.pick(&up);
                self.cut(link);
                self.links[link].is_gone = true;
                let (a, b) =
                    (self.chance.index(self.nodes.len()), self.chance.index(self.nodes.len()));
                self.add_link([a, b]);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn trick(&mut self, link: usize, epoch: u64, from: Side) -> Checked {
        if self.links[link].epoch != epoch || !self.links[link].is_up || self.is_calm {
            return Ok(());
        }
        let index = self.links[link].nodes[from];
        let own = SourceId::new(format!("h{index}")).expect("an id");
        let victims: Vec<SourceId> = self.truth.sources().cloned().collect();
        let now_ms = EPOCH_MS + self.now_us as f64 / 1_000.0;
        let trick =
            Trick::draw(&mut self.chance, self.scenario.liars, self.scenario.verdicts.is_some());
        self.coverage.hit(trick.name());
        let mut bytes = Vec::new();
        if self.chance.happens(0.5) {
            bytes = hostile::digest(&[], 0.0, false);
        }
        let say = |world: &mut Self, millis: f64, source: &SourceId, bytes: &mut Vec<u8>| {
            let change = world.subject.change(&mut world.chance, world.scenario.keys);
            let Some(update) = hostile::update(&change, millis, source) else { return };
            // Two updates of one name are another story: without signatures nobody can tell which
            // of them is the right one.
            if world.truth.get(&update.id()).is_none() {
                world.truth.add(&update);
                bytes.extend_from_slice(update.to_json().as_bytes());
                bytes.push(b'\n');
            }
        };
        match trick {
            Trick::Garbage => bytes.extend(hostile::garbage(&mut self.chance)),
            Trick::BrokenLine => bytes.extend(hostile::broken_line(&mut self.chance)),
            Trick::Malformed => {
                let line = hostile::malformed(&mut self.chance);
                // To some models even that means something. To a verifier it is what nobody wrote.
                if self.scenario.verdicts.is_none()
                    && let Ok(update) = Update::from_json(String::from_utf8_lossy(&line).trim_end())
                {
                    self.truth.add(&update);
                }
                bytes.extend(line);
            }
            Trick::ForgedDigest => bytes.extend(hostile::digest(&victims, 1e300, false)),
            Trick::ForgedClaim => {
                let at_ms = now_ms + self.chance.unit() * 10_000.0;
                bytes.extend(hostile::digest(&victims, at_ms, false));
            }
            Trick::FalsePromise => {
                bytes.extend(hostile::digest(&victims, 1e300, true));
                bytes.extend_from_slice(b"\"SYNC\"\n");
            }
            Trick::Replay => bytes.extend(self.heard_updates(index)),
            Trick::Flood => {
                for _ in 0..self.chance.between(1, 50) {
                    let millis = now_ms + self.chance.unit() * 1_000.0;
                    say(self, millis, &own, &mut bytes);
                }
            }
            Trick::FarFuture => say(self, now_ms + 2.0 * YEAR_MS, &own, &mut bytes),
            Trick::Forgery => {
                for _ in 0..self.chance.between(1, 10) {
                    self.forge(&victims, now_ms, &mut bytes);
                }
            }
            Trick::Fork => {
                for _ in 0..self.chance.between(1, 4) {
                    self.fork(&own, now_ms, &mut bytes);
                }
            }
            Trick::DuplicateSource => {
                if !victims.is_empty() {
                    let victim = self.chance.pick(&victims).clone();
                    let millis = now_ms - self.chance.unit() * 10_000.0;
                    self.truth.mark_forged(&victim);
                    say(self, millis, &victim, &mut bytes);
                }
            }
        }
        // Once only: whatever it says after that is no frame, and could swallow the beginning of good ones,
        // whose times then count from elsewhere.
        if self.scenario.binary > 0.0
            && self.tongue.happens(0.3)
            && !std::mem::replace(&mut self.links[link].ends[from].has_sent_frames, true)
        {
            self.coverage.hit("hostile: frames");
            bytes = hostile::in_frames(&bytes, &mut self.tongue);
        }
        self.send(link, from, bytes);
        let wait_us = self.chance.around(200_000.0) as u64;
        self.schedule(self.now_us + wait_us, Event::Trick { link, epoch, from });
        Ok(())
    }

    /// An update that its source did not write: under a name that it used, or up to the greatest
    /// timestamp that clocks allow.
    fn forge(&mut self, victims: &[SourceId], now_ms: f64, bytes: &mut Vec<u8>) {
        let change = self.subject.change(&mut self.chance, self.scenario.keys);
        if victims.is_empty() {
            return;
        }
        let victim = self.chance.pick(victims).clone();
        let written: Vec<f64> =
            self.truth.of(&victim).map(|update| update.timestamp().as_millis()).collect();
        let (name, millis) = match self.chance.below(3) {
            0 if !written.is_empty() => ("hostile: forged twin", *self.chance.pick(&written)),
            1 => {
                let skew_ms = limits().clock_skew_ms_max;
                ("hostile: forged far ahead", now_ms + skew_ms * self.chance.unit())
            }
            _ => ("hostile: forged behind", now_ms - self.chance.unit() * 10_000.0),
        };
        let Some(update) = hostile::update(&change, millis, &victim) else { return };
        if !self.is_genuine(&update) {
            self.coverage.hit(name);
            bytes.extend_from_slice(update.to_json().as_bytes());
            bytes.push(b'\n');
        }
    }

    /// One side of a fork, or both: a new one, or one of which others may have heard the other side.
    fn fork(&mut self, own: &SourceId, now_ms: f64, bytes: &mut Vec<u8>) {
        let made = self.truth.forks().iter().filter(|sides| sides[0].source() == own);
        let made: Vec<[Update; 2]> = made.cloned().collect();
        let sides = if !made.is_empty() && self.chance.happens(0.6) {
            self.chance.pick(&made).clone()
        } else {
            let millis = now_ms - self.chance.unit() * 10_000.0;
            let mut side = || {
                let change = self.subject.change(&mut self.chance, self.scenario.keys);
                hostile::update(&change, millis, own)
            };
            let (Some(one), Some(other)) = (side(), side()) else { return };
            if one == other || self.truth.get(&one.id()).is_some() {
                return;
            }
            let sides = [one, other];
            self.truth.add_fork(&sides);
            sides
        };
        let shown = self.chance.below(3);
        for (nth, side) in sides.iter().enumerate() {
            if shown == 2 || shown == nth as u64 {
                bytes.extend_from_slice(side.to_json().as_bytes());
                bytes.push(b'\n');
            }
        }
    }

    /// The updates that a hostile node has heard. What it heard in pieces from several is no longer
    /// what they said, and their promises would not be kept if another said them.
    pub(super) fn heard_updates(&self, index: usize) -> Vec<u8> {
        let is_true = |line: &&[u8]| {
            let update = Update::from_json(String::from_utf8_lossy(line).trim_end());
            update.is_ok_and(|update| self.truth.get(&update.id()) == Some(&update))
        };
        let lines = self.nodes[index].heard.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| line.ends_with(b"\n")).filter(is_true).flatten().copied().collect()
    }
}
