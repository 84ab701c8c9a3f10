//! Two nodes of chitchat, which gossip every 10 ms over its own transport within one process. Its key
//! values belong to the node that wrote them, and only that node may write them again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use chitchat::transport::ChannelTransport;
use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, ProtocolVersion,
    spawn_chitchat,
};
use serde_json::{Value, json};

use crate::{key, value};

const INTERVAL: Duration = Duration::from_millis(10);
const HUNG: Duration = Duration::from_secs(300);

/// Fills one node, starts the other, and waits until that has everything.
#[tokio::main]
pub(crate) async fn catch_up(keys: u64) -> Result<Value> {
    let transport = ChannelTransport::default();
    let server = start(&transport, 1, Vec::new()).await?;
    server
        .with_chitchat(|chitchat| {
            let state = chitchat.self_node_state();
            for n in 0..keys {
                state.set(key(n), value(n, 0));
            }
        })
        .await;
    let begun = Instant::now();
    let client = start(&transport, 2, vec![address(1).to_string()]).await?;
    let id = server.chitchat_id().clone();
    while held(&client, &id).await < keys as usize {
        if begun.elapsed() > HUNG {
            bail!("chitchat has not caught up");
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    let bytes = transport.statistics().num_bytes_total;
    let is_equal = client
        .with_chitchat(|chitchat| {
            chitchat.node_state(&id).is_some_and(|state| {
                (0..keys).all(|n| state.get(&key(n)) == Some(value(n, 0).as_str()))
            })
        })
        .await;
    if !is_equal {
        bail!("chitchat: the states differ");
    }
    Ok(json!({ "ms": ms, "bytes": bytes }))
}

async fn held(node: &ChitchatHandle, of: &ChitchatId) -> usize {
    node.with_chitchat(|chitchat| chitchat.node_state(of).map_or(0, |s| s.num_key_values())).await
}

fn address(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn start(
    transport: &ChannelTransport,
    port: u16,
    seed_nodes: Vec<String>,
) -> Result<ChitchatHandle> {
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(format!("node-{port}"), 0, address(port)),
        cluster_id: "bench".to_owned(),
        gossip_interval: INTERVAL,
        listen_addr: address(port),
        seed_nodes,
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: Duration::from_secs(3_600),
        catchup_callback: None,
        extra_liveness_predicate: None,
        protocol_version: ProtocolVersion::V1,
    };
    spawn_chitchat(config, Vec::new(), transport).await
}
