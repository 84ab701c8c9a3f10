//! A node that writes by itself, to be killed: many writers at a time, each update printed once it is
//! acknowledged.

use std::io::Write;
use std::path::PathBuf;

use scuttlebutt::{EventLog, LwwMap};
use scuttlebutt_net::{Node, fresh_id};
use scuttlebutt_store::{Durability, Options as StoreOptions, Store};

use crate::check::{Kind, change};

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    model: String,
    #[arg(long)]
    buffered: bool,
    #[arg(long)]
    writers: u64,
    #[arg(long)]
    text_bytes: usize,
    #[arg(long)]
    peer: String,
}

pub(crate) async fn run(options: Options) {
    match options.model.as_str() {
        LwwMap::NAME => write::<LwwMap>(options).await,
        _ => write::<EventLog>(options).await,
    }
}

async fn write<M: Kind>(options: Options) {
    let mut store_options = StoreOptions::new(M::NAME, fresh_id());
    if options.buffered {
        store_options.durability = Durability::Buffered;
    }
    let (store, opened) = match Store::open(&options.data, store_options) {
        Ok(opened) => opened,
        Err(error) => return say(&format!("error {error}")),
    };
    if let Some(renewed) = opened.renewed {
        return say(&format!("error taken for another store: {renewed:?}"));
    }
    let node = Node::builder(M::default()).store(store).peer(&options.peer);
    let node = node.listen("127.0.0.1:0").start().await.expect("a free port");
    say(&format!("listening tcp {}", node.listeners()[0].address()));
    let tasks = (0..options.writers).map(|writer| {
        let (node, text_bytes) = (node.clone(), options.text_bytes);
        tokio::spawn(async move {
            for n in 0.. {
                match node.update(change(n * 1_000 + writer, text_bytes)).await {
                    Ok(update) => say(&format!("ack {}", update.to_json())),
                    Err(error) => return say(&format!("error {error}")),
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let _ = task.await;
    }
}

/// One line, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
