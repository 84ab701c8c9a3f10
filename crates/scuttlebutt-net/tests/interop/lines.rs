//! Three in a line: what is written at either end or in the middle arrives everywhere, live.

use scuttlebutt::SessionConfig;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{
    Kind, address, assert_same, clock_ticks, dialling, lines, listening, receives, write,
};

for_each_model!(ours_in_the_middle, theirs_in_the_middle);

async fn ours_in_the_middle<M: Kind>() {
    // One is dialled, the other dials.
    let mut left = Js::listening::<M>("left", &[]).await;
    left.write::<M>(&M::change(0)).await;
    let middle = listening::<M>("middle", SessionConfig::default()).await;
    middle.add_peer(&left.address().await).unwrap();
    let mut right = Js::start::<M>("right", &[]).await;
    right.connect(&address(&middle)).await;
    right.receives(&M::change(0)).await;

    for n in 1..25 {
        let change = M::change(n);
        clock_ticks().await;
        match n % 3 {
            0 => left.write::<M>(&change).await,
            1 => right.write::<M>(&change).await,
            _ => _ = write(&middle, &change).await,
        }
        left.receives(&change).await;
        right.receives(&change).await;
        receives(&middle, &change).await;
    }
    assert_same(&mut left, &middle).await;
    assert_same(&mut right, &middle).await;
}

async fn theirs_in_the_middle<M: Kind>() {
    let mut middle = Js::listening::<M>("middle", &[]).await;
    let left = dialling::<M>("left", &middle.address().await).await;
    write(&left, &M::change(0)).await;
    let right = listening::<M>("right", SessionConfig::default()).await;
    middle.connect(&address(&right)).await;
    receives(&right, &M::change(0)).await;

    for n in 1..25 {
        let change = M::change(n);
        clock_ticks().await;
        match n % 3 {
            0 => _ = write(&left, &change).await,
            1 => _ = write(&right, &change).await,
            _ => middle.write::<M>(&change).await,
        }
        receives(&left, &change).await;
        receives(&right, &change).await;
        middle.receives(&change).await;
    }
    assert_same(&mut middle, &left).await;
    assert_same(&mut middle, &right).await;
    assert_eq!(lines(&left), lines(&right));
}
