//! Nodes with stores: on the real disk, over real sockets, through restarts, copies and failures.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{eventually, impatient};
use scuttlebutt::{LwwMap, Replica};
use scuttlebutt_net::{Node, UpdateError, fresh_id};
use scuttlebutt_store::{FILE_NAME, Faults, LOCK_NAME, Operation, Options, Store, StoreError};

type Map = Node<LwwMap>;

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("node-store-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What happens to each sync of the file.
#[derive(Debug, Default)]
struct Disk {
    fails: AtomicBool,
    hangs: AtomicBool,
    syncs: AtomicU64,
}

impl Faults for Disk {
    fn before(&self, operation: Operation) -> io::Result<()> {
        if operation != Operation::Sync {
            return Ok(());
        }
        self.syncs.fetch_add(1, Ordering::SeqCst);
        while self.hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the disk is broken")),
            false => Ok(()),
        }
    }
}

fn options() -> Options {
    Options::new("map", fresh_id())
}

async fn start(dir: &Path, options: Options) -> Map {
    let (store, _) = Store::open(dir, options).unwrap();
    let node = Node::builder(LwwMap::new()).limits(impatient()).store(store).listen("127.0.0.1:0");
    node.start().await.unwrap()
}

fn address(node: &Map) -> String {
    node.listeners()[0].address().to_string()
}

async fn set(node: &Map, key: &str, value: i32) {
    node.update(LwwMap::set(key, &value).unwrap()).await.unwrap();
}

/// Waits until both show and announce the same, and all of it.
async fn converge(a: &Map, b: &Map) {
    let state = |node: &Map| {
        node.read_replica(|replica| (replica.model().to_json(), replica.version_vector()))
    };
    eventually("convergence", || {
        let (shown, vector) = state(a);
        let newest_of = |node: &Map| {
            node.read_replica(|r| vector.iter().all(|(id, at)| r.newest_held(id) == Some(at)))
        };
        (shown, vector.clone()) == state(b) && newest_of(a) && newest_of(b)
    })
    .await;
}

#[tokio::test]
async fn a_node_goes_on_where_it_ended() {
    let folder = Folder::new();
    let dir = folder.path("data");
    let node = start(&dir, options()).await;
    let other = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    set(&node, "ours", 1).await;
    set(&other, "theirs", 2).await;
    eventually("both", || node.read(LwwMap::len) == 2).await;
    other.shutdown().await;
    node.shutdown().await;
    let (id, vector) = (node.id(), node.read_replica(Replica::version_vector));
    assert_eq!(vector.len(), 2);

    let node = start(&dir, options()).await;
    assert_eq!(node.id(), id);
    assert_eq!(node.read(LwwMap::to_json), r#"{"ours":1,"theirs":2}"#);
    assert_eq!(node.read_replica(Replica::version_vector), vector, "nothing is asked for again");
    node.shutdown().await;
    assert!(node.store().is_none(), "shut down means closed");
}

#[tokio::test]
async fn i3_nothing_is_acknowledged_or_sent_before_it_is_on_the_disk() {
    let folder = Folder::new();
    let disk = Arc::new(Disk::default());
    let mut options = options();
    options.faults = Some(disk.clone());
    let node = start(&folder.path("data"), options).await;
    let peer = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    peer.peers()[0].synced().await.unwrap();

    disk.hangs.store(true, Ordering::SeqCst);
    let writing = {
        let node = node.clone();
        tokio::spawn(async move { node.update(LwwMap::set("k", &1).unwrap()).await })
    };
    eventually("a sync", || disk.syncs.load(Ordering::SeqCst) > 0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!writing.is_finished());
    assert_eq!(node.read(LwwMap::len), 1, "its own readers see it");
    assert_eq!(peer.read(LwwMap::len), 0);

    disk.hangs.store(false, Ordering::SeqCst);
    writing.await.unwrap().unwrap();
    eventually("the update", || peer.read(LwwMap::len) == 1).await;
    peer.shutdown().await;
    node.shutdown().await;
}

#[tokio::test]
async fn many_writers_share_a_sync() {
    let folder = Folder::new();
    let disk = Arc::new(Disk::default());
    let mut options = options();
    options.faults = Some(disk.clone());
    let node = start(&folder.path("data"), options).await;
    let before = disk.syncs.load(Ordering::SeqCst);
    let writers = (0..200).map(|n| {
        let node = node.clone();
        tokio::spawn(async move { set(&node, &format!("k{n}"), n).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let syncs = disk.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 50, "{syncs} syncs for 200 updates");
    node.shutdown().await;
}

#[tokio::test]
async fn a_node_whose_disk_fails_says_so_and_promises_no_more() {
    let folder = Folder::new();
    let dir = folder.path("data");
    let disk = Arc::new(Disk::default());
    let mut failing = options();
    failing.faults = Some(disk.clone());
    let node = start(&dir, failing).await;
    let peer = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    set(&node, "before", 1).await;
    eventually("the first", || peer.read(LwwMap::len) == 1).await;

    disk.fails.store(true, Ordering::SeqCst);
    let change = LwwMap::set("during", &2).unwrap();
    let error = node.update(change.clone()).await.unwrap_err();
    assert!(matches!(&error, UpdateError::NotStored(_)), "{error}");
    assert!(error.to_string().contains("the disk is broken"), "{error}");
    assert_eq!(node.store_failure().await.to_string(), error.to_string());
    // Also once the disk works again: what it holds is uncertain until the store is read.
    disk.fails.store(false, Ordering::SeqCst);
    assert!(node.update(change).await.is_err());
    set(&peer, "theirs", 3).await;
    eventually("what peers send", || node.read(LwwMap::len) == 3).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(peer.read(|map| map.get::<i32>("during").unwrap()), None);
    node.shutdown().await;

    let node = start(&dir, options()).await;
    assert_eq!(node.read(|map| map.get::<i32>("before").unwrap()), Some(1));
    peer.add_peer(&address(&node)).unwrap();
    converge(&node, &peer).await;
    assert_eq!(node.read(|map| map.get::<i32>("theirs").unwrap()), Some(3));
    peer.shutdown().await;
    node.shutdown().await;
}

/// The data directory is copied, and both go on.
#[tokio::test]
async fn a_copy_writes_under_an_id_of_its_own() {
    let folder = Folder::new();
    let (dir, copy) = (folder.path("data"), folder.path("copy"));
    let node = start(&dir, options()).await;
    set(&node, "k", 1).await;
    let id = node.id();
    node.shutdown().await;
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(dir.join(FILE_NAME), copy.join(FILE_NAME)).unwrap();

    let node = start(&dir, options()).await;
    let twin = start(&copy, options()).await;
    assert_eq!(node.id(), id);
    assert_ne!(twin.id(), id);
    for n in 0..20 {
        set(&node, &format!("a{}", n % 7), n).await;
        set(&twin, &format!("a{}", n % 5), 100 + n).await;
    }
    node.add_peer(&address(&twin)).unwrap();
    converge(&node, &twin).await;
    assert_eq!(node.read(LwwMap::len), 8);
    node.shutdown().await;
    twin.shutdown().await;
}

/// The directory is set back to an earlier state of itself, as by a snapshot of the machine: nothing
/// about it tells. The first peer does.
#[tokio::test]
async fn a_node_that_was_set_back_hears_of_it_from_its_peers() {
    set_back(false).await;
}

/// I2: what it writes before it hears of it does not hide what it forgot.
#[tokio::test]
async fn i2_a_node_that_was_set_back_gets_all_back_though_it_wrote_before_it_heard() {
    set_back(true).await;
}

async fn set_back(writes_before_it_hears: bool) {
    let folder = Folder::new();
    let dir = folder.path("data");
    let node = start(&dir, options()).await;
    set(&node, "early", 1).await;
    let id = node.id();
    node.shutdown().await;
    let snapshot =
        [FILE_NAME, LOCK_NAME].map(|name| (name, std::fs::read(dir.join(name)).unwrap()));

    let node = start(&dir, options()).await;
    let peer = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    set(&node, "late", 2).await;
    eventually("both", || peer.read(LwwMap::len) == 2).await;
    node.shutdown().await;
    // In place, so that they stay the same files.
    for (name, content) in snapshot {
        let mut file = std::fs::File::create(dir.join(name)).unwrap();
        io::Write::write_all(&mut file, &content).unwrap();
    }

    let node = start(&dir, options()).await;
    assert_eq!((node.id(), node.read(LwwMap::len)), (id.clone(), 1));
    if writes_before_it_hears {
        set(&node, "unaware", 4).await;
    }
    let mut ids = node.watch_id();
    peer.add_peer(&address(&node)).unwrap();
    tokio::time::timeout(Duration::from_secs(20), ids.wait_for(|now| *now != id))
        .await
        .expect("a fresh id")
        .unwrap();
    set(&node, "later", 3).await;
    let all = match writes_before_it_hears {
        false => r#"{"early":1,"late":2,"later":3}"#,
        true => r#"{"early":1,"late":2,"later":3,"unaware":4}"#,
    };
    eventually("all", || [&node, &peer].iter().all(|n| n.read(LwwMap::to_json) == all)).await;
    let vectors = [&node, &peer].map(|n| n.read_replica(Replica::version_vector));
    if !writes_before_it_hears {
        converge(&node, &peer).await;
    } else {
        // Nobody can vouch for what lies before the one write that was not known to come after more.
        let held = node.read_replica(|replica| replica.newest_held(&id));
        assert!(vectors.iter().all(|vector| vector.timestamp(&id) < held), "{vectors:?}");
    }
    let fresh = node.id();
    node.shutdown().await;

    let node = start(&dir, options()).await;
    assert_eq!(node.id(), fresh, "for good");
    assert_eq!(node.read(LwwMap::to_json), all);
    node.shutdown().await;
    peer.shutdown().await;
}

/// A disk is cloned, in a way that the store cannot notice, and both go on at once.
#[tokio::test]
async fn i1_clones_of_a_disk_that_both_run_lose_nothing() {
    let folder = Folder::new();
    let id = fresh_id();
    let options = || Options::new("map", id.clone());
    let a = start(&folder.path("a"), options()).await;
    let b = start(&folder.path("b"), options()).await;
    assert_eq!((a.id(), b.id()), (id.clone(), id.clone()));
    let hub = Node::builder(LwwMap::new()).listen("127.0.0.1:0").start().await.unwrap();
    a.add_peer(&address(&hub)).unwrap();
    b.add_peer(&address(&hub)).unwrap();
    let writing = [("a", &a), ("b", &b)].map(|(name, node)| {
        let node = node.clone();
        tokio::spawn(async move {
            for n in 0..40 {
                set(&node, &format!("{name}{n}"), n).await;
            }
        })
    });
    for writes in writing {
        writes.await.unwrap();
    }
    eventually("all of both", || [&a, &b, &hub].iter().all(|node| node.read(LwwMap::len) == 80))
        .await;
    assert_eq!(a.read(LwwMap::to_json), b.read(LwwMap::to_json));
    assert!(a.id() != id && b.id() != id && a.id() != b.id());
    set(&a, "later", 1).await;
    eventually("what comes later", || b.read(LwwMap::len) == 81).await;
    for node in [a, b, hub] {
        node.shutdown().await;
    }
}

/// Who only says that he holds writes of a node costs it nothing, however often he says it.
#[tokio::test]
async fn a_claim_takes_no_id() {
    let folder = Folder::new();
    let node = start(&folder.path("data"), options()).await;
    let id = node.id();
    let millis =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    for n in 0..40 {
        let mut liar = tokio::net::TcpStream::connect(address(&node)).await.unwrap();
        let claim = format!("{{\"id\":\"S\",\"clock\":{{\"{id}\":{}}}}}\n", millis + n);
        tokio::io::AsyncWriteExt::write_all(&mut liar, claim.as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        tokio::io::AsyncReadExt::read(&mut liar, &mut answer).await.unwrap();
    }
    set(&node, "k", 1).await;
    let peer = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    eventually("the write", || peer.read(LwwMap::len) == 1).await;
    assert_eq!(node.id(), id);
    peer.shutdown().await;
    node.shutdown().await;
}

/// Without a farewell the store is closed all the same, with everything that was accepted.
#[tokio::test]
async fn dropping_the_last_handle_closes_the_store() {
    let folder = Folder::new();
    let dir = folder.path("data");
    let node = start(&dir, options()).await;
    node.write_replica(|replica| {
        replica.local_update(1.0, LwwMap::set("k", &1).unwrap()).unwrap();
    });
    drop(node);
    eventually("closing", || Store::open(&dir, options()).is_ok()).await;
    let node = start(&dir, options()).await;
    assert_eq!(node.read(LwwMap::len), 1);
    node.shutdown().await;
}

#[tokio::test]
async fn a_store_serves_one_node_at_a_time() {
    let folder = Folder::new();
    let node = start(&folder.path("data"), options()).await;
    let error = Store::open(folder.path("data"), options()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    node.shutdown().await;
    Store::open(folder.path("data"), options()).unwrap();
}

/// From a disk that is full, say: peers get what is there, and nothing is taken that could not be kept.
#[tokio::test]
async fn i3_a_node_whose_store_is_only_read_serves_and_takes_nothing() {
    let folder = Folder::new();
    let dir = folder.path("data");
    let node = start(&dir, options()).await;
    set(&node, "k", 1).await;
    let id = node.id();
    node.shutdown().await;
    let before = std::fs::read(dir.join(FILE_NAME)).unwrap();

    let store = Store::open_to_read(&dir, options()).unwrap();
    let node = Node::builder(LwwMap::new()).store(store).listen("127.0.0.1:0");
    let node = node.start().await.unwrap();
    assert_eq!(node.id(), id);
    let peer = Node::builder(LwwMap::new()).peer(&address(&node)).start().await.unwrap();
    eventually("what is there", || peer.read(LwwMap::len) == 1).await;
    set(&peer, "theirs", 2).await;
    let error = node.update(LwwMap::set("ours", &3).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("opened to be read only"), "{error}");
    let error = node.load_from(&b"[[\"j\",1],5,\"A\"]\n\"SYNC\"\n"[..]).await.unwrap_err();
    assert!(error.to_string().contains("opened to be read only"), "{error}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.read(LwwMap::to_json), r#"{"k":1}"#);
    node.shutdown().await;
    peer.shutdown().await;
    assert!(std::fs::read(dir.join(FILE_NAME)).unwrap() == before);
}

/// What is written to a file that nobody finds any more is written to nowhere.
#[tokio::test]
async fn i3_a_node_whose_file_is_gone_fails_within_a_second_or_so_and_confirms_nothing() {
    for is_idle in [true, false] {
        let folder = Folder::new();
        let dir = folder.path("data");
        let node = start(&dir, options()).await;
        set(&node, "k", 1).await;
        std::fs::remove_file(dir.join(FILE_NAME)).unwrap();
        if !is_idle {
            let error = node.update(LwwMap::set("k", &2).unwrap()).await.unwrap_err();
            assert!(matches!(&error, UpdateError::NotStored(_)), "{error}");
        }
        let failure = tokio::time::timeout(Duration::from_secs(10), node.store_failure()).await;
        let failure = failure.expect("somebody looks");
        assert!(matches!(*failure, StoreError::Gone { .. }), "{failure}");
        // Nobody starts beside it on an empty directory.
        let second = Store::open(&dir, options()).unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }), "{second}");
        node.shutdown().await;
    }
}
