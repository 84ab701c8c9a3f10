//! Visits every state of a small world, breadth first: what is found first was reached on a shortest
//! way, and the way is kept.

use super::action::Action;
use super::circles;
use super::moves::Moves;
use super::numbers::Numbers;
use super::state::State;
use super::{Census, SmallWorld};

/// States of a world, at most: at 50 bytes each about 3 GB.
const STATES_MAX: usize = 64_000_000;
/// Operations remembered of a world, at most: with the sites that they lead to, at 600 bytes each,
/// about 3 GB.
const OPERATIONS_MAX: usize = 5_000_000;

struct Search<'w> {
    world: &'w SmallWorld,
    moves: Moves<'w>,
    states: Numbers<State>,
    /// By the number of a state, how it was come upon.
    origins: Vec<Origin>,
    /// Of the state that is visited.
    actions: Vec<Action>,
}

/// The state before, and which of its actions was done. As bytes, to take five of them and not eight.
#[derive(Clone, Copy)]
struct Origin {
    before: [u8; 4],
    nth: u8,
}

/// What was broken, and where.
struct Violation {
    what: String,
    state: u32,
    /// What was done there, if it is that which broke it.
    action: Option<Action>,
}

impl Violation {
    fn at(state: u32, what: String) -> Self {
        Self { what, state, action: None }
    }
}

pub(super) fn search(world: &SmallWorld) -> Census {
    let mut search = Search {
        world,
        moves: Moves::new(world),
        states: Numbers::new(),
        origins: Vec::new(),
        actions: Vec::new(),
    };
    let mut census = Census::default();
    let violation = search.visit_all(&mut census).err();
    census.states = search.states.len();
    census.operations = search.moves.memo.operations();
    census.violation = violation.map(|violation| search.account(violation));
    census
}

impl Search<'_> {
    fn visit_all(&mut self, census: &mut Census) -> Result<(), Violation> {
        let first = self.moves.first().map_err(|what| Violation::at(0, what))?;
        self.states.number(first);
        self.origins.push(Origin { before: [0; 4], nth: 0 });
        // Where steps lead that may be part of a circle.
        let mut heads = Vec::new();
        // States are numbered level by level.
        let mut level_end = 1;
        let mut number = 0;
        while (number as usize) < self.states.len() {
            if number as usize == level_end {
                census.depth += 1;
                level_end = self.states.len();
            }
            if self.states.len() > STATES_MAX || self.moves.memo.operations() > OPERATIONS_MAX {
                census.is_cut_short = true;
                return Ok(());
            }
            self.visit(number, level_end, census, &mut heads)?;
            number += 1;
        }
        self.check_rest(&heads)
    }

    /// Checks a state and takes every step from it.
    fn visit(
        &mut self,
        number: u32,
        level_end: usize,
        census: &mut Census,
        heads: &mut Vec<u32>,
    ) -> Result<(), Violation> {
        let state = *self.states.get(number);
        let here = |what| Violation::at(number, what);
        self.moves.check(&state).map_err(here)?;
        let mut actions = std::mem::take(&mut self.actions);
        self.moves.actions(&state, &mut actions);
        if !actions.iter().any(|action| action.happens_by_itself()) {
            census.at_rest += 1;
            self.moves.check_at_rest(&state).map_err(here)?;
        }
        for (nth, action) in (0..).zip(&actions) {
            census.transitions += 1;
            let broken = |what| Violation { what, state: number, action: Some(*action) };
            let after = self.moves.act(&state, *action).map_err(broken)?;
            let after = self.states.number(after);
            if after as usize == self.origins.len() {
                self.origins.push(Origin { before: number.to_le_bytes(), nth });
            } else if action.happens_by_itself() && (after as usize) < level_end {
                heads.push(after);
            }
        }
        self.actions = actions;
        Ok(())
    }

    fn check_rest(&mut self, heads: &[u32]) -> Result<(), Violation> {
        let Self { moves, states, actions, .. } = self;
        let circle = circles::find(states.len(), heads, |number| {
            let state = *states.get(number);
            moves.actions(&state, actions);
            let by_itself = actions.iter().filter(|action| action.happens_by_itself());
            by_itself.map(|action| Ok(states.number(moves.act(&state, *action)?))).collect()
        });
        match circle {
            Ok(None) => Ok(()),
            Ok(Some(state)) => Err(Violation::at(state, "it never comes to rest".to_owned())),
            Err(what) => Err(Violation::at(0, what)),
        }
    }

    /// In words, with the way there.
    fn account(&self, violation: Violation) -> (String, Vec<String>) {
        let mut path: Vec<Action> = violation.action.into_iter().collect();
        let mut number = violation.state;
        let mut actions = Vec::new();
        while number > 0 {
            let Origin { before, nth } = self.origins[number as usize];
            number = u32::from_le_bytes(before);
            self.moves.actions(self.states.get(number), &mut actions);
            path.push(actions[usize::from(nth)]);
        }
        let path = path.into_iter().rev().map(|action| action.describe(self.world));
        (violation.what, path.collect())
    }
}
