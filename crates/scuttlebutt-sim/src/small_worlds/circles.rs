//! Whether a world comes to rest: whether what moves by itself could lead back to where it was.
//!
//! Writes and faults are counted, so a way back consists of what happens by itself. And since states
//! are numbered level by level, it has at least one step that leads to no deeper level; only from
//! where such steps lead is it looked for, depth first.

/// What was seen of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    /// It is on the way to the present one.
    OnTheWay,
    /// Everything that follows from it was visited.
    Done,
}

/// A state that can be come back to from one of `heads`, if there is one. States are numbers below
/// `states`; `next` gives those that one leads to.
pub(super) fn find(
    states: usize,
    heads: &[u32],
    mut next: impl FnMut(u32) -> Result<Vec<u32>, String>,
) -> Result<Option<u32>, String> {
    let mut seen = vec![Seen::Nothing; states];
    // Each state on the way to the present one, and where has yet to be gone from it.
    let mut way: Vec<(u32, Vec<u32>)> = Vec::new();
    for head in heads {
        let mut arrived = Some(*head);
        loop {
            if let Some(state) = arrived.take() {
                match seen[state as usize] {
                    Seen::Nothing => {
                        seen[state as usize] = Seen::OnTheWay;
                        way.push((state, next(state)?));
                    }
                    Seen::OnTheWay => return Ok(Some(state)),
                    Seen::Done => {}
                }
            }
            let Some((state, left)) = way.last_mut() else { break };
            arrived = left.pop();
            if arrived.is_none() {
                seen[*state as usize] = Seen::Done;
                way.pop();
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(steps: &[&[u32]], heads: &[u32]) -> Option<u32> {
        find(steps.len(), heads, |state| Ok(steps[state as usize].to_vec())).unwrap()
    }

    #[test]
    fn ways_that_meet_are_no_circle() {
        assert_eq!(circle(&[&[1, 2], &[3], &[1, 3], &[]], &[0, 1, 2, 3]), None);
    }

    #[test]
    fn a_circle_is_found_wherever_it_is_entered() {
        let steps: &[&[u32]] = &[&[1], &[2, 4], &[3], &[1], &[]];
        for head in 0..4 {
            assert!(circle(steps, &[head]).is_some_and(|state| (1..4).contains(&state)), "{head}");
        }
        assert_eq!(circle(steps, &[4]), None);
        assert_eq!(circle(&[&[0]], &[0]), Some(0));
    }
}
