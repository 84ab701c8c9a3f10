//! One kill after the other, on data that the earlier ones have left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scuttlebutt::{EventLog, LwwMap, Update, UpdateId};
use scuttlebutt_net::Node;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::check::{self, Kind, change};
use crate::daemon::Daemon;
use crate::flips::{Flip, Flips};
use crate::phase::{Kill, Phase};

/// After so many rounds, with new data.
const ROUNDS_OF_ONE_LIFE: u32 = 20;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rounds {
    binary: PathBuf,
    chance: StdRng,
    folder: PathBuf,
    life: Option<Life>,
    acknowledged: usize,
    held: usize,
    flips_each: u32,
    flips: Flips,
}

/// A data directory, and the peer that shares its data and is never killed.
struct Life {
    is_map: bool,
    buffered: bool,
    data: PathBuf,
    peer: Daemon,
    peer_address: String,
    /// In this round.
    acknowledged: Vec<Update>,
    /// In earlier ones.
    known: Vec<Update>,
}

impl Drop for Rounds {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Rounds {
    pub(crate) fn new(binary: PathBuf, seed: u64, flips_each: u32) -> Self {
        let folder = std::env::temp_dir().join(format!("crash-{}", std::process::id()));
        let chance = StdRng::seed_from_u64(seed);
        let (life, flips) = (None, Flips::default());
        Self { binary, chance, folder, life, acknowledged: 0, held: 0, flips_each, flips }
    }

    /// Leaves the files where they are.
    pub(crate) fn keep(&mut self) -> PathBuf {
        std::mem::take(&mut self.folder)
    }

    /// Updates acknowledged, and updates found, over all rounds.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.acknowledged, self.held)
    }

    /// What became of the flipped bits, over all rounds.
    pub(crate) fn flips(&self) -> Flips {
        self.flips
    }

    pub(crate) async fn next(&mut self, round: u32) -> Result<Kill, String> {
        let mut life = match self.life.take() {
            Some(life) if !round.is_multiple_of(ROUNDS_OF_ONE_LIFE) => life,
            _ => self.begin(round).await?,
        };
        let kill = match life.is_map {
            true => self.round::<LwwMap>(&mut life).await,
            false => self.round::<EventLog>(&mut life).await,
        };
        let kill = kill.map_err(|error| {
            let durability = if life.buffered { "buffered" } else { "synced" };
            format!("{error} ({durability}, data in {})", life.data.display())
        })?;
        self.life = Some(life);
        Ok(kill)
    }

    async fn begin(&mut self, round: u32) -> Result<Life, String> {
        let folder = self.folder.join(format!("life-{round}"));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let (is_map, buffered) = (self.chance.random_bool(0.5), self.chance.random_bool(0.3));
        let model = if is_map { LwwMap::NAME } else { EventLog::NAME };
        let mut arguments = vec!["serve", "--tcp", "127.0.0.1:0", "--memory", "--model", model];
        if self.chance.random_bool(0.5) {
            // It speaks JSON with all, who speak binary with each other.
            arguments.push("--no-binary");
        } else if self.chance.random_bool(0.5) {
            arguments.push("--compress");
        }
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let mut peer = Daemon::start(&self.binary, &arguments, None)?;
        let peer_address = peer.address().await?;
        let (data, acknowledged, known) = (folder.join("data"), Vec::new(), Vec::new());
        Ok(Life { is_map, buffered, data, peer, peer_address, acknowledged, known })
    }

    async fn round<M: Kind>(&mut self, life: &mut Life) -> Result<Kill, String> {
        let phase = Phase::draw(&mut self.chance);
        // There is room for little more.
        let is_tight = self.chance.random_bool(0.3)
            && matches!(phase, Phase::ServingWriters | Phase::Writing | Phase::Importing);
        let size = std::fs::metadata(life.data.join(scuttlebutt_store::FILE_NAME));
        let room = self.chance.random_range(0..60_000);
        let limit = is_tight.then(|| size.map_or(100_000, |file| file.len()) + room);
        let mut after_disk_fault = false;

        match phase {
            Phase::Opening => {
                let node = self.serve::<M>(life, None, true)?;
                self.pause(0..30).await;
                node.kill().await;
            }
            Phase::Compacting => {
                if life.data.exists() {
                    let data = life.data.display().to_string();
                    let compact = ["compact".to_owned(), "--data".to_owned(), data];
                    let node = Daemon::start(&self.binary, &compact, None)?;
                    self.pause(0..60).await;
                    node.kill().await;
                }
            }
            Phase::CatchingUp => self.catch_up::<M>(life).await?,
            Phase::Writing => {
                let node = self.writer::<M>(life, limit)?;
                self.pause(5..400).await;
                after_disk_fault = !node.errors().is_empty();
                check_errors(&node, limit)?;
                life.acknowledged.extend(node.kill().await);
            }
            Phase::ServingWriters => {
                after_disk_fault = self.serve_writers::<M>(life, limit).await?;
            }
            Phase::Importing => self.import::<M>(life, limit).await?,
            Phase::BackingUp => self.back_up::<M>(life).await?,
            Phase::ShuttingDown => {
                let mut node = self.serve::<M>(life, None, true)?;
                let address = node.address().await?;
                let clients = self.clients::<M>(&address);
                self.pause(20..150).await;
                if let Some(id) = node.id() {
                    let term = Command::new("kill").args(["-s", "TERM", &id.to_string()]).status();
                    term.await.map_err(|error| error.to_string())?;
                }
                self.pause(0..40).await;
                node.kill().await;
                life.acknowledged.extend(clients.end().await);
            }
        }
        self.look::<M>(life).await?;
        Ok(Kill { phase, after_disk_fault })
    }

    /// Writers at a node that is killed; answers whether its disk had refused.
    async fn serve_writers<M: Kind>(
        &mut self,
        life: &mut Life,
        limit: Option<u64>,
    ) -> Result<bool, String> {
        let mut node = self.serve::<M>(life, limit, true)?;
        let address = match node.address().await {
            Ok(address) => address,
            // No room even to open it.
            Err(_) if limit.is_some() => return Ok(true),
            Err(error) => return Err(error),
        };
        let clients = self.clients::<M>(&address);
        self.pause(5..500).await;
        let had_fault = !node.errors().is_empty() || node.has_ended();
        check_errors(&node, limit)?;
        node.kill().await;
        life.acknowledged.extend(clients.end().await);
        Ok(had_fault)
    }

    /// A node that has much to take from its peer.
    async fn catch_up<M: Kind>(&mut self, life: &mut Life) -> Result<(), String> {
        let source = Node::builder(M::default()).listen("127.0.0.1:0").start().await;
        let source = source.map_err(|error| error.to_string())?;
        for n in 0..self.chance.random_range(100..3_000) {
            source.update(change(n, 50)).await.map_err(|error| error.to_string())?;
        }
        let from = source.listeners()[0].address().to_string();
        let mut arguments = self.arguments::<M>(life, true);
        arguments.extend(["--peer".to_owned(), from]);
        let node = Daemon::start(&self.binary, &arguments, None)?;
        self.pause(5..150).await;
        node.kill().await;
        source.shutdown().await;
        Ok(())
    }

    /// A file is read into a running node. What the command says is imported is acknowledged.
    async fn import<M: Kind>(&mut self, life: &mut Life, limit: Option<u64>) -> Result<(), String> {
        let source = Node::builder(M::default()).start().await.map_err(|e| e.to_string())?;
        for n in 0..self.chance.random_range(10..3_000) {
            source.update(change(n, 50)).await.map_err(|error| error.to_string())?;
        }
        let mut file = Vec::new();
        source.save_to(&mut file).await.map_err(|error| error.to_string())?;
        let path = life.data.with_file_name("import.jsonl");
        std::fs::write(&path, &file).map_err(|error| error.to_string())?;
        let mut node = self.serve::<M>(life, limit, true)?;
        if node.address().await.is_err() && limit.is_some() {
            return Ok(());
        }
        let mut import = Command::new(&self.binary);
        import.arg("import").arg(&path).arg("--data").arg(&life.data);
        import.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let import = import.spawn().map_err(|error| error.to_string())?;
        self.pause(0..100).await;
        check_errors(&node, limit)?;
        node.kill().await;
        if let Ok(output) = import.wait_with_output().await
            && output.status.success()
        {
            let text = String::from_utf8_lossy(&file);
            life.acknowledged.extend(check::parse(&text)?.into_values());
        }
        Ok(())
    }

    /// A backup is there whole, or not at all.
    async fn back_up<M: Kind>(&mut self, life: &mut Life) -> Result<(), String> {
        let mut node = self.serve::<M>(life, None, true)?;
        node.address().await?;
        let copy = life.data.with_file_name("backup");
        let _ = std::fs::remove_dir_all(&copy);
        let mut backup = Command::new(&self.binary);
        backup.arg("backup").arg(&copy).arg("--data").arg(&life.data);
        backup.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut backup = backup.spawn().map_err(|error| error.to_string())?;
        self.pause(0..60).await;
        node.kill().await;
        let told = backup.wait().await.map_err(|error| error.to_string())?.success();
        let is_there = copy.join(scuttlebutt_store::FILE_NAME).exists();
        if told && !is_there {
            return Err("a backup that was reported is not there".to_owned());
        }
        if is_there {
            let held = self.export(&copy).await?;
            if told {
                check::check::<M>(&held, &life.known)?;
            }
        }
        Ok(())
    }

    /// What is left on the disk, and then whether a node that goes on with it agrees with its peer.
    async fn look<M: Kind>(&mut self, life: &mut Life) -> Result<(), String> {
        if !life.data.join(scuttlebutt_store::FILE_NAME).exists() {
            return match life.acknowledged.is_empty() && life.known.is_empty() {
                true => Ok(()),
                false => Err("the data is gone".to_owned()),
            };
        }
        for _ in 0..self.flips_each {
            self.flip::<M>(life).await?;
        }
        let held = self.export(&life.data).await?;
        check::check::<M>(&held, &life.known)?;
        check::check::<M>(&held, &life.acknowledged)?;
        self.held += held.len();
        self.acknowledged += life.acknowledged.len();
        life.acknowledged.clear();

        let mut node = self.serve::<M>(life, None, true)?;
        let address = node.address().await?;
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (here, there) =
                (self.dump::<M>(&address).await?, self.dump::<M>(&life.peer_address).await?);
            if here == there && here.len() >= held.len().min(1) {
                break;
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("{} updates here, {} there", here.len(), there.len()));
            }
        }
        if life.peer.has_ended() {
            return Err(format!("the peer has ended: {:?}", life.peer.errors()));
        }
        // Acknowledged to the peer, which asks for none of it again: the next round must find it.
        life.known = self.dump::<M>(&address).await?.into_values().collect();
        node.kill().await;
        Ok(())
    }

    /// One bit flips: nothing is missing, or the data is told to be damaged.
    async fn flip<M: Kind>(&mut self, life: &Life) -> Result<(), String> {
        let path = life.data.join(scuttlebutt_store::FILE_NAME);
        let flip = Flip::draw(&path, life.acknowledged.last(), &mut self.chance)?;
        let place = format!("bit {} of byte {} flipped", flip.bit, flip.at());
        match self.export(&life.data).await {
            Ok(held) => {
                let all = [&life.known, &life.acknowledged];
                for acknowledged in all {
                    check::check::<M>(&held, acknowledged)
                        .map_err(|error| format!("{place}: {error}"))?;
                }
                self.flips.harmless += 1;
            }
            Err(told) if ["damaged", "not a store"].iter().any(|word| told.contains(word)) => {
                self.flips.told += 1;
            }
            Err(error) => return Err(format!("{place}: {error}")),
        }
        Ok(())
    }

    fn arguments<M: Kind>(&self, life: &Life, has_peer: bool) -> Vec<String> {
        let data = life.data.display().to_string();
        let durability = if life.buffered { "buffered" } else { "synced" };
        let mut arguments: Vec<String> =
            ["serve", "--tcp", "127.0.0.1:0", "--model", M::NAME, "--data", &data]
                .map(str::to_owned)
                .into();
        arguments.extend(["--durability", durability].map(str::to_owned));
        if has_peer {
            arguments.extend(["--peer".to_owned(), life.peer_address.clone()]);
        }
        arguments
    }

    fn serve<M: Kind>(
        &self,
        life: &Life,
        limit: Option<u64>,
        has_peer: bool,
    ) -> Result<Daemon, String> {
        Daemon::start(&self.binary, &self.arguments::<M>(life, has_peer), limit)
    }

    fn writer<M: Kind>(&mut self, life: &Life, limit: Option<u64>) -> Result<Daemon, String> {
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let writers = [1, 4, 32][self.chance.random_range(0..3)];
        let text_bytes = [0, 50, 2_000][self.chance.random_range(0..3)];
        let mut arguments = vec!["--binary".to_owned(), "-".to_owned(), "write".to_owned()];
        for (name, value) in [
            ("--data", life.data.display().to_string()),
            ("--model", M::NAME.to_owned()),
            ("--writers", writers.to_string()),
            ("--text-bytes", text_bytes.to_string()),
            ("--peer", life.peer_address.clone()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        if life.buffered {
            arguments.push("--buffered".to_owned());
        }
        Daemon::start(&this, &arguments, limit)
    }

    /// Nodes that write to the one at `address`, which has an update once it promises so.
    fn clients<M: Kind>(&mut self, address: &str) -> Clients {
        let (sender, acknowledged) = mpsc::unbounded_channel();
        let count = self.chance.random_range(1..4);
        let text_bytes = [0, 50, 2_000][self.chance.random_range(0..3)];
        let tasks = (0..count).map(|client| {
            let (address, sender) = (address.to_owned(), sender.clone());
            tokio::spawn(async move {
                let node = Node::builder(M::default()).peer(&address).start().await;
                let Ok(node) = node else { return };
                let peer = node.peers()[0].clone();
                for n in 0.. {
                    let n = n * 1_000 + client;
                    let Ok(update) = node.update(change(n, text_bytes)).await else { return };
                    if node.deliver(&update, &peer).await.is_ok() {
                        let _ = sender.send(update);
                    }
                }
            })
        });
        Clients { tasks: tasks.collect(), acknowledged }
    }

    async fn pause(&mut self, ms: std::ops::Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.chance.random_range(ms))).await;
    }

    async fn export(&self, dir: &Path) -> Result<BTreeMap<UpdateId, Update>, String> {
        let mut export = Command::new(&self.binary);
        export.args(["export", "-", "--data"]).arg(dir);
        answer(export).await
    }

    async fn dump<M: Kind>(&self, address: &str) -> Result<BTreeMap<UpdateId, Update>, String> {
        let mut dump = Command::new(&self.binary);
        dump.args(["dump", "--updates", "--model", M::NAME, "--peer", address]);
        let output = dump.output().await.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("dump: {}", String::from_utf8_lossy(&output.stderr)));
        }
        check::parse(&format!("{}\"SYNC\"\n", String::from_utf8_lossy(&output.stdout)))
    }
}

async fn answer(mut command: Command) -> Result<BTreeMap<UpdateId, Update>, String> {
    let output = command.output().await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    check::parse(&String::from_utf8_lossy(&output.stdout))
}

/// Without a fault there must be no word of one.
fn check_errors(node: &Daemon, limit: Option<u64>) -> Result<(), String> {
    match node.errors().first() {
        Some(error) if limit.is_none() || error.contains("panicked") => Err(error.clone()),
        _ => Ok(()),
    }
}

struct Clients {
    tasks: Vec<tokio::task::JoinHandle<()>>,
    acknowledged: mpsc::UnboundedReceiver<Update>,
}

impl Clients {
    /// What was acknowledged until the node was killed.
    async fn end(mut self) -> Vec<Update> {
        for task in &self.tasks {
            task.abort();
        }
        for task in self.tasks {
            let _ = task.await;
        }
        let mut acknowledged = Vec::new();
        while let Ok(update) = self.acknowledged.try_recv() {
            acknowledged.push(update);
        }
        acknowledged
    }
}
