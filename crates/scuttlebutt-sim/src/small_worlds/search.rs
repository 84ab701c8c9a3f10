//! Visits every state of a small world, depth first, so that only the states on the way to the
//! present one are kept.

use std::collections::HashMap;

use super::fingerprint::{Parts, join};
use super::state::{Action, Checked, State};
use super::{Census, SmallWorld};

/// What was seen of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is on the way to the present one: coming back to it would go on for ever.
    OnTheWay,
    /// Everything that follows from it was visited.
    Done,
}

/// A state on the way to the present one.
struct Step<'w> {
    state: State<'w>,
    parts: Parts,
    fingerprint: u128,
    /// What has yet to be tried in it.
    left: Vec<Action>,
}

pub(super) fn search(world: &SmallWorld) -> Census {
    let mut census = Census::default();
    let mut seen = HashMap::new();
    let mut way: Vec<Step<'_>> = Vec::new();
    // What was done in each state on the way.
    let mut path: Vec<Action> = Vec::new();
    let mut arrived = Some(State::new(world));
    let mut violation = None;
    let mut before = None;
    while violation.is_none() {
        if let Some(state) = arrived.take() {
            let parts = state.fingerprint(before.take());
            let fingerprint = join(&parts);
            match seen.insert(fingerprint, Seen::OnTheWay) {
                None => {
                    census.states += 1;
                    census.depth = census.depth.max(path.len());
                    let left = state.actions();
                    if !left.iter().any(|action| action.happens_by_itself()) {
                        census.at_rest += 1;
                        violation = state.check_at_rest().err();
                    }
                    way.push(Step { state, parts, fingerprint, left });
                    continue;
                }
                Some(Seen::OnTheWay) => violation = Some("it never comes to rest".to_owned()),
                Some(Seen::Done) => {
                    seen.insert(fingerprint, Seen::Done);
                    path.pop();
                }
            }
            continue;
        }
        let Some(step) = way.last_mut() else { break };
        let Some(action) = step.left.pop() else {
            seen.insert(step.fingerprint, Seen::Done);
            way.pop();
            path.pop();
            continue;
        };
        census.transitions += 1;
        path.push(action);
        let mut state = step.state.clone();
        violation = state.act(action).and_then(|()| state.check()).err();
        before = Some((step.parts, action));
        arrived = Some(state);
    }
    census.violation = violation.map(|what| {
        let (what, path) = shortest(world, what, path);
        (what, path.into_iter().map(|action| action.describe(world)).collect())
    });
    census
}

/// Leaves out of a path to a violation whatever can be left out.
fn shortest(world: &SmallWorld, mut what: String, mut path: Vec<Action>) -> (String, Vec<Action>) {
    let mut at = 0;
    while at < path.len() {
        let mut shorter = path.clone();
        shorter.remove(at);
        match replay(world, &shorter) {
            Err(still) => {
                (what, path) = (still, shorter);
                at = 0;
            }
            Ok(()) => at += 1,
        }
    }
    (what, path)
}

/// Goes along a path as far as it can be gone; errs with a violation on the way or at its end.
fn replay(world: &SmallWorld, path: &[Action]) -> Checked {
    let mut state = State::new(world);
    for action in path {
        if !state.actions().contains(action) {
            return Ok(());
        }
        state.act(*action)?;
        state.check()?;
    }
    match state.actions().iter().any(|action| action.happens_by_itself()) {
        true => Ok(()),
        false => state.check_at_rest(),
    }
}
