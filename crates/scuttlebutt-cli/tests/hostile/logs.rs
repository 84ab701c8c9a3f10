//! What a peer can make the daemon write, and a daemon that cannot write it.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Folder, Running, command, done, eventually};
use crate::{DIGEST, connect, send};

/// Each of these thousands of lines is worth a line of the log by itself.
fn logs_little(beginning: &[u8], flood: &[u8], about: &str) {
    logged_of(beginning, flood, about).wait_for_log("more like the last, in 10 s");
}

/// A node that said something about this, and not too much.
fn logged_of(beginning: &[u8], flood: &[u8], about: &str) -> Running {
    let (serve, address) = Running::serve(&["--id", "victim"]);
    let mut peer = connect(&address);
    peer.write_all(beginning).expect("writes");
    let begun = Instant::now();
    for _ in 0..10_000 {
        // One at a time, as they come from the original: together they are told together.
        if peer.write_all(flood).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    let periods = begun.elapsed().as_secs() / 10 + 1;
    done(&["set", "--peer", &address, "k", "1"]);
    let lines = serve.rest_of_log();
    let count = lines.iter().filter(|line| line.contains(about)).count() as u64;
    assert!(count >= 1, "{lines:?}");
    assert!(count <= 10 * periods, "{count} lines in {periods} times ten seconds");
    serve
}

#[test]
fn arrays_that_are_no_updates_log_little() {
    logs_little(DIGEST, b"[]\n", "an array that is no update");
}

#[test]
fn timestamps_that_are_none_log_little() {
    logs_little(DIGEST, b"[[\"k\",1],0,\"S\"]\n", "is not greater than zero");
}

#[test]
fn updates_under_the_nodes_own_id_log_little() {
    logged_of(DIGEST, b"[[\"k\",1],1000,\"victim\"]\n", "this node's own id");
}

#[test]
fn sessions_that_end_badly_log_little() {
    let (serve, address) = Running::serve(&[]);
    for _ in 0..300 {
        send(&address, b"GET / HTTP/1.1\r\n\r\n");
    }
    done(&["set", "--peer", &address, "k", "1"]);
    let lines = serve.rest_of_log();
    let count = lines.iter().filter(|line| line.contains("speaks HTTP")).count();
    assert!((1..100).contains(&count), "{count} lines");
}

/// A disk that is full, as far as whoever writes can tell.
fn full_disk() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

/// A pipe that nobody reads, with no end to read it from.
fn closed_pipe() -> Stdio {
    std::io::pipe().expect("a pipe").1.into()
}

/// A pipe that nobody reads, but could; it is full.
fn stuck_pipe() -> (Stdio, std::io::PipeReader) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let filled = writer.try_clone().expect("another handle");
    std::thread::spawn(move || {
        // It ends when the pipe does.
        let _ = writer.write_all(&[b'x'; 1 << 20]);
    });
    std::thread::sleep(Duration::from_millis(200));
    (filled.into(), reader)
}

/// A child that ends with its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_daemon_whose_log_cannot_be_written_goes_on() {
    let (stuck, _reader) = stuck_pipe();
    for log in [full_disk(), closed_pipe(), stuck] {
        let folder = Folder::new();
        let socket = folder.file("socket");
        let serve = command(&["serve", "--memory", "--log", "debug", "--unix", &socket])
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn();
        let mut serve = Killed(serve.expect("the binary runs"));
        eventually("it listens", || std::path::Path::new(&socket).exists());
        let address = format!("unix:{socket}");
        // Sessions, the accept loop and the listener have each something to log.
        for nth in 0..20 {
            done(&["set", "--peer", &address, "k", &nth.to_string()]);
        }
        assert_eq!(done(&["get", "--peer", &address, "k"]), "19\n");
        assert!(serve.0.try_wait().expect("a child").is_none(), "it runs");
    }
}

#[test]
fn a_command_whose_output_cannot_be_written_says_so() {
    let folder = Folder::new();
    let data = folder.file("data");
    let file = folder.file("updates");
    std::fs::write(&file, b"[[\"k\",1],1,\"A\"]\n\"SYNC\"\n").expect("writes");
    done(&["import", "--data", &data, &file]);
    let backup = folder.file("backup");
    let commands = [
        vec!["import", "--data", &data, &file],
        vec!["compact", "--data", &data],
        vec!["backup", "--data", &data, &backup],
    ];
    for args in commands {
        for out in [full_disk(), closed_pipe()] {
            let _ = std::fs::remove_dir_all(&backup);
            let ended = command(&args).stdout(out).output().expect("the binary runs");
            let err = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert_eq!(ended.status.code(), Some(1), "{args:?}: {err}");
            assert!(err.contains("error: it is done, but cannot be told"), "{args:?}: {err}");
        }
        // And where that cannot be said either.
        let _ = std::fs::remove_dir_all(&backup);
        let status = command(&args).stdout(closed_pipe()).stderr(closed_pipe()).status();
        assert_eq!(status.expect("the binary runs").code(), Some(1), "{args:?}");
    }
}

#[test]
fn dead_peers_log_little() {
    let dead = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    let peers = dead.map(|address| ["--peer", address]).concat();
    let (serve, _) = Running::serve(&peers);
    std::thread::sleep(Duration::from_secs(8));
    let lines = serve.rest_of_log();
    let count = lines.iter().filter(|line| line.contains("cannot reach")).count();
    assert_eq!(count, dead.len(), "{lines:?}");
}
