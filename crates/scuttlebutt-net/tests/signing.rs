//! Nodes that sign what they write, many callers at a time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "not every test of nodes dials again")]
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use common::eventually;
use scuttlebutt::{EventLog, LwwMap, SignError, Signer, SourceId, Update};
use scuttlebutt_net::{Node, Notice};

/// Takes a while, not the same each time, and counts how many sign together.
struct Slow {
    id: SourceId,
    calls: AtomicUsize,
    together: AtomicUsize,
    most_together: AtomicUsize,
}

impl Slow {
    fn new() -> Self {
        let id = SourceId::new("ada").unwrap();
        let [calls, together, most_together] = Default::default();
        Self { id, calls, together, most_together }
    }
}

impl Signer for Slow {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        if update.change().contains("refused") {
            return Err(SignError("no".into()));
        }
        let together = self.together.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_together.fetch_max(together, Ordering::SeqCst);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(50 * (call as u64 * 7 % 5)));
        self.together.fetch_sub(1, Ordering::SeqCst);
        Ok("ada's".to_owned())
    }
}

/// The original takes nothing from a source that is older than what it has, so order is all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_sign_together_and_publish_in_order() {
    const CALLERS: usize = 50;
    const WRITES: usize = 20;
    let signer = Arc::new(Slow::new());
    let writer = Node::builder(EventLog::new())
        .sign_with(signer.clone())
        .listen("127.0.0.1:0")
        .start()
        .await
        .unwrap();
    let address = writer.listeners()[0].address().to_string();
    let reader = Node::builder(EventLog::new()).peer(&address).start().await.unwrap();
    reader.peers()[0].synced().await.unwrap();
    let mut arrivals = reader.subscribe();

    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let writer = writer.clone();
            tokio::spawn(async move {
                let mut last = None;
                for n in 0..WRITES {
                    let change = EventLog::emit("tick", &(caller, n)).unwrap();
                    let update = writer.update(change).await.unwrap();
                    assert!(Some(update.timestamp()) > last, "a caller's own writes are in order");
                    last = Some(update.timestamp());
                    let is_there =
                        writer.read_replica(|replica| replica.newest_held(replica.id()) >= last);
                    assert!(is_there, "readers see a write when it returns");
                    let refused = EventLog::emit("refused", &(n,)).unwrap();
                    assert!(writer.update(refused).await.is_err());
                }
            })
        })
        .collect();
    // An application that writes by itself overtakes what is being signed.
    for n in 0..WRITES {
        let change = EventLog::emit("by itself", &(n,)).unwrap();
        writer.write_replica(|replica| replica.local_update(0.0, change)).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for caller in callers {
        caller.await.unwrap();
    }

    let mut last = None;
    for _ in 0..(CALLERS + 1) * WRITES {
        let notice = tokio::time::timeout(Duration::from_secs(10), arrivals.next()).await;
        let Notice::Changed { update, .. } = notice.expect("all arrive").unwrap() else {
            panic!("nothing was missed");
        };
        assert!(Some(update.timestamp()) > last, "live updates are in order");
        last = Some(update.timestamp());
    }
    assert!(signer.most_together.load(Ordering::SeqCst) > 1, "they never signed together");
    writer.shutdown().await;
    reader.shutdown().await;
}

/// Signs the first only when the test lets it.
struct Held {
    id: SourceId,
    gate: Barrier,
}

impl Signer for Held {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        if update.change().contains("first") {
            self.gate.wait();
            self.gate.wait();
        }
        Ok("ada's".to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_stops_waiting_for_its_turn_has_written_all_the_same() {
    let signer = Held { id: SourceId::new("ada").unwrap(), gate: Barrier::new(2) };
    let signer = Arc::new(signer);
    let node = Node::builder(LwwMap::new()).sign_with(signer.clone()).start().await.unwrap();
    let first = tokio::spawn({
        let node = node.clone();
        async move { node.update(LwwMap::set("first", &1).unwrap()).await }
    });
    let gate = signer.clone();
    tokio::task::spawn_blocking(move || gate.gate.wait()).await.unwrap();
    // The first is being signed now.
    let second = node.update(LwwMap::set("second", &2).unwrap());
    assert!(tokio::time::timeout(Duration::from_millis(50), second).await.is_err());
    assert_eq!(node.read(LwwMap::len), 0, "the second does not come before the first");
    tokio::task::spawn_blocking(move || signer.gate.wait()).await.unwrap();
    first.await.unwrap().unwrap();
    eventually("both writes", || node.read(LwwMap::len) == 2).await;
    node.shutdown().await;
}
