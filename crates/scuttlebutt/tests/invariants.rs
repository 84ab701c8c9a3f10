//! The invariants of the whole: random clusters against a naive twin. See `cluster` for how a
//! failing case is replayed.

#![expect(clippy::unwrap_used, reason = "a failing test bench is a failing test")]

mod cluster;

use cluster::{Cluster, Ops, Setup, Subject, op};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use scuttlebutt::{EventLog, LwwMap, Register, VersionVector};

/// `PROPTEST_CASES`, by default 256, stretches all counts of cases.
fn config(cases: u32) -> ProptestConfig {
    let standard = ProptestConfig::default();
    ProptestConfig {
        cases: (cases * standard.cases).div_ceil(256),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
            "proptest-regressions",
        ))),
        max_shrink_iters: 20_000,
        ..standard
    }
}

fn run<M: Subject>(setup: &Setup, ops: &Ops) -> Cluster<M> {
    let mut cluster = Cluster::<M>::new(setup);
    for op in &ops.0 {
        cluster.step(op);
    }
    cluster.settle();
    cluster
}

fn history<M: Subject>(cluster: &Cluster<M>, node: usize) -> Vec<String> {
    let replica = &cluster.nodes[node].replica;
    let nothing = VersionVector::new();
    let live = replica.updates_since(&nothing);
    live.map(|update| update.to_json()).collect()
}

/// Everybody shows what the twin shows and holds what the twin holds.
fn check_states<M: Subject>(cluster: &Cluster<M>) {
    let expected: Vec<_> = cluster.twin.live().iter().map(|u| u.to_json()).collect();
    for node in 0..cluster.nodes.len() {
        assert_eq!(history(cluster, node), expected, "history of n{node}");
        let view = cluster.nodes[node].replica.model().view();
        assert_eq!(view, cluster.twin.view::<M>(), "view of n{node}");
    }
}

fn check_vectors<M: Subject>(cluster: &Cluster<M>) {
    let first = cluster.nodes[0].replica.version_vector();
    for node in &cluster.nodes {
        assert_eq!(node.replica.version_vector(), first, "{}", node.replica.id());
    }
    for update in cluster.twin.live() {
        assert!(first.includes(update.source(), update.timestamp()), "{update:?} is announced");
    }
}

fn i1<M: Subject>(setup: &Setup, ops: &Ops) {
    let cluster = run::<M>(setup, ops);
    check_states(&cluster);
    check_vectors(&cluster);
}

/// Sessions of the original's kind make no promises beyond what they hold, and send no evidence of
/// what was superseded, so vectors may stay behind. What people see may not.
fn i1_mixed<M: Subject>(setup: Setup, ops: &Ops) {
    let setup = Setup { has_promises: false, is_mixed: true, ..setup };
    check_states(&run::<M>(&setup, ops));
}

/// Whatever some survivor holds reaches all survivors. Vectors may differ: who announced an update
/// that a lost replica's last words superseded has no more evidence to show for it.
fn i2_survivors<M: Subject>(setup: &Setup, ops: &Ops) {
    let cluster = run::<M>(setup, ops);
    let alive: Vec<_> =
        (0..cluster.nodes.len()).filter(|node| !cluster.nodes[*node].is_gone).collect();
    for node in &alive {
        assert_eq!(history(&cluster, *node), history(&cluster, alive[0]));
        let view = |node: usize| cluster.nodes[node].replica.model().view();
        assert_eq!(view(*node), view(alive[0]));
    }
}

const FAST_CLOCK_MS: f64 = 5_000.0;

proptest! {
    #![proptest_config(config(256))]

    /// I1, I2 and I3 for a map: no gap at any moment, nothing said that is not on disk, and at the
    /// end equal views and vectors.
    #[test]
    fn i1_convergence_of_maps(setup in op::setup(FAST_CLOCK_MS), ops in op::harder_ops()) {
        i1::<LwwMap>(&setup, &ops);
    }

    #[test]
    fn i1_convergence_of_registers(setup in op::setup(FAST_CLOCK_MS), ops in op::harder_ops()) {
        i1::<Register>(&setup, &ops);
    }

    #[test]
    fn i1_convergence_of_event_logs(setup in op::setup(FAST_CLOCK_MS), ops in op::harder_ops()) {
        i1::<EventLog>(&setup, &ops);
    }

    #[test]
    fn i1_convergence_with_the_originals_kind(setup in op::setup(0.0), ops in op::ops(op::mixed())) {
        i1_mixed::<LwwMap>(setup.clone(), &ops);
        i1_mixed::<EventLog>(setup, &ops);
    }

    #[test]
    fn i2_what_survivors_hold_is_not_lost(setup in op::setup(FAST_CLOCK_MS), ops in op::deadly_ops()) {
        i2_survivors::<LwwMap>(&setup, &ops);
    }
}
