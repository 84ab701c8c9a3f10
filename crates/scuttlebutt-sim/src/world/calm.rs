//! The end of the storm: who is left, what they are given, and when they have come to rest.

use scuttlebutt::{Replica, VersionVector};

use super::{Checked, EPOCH_MS, Event, NodeKind, Sample, TICK_US, World};
use crate::subject::Subject;

impl<S: Subject> World<'_, S> {
    pub(super) fn tick(&mut self) -> Option<Checked> {
        self.sample();
        for link in 0..self.links.len() {
            for side in 0..2 {
                let index = self.links[link].nodes[side];
                let now_ms = self.wall_ms(index);
                let Some(session) = &mut self.links[link].ends[side].session else { continue };
                if session.next_timeout().is_some_and(|due| due <= now_ms) {
                    self.coverage.hit("session: asked again");
                    if session.handle_timeout(now_ms).is_err() {
                        self.take_events(link, side);
                        self.cut(link);
                        break;
                    }
                    self.pump(link, side);
                }
            }
        }
        if self.is_calm && self.is_settled() {
            for link in 0..self.links.len() {
                self.end_session(link, 0);
                self.end_session(link, 1);
            }
            return None;
        }
        if self.is_calm && self.now_us > self.calm_since_us + 600_000_000 {
            return Some(self.violation("no rest within 600 s of calm".to_owned()));
        }
        self.schedule(self.now_us + TICK_US, Event::Tick);
        Some(Ok(()))
    }

    pub(super) fn is_settled(&self) -> bool {
        let has_deliveries = self.events.values().any(|event| {
            matches!(event, Event::Deliver { .. } | Event::Synced { .. } | Event::Connect { .. })
        });
        let is_quiet = (0..self.links.len())
            .all(|link| self.links[link].is_gone || self.links[link].is_up && self.is_quiet(link));
        let is_stored = self.nodes.iter().all(|node| {
            node.replica.as_ref().is_none_or(|replica| replica.durable() == replica.head())
        });
        !has_deliveries && is_quiet && is_stored
    }

    /// Faults stop. Hostile peers are gone, everyone who can return does, the survivors are linked,
    /// and enough time passes for what was put off.
    pub(super) fn calm(&mut self) -> Checked {
        self.is_calm = true;
        self.calm_since_us = self.now_us;
        self.last_change_us = self.now_us;
        self.note(format_args!("calm"));
        let at_ms = self.at_ms();
        self.marks.push((at_ms, "calm".to_owned()));
        for index in 0..self.nodes.len() {
            if self.nodes[index].kind == NodeKind::Hostile {
                self.nodes[index].is_lost = true;
            } else {
                self.restart(index)?;
            }
        }
        for link in 0..self.links.len() {
            if self.links[link].nodes.iter().any(|node| self.nodes[*node].is_lost) {
                if self.links[link].is_up {
                    self.cut(link);
                }
                self.links[link].is_gone = true;
            }
            self.links[link].bytes_per_ms = 100_000;
            for end in &mut self.links[link].ends {
                end.stalled_until_us = 0;
                // What was to trickle in comes at once.
                end.arrives_us = end.arrives_us.min(self.now_us + 1_000_000);
            }
        }
        let newest = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .flat_map(|replica| replica.updates_since(&VersionVector::new()).last())
            .map(|update| update.timestamp().as_millis())
            .fold(EPOCH_MS, f64::max);
        let base = newest - self.now_us as f64 / 1_000.0 + 1.0;
        for node in &mut self.nodes {
            node.clock_offset_ms = node.clock_offset_ms.max(base);
        }
        // A row through those that pass things on, and somebody for each of the others.
        let relays: Vec<usize> = self.relays().collect();
        for pair in relays.windows(2) {
            self.add_link([pair[0], pair[1]]);
        }
        for index in 0..self.nodes.len() {
            if matches!(self.nodes[index].kind, NodeKind::OneWay(_))
                && !self.nodes[index].is_lost
                && !relays.is_empty()
            {
                let relay = *self.chance.pick(&relays);
                self.add_link([index, relay]);
            }
        }
        for link in 0..self.links.len() {
            self.plan_connect(link);
            for side in 0..2 {
                self.pump(link, side);
            }
        }
        Ok(())
    }

    /// The nodes that receive and send, and are there.
    pub(crate) fn relays(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|index| {
            let node = &self.nodes[*index];
            node.replica.is_some() && matches!(node.kind, NodeKind::Ours | NodeKind::Original)
        })
    }

    pub(super) fn sample(&mut self) {
        if !self.keeps_account {
            return;
        }
        let all = self.truth.len() as u64;
        let behind = self
            .nodes
            .iter()
            .map(|node| match &node.replica {
                Some(replica) => all.saturating_sub(self.known(replica)),
                None => all,
            })
            .collect();
        let in_flight =
            self.links.iter().flat_map(|link| &link.ends).map(|end| end.in_flight as u64).sum();
        let sample = Sample { at_ms: self.at_ms(), behind, in_flight, sent: self.bytes_sent };
        self.samples.push(sample);
    }

    /// How many of the updates there are a replica has announced.
    pub(super) fn known(&self, replica: &Replica<S::Model>) -> u64 {
        let vector = replica.version_vector();
        vector.iter().map(|(source, at)| self.truth.between(source, None, at).count() as u64).sum()
    }
}
