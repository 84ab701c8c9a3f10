//! Equal timestamps from different sources, arriving in either order.
//!
//! Ours agree whatever the order. A map of the original keeps what arrived last, so it may disagree
//! with ours and with others of its kind until somebody writes the key again; r-value and the event
//! log of the original agree with ours.

use scuttlebutt::{EventLog, LwwMap, Register};

use crate::js::Js;
use crate::ours::{Kind, apply, assert_same, builder, clock_ticks, eventually, lines, receives};

/// Two of theirs, each with an update of the same time, and two of ours that meet them in opposite
/// orders.
async fn both_orders<M: Kind>(change: fn(&str) -> String) {
    let mut a = Js::listening::<M>("a", &[]).await;
    let mut b = Js::listening::<M>("b", &[]).await;
    let (from_a, from_b) = (change("a"), change("b"));
    a.write_at(&from_a, 100.0).await;
    b.write_at(&from_b, 100.0).await;
    let (a_first, b_first) = (builder::<M>("a first"), builder::<M>("b first"));
    let a_first = a_first.start().await.unwrap();
    let b_first = b_first.start().await.unwrap();
    a_first.add_peer(&a.address().await).unwrap();
    receives(&a_first, &from_a).await;
    b_first.add_peer(&b.address().await).unwrap();
    receives(&b_first, &from_b).await;
    a_first.add_peer(&b.address().await).unwrap();
    receives(&a_first, &from_b).await;
    b_first.add_peer(&a.address().await).unwrap();
    let is_same = || lines(&a_first) == lines(&b_first);
    eventually(is_same, || format!("{:#?} {:#?}", lines(&a_first), lines(&b_first))).await;
    assert_eq!(a_first.read(M::state), b_first.read(M::state));

    if M::NAME == "map" {
        // What theirs show now depends on what came last; a later write settles it.
        let (at_a, at_b) = (a.lines().await, b.lines().await);
        println!("tied: ours {:?}, a has {at_a:?}, b has {at_b:?}", lines(&a_first));
        clock_ticks().await;
        a.write::<M>(&change("later")).await;
        a_first_and_all(&a_first, &b_first, &change("later")).await;
    }
    assert_same(&mut a, &a_first).await;
    assert_same(&mut b, &a_first).await;
    assert_same(&mut a, &b_first).await;
}

async fn a_first_and_all<M: Kind>(
    one: &scuttlebutt_net::Node<M>,
    other: &scuttlebutt_net::Node<M>,
    change: &str,
) {
    receives(one, change).await;
    receives(other, change).await;
}

#[tokio::test]
async fn on_a_key_of_a_map() {
    both_orders::<LwwMap>(|who| format!("[\"k\",\"{who}\"]")).await;
}

#[tokio::test]
async fn on_a_value() {
    both_orders::<Register>(|who| format!("\"{who}\"")).await;
}

#[tokio::test]
async fn of_two_events() {
    both_orders::<EventLog>(|who| format!("[\"event\",\"{who}\"]")).await;
}

/// The larger id wins by its UTF-16 code units, as r-value and the original's history sort.
#[tokio::test]
async fn the_larger_id_wins_as_the_original_sorts() {
    let tied =
        ["[\"astral\",100,\"\u{1F600}\"]", "[\"bmp\",100,\"\u{FF5E}\"]", "[\"ascii\",100,\"z\"]"]
            .map(str::to_owned);
    let mut backwards = tied.clone();
    backwards.reverse();
    for order in [tied, backwards] {
        let mut js = Js::listening::<Register>("theirs", &[]).await;
        js.apply(&order).await;
        let node = builder::<Register>("ours").start().await.unwrap();
        apply(&node, &order);
        node.add_peer(&js.address().await).unwrap();
        assert_same(&mut js, &node).await;
        assert_eq!(node.read(Kind::state), "\"bmp\"");
    }
}
