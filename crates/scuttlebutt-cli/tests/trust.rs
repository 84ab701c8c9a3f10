//! Nodes that sign, and believe whom they were told to.
#![cfg(unix)]

mod common;

use std::time::{Duration, Instant};

use common::{Folder, PATIENCE, Running, command, done, fails, run};

/// A key, with its id.
fn key(folder: &Folder, name: &str) -> (String, String) {
    let path = folder.file(name);
    let id = done(&["keygen", &path]).trim_end().to_owned();
    (path, id)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has(peer: &str, key: &str) -> bool {
    run(&["get", "--peer", peer, key]).code == Some(0)
}

#[test]
fn only_what_is_signed_by_those_listed_counts() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let (ben, _) = key(&folder, "ben.key");
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("# who may write\n{ada_id} # Ada\n")).unwrap();
    let (_serve, peer) = Running::serve(&["--trust", &trusted]);

    done(&["set", "--peer", &peer, "--key", &ada, "by", "1"]);
    fails(&["set", "--peer", &peer, "--key", &ben, "by", "2"], 6, "did not accept");
    fails(&["set", "--peer", &peer, "by", "3"], 6, "did not accept");
    assert_eq!(done(&["get", "--peer", &peer, "by"]), "1\n");
    // Again under the same id, later than before.
    done(&["set", "--peer", &peer, "--key", &ada, "by", "4"]);
    done(&["set", "--peer", &peer, "--key", &ada, "also", "5"]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"also\":5,\"by\":4}\n");
    let updates = done(&["dump", "--peer", &peer, "--updates"]);
    assert!(updates.lines().all(|line| line.contains(&ada_id)), "{updates}");
}

#[test]
fn without_a_list_any_good_signature_counts() {
    let folder = Folder::new();
    let (ada, _) = key(&folder, "ada.key");
    let (_serve, peer) = Running::serve(&["--verify", "ed25519"]);
    done(&["set", "--peer", &peer, "--key", &ada, "k", "1"]);
    fails(&["set", "--peer", &peer, "k", "2"], 6, "did not accept");
}

#[test]
fn a_hangup_reads_the_list_again_and_a_wrong_one_changes_nothing() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, "").unwrap();
    let (serve, peer) = Running::serve(&["--trust", &trusted]);
    let set = ["set", "--peer", &peer, "--key", &ada, "k", "1"];
    fails(&set, 6, "did not accept");

    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    serve.signal("HUP");
    serve.wait_for_log("1 sources listed");
    done(&set);

    std::fs::write(&trusted, "two words\n").unwrap();
    serve.signal("HUP");
    serve.wait_for_log("line 1: it has more than one word");
    done(&set);

    // An editor that has just opened it, or a disk that is full.
    std::fs::write(&trusted, "").unwrap();
    serve.signal("HUP");
    serve.wait_for_log("names nobody");
    done(&set);
}

/// What one node held and another never had comes to the same on both, whichever list came first.
#[test]
fn i1_equal_lists_mean_equal_states() {
    let folder = Folder::new();
    let ((ada, ada_id), (ben, ben_id)) = (key(&folder, "ada.key"), key(&folder, "ben.key"));
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("{ada_id}\n{ben_id}\n")).unwrap();
    let dir = folder.file("data");
    let (mut old, peer) = Running::serve(&["--trust", &trusted, "--data", &dir]);
    done(&["set", "--peer", &peer, "--key", &ben, "by", "\"ben\""]);
    done(&["set", "--peer", &peer, "--key", &ada, "also", "1"]);
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    old.signal("HUP");
    old.wait_for_log("1 updates are withdrawn in all");
    let lines = [old.line(), old.line(), old.line()];
    assert_eq!(lines[2].trim_end(), "withdrawn", "{lines:?}");
    let (_new, new_peer) = Running::serve(&["--trust", &trusted, "--peer", &peer]);
    until("also", || has(&new_peer, "also"));
    for at in [&peer, &new_peer] {
        assert_eq!(done(&["dump", "--peer", at]), "{\"also\":1}\n");
    }
    // So it is after a start, and nothing was destroyed.
    old.signal("TERM");
    old.wait();
    let kept = std::fs::read_to_string(folder.file("data/withdrawn.jsonl")).unwrap();
    assert!(kept.contains("[[\"by\",\"ben\"]") && kept.lines().count() == 1, "{kept}");
    let (mut old, peer) = Running::serve(&["--trust", &trusted, "--data", &dir]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"also\":1}\n");
    std::fs::write(&trusted, format!("{ada_id}\n{ben_id}\n")).unwrap();
    old.signal("HUP");
    old.wait_for_log("2 sources listed");
    let imported = run(&["import", &folder.file("data/withdrawn.jsonl"), "--data", &dir]);
    assert_eq!(imported.code, Some(0), "{}", imported.err);
    assert!(has(&peer, "by"));
    // A list that changed while the node was away counts from its start on.
    old.signal("TERM");
    old.wait();
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    let (_old, peer) = Running::serve(&["--trust", &trusted, "--data", &dir]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"also\":1}\n");
}

#[test]
fn what_was_refused_is_asked_for_at_once_when_the_list_allows_it() {
    let folder = Folder::new();
    let ((ada, ada_id), (ben, ben_id)) = (key(&folder, "ada.key"), key(&folder, "ben.key"));
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    let (_relay, relay) = Running::serve(&[]);
    let (serve, peer) = Running::serve(&["--trust", &trusted, "--peer", &relay]);
    done(&["set", "--peer", &relay, "--key", &ada, "a", "1"]);
    done(&["set", "--peer", &relay, "--key", &ben, "b", "1"]);
    until("a", || has(&peer, "a"));
    assert!(!has(&peer, "b"));
    std::fs::write(&trusted, format!("{ada_id}\n{ben_id}\n")).unwrap();
    serve.signal("HUP");
    until("b", || has(&peer, "b"));
}

#[test]
fn readers_believe_whom_they_were_told_to() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    // It knows no keys, and passes on what it is told.
    let (_relay, peer) = Running::serve(&[]);
    done(&["set", "--peer", &peer, "--key", &ada, "true", "1"]);
    done(&["set", "--peer", &peer, "false", "1"]);
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"false\":1,\"true\":1}\n");
    let dumped = run(&["dump", "--peer", &peer, "--trust", &trusted]);
    assert_eq!((dumped.code, &*dumped.out), (Some(0), "{\"true\":1}\n"));
    assert!(dumped.err.contains("1 left out"), "{}", dumped.err);
    assert_eq!(run(&["get", "--peer", &peer, "--verify", "ed25519", "true"]).out, "1\n");
    assert_eq!(run(&["get", "--peer", &peer, "--verify", "ed25519", "false"]).code, Some(1));
    let watch = Running::watch(&["--peer", &peer, "--trust", &trusted, "--history"]);
    assert!(watch.line().starts_with("\"true\"\t1\t"));
    done(&["set", "--peer", &peer, "false", "2"]);
    // The writer, too, leaves out what is not signed, and says so.
    assert_eq!(run(&["set", "--peer", &peer, "--key", &ada, "true", "2"]).code, Some(0));
    assert!(watch.line().starts_with("\"true\"\t2\t"));
}

/// What was written by way of one peer is not hidden by what was written by way of another.
#[test]
fn i2_one_key_may_write_through_several_peers() {
    let folder = Folder::new();
    let (ada, _) = key(&folder, "ada.key");
    let (_first, first) = Running::serve(&[]);
    let (_second, second) = Running::serve(&[]);
    done(&["set", "--peer", &first, "--key", &ada, "a", "1"]);
    done(&["set", "--peer", &second, "--key", &ada, "b", "2"]);
    done(&["set", "--peer", &first, "--key", &ada, "c", "3"]);
    let (_third, third) = Running::serve(&["--peer", &first, "--peer", &second]);
    for peer in [&first, &second, &third] {
        until("all three", || done(&["dump", "--peer", peer]) == "{\"a\":1,\"b\":2,\"c\":3}\n");
    }
}

#[test]
fn a_node_signs_what_it_is_told_to_write() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let dir = folder.file("data");
    fails(&["set", "--data", &dir, "k", "1"], 3, "no node has");
    let (_serve, peer) = Running::serve(&["--data", &dir, "--key", &ada]);
    done(&["set", "--data", &dir, "k", "1"]);
    fails(&["emit", "--data", &dir, "tick"], 4, "holds a map; `scuttlebutt set --data");
    let updates = done(&["dump", "--peer", &peer, "--updates", "--verify", "ed25519"]);
    assert!(updates.contains(&ada_id) && updates.contains("\"ed25519:"), "{updates}");
    // It believes itself, and nobody without a key.
    fails(&["set", "--peer", &peer, "k", "2"], 6, "did not accept");
}

#[test]
fn a_directory_belongs_to_one_key() {
    let folder = Folder::new();
    let ((ada, ada_id), (ben, _)) = (key(&folder, "ada.key"), key(&folder, "ben.key"));
    let dir = folder.file("data");
    let serve = |more: &[&str]| {
        let mut all = vec!["serve", "--tcp", "127.0.0.1:0", "--data", &dir];
        all.extend(more);
        command(&all)
    };
    // From without a key to one.
    for more in [&[][..], &["--key", &ada]] {
        let mut running = Running::spawn(&mut serve(more));
        assert!(running.line().starts_with("listening"));
        done(&["set", "--data", &dir, &format!("with {} words", more.len()), "1"]);
        running.signal("TERM");
        running.wait();
    }
    for more in [&[][..], &["--key", &ben]] {
        let ended = serve(more).output().unwrap();
        let err = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{err}");
        assert!(err.contains(&format!("was written with the key of {ada_id}")), "{err}");
    }
}

/// A file that was set back in place shows nothing of it; the peers do.
#[test]
fn i3_a_node_that_was_set_back_takes_back_what_it_signed_before_it_writes() {
    let folder = Folder::new();
    let (ada, _) = key(&folder, "ada.key");
    let (dir, file) = (folder.file("data"), folder.file("data/scuttlebutt.redb"));
    let (_peer, peer) = Running::serve(&["--verify", "ed25519"]);
    let arguments = ["--data", &dir, "--key", &ada, "--peer", &peer];
    let (mut node, _) = Running::serve(&arguments);
    done(&["set", "--data", &dir, "early", "1"]);
    node.signal("TERM");
    node.wait();
    let snapshot = std::fs::read(&file).unwrap();
    let (mut node, _) = Running::serve(&arguments);
    done(&["set", "--data", &dir, "late", "2"]);
    until("late", || has(&peer, "late"));
    node.signal("TERM");
    node.wait();
    let mut set_back = std::fs::File::create(&file).unwrap();
    std::io::Write::write_all(&mut set_back, &snapshot).unwrap();
    drop(set_back);

    let (node, address) = Running::serve(&arguments);
    node.wait_for_log("peers hold updates of this node's key that it does not");
    until("late again", || has(&address, "late"));
    until("writing again", || run(&["set", "--data", &dir, "again", "3"]).code == Some(0));
    for peer in [&peer, &address] {
        let all = "{\"again\":3,\"early\":1,\"late\":2}\n";
        let sorted = || {
            let dump = done(&["dump", "--peer", peer]);
            dump.contains("again") && dump.contains("early") && dump.contains("late")
        };
        until(all, sorted);
    }
    // A backup shows that it is one.
    let backup = folder.file("backup");
    assert_eq!(run(&["backup", &backup, "--data", &dir]).code, Some(0));
    drop(node);
    let (_alone, _) = Running::serve(&["--data", &backup, "--key", &ada]);
    fails(&["set", "--data", &backup, "k", "1"], 1, "it writes again once a peer");
}

#[test]
fn what_does_not_fit_together_is_said() {
    let folder = Folder::new();
    let serve = |more: &[&str], code, message: &str| {
        let mut all = vec!["serve", "--memory", "--tcp", "127.0.0.1:0"];
        all.extend(more);
        fails(&all, code, message);
    };
    serve(&["--trust", &folder.file("none")], 1, "No such file");
    if cfg!(feature = "rsa-sha1") {
        serve(&["--verify", "rsa-sha1"], 2, "belong together");
    } else {
        serve(&["--verify", "rsa-sha1"], 2, "--features rsa-sha1");
    }
}

#[test]
fn an_import_believes_whom_it_is_told_to() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let (trusted, file) = (folder.file("trusted.txt"), folder.file("all.jsonl"));
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    let (_serve, peer) = Running::serve(&[]);
    done(&["set", "--peer", &peer, "--key", &ada, "by", "1"]);
    done(&["set", "--peer", &peer, "forged", "2"]);
    std::fs::write(&file, done(&["dump", "--peer", &peer, "--updates"])).unwrap();

    let dir = folder.file("judged");
    let ended = run(&["import", &file, "--data", &dir, "--trust", &trusted]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.out.starts_with("1 updates imported"), "{}", ended.out);
    assert!(
        ended.err.contains("1 updates were left out") && ended.err.contains("verify FILE"),
        "{}",
        ended.err
    );
    let (_serve, judged) = Running::serve(&["--data", &dir]);
    assert_eq!(done(&["dump", "--peer", &judged]), "{\"by\":1}\n");
    // A node that runs has its own rules.
    fails(&["import", &file, "--data", &dir, "--trust", &trusted], 2, "leave out --trust");

    let dir = folder.file("believed");
    let told = run(&["import", &file, "--data", &dir]);
    assert!(told.out.starts_with("2 updates imported"), "{}", told.out);
}

/// What a key wrote until its end counts everywhere, and nothing later does anywhere.
#[test]
fn a_revoked_key_keeps_what_it_wrote_and_writes_no_more() {
    let folder = Folder::new();
    let ((ada, ada_id), (ben, ben_id)) = (key(&folder, "ada.key"), key(&folder, "ben.key"));
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("# writers\n{ada_id}\n{ben_id} # Ben\n")).unwrap();
    let dir = folder.file("data");
    let (serve, peer) = Running::serve(&["--trust", &trusted, "--data", &dir]);
    done(&["set", "--peer", &peer, "--key", &ben, "by", "1"]);
    let revoked = done(&["trust", "revoke", &ben_id, "--trust", &trusted, "--data", &dir]);
    assert!(revoked.contains("counts, and nothing later\n"), "{revoked}");
    let list = std::fs::read_to_string(&trusted).unwrap();
    assert!(list.contains(&format!("\n{ben_id} until ")) && list.ends_with(" # Ben\n"), "{list}");
    serve.signal("HUP");
    serve.wait_for_log("2 sources listed");
    fails(&["set", "--peer", &peer, "--key", &ben, "by", "2"], 6, "");
    done(&["set", "--peer", &peer, "--key", &ada, "also", "1"]);
    let (_new, new) = Running::serve(&["--trust", &trusted, "--peer", &peer]);
    until("also", || has(&new, "also"));
    for at in [&peer, &new] {
        let dumped = done(&["dump", "--peer", at]);
        assert!(dumped.contains("\"by\":1") && dumped.contains("\"also\":1"), "{dumped}");
    }

    done(&["trust", "revoke", &ben_id, "--trust", &trusted, "--altogether"]);
    assert_eq!(std::fs::read_to_string(&trusted).unwrap(), format!("# writers\n{ada_id}\n"));
    serve.signal("HUP");
    serve.wait_for_log("withdrawn in all");
    assert_eq!(done(&["dump", "--peer", &peer]), "{\"also\":1}\n");
    let again = ["trust", "revoke", &ben_id, "--trust", &trusted, "--altogether"];
    fails(&again, 1, "is not on it");
    let nothing = ["trust", "revoke", &ada_id, "--trust", &trusted, "--data", &folder.file("none")];
    fails(&nothing, 1, "there is no data");
}

#[test]
fn a_node_gets_another_key_and_goes_on() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("{ada_id}\n")).unwrap();
    let dir = folder.file("data");
    let (other, peer) = Running::serve(&["--trust", &trusted]);
    let arguments = ["--key", &ada, "--trust", &trusted, "--data", &dir, "--peer", &peer];
    let (mut node, _) = Running::serve(&arguments);
    done(&["set", "--data", &dir, "early", "1"]);
    until("early", || has(&peer, "early"));
    let rotate = ["key", "rotate", "--key", &ada, "--trust", &trusted, "--data", &dir];
    fails(&rotate, 1, "stop it first");
    node.signal("TERM");
    node.wait();
    let rotated = done(&rotate);
    let new_id = rotated.lines().next().unwrap().to_owned();
    assert_ne!(new_id, ada_id);
    assert_eq!(done(&["id", "--key", &ada]).trim_end(), new_id);
    assert_eq!(done(&["id", "--key", &format!("{ada}.old")]).trim_end(), ada_id);
    fails(&rotate, 1, "put it away first");
    other.signal("HUP");
    other.wait_for_log("2 sources listed");
    let (_node, _) = Running::serve(&arguments);
    done(&["set", "--data", &dir, "late", "2"]);
    until("late", || has(&peer, "late"));
    assert!(has(&peer, "early"));
    let old = format!("{ada}.old");
    fails(&["set", "--peer", &peer, "--key", &old, "stolen", "3"], 6, "");
}

#[test]
fn what_looks_like_a_list_or_a_key_and_is_not_is_refused_at_once() {
    let folder = Folder::new();
    let (ada, ada_id) = key(&folder, "ada.key");
    let list = folder.file("list.txt");
    let secret = std::fs::read_to_string(&ada).unwrap();
    let secret = secret.lines().last().unwrap();
    for (text, fault) in [
        (format!("\u{feff}{ada_id}\n"), "line 1: it begins with a byte order mark"),
        (
            format!("# a\n{ada_id}\u{200b}\n"),
            "line 2: there is an invisible character in the id, U+200B",
        ),
        (
            format!("\n{}\n", ada_id.replace("ed25519:", "Ed25519:")),
            "line 2: an Ed25519 public key begins with `ed25519:`",
        ),
        (format!("{ada_id}\n{secret}\n"), "line 2: it is a secret key"),
        (format!("{ada_id} until\n"), "line 1: behind `until`"),
    ] {
        std::fs::write(&list, text).unwrap();
        let ended = run(&["serve", "--memory", "--tcp", "127.0.0.1:0", "--trust", &list]);
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains(fault) && !ended.err.contains(secret), "{}", ended.err);
    }
    std::fs::write(&list, format!("{ada_id} until 5\n")).unwrap();
    let tls = ["serve", "--memory", "--tls", "127.0.0.1:0", "--node-key", &ada, "--admit", &list];
    fails(&tls, 1, "`until` is for what somebody wrote");

    // Nobody ever opens the other end.
    let fifo = folder.file("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let begun = Instant::now();
    for option in ["--key", "--trust", "--node-key", "--cert", "--ca", "--admit"] {
        let arguments = ["serve", "--memory", "--tcp", "127.0.0.1:0", option, &fifo];
        fails(&arguments, 1, "it is not a file");
    }
    fails(&["id", "--key", &fifo], 1, "it is not a file");
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
