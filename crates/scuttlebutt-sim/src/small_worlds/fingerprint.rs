//! States told apart by 128 bits of everything that decides what can happen in them.

use std::fmt;

use super::state::{Action, State};

impl State<'_> {
    /// Everything that decides what can happen next and whether it is right, in parts: of most of
    /// them an action changes nothing, so they are taken from the state `before` it.
    pub(super) fn fingerprint(&self, before: Option<(Parts, Action)>) -> Parts {
        let mut parts = Parts::default();
        let keep = |part: usize, is_touched: &dyn Fn(Action) -> bool| {
            before.filter(|(_, action)| !is_touched(*action)).map(|(parts, _)| parts[part])
        };
        for (index, node) in self.nodes.iter().enumerate() {
            let is_touched = |action| self.touched(action).0.is_none_or(|node| node == index);
            parts[index] = keep(index, &is_touched).unwrap_or_else(|| {
                let mut hasher = Hasher(0);
                let replica = node.replica.as_ref();
                let written = replica.map(|replica| replica.internals(&mut hasher));
                hasher.add(format_args!("{written:?}{:?}{:?}", node.store, node.shown))
            });
        }
        for (index, link) in self.links.iter().enumerate() {
            for end in 0..2 {
                let part = self.nodes.len() + 2 * index + end;
                let is_touched = |action| {
                    let (node, link) = self.touched(action);
                    node.is_none_or(|node| node == self.world.links[index][end])
                        || link == Some(index)
                };
                parts[part] = keep(part, &is_touched).unwrap_or_else(|| {
                    let mut hasher = Hasher(0);
                    let session = link.ends.as_ref().map(|ends| &ends[end]);
                    let written = session.map(|session| session.internals(&mut hasher));
                    hasher.add(format_args!("{written:?}{:?}", link.pipes[end]))
                });
            }
        }
        let left = (self.cuts_left, self.may_restart);
        parts[PARTS - 1] =
            Hasher(0).add(format_args!("{:?}{:?}{left:?}", self.is_written, self.truth));
        parts
    }

    /// The replica whose state an action may change, and the link; no replica means all of them.
    fn touched(&self, action: Action) -> (Option<usize>, Option<usize>) {
        match action {
            Action::Write(nth) => (Some(self.world.writes[nth].by), None),
            Action::Sync(node) => (Some(node), None),
            Action::Send { link, from } => (Some(self.world.links[link][from]), Some(link)),
            Action::Deliver { link, from } => (Some(self.world.links[link][1 - from]), Some(link)),
            Action::Connect(_) | Action::Cut(_) | Action::Restart { .. } | Action::Lose => {
                (None, None)
            }
        }
    }
}

/// Three replicas, up to six ends of links, and the rest.
const PARTS: usize = 10;

pub(super) type Parts = [u128; PARTS];

pub(super) fn join(parts: &Parts) -> u128 {
    parts.iter().fold(0, |joined, part| mix(joined ^ part))
}

fn mix(bits: u128) -> u128 {
    bits.wrapping_mul(0x2d35_8dcc_aa6c_78a5_8bb8_4b93_962e_acc9).rotate_left(61)
}

/// 128 bits of what is written to it: of a hundred million states two look alike by one chance in
/// 10^22.
struct Hasher(u128);

impl Hasher {
    fn add(mut self, text: fmt::Arguments<'_>) -> u128 {
        // Writing into a number cannot fail.
        let _ = fmt::Write::write_fmt(&mut self, text);
        self.0
    }
}

impl fmt::Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = mix(self.0 ^ text.len() as u128);
        for chunk in text.as_bytes().chunks(15) {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = mix(self.0 ^ u128::from_le_bytes(word));
        }
        Ok(())
    }
}
