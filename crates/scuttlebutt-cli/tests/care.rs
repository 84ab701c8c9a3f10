//! Data directories in bad states, and the ways out: damaged, removed, on a full disk, lied about.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use common::{Folder, Running, done, fails, run};

fn updates(peer: &str) -> String {
    done(&["dump", "--peer", peer, "--updates"])
}

/// `kill -9`, and then one bit of the last write is another.
#[test]
fn a_bit_that_flips_in_the_last_write_is_told_and_repaired() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("data/scuttlebutt.redb"));
    let (node, peer) = Running::serve(&["--data", &dir]);
    for n in 0..20 {
        done(&["set", "--peer", &peer, &format!("key{n}"), &n.to_string()]);
    }
    let before = std::fs::read(&file).expect("a store");
    done(&["set", "--data", &dir, "last", "1"]);
    node.kill();
    let content = std::fs::read(&file).expect("a store");
    let mark = b"[\"last\",1]";
    let at = content.windows(mark.len()).rposition(|at| at == mark).expect("it is there");
    assert!(before.get(at..at + mark.len()) != Some(&mark[..]));
    let store = std::fs::File::options().write(true).open(&file).expect("a store");
    store.write_all_at(&[content[at + 7] ^ 2], at as u64 + 7).expect("a file");

    let serve = ["serve", "--tcp", "127.0.0.1:0", "--data", &dir];
    fails(&serve, 1, "--repair");
    fails(&serve, 1, "damaged");
    fails(&["export", "-", "--data", &dir], 1, "damaged");
    let inspected = run(&["inspect", "--data", &dir]);
    assert_eq!(inspected.code, Some(1));
    assert!(
        inspected.out.contains("DAMAGED: the last commit that was confirmed"),
        "{}",
        inspected.out
    );
    let repaired = run(&["repair", "--data", &dir]);
    assert_eq!(repaired.code, Some(0), "{}", repaired.err);
    assert!(repaired.err.contains("updates are whole and kept"), "{}", repaired.err);
    assert_eq!(done(&["repair", "--data", &dir]), "nothing is damaged\n");
    let (_node, peer) = Running::serve(&["--data", &dir]);
    assert!(updates(&peer).lines().count() >= 20);
}

#[test]
fn a_file_that_is_removed_ends_the_node_which_rescues_what_it_confirmed() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("data/scuttlebutt.redb"));
    let (mut node, peer) = Running::serve(&["--data", &dir]);
    done(&["set", "--peer", &peer, "a", "1"]);
    let before = updates(&peer);
    std::fs::remove_file(&file).expect("a store");
    assert_eq!(node.wait().code(), Some(1));
    node.wait_for_log("all that was confirmed");
    node.wait_for_log("removed, moved or replaced while this node used it");
    assert!(!Path::new(&file).exists());
    let (_node, peer) = Running::serve(&["--data", &folder.file("data/rescued-1")]);
    assert_eq!(updates(&peer), before);
}

#[test]
fn data_that_is_only_read_is_served_and_stays_as_it_is() {
    let folder = Folder::new();
    let (dir, file) = (folder.file("data"), folder.file("data/scuttlebutt.redb"));
    let (node, peer) = Running::serve(&["--data", &dir]);
    done(&["set", "--peer", &peer, "a", "1"]);
    let held = updates(&peer);
    node.kill();
    let before = std::fs::read(&file).expect("a store");

    let (other, beyond) = Running::serve(&[]);
    done(&["set", "--peer", &beyond, "b", "2"]);
    let (node, peer) = Running::serve(&["--data", &dir, "--data-read-only", "--peer", &beyond]);
    node.wait_for_log("writes are refused");
    while updates(&beyond).lines().count() < 2 {}
    assert_eq!(updates(&peer), held, "what could not be kept is not taken");
    fails(&["set", "--peer", &peer, "c", "3"], 6, "");
    let import = folder.file("import");
    std::fs::write(&import, "[[\"d\",4],5,\"A\"]\n\"SYNC\"\n").expect("a file");
    fails(&["import", &import, "--data", &dir], 1, "opened to be read only");
    assert!(done(&["export", "-", "--data", &dir]).contains(held.trim_end()));
    drop((node, other));
    assert!(std::fs::read(&file).expect("a store") == before);
    let (_node, peer) = Running::serve(&["--data", &dir]);
    assert_eq!(updates(&peer), held);
    fails(&["serve", "--data-read-only", "--data", &folder.file("nowhere")], 1, "no store here");
    fails(&["serve", "--data-read-only", "--memory"], 2, "cannot be used with");
}

/// A small file system of its own, which goes when dropped.
struct SmallDisk(Folder);

impl SmallDisk {
    /// `None` when this process may not mount.
    fn new(options: &str) -> Option<Self> {
        let disk = Self(Folder::new());
        disk.mount(options).then_some(disk)
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
fn on_a_disk_that_is_full_or_read_only_data_can_still_be_read() {
    let Some(disk) = SmallDisk::new("size=4m") else {
        eprintln!("SKIPPED: only root may mount a small file system");
        return;
    };
    let dir = disk.0.file("data");
    let (node, peer) = Running::serve(&["--data", &dir]);
    done(&["set", "--peer", &peer, "a", "1"]);
    let held = updates(&peer);
    node.kill();
    let rest = std::fs::File::create(disk.0.file("rest")).expect("a file");
    while rest.set_len(0).is_ok() && std::io::copy(&mut std::io::repeat(1), &mut &rest).is_ok() {}
    let serve = ["serve", "--tcp", "127.0.0.1:0", "--data", &dir];
    drop(rest);
    for is_writable in [true, false] {
        if !is_writable {
            assert!(disk.mount("remount,ro"));
            fails(&serve, 1, "--data-read-only");
        }
        let (_node, peer) = Running::serve(&["--data", &dir, "--data-read-only"]);
        assert_eq!(updates(&peer), held);
        drop(_node);
        assert!(done(&["inspect", "--data", &dir]).contains("updates    1"));
        assert!(done(&["export", "-", "--data", &dir]).contains(held.trim_end()));
    }
}

#[test]
fn a_place_that_is_none_for_data_is_named() {
    let message = "/proc/scuttlebutt: a store cannot be kept here: no directory can be made here";
    fails(&["serve", "--data", "/proc/scuttlebutt"], 1, message);
    fails(&["serve", "--data", "/dev/null"], 1, "/dev/null");
}

/// Says that it has all of S up to 200, sends the update of then, and keeps the one before to itself.
fn lie(peer: &str) {
    let mut stream = TcpStream::connect(peer).expect("a node");
    let lies = "{\"id\":\"liar\",\"clock\":{\"S\":200}}\n[[\"b\",1],200,\"S\"]\n\"SYNC\"\n";
    stream.write_all(lies.as_bytes()).expect("a node");
    let heard = BufReader::new(stream.try_clone().expect("a socket")).lines();
    let mut heard = heard.map_while(Result::ok);
    assert!(heard.any(|line| line == "\"SYNC\""));
    while !updates(peer).contains("[\"b\",1]") {}
}

/// A lie about what is complete survives restarts, backups and files, until it is taken back.
#[test]
fn promises_that_were_lies_are_taken_back() {
    let folder = Folder::new();
    let dir = folder.file("data");
    let truth = "[[\"a\",1],100,\"S\"]\n[[\"b\",1],200,\"S\"]\n";
    std::fs::write(folder.file("truth"), format!("{truth}\"SYNC\"\n")).expect("a file");
    done(&["import", &folder.file("truth"), "--data", &folder.file("honest")]);
    let (_honest, honest) = Running::serve(&["--data", &folder.file("honest")]);

    let (mut node, peer) = Running::serve(&["--data", &dir]);
    lie(&peer);
    done(&["set", "--peer", &peer, "own", "1"]);
    node.signal("TERM");
    node.wait();
    done(&["backup", &folder.file("backup"), "--data", &dir]);
    done(&["export", &folder.file("lie"), "--data", &dir]);
    done(&["import", &folder.file("lie"), "--data", &folder.file("imported")]);

    for name in ["data", "backup", "imported"] {
        let dir = folder.file(name);
        let (node, peer) = Running::serve(&["--data", &dir, "--peer", &honest]);
        while updates(&honest) != updates(&peer) && !updates(&honest).contains("own") {}
        assert!(!updates(&peer).contains("[\"a\",1]"), "{name}: nobody asks for it");
        fails(&["repair", "--distrust-vector", "--data", &dir], 1, "in use by a node");
        drop(node);
        let told = done(&["repair", "--distrust-vector", "--data", &dir]);
        assert!(
            told.contains("promises forgotten: peers are asked for everything again"),
            "{told}"
        );
        let (_node, peer) = Running::serve(&["--data", &dir, "--peer", &honest]);
        let begun = std::time::Instant::now();
        while updates(&peer) != updates(&honest) {
            assert!(begun.elapsed().as_secs() < 20, "{name}: {}", updates(&peer));
        }
        assert!(updates(&peer).contains("[\"a\",1]") && updates(&peer).contains("own"), "{name}");
    }
}

#[test]
fn files_with_data_are_their_owners_alone() {
    let folder = Folder::new();
    let dir = folder.file("data");
    let mode = |name: &str| {
        let metadata = std::fs::metadata(folder.file(name)).expect(name);
        metadata.permissions().mode() & 0o777
    };
    let (_node, peer) = Running::serve(&["--data", &dir]);
    done(&["set", "--peer", &peer, "a", "1"]);
    done(&["export", &folder.file("export.gz"), "--data", &dir]);
    done(&["backup", &folder.file("backup"), "--data", &dir]);
    assert_eq!((mode("data"), mode("backup")), (0o700, 0o700));
    for file in ["data/scuttlebutt.redb", "data/scuttlebutt.lock", "backup/scuttlebutt.redb"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    assert_eq!(mode("export.gz"), 0o600);
    // Whoever has opened a file to others meant it.
    let open = std::fs::Permissions::from_mode(0o640);
    std::fs::set_permissions(folder.file("export.gz"), open).expect("a file");
    done(&["export", &folder.file("export.gz"), "--data", &dir]);
    assert_eq!(mode("export.gz"), 0o640);
}
