//! `--data` where a command reads or writes: by way of the node that has the directory open, or the
//! directory itself; and what is advised where another model is held.

mod common;

use std::time::{Duration, Instant};

use common::{Folder, Running, command, done, eventually, fails, run};

/// A node of this model in a directory of its own.
fn node(folder: &Folder, model: &str, more: &[&str]) -> (Running, String) {
    let dir = folder.file(model);
    let all = [&["--data", &dir, "--model", model], more].concat();
    (Running::serve(&all).0, dir)
}

#[test]
fn what_a_directory_holds_is_read_with_and_without_its_node() {
    let folder = Folder::new();
    let (mut map, map_dir) = node(&folder, "map", &[]);
    let (mut value, value_dir) = node(&folder, "value", &[]);
    let (mut events, events_dir) = node(&folder, "events", &[]);
    done(&["set", "--data", &map_dir, "k", "[1]"]);
    done(&["set", "--data", &map_dir, "gone", "1"]);
    done(&["set", "--data", &map_dir, "gone", "null"]);
    done(&["set", "--data", &value_dir, "--model", "value", "42"]);
    done(&["emit", "--data", &events_dir, "tick", "1"]);

    let read = || {
        assert_eq!(done(&["get", "--data", &map_dir, "k"]), "[1]\n");
        fails(&["get", "--data", &map_dir, "gone"], 1, "has no value at \"gone\"");
        fails(&["get", "--data", &map_dir], 2, "get what? Name a key\n");
        assert_eq!(done(&["get", "--data", &value_dir]), "42\n");
        assert_eq!(done(&["dump", "--data", &map_dir]), "{\"k\":[1]}\n");
        assert_eq!(done(&["dump", "--data", &value_dir]), "42\n");
        assert_eq!(done(&["dump", "--data", &events_dir]), "[\"tick\",1]\n");
        assert_eq!(done(&["dump", "--data", &map_dir, "--updates"]).lines().count(), 2);
    };
    read();
    for node in [&mut map, &mut value, &mut events] {
        node.signal("TERM");
        assert!(node.wait().success());
    }
    read();
    fails(&["watch", "--data", &map_dir], 3, "no node has");
    fails(&["set", "--data", &map_dir, "k", "1"], 3, "start it with `scuttlebutt serve`");
    let nowhere = folder.file("nowhere");
    for command in ["get", "dump", "watch"] {
        fails(&[command, "--data", &nowhere], 1, "there is no store here");
    }
    assert!(!std::path::Path::new(&nowhere).exists());
    // Nothing of that made it another node's directory.
    let (_map, _) = node(&folder, "map", &[]);
    assert_eq!(done(&["get", "--data", &map_dir, "k"]), "[1]\n");
}

/// Two that read a directory at rest wait for each other.
#[test]
fn a_directory_at_rest_is_read_by_several_at_once() {
    let folder = Folder::new();
    let (mut map, dir) = node(&folder, "map", &[]);
    done(&["set", "--data", &dir, "k", "1"]);
    map.signal("TERM");
    map.wait();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(done(&["get", "--data", &dir, "k"]), "1\n"));
        }
    });
}

#[test]
fn a_node_is_watched_by_its_directory_and_so_is_the_next() {
    let folder = Folder::new();
    let (first, dir) = node(&folder, "map", &[]);
    done(&["set", "--data", &dir, "before", "1"]);
    let history = Running::start(&["watch", "--data", &dir, "--history"]);
    assert!(history.line().starts_with("\"before\"\t1\t"));
    let watch = Running::watch(&["--data", &dir]);
    done(&["set", "--data", &dir, "k", "1"]);
    for watch in [&watch, &history] {
        assert!(watch.line().starts_with("\"k\"\t1\t"));
    }
    drop(first);
    watch.wait_for_log("no node has");
    let (_second, _) = node(&folder, "map", &[]);
    done(&["set", "--data", &dir, "k", "2"]);
    assert!(watch.line().starts_with("\"k\"\t2\t"));
    // Whoever watches takes no seat from those who ask.
    let watching: Vec<_> =
        (0..10).map(|_| Running::start(&["watch", "--data", &dir, "--history"])).collect();
    assert!(watching.iter().all(|watch| watch.line().starts_with('"')));
    let asked = Instant::now();
    assert_eq!(done(&["get", "--data", &dir, "k"]), "2\n");
    assert!(asked.elapsed() < Duration::from_secs(5));
}

/// What retention has let go is held as evidence, and shown by no node of that retention.
#[test]
fn events_that_were_let_go_are_not_shown() {
    let folder = Folder::new();
    let (_events, dir) = node(&folder, "events", &["--keep-count", "2"]);
    let peer = {
        let lines: String = (1..=5).map(|n| format!("[[\"tick\",{n}],{n},\"A{n}\"]\n")).collect();
        std::fs::write(folder.file("file"), lines + "\"SYNC\"\n").expect("a file");
        folder.file("file")
    };
    done(&["import", &peer, "--data", &dir]);
    eventually("the newest two", || {
        done(&["dump", "--data", &dir]) == "[\"tick\",4]\n[\"tick\",5]\n"
    });
}

/// The command between backticks, as a shell would run it.
fn advised(message: &str) -> std::process::Output {
    let advice = message.split('`').nth(1).unwrap_or_else(|| panic!("no advice: {message}"));
    let words = advice.strip_prefix("scuttlebutt ").expect("a command");
    let binary = command(&[]).get_program().to_owned();
    let script = format!("exec \"$0\" {words}");
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(script).arg(binary).output().expect("sh runs")
}

#[test]
fn what_is_advised_for_another_model_works() {
    let folder = Folder::new();
    let nodes = ["map", "events", "value"].map(|model| node(&folder, model, &[]));
    let dirs = nodes.each_ref().map(|(_, dir)| dir.as_str());
    let updates = |dir: &str| done(&["dump", "--data", dir, "--updates"]).lines().count();
    for (held, writes) in dirs.iter().zip([
        [
            &["emit", "it's", "[1, 2]", "\"b c\""][..],
            &["emit", "tick"],
            &["set", "--model", "value", "-1"],
        ],
        [
            &["set", "it's", "{\"a\": null}"],
            &["set", "k", "-1"],
            &["set", "--model", "value", "\"x\""],
        ],
        [&["set", "k", "\"don't\""], &["emit", "tick", "1"], &["emit", "tick"]],
    ]) {
        for (n, write) in writes.iter().enumerate() {
            let refused = run(&[write, &["--data", held][..]].concat());
            assert_eq!(refused.code, Some(4), "{write:?} {}", refused.err);
            assert!(refused.err.contains("nothing is written"), "{}", refused.err);
            let before = updates(held);
            let advised = advised(&refused.err);
            assert!(advised.status.success(), "{}\n{advised:?}", refused.err);
            // The value, and each key, counts once.
            assert!(updates(held) > before || n > 0, "{}", refused.err);
        }
    }
    let [map, events, value] = dirs;
    for (read, exists) in [
        (&["get", "k", "--data", events][..], "it's"),
        (&["dump", "--model", "map", "--data", events], "it's"),
        (&["watch", "--model", "events", "--data", map], "tick"),
        (&["dump", "--model", "events", "--data", value], "true"),
    ] {
        let refused = run(read);
        assert_eq!(refused.code, Some(4), "{read:?} {}", refused.err);
        let advised = advised(&refused.err);
        let shown = String::from_utf8_lossy(&advised.stdout);
        assert!(advised.status.success() && shown.contains(exists), "{read:?} {advised:?}");
    }
    for conflicting in [&["--peer", "h:1"][..], &["--trust", "x"], &["--key", "x"]] {
        let all = [&["set", "--data", map, "k", "1"], conflicting].concat();
        assert_eq!(run(&all).code, Some(2), "{conflicting:?}");
    }
}
