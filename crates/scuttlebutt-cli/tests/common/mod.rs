//! Runs the real binary and talks to what it starts.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than anything takes that works, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scuttlebutt"));
    command.args(args).stdin(Stdio::null());
    command.env_remove("RUST_LOG").env_remove("NO_COLOR");
    command
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Ended {
    let output = command(args).output().expect("the binary runs");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs a command that succeeds without a word on stderr, and answers its output.
pub(crate) fn done(args: &[&str]) -> String {
    let ended = run(args);
    assert_eq!((ended.code, &*ended.err), (Some(0), ""), "{args:?}");
    ended.out
}

/// Runs a command that fails: checks its code, and that its message contains the text.
pub(crate) fn fails(args: &[&str], code: i32, message: &str) {
    let ended = run(args);
    assert_eq!(ended.code, Some(code), "{args:?}: {}", ended.err);
    assert!(ended.err.contains(message), "{args:?}: {}", ended.err);
    // After what was logged.
    let is_error = |line: &str| line.starts_with("error: ");
    assert!(ended.err.lines().any(is_error), "{args:?}: {}", ended.err);
    assert_eq!(ended.out, "", "{args:?}");
}

/// A command that goes on; killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    log: Receiver<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(&mut command(args))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let lines = follow(child.stdout.take().expect("piped"));
        let log = follow(child.stderr.take().expect("piped"));
        Self { child, lines, log }
    }

    /// `serve` with these further arguments on a TCP port of its own, and its address. In memory,
    /// unless they say where.
    pub(crate) fn serve(args: &[&str]) -> (Self, String) {
        let mut all = vec!["serve", "--tcp", "127.0.0.1:0"];
        if !args.contains(&"--data") {
            all.push("--memory");
        }
        all.extend(args);
        let serve = Self::start(&all);
        let line = serve.line();
        let address = line.strip_prefix("listening tcp ");
        let address = address.expect("the address comes first").to_owned();
        (serve, address)
    }

    /// `watch` that has caught up.
    pub(crate) fn watch(args: &[&str]) -> Self {
        let mut all = vec!["watch"];
        all.extend(args);
        let watch = Self::start(&all);
        watch.wait_for_log("in sync");
        // It subscribes once it knows that.
        std::thread::sleep(Duration::from_millis(100));
        watch
    }

    /// The next line of stdout.
    pub(crate) fn line(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(error) => panic!("no line: {error}; stderr: {:?}", self.rest_of_log()),
        }
    }

    /// The lines of stdout up to its end.
    pub(crate) fn rest(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.log.recv_timeout(left) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("{text:?} was never logged"),
                Err(RecvTimeoutError::Disconnected) => panic!("ended before it logged {text:?}"),
            }
        }
    }

    /// The next line of stderr.
    pub(crate) fn log_line(&self) -> String {
        self.log.recv_timeout(PATIENCE).expect("a line on stderr")
    }

    pub(crate) fn rest_of_log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut would, as far as the process is concerned.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// No more of stdout is read.
    pub(crate) fn stop_reading(&mut self) {
        self.lines = channel().1;
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("it does not end"),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// A folder that nobody else uses, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }

    /// A path within, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The path of a Unix socket that nobody else uses, removed when dropped.
pub(crate) struct SocketPath(PathBuf);

impl SocketPath {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "scuttlebutt-{}-{}.sock",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path())
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits for what comes about by itself.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}
