//! The end of the storm: who is left, what they are given, and when they have come to rest.

use scuttlebutt::VersionVector;

use super::{Checked, EPOCH_MS, Event, NodeKind, TICK_US, World};
use crate::link::Side;
use crate::subject::Subject;
use crate::timeline::{Sample, Timeline};

impl<S: Subject> World<'_, S> {
    pub(super) fn tick(&mut self) -> Option<Checked> {
        for link in 0..self.links.len() {
            for side in 0..2 {
                self.do_due(link, side);
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

    /// Has a session do what is due.
    pub(super) fn do_due(&mut self, link: usize, side: Side) {
        let now_ms = self.wall_ms(self.links[link].nodes[side]);
        let Some(session) = &mut self.links[link].ends[side].session else { return };
        if session.next_timeout().is_none_or(|due| due > now_ms) {
            return;
        }
        self.coverage.hit("session: something was due");
        if session.handle_timeout(now_ms).is_err() {
            self.take_events(link, side);
            self.cut(link);
        } else {
            self.pump(link, side);
        }
    }

    /// What is due before the next tick is looked at when it is.
    pub(super) fn plan_due(&mut self, link: usize, side: Side) {
        let now_ms = self.wall_ms(self.links[link].nodes[side]);
        let (epoch, end) = (self.links[link].epoch, &mut self.links[link].ends[side]);
        let due = end.session.as_ref().and_then(scuttlebutt::Session::next_timeout);
        let wait_us = due.map_or(f64::INFINITY, |due| (due - now_ms).max(0.0) * 1_000.0);
        if wait_us < TICK_US as f64 {
            // The wall clock shows whole milliseconds.
            let at_us = self.now_us + wait_us as u64 + 1;
            if end.due_us.is_none_or(|planned| at_us < planned) {
                end.due_us = Some(at_us);
                self.schedule(at_us, Event::Due { link, epoch, side });
            }
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        let has_deliveries = self.events.values().any(|event| {
            matches!(
                event,
                Event::Deliver { .. }
                    | Event::Synced { .. }
                    | Event::Connect { .. }
                    | Event::Verdict { .. }
            )
        });
        let is_quiet = (0..self.links.len())
            .all(|link| self.links[link].is_gone || self.links[link].is_up && self.is_quiet(link));
        // What could not even wait is asked for again within a second; what is held back from a peer is
        // sent within a second as well.
        let soon_ms = if self.scenario.verdicts.is_some() { 2_000.0 } else { 1_000.0 };
        let is_waiting = self.links.iter().filter(|link| link.is_up).any(|link| {
            link.ends.iter().zip(link.nodes).any(|(end, index)| {
                let due = end.session.as_ref().and_then(scuttlebutt::Session::next_timeout);
                due.is_some_and(|due| due < self.wall_ms(index) + soon_ms)
            })
        });
        let is_stored = self.nodes.iter().all(|node| {
            node.replica.as_ref().is_none_or(|replica| replica.durable() == replica.head())
        });
        !has_deliveries && is_quiet && is_stored && !is_waiting
    }

    /// Faults stop. Hostile peers are gone, everyone who can return does, the survivors are linked,
    /// and enough time passes for what was put off.
    pub(super) fn calm(&mut self) -> Checked {
        self.is_calm = true;
        self.calm_since_us = self.now_us;
        self.last_change_us = self.now_us;
        self.mark("calm", format_args!("calm"));
        for index in 0..self.nodes.len() {
            if self.nodes[index].kind == NodeKind::Hostile {
                self.nodes[index].is_lost = true;
            } else {
                self.restart(index)?;
            }
        }
        for index in 0..self.nodes.len() {
            self.reload(index)?;
        }
        let by_us = self.now_us + 1_000_000;
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
                end.arrives_us = end.arrives_us.min(by_us);
            }
        }
        // What was to trickle in arrives by then.
        for ((_, nth), event) in self.events.split_off(&(by_us, 0)) {
            self.events.insert((by_us, nth), event);
        }
        let originals = self.nodes.iter().filter_map(|node| node.original.as_ref());
        let newest = self
            .nodes
            .iter()
            .filter_map(|node| node.replica.as_ref())
            .flat_map(|replica| replica.updates_since(&VersionVector::new()).last().cloned())
            .chain(originals.flat_map(|original| original.history().last().cloned()))
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
            node.is_running() && matches!(node.kind, NodeKind::Ours | NodeKind::Original)
        })
    }

    /// How things stand at each moment for pictures before `at_us`.
    pub(super) fn sample_until(&mut self, at_us: u64) {
        while self.keeps_account && self.next_sample_us < at_us {
            let vectors =
                self.nodes.iter().map(|node| Some(node.replica.as_ref()?.version_vector()));
            let vectors: Vec<Option<VersionVector>> = vectors.collect();
            let mut joined = VersionVector::new();
            vectors.iter().flatten().for_each(|vector| joined.join(vector));
            let all = self.covered(&joined);
            let behind = vectors.iter().map(|vector| Some(all - self.covered(vector.as_ref()?)));
            let on_the_way = self.links.iter().flat_map(|link| &link.ends).map(|end| end.in_flight);
            let sample = Sample {
                at_ms: self.next_sample_us as f64 / 1_000.0,
                behind: behind.collect(),
                in_flight: on_the_way.sum::<usize>() as u64,
                sent: self.bytes_sent,
            };
            self.timeline.samples.push(sample);
            self.next_sample_us += Timeline::STEP_MS * 1_000;
        }
    }

    /// How many of the updates that were ever made a version vector covers.
    fn covered(&self, vector: &VersionVector) -> u64 {
        vector.iter().map(|(source, at)| self.truth.between(source, None, at).count() as u64).sum()
    }
}
