//! Updates to which their source gave one name: what is kept of a fork.
//!
//! Who holds a key can sign two changes with one timestamp. Nothing says which of them counts, so all
//! are kept, whichever came first, and none is ever let go: they are the evidence. This module does not
//! say who is believed, and nothing in it decides what a model shows.

use std::collections::BTreeMap;

use super::delta::Delta;
use super::{Entry, ForkProof, Replica, SourceIndex};
use crate::limits::Limits;
use crate::model::Model;
use crate::place::Place;
use crate::timestamp::Timestamp;
use crate::update::Update;
use crate::version_vector::VersionVector;

/// The name of an update, with its source's number.
pub(crate) type Name = (SourceIndex, Timestamp);

/// The sides of all forks that came after the first one, which has the name's slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forks {
    /// The positions, by name, in the order of arrival.
    later: BTreeMap<Name, Vec<u64>>,
    count: usize,
    bytes: usize,
}

impl Forks {
    /// Whether there is room for one side more.
    pub(super) fn have_room_for(&self, side: &Update, limits: &Limits) -> bool {
        let bytes = self.bytes.saturating_add(side.heap_bytes());
        self.count < limits.forks_max && bytes <= limits.forks_bytes_max
    }

    pub(super) fn has(&self, name: Name) -> bool {
        self.later.contains_key(&name)
    }

    /// The sides but the first.
    pub(super) fn later(&self, name: Name) -> &[u64] {
        self.later.get(&name).map_or(&[], Vec::as_slice)
    }

    pub(super) fn push(&mut self, name: Name, position: u64, side: &Update) {
        self.later.entry(name).or_default().push(position);
        self.count += 1;
        self.bytes += side.heap_bytes();
    }

    fn names(&self) -> impl Iterator<Item = (Name, &[u64])> {
        self.later.iter().map(|(name, later)| (*name, later.as_slice()))
    }
}

/// How an update stands to those of its name that are held.
pub(super) enum Known {
    /// There is none.
    No,
    /// Its change is held, if with another signature.
    Same,
    /// The name is another change's. This is the first one that came.
    OtherChange(Update),
}

impl<M: Model> Replica<M> {
    /// The forks of which this replica holds more than one side: for each side but the first that came, the
    /// proof beside that. They are found if there is a [verifier](Self::verify_with), and while both
    /// sides are held: an update that was superseded and let go is no evidence any more.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Outcome, Replica, SourceId, Trust, Update, Verifier};
    ///
    /// struct Anybody;
    /// impl Verifier for Anybody {
    ///     fn verify(&self, _: &Update) -> Trust {
    ///         Trust::Trusted
    ///     }
    /// }
    ///
    /// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new()).verify_with(Anybody);
    /// replica.remote_update(100.0, Update::from_json(r#"[["k",1],50,"B","s1"]"#)?);
    /// let outcome = replica.remote_update(100.0, Update::from_json(r#"[["k",2],50,"B","s2"]"#)?);
    /// assert!(matches!(outcome, Outcome::Forked { is_kept: true, .. }));
    /// assert_eq!(replica.forks().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forks(&self) -> impl Iterator<Item = ForkProof> + '_ {
        let update = |position: u64| self.log.get(position).map(|entry| &entry.update);
        self.forks.names().flat_map(move |((index, timestamp), later)| {
            let first = self.sources.get(index).slot(timestamp);
            let first = first.and_then(|slot| update(slot.position()));
            let later = later.iter().filter_map(move |position| update(*position));
            later.filter_map(move |side| ForkProof::new(first?.clone(), side.clone()).ok())
        })
    }

    /// Whether this is one of several updates of one name.
    pub(crate) fn is_side_of_fork(&self, entry: &Entry) -> bool {
        self.forks.has((entry.source, entry.update.timestamp()))
    }

    /// How `update` stands to what is held under its name.
    pub(super) fn known(&self, update: &Update) -> Known {
        self.known_by(self.sources.find(update.source()), update)
    }

    /// [`known`](Self::known), where the number of the update's source was looked up already.
    pub(super) fn known_by(&self, number: Option<SourceIndex>, update: &Update) -> Known {
        let Some(index) = number else { return Known::No };
        let Some(slot) = self.sources.get(index).slot(update.timestamp()) else {
            return Known::No;
        };
        let Some(first) = self.log.get(slot.position()) else { return Known::Same };
        let later = self.forks.later((index, update.timestamp()));
        let is_same = |side: &Update| side.change_bytes() == update.change_bytes();
        let is_held = is_same(&first.update)
            || later.iter().filter_map(|at| self.log.get(*at)).any(|side| is_same(&side.update));
        if is_held { Known::Same } else { Known::OtherChange(first.update.clone()) }
    }

    /// The forks that a peer with this vector never asks about, since it covers them, if they have shown
    /// at position `from` or later.
    fn forks_covered_by(&self, vector: &VersionVector, from: u64) -> Vec<Name> {
        let covered = |((index, timestamp), later): &(Name, &[u64])| {
            vector.includes(&self.sources.get(*index).id, *timestamp) && later.last() >= Some(&from)
        };
        self.forks.names().filter(covered).map(|(name, _)| name).collect()
    }

    /// The walk that begins with the forks that `vector` covers: whoever has it may hold one side, and
    /// asks about none. Without those that showed before position `from`.
    pub(crate) fn delta_with_forks(
        &self,
        vector: &VersionVector,
        place: Option<&Place>,
        from: u64,
    ) -> Delta {
        self.delta(vector, place).beginning_with(self.forks_covered_by(vector, from))
    }

    /// The first side of a fork, for whoever is about to send the second one: a peer may hold that one
    /// alone, and ask about neither.
    pub(crate) fn first_side(&self, position: u64) -> Option<&Update> {
        let entry = self.log.get(position)?;
        let name = (entry.source, entry.update.timestamp());
        if self.forks.later(name).first() != Some(&position) {
            return None;
        }
        let first = self.sources.get(name.0).slot(name.1)?;
        Some(&self.log.get(first.position())?.update)
    }
}
