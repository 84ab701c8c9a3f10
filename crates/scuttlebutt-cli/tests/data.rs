//! Data directories: the real binary on the real disk, killed, copied, damaged, exported and imported.

mod common;

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use common::{Folder, Running, command, done, fails, run};
use serde_json::Value;

fn updates(peer: &str) -> String {
    done(&["dump", "--peer", peer, "--updates"])
}

fn id_in(dir: &str) -> String {
    let inventory: Value =
        serde_json::from_str(&done(&["inspect", "--data", dir, "--json"])).expect("JSON");
    assert_eq!(inventory["damage"], Value::Null, "{inventory}");
    inventory["id"].as_str().expect("an id").to_owned()
}

fn set_many(peer: &str, keys: std::ops::Range<u32>) {
    for key in keys {
        done(&["set", "--peer", peer, &format!("key{key}"), &key.to_string()]);
    }
}

#[test]
fn serve_without_options_goes_on_where_it_ended() {
    let folder = Folder::new();
    let serve = || {
        let mut serve = command(&["serve", "--tcp", "127.0.0.1:0"]);
        let serve = Running::spawn(serve.current_dir(folder.path()));
        let line = serve.line();
        (serve, line.trim_start_matches("listening tcp ").to_owned())
    };
    let (first, peer) = serve();
    set_many(&peer, 0..3);
    let before = updates(&peer);
    let dir = folder.file("scuttlebutt-data");
    let id = id_in(&dir);
    // Without a farewell.
    first.kill();

    let (mut second, peer) = serve();
    second.wait_for_log("data read");
    assert_eq!(updates(&peer), before);
    assert_eq!(id_in(&dir), id);
    set_many(&peer, 3..5);
    second.signal("TERM");
    assert_eq!(second.wait().code(), Some(0));

    let (_third, peer) = serve();
    assert_eq!(updates(&peer).lines().count(), 5);
    assert_eq!(id_in(&dir), id);
}

#[test]
fn a_directory_serves_one_node_at_a_time_and_one_model() {
    let folder = Folder::new();
    let dir = folder.file("data");
    let (node, _) = Running::serve(&["--data", &dir]);
    let again = ["serve", "--tcp", "127.0.0.1:0", "--data", &dir];
    fails(&again, 1, "in use by another process");
    fails(&again, 1, "--memory");
    fails(&["compact", "--data", &dir], 1, "in use by a node");
    drop(node);
    fails(&[&again[..], &["--model", "events"]].concat(), 1, "holds a map; use --model map");
    assert!(done(&["compact", "--data", &dir]).contains("bytes after"));

    for command in ["export", "backup"] {
        let nowhere = folder.file("nowhere");
        fails(&[command, &folder.file("x"), "--data", &nowhere], 1, "there is no store here");
        assert!(!Path::new(&nowhere).exists(), "{command} makes nothing");
    }
    std::fs::create_dir(folder.file("other")).expect("a folder");
    std::fs::write(folder.file("other/scuttlebutt.redb"), "{}").expect("a file");
    fails(&["inspect", "--data", &folder.file("other")], 1, "not a store of scuttlebutt");
}

/// From a node that runs and from a directory at rest, compressed or not: the same file.
#[test]
fn files_go_out_and_come_back() {
    let folder = Folder::new();
    let dir = folder.file("data");
    let (mut node, peer) = Running::serve(&["--data", &dir]);
    set_many(&peer, 0..5);
    let history = updates(&peer);
    for name in ["running.jsonl", "running.jsonl.gz", "running.jsonl.zst"] {
        assert_eq!(done(&["export", &folder.file(name), "--data", &dir]), "");
    }
    let plain = std::fs::read_to_string(folder.file("running.jsonl")).expect("a file");
    assert_eq!(plain.lines().count(), 7);
    assert!(plain.contains(&history) && plain.ends_with("\"SYNC\"\n"));
    assert_eq!(done(&["export", "-", "--data", &dir]), plain);
    node.signal("TERM");
    node.wait();
    assert_eq!(done(&["export", "-", "--data", &dir]), plain);

    for name in ["running.jsonl", "running.jsonl.gz", "running.jsonl.zst"] {
        let copy = folder.file(&format!("copy of {name}"));
        let told = done(&["import", &folder.file(name), "--data", &copy]);
        assert_eq!(told, "5 updates imported, 0 superseded by newer ones, 0 known already\n");
        let again = done(&["import", &folder.file(name), "--data", &copy]);
        assert_eq!(again, "0 updates imported, 0 superseded by newer ones, 5 known already\n");
        let (_node, peer) = Running::serve(&["--data", &copy]);
        assert_eq!(updates(&peer), history);
    }

    // Into a node that runs, which shows and passes on what it is given.
    let running = folder.file("running");
    let (node, peer) = Running::serve(&["--data", &running]);
    let (_other, beyond) = Running::serve(&["--peer", &peer]);
    done(&["import", &folder.file("running.jsonl.zst"), "--data", &running]);
    assert!(node.line().starts_with("\"key0\"\t0\t"));
    while updates(&beyond) != history {}
}

#[test]
fn a_bad_file_is_told_by_its_line_and_what_is_good_is_kept() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("file"));
    let (_node, peer) = Running::serve(&["--data", &dir]);
    let stopped = folder.file("stopped");
    for dir in [&dir, &stopped] {
        std::fs::write(&file, "[[\"a\",1],5,\"A\"]\n<html>\n").expect("a file");
        fails(&["import", &file, "--data", dir], 1, "line 2: ");
        let ended = {
            std::fs::write(&file, "[[\"b\",1],6,\"A\"]\n[1]\n[[\"c\",1],7,\"A\"]\n")
                .expect("a file");
            run(&["import", &file, "--data", dir])
        };
        assert_eq!(ended.code, Some(1));
        assert!(ended.out.starts_with("2 updates imported"), "{}", ended.out);
        assert!(ended.err.contains("1 updates were left out; line 2: "), "{}", ended.err);
        assert!(ended.err.contains("no \"SYNC\" line"), "{}", ended.err);
    }
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"a\":1,\"b\":1,\"c\":1}\n");
    let (_node, peer) = Running::serve(&["--data", &stopped]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"a\":1,\"b\":1,\"c\":1}\n");
    fails(&["import", &folder.file("none"), "--data", &dir], 1, "No such file");
}

#[test]
fn what_is_wrong_in_a_file_is_passed_over_if_that_is_asked_for() {
    let folder = Folder::new();
    let (running, stopped) = (folder.file("running"), folder.file("stopped"));
    let file = folder.file("file");
    let (_node, _) = Running::serve(&["--data", &running]);
    let lines = "<html>\n[[\"a\",1],5,\"A\"]\n[1]\n\n[[\"b\",1],6,\"A\"]\n\"SYNC\"\n";
    std::fs::write(&file, lines).expect("a file");
    for dir in [&running, &stopped] {
        let ended = run(&["import", &file, "--data", dir]);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains("line 1: ") && !ended.err.contains("peer"), "{}", ended.err);
        let ended = run(&["import", &file, "--data", dir, "--skip-invalid"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.out.starts_with("2 updates imported"), "{}", ended.out);
        let told = "warning: 2 updates were left out; line 1: ";
        assert!(ended.err.contains(told) && !ended.err.contains("peer"), "{}", ended.err);
        assert_eq!(done(&["dump", "--data", dir]), "{\"a\":1,\"b\":1}\n");
    }
}

#[test]
fn lines_from_the_future_are_kept_for_their_time() {
    let folder = Folder::new();
    let (running, stopped) = (folder.file("running"), folder.file("stopped"));
    let file = folder.file("file");
    let (_node, _) = Running::serve(&["--data", &running]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = now.expect("after 1970").as_millis();
    // A day is what clocks may differ by.
    let line = |name: &str, ahead_ms: u128| {
        let at = now_ms + 24 * 3_600_000 + ahead_ms;
        format!("[[\"{name}\",1],{at},\"A\"]\n")
    };
    let lines = [line("soon", 4_000), line("late", 7_200_000), line("now", 0)];
    std::fs::write(&file, lines.concat() + "\"SYNC\"\n").expect("a file");
    for dir in [&running, &stopped] {
        let ended = run(&["import", &file, "--data", dir]);
        assert_eq!(
            (ended.code, &ended.out[..18]),
            (Some(0), "1 updates imported"),
            "{}",
            ended.err
        );
        let told =
            "note: 2 updates are from the future and kept for their time; the first is taken in";
        assert!(ended.err.contains(told), "{}", ended.err);
    }
    let (_stopped, _) = Running::serve(&["--data", &stopped]);
    for dir in [&running, &stopped] {
        common::eventually("the first", || {
            done(&["dump", "--data", dir]) == "{\"now\":1,\"soon\":1}\n"
        });
        let early = Path::new(dir).join("early.jsonl");
        common::eventually("the other is kept", || {
            std::fs::read_to_string(&early).is_ok_and(|kept| kept == lines[1])
        });
    }
}

#[test]
fn a_backup_is_taken_while_the_node_runs_and_writes_as_another() {
    let folder = Folder::new();
    let (dir, copy) = (folder.file("data"), folder.file("backup"));
    let (_node, peer) = Running::serve(&["--data", &dir]);
    set_many(&peer, 0..4);
    assert!(done(&["backup", &copy, "--data", &dir]).starts_with("4 updates copied to "));
    fails(&["backup", &copy, "--data", &dir], 1, "exists already");
    set_many(&peer, 4..6);

    let (twin, theirs) = Running::serve(&["--data", &copy, "--peer", &peer]);
    twin.wait_for_log("is a copy");
    assert_ne!(id_in(&copy), id_in(&dir));
    done(&["set", "--peer", &theirs, "key0", "\"new\""]);
    while updates(&theirs) != updates(&peer) {}
    assert_eq!(updates(&peer).lines().count(), 6);
}

#[test]
fn damage_is_told_and_repaired_only_when_asked() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("data/scuttlebutt.redb"));
    let (mut node, peer) = Running::serve(&["--data", &dir]);
    let (_other, beyond) = Running::serve(&["--peer", &peer]);
    done(&["set", "--peer", &peer, "-s", "marked", "here it is, so that it can be found"]);
    set_many(&peer, 0..3);
    while updates(&beyond).lines().count() < 4 {}
    let id = id_in(&dir);
    node.signal("TERM");
    node.wait();

    let mut bytes = Vec::new();
    let mut store = std::fs::File::options().read(true).write(true).open(&file).expect("a store");
    store.read_to_end(&mut bytes).expect("a store");
    let mark = b"so that it can be found";
    let places: Vec<_> =
        (0..bytes.len() - mark.len()).filter(|at| bytes[*at..].starts_with(mark)).collect();
    assert!(!places.is_empty());
    for at in places {
        store.seek(SeekFrom::Start(at as u64)).expect("a file");
        store.write_all(b"S").expect("a file");
    }
    drop(store);

    let serve = ["serve", "--tcp", "127.0.0.1:0", "--data", &dir];
    fails(&serve, 1, "--repair");
    let inspected = run(&["inspect", "--data", &dir]);
    assert_eq!(inspected.code, Some(1));
    assert!(inspected.out.contains("DAMAGED: "), "{}", inspected.out);

    // What was lost comes back from the peer.
    let (node, peer) = Running::serve(&["--data", &dir, "--repair", "--peer", &beyond]);
    while updates(&peer) != updates(&beyond) {}
    assert_eq!(updates(&peer).lines().count(), 4);
    assert!(Path::new(&folder.file("data/scuttlebutt.redb.damaged-1")).exists());
    assert_ne!(id_in(&dir), id);
    drop(node);
}

#[test]
fn an_event_log_keeps_as_much_as_it_is_told_to() {
    let folder = Folder::new();
    let dir = folder.file("log");
    let events =
        |args: &[&str]| Running::serve(&[&["--data", &dir, "--model", "events"], args].concat());
    let dump = |peer: &str| done(&["dump", "--peer", peer, "--model", "events"]);
    let (node, peer) = events(&[]);
    // By one source, whose newest event is always held.
    let lines: String = (1..=4).map(|n| format!("[[\"tick\",{n}],{n},\"A\"]\n")).collect();
    let file = format!("{lines}[[\"tock\",1],5,\"A\"]\n\"SYNC\"\n");
    std::fs::write(folder.file("events"), file).expect("a file");
    done(&["import", &folder.file("events"), "--data", &dir]);
    assert_eq!(dump(&peer).lines().count(), 5);
    node.kill();

    let (mut node, peer) = events(&["--keep-count", "2"]);
    assert_eq!(dump(&peer), "[\"tick\",3]\n[\"tick\",4]\n[\"tock\",1]\n");
    done(&["emit", "--peer", &peer, "tick", "5"]);
    let kept = "[\"tick\",4]\n[\"tock\",1]\n[\"tick\",5]\n";
    assert_eq!(dump(&peer), kept);
    // A peer that has nothing gets what is kept.
    let (_other, beyond) = Running::serve(&["--model", "events", "--peer", &peer]);
    while dump(&beyond) != kept {}
    node.signal("TERM");
    node.wait();
    // And no more is left on the disk.
    let inventory: Value =
        serde_json::from_str(&done(&["inspect", "--data", &dir, "--json"])).expect("JSON");
    assert_eq!(inventory["updates"], 3, "{inventory}");
    fails(&["serve", "--memory", "--keep-count", "2"], 2, "for --model events");
}

/// A small file system of its own, which goes when dropped.
struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` when this process may not mount.
    fn new(size: &str) -> Option<Self> {
        let disk = Self(Folder::new());
        disk.mount(&format!("size={size}")).then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(self.0.path());
        mount.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_ends_the_node_with_its_reason_and_loses_nothing() {
    let Some(disk) = SmallDisk::new("2m") else {
        eprintln!("SKIPPED: only root may mount a small file system");
        return;
    };
    let dir = disk.0.file("data");
    let (mut node, peer) = Running::serve(&["--data", &dir]);
    let long = "x".repeat(100_000);
    let mut acknowledged = Vec::new();
    let failed = (0..100).find_map(|n| {
        let key = format!("k{n}");
        let ended = run(&["set", "--peer", &peer, "-s", &key, &long, "--timeout", "3"]);
        match ended.code {
            Some(0) => {
                acknowledged.push(key);
                None
            }
            code => code,
        }
    });
    assert!(failed.is_some() && !acknowledged.is_empty(), "{acknowledged:?}");
    assert_eq!(node.wait().code(), Some(1));
    node.wait_for_log("no space left on the disk");
    assert!(disk.mount("remount,size=64m"));

    let (node, peer) = Running::serve(&["--data", &dir]);
    for key in &acknowledged {
        assert_eq!(done(&["get", "--peer", &peer, "-r", key]).trim_end(), long, "{key}");
    }
    set_many(&peer, 0..2);
    drop(node);
}
