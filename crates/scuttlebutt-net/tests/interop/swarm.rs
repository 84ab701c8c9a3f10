//! Three of ours and three of theirs in a random connected graph, with random writes and cuts.
//!
//! The seed is printed; `INTEROP_SEED` runs one again.

use std::time::{SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scuttlebutt::SessionConfig;
use scuttlebutt_net::Node;
use serde_json::json;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{Kind, address, assert_same, fresh_timestamp, lines, listening, write_at};

for_each_model!(all_become_equal);

const EACH: usize = 3;
const STEPS: u64 = 150;

fn seed() -> u64 {
    let given = std::env::var("INTEROP_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_nanos() as u64
        },
        |text| text.parse().expect("INTEROP_SEED is a number"),
    )
}

async fn all_become_equal<M: Kind>() {
    let seed = seed();
    println!("INTEROP_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    // Members 0, 2, 4 are ours, the others theirs.
    let (mut nodes, mut scripts, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..EACH {
        let node = listening::<M>(&format!("ours{i}"), SessionConfig::default()).await;
        addresses.push(address(&node));
        nodes.push(node);
        let js = Js::listening::<M>(&format!("theirs{i}"), &[]).await;
        addresses.push(js.address().await);
        scripts.push(js);
    }

    // A tree, and some more edges; each as (who dials, who is dialled).
    let mut edges = Vec::new();
    for i in 1..2 * EACH {
        edges.push((i, random.random_range(0..i)));
    }
    for _ in 0..3 {
        let (a, b) = (random.random_range(0..2 * EACH), random.random_range(0..2 * EACH));
        if a != b && !edges.contains(&(a, b)) && !edges.contains(&(b, a)) {
            edges.push((a, b));
        }
    }
    for edge in &mut edges {
        if random.random() {
            *edge = (edge.1, edge.0);
        }
    }
    println!("edges {edges:?}");
    for &(from, to) in edges.iter().filter(|(from, _)| from.is_multiple_of(2)) {
        nodes[from / 2].add_peer(&addresses[to]).unwrap();
    }

    for n in 0..STEPS {
        let member = random.random_range(0..2 * EACH);
        match random.random_range(0..10) {
            // Theirs hang up on everyone, and dial again some of those that they dial.
            0 => {
                let js = &mut scripts[member / 2];
                js.run("disconnect", json!({})).await;
                let mine = edges.iter().filter(|(from, _)| *from == member / 2 * 2 + 1);
                for &(_, to) in mine {
                    if random.random() {
                        js.connect(&addresses[to]).await;
                    }
                }
            }
            _ => write_somewhere(&nodes, &mut scripts, member, n).await,
        }
    }

    // The graph is whole again: what we dial by itself, theirs by hand.
    for js in &mut scripts {
        js.run("disconnect", json!({})).await;
    }
    for (i, js) in scripts.iter_mut().enumerate() {
        for &(_, to) in edges.iter().filter(|(from, _)| *from == 2 * i + 1) {
            js.connect(&addresses[to]).await;
        }
    }
    write_somewhere(&nodes, &mut scripts, random.random_range(0..2 * EACH), STEPS).await;
    let last = M::change(STEPS);
    for node in &nodes {
        crate::ours::receives(node, &last).await;
    }
    for js in &mut scripts {
        js.receives(&last).await;
        assert_same(js, &nodes[0]).await;
    }
    for node in &nodes {
        let deadline = std::time::Instant::now() + crate::js::PATIENCE;
        while lines(node) != lines(&nodes[0]) && std::time::Instant::now() < deadline {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(lines(node), lines(&nodes[0]), "{} and {}", node.id(), nodes[0].id());
    }
}

async fn write_somewhere<M: Kind>(nodes: &[Node<M>], scripts: &mut [Js], member: usize, n: u64) {
    let (change, at) = (M::change(n), fresh_timestamp());
    if member.is_multiple_of(2) {
        write_at(&nodes[member / 2], &change, at);
    } else {
        scripts[member / 2].write_at(&change, at).await;
    }
}
