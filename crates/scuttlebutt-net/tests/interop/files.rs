//! Files: written by `createReadStream` and read by us, written by us and read by
//! `createWriteStream`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use scuttlebutt::{Mode, Replica, Session, SessionConfig, SessionEvent, SourceId, VersionVector};
use scuttlebutt_net::Rotation;
use serde_json::json;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{
    Kind, apply_to, assert_equal, builder, eventually, fresh_timestamp, lines_of, now_ms, write_at,
};

for_each_model!(theirs_read_by_us, ours_read_by_them, to_them_and_back, one_that_grows);

/// A folder that is gone when the test is.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("interop-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 60 updates of 4 sources, with values that need care.
fn some_lines<M: Kind>() -> Vec<String> {
    (0..60)
        .map(|n| {
            let (change, at) = (M::change(n), fresh_timestamp());
            format!("[{change},{at},\"{}é\"]", n % 4)
        })
        .collect()
}

fn replica<M: Kind>(id: &str) -> Replica<M> {
    Replica::new(SourceId::new(id).unwrap(), M::default())
}

/// Reads a file in portions of this size.
fn read_file<M: Kind>(replica: &mut Replica<M>, bytes: &[u8], portion: usize) {
    let mut session = Session::new(replica, now_ms(), SessionConfig::receive_only());
    for portion in bytes.chunks(portion) {
        session.receive(replica, now_ms(), portion).unwrap();
    }
    session.receive_end(replica, now_ms()).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| session.next_event()).collect();
    assert!(events.contains(&SessionEvent::HistoryReceived), "{events:?}");
}

/// What a file of this replica holds.
fn file_of<M: Kind>(replica: &mut Replica<M>, config: SessionConfig) -> Vec<u8> {
    let config = SessionConfig { mode: Mode::CatchUp, ..config };
    let mut session = Session::new(replica, now_ms(), config);
    let mut bytes = Vec::new();
    while !session.is_output_finished() {
        assert!(session.has_output(replica));
        session.transmit(replica, &mut bytes, 100);
    }
    bytes
}

async fn theirs_read_by_us<M: Kind>() {
    let folder = Folder::new();
    let file = folder.path("file");
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.apply(&some_lines::<M>()).await;
    js.write::<M>(&M::change(100)).await;
    js.run("save", json!({ "file": file })).await;
    let bytes = std::fs::read(&file).unwrap();

    for portion in [1, 7, bytes.len()] {
        let mut ours = replica::<M>("ours");
        read_file(&mut ours, &bytes, portion);
        assert_equal(&js.lines().await, &lines_of(&ours));
        let announced = ours.version_vector();
        for update in ours.updates_since(&VersionVector::new()) {
            let is_announced = announced.includes(update.source(), update.timestamp());
            assert!(is_announced, "{update:?} is not in {announced:?}");
        }
    }

    // The last newline may be missing, and dumps may follow one another.
    let mut twice = bytes.clone();
    twice.extend_from_slice(&bytes);
    twice.pop();
    let mut ours = replica::<M>("ours");
    read_file(&mut ours, &twice, 1_000);
    assert_equal(&js.lines().await, &lines_of(&ours));
}

async fn ours_read_by_them<M: Kind>() {
    let folder = Folder::new();
    let mut ours = replica::<M>("ours");
    apply_to(&mut ours, &some_lines::<M>());
    let change = scuttlebutt::Change::from_json(&M::change(100)).unwrap();
    ours.local_update(now_ms(), change).unwrap();

    for (name, announce_extensions) in [("plain", false), ("extended", true)] {
        let config = SessionConfig { announce_extensions, ..SessionConfig::send_only() };
        let file = folder.path(name);
        std::fs::write(&file, file_of(&mut ours, config)).unwrap();
        let mut js = Js::start::<M>(name, &[]).await;
        let answer = js.run("load", json!({ "file": file })).await;
        assert_eq!((&answer["synced"], &answer["errors"]), (&json!(true), &json!([])), "{name}");
        assert_equal(&js.lines().await, &lines_of(&ours));
    }
}

/// Their file of what was in ours is ours: but for the id and the order of the clock in the first
/// line, the bytes are the same.
async fn to_them_and_back<M: Kind>() {
    let folder = Folder::new();
    let (ours_file, theirs_file) = (folder.path("ours"), folder.path("theirs"));
    let node = builder::<M>("ours").start().await.unwrap();
    for n in 0..40 {
        write_at(&node, &M::change(n), fresh_timestamp());
    }
    let config = SessionConfig { announce_extensions: false, ..SessionConfig::send_only() };
    let bytes = node.write_replica(|replica| file_of(replica, config));
    std::fs::write(&ours_file, &bytes).unwrap();

    // The same id, so that even the first line is the same.
    let mut js = Js::start::<M>("ours", &[]).await;
    js.run("load", json!({ "file": ours_file })).await;
    js.run("save", json!({ "file": theirs_file })).await;
    let theirs = std::fs::read_to_string(&theirs_file).unwrap();
    assert_eq!(theirs, String::from_utf8(bytes).unwrap());
}

/// A file that a node goes on appending to is read by them at any time.
async fn one_that_grows<M: Kind>() {
    let folder = Folder::new();
    let file = folder.path("growing");
    let node = builder::<M>("ours").start().await.unwrap();
    write_at(&node, &M::change(0), fresh_timestamp());
    let appending = {
        let (node, file) = (node.clone(), file.clone());
        tokio::spawn(async move { node.append_to(file, Rotation::default()).await })
    };
    eventually(|| std::path::Path::new(&file).exists(), || "no file".to_owned()).await;
    for n in 1..30 {
        write_at(&node, &M::change(n), fresh_timestamp());
    }
    let expected = node.read_replica(lines_of);
    node.shutdown().await;
    appending.await.unwrap().unwrap();

    let mut js = Js::start::<M>("theirs", &[]).await;
    let answer = js.run("load", json!({ "file": file })).await;
    assert_eq!((&answer["synced"], &answer["errors"]), (&json!(true), &json!([])));
    assert_equal(&js.lines().await, &expected);
}
