use super::worlds::{CONTENDED, CROSSWISE, PLAIN, REMOVED, TIE};
use super::*;

fn demand_good(world: &SmallWorld) -> Census {
    let census = explore(world);
    assert!(census.violation.is_none() && !census.is_cut_short, "{world:?}: {census}");
    assert!(census.at_rest > 0 && census.operations < census.transitions, "{world:?}: {census}");
    census
}

#[test]
fn i1_and_i2_hold_in_every_state_of_the_smallest_worlds() {
    let one = &CONTENDED[..1];
    let triangle = &[[0, 1], [1, 2], [2, 0]];
    for world in [
        SmallWorld { pace: Pace::Any, writes: TIE, ..PLAIN },
        SmallWorld { writes: TIE, cuts: 1, ..PLAIN },
        SmallWorld { writes: one, links: triangle, cuts: 1, ..PLAIN },
        SmallWorld { writes: TIE, is_settled: false, ..PLAIN },
        SmallWorld { writes: REMOVED, ..PLAIN },
        SmallWorld { ..PLAIN },
    ] {
        demand_good(&world);
    }
}

#[test]
fn i3_holds_in_every_state_of_the_smallest_worlds_that_crash() {
    for restart in [Restart::Empty(1), Restart::FromStore(1)] {
        let one = &TIE[1..];
        demand_good(&SmallWorld { writes: one, restart: Some(restart), loss: Some(0), ..PLAIN });
    }
}

#[test]
fn a_world_without_writes_is_quiet() {
    let census = explore(&SmallWorld { writes: &[], ..PLAIN });
    assert_eq!((census.states, census.transitions, census.at_rest), (1, 0, 1));
}

#[test]
fn a_world_that_cannot_talk_is_found_broken_on_the_shortest_way() {
    let census = explore(&SmallWorld { room: 0, ..PLAIN });
    let (what, path) = census.violation.expect("a violation");
    assert!(what.starts_with("I1: "), "{what}");
    assert_eq!(path, ["A writes k at 10"]);
}

#[test]
fn more_lines_than_the_search_can_hold_are_told() {
    let census = explore(&SmallWorld { room: 9, writes: CROSSWISE, pace: Pace::Any, ..PLAIN });
    let (what, path) = census.violation.expect("a violation");
    assert!(what.contains("lines were sent at once"), "{what}");
    assert!(path.last().is_some_and(|last| last.ends_with("is asked for a line")), "{path:?}");
}
