//! The least that a round trip can take with tokio: a line there and back, and nothing else.

use std::time::Instant;

use anyhow::Result;
use scuttlebutt_bench::workload;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::{Role, number, runtime, unknown};

pub(super) struct Echo {
    runtime: Runtime,
}

impl Echo {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { runtime: runtime()? })
    }

    fn listen(&self) -> Result<Value> {
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        self.runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    stream.set_nodelay(true)?;
                    let mut buffer = [0; 1_024];
                    while let count @ 1.. = stream.read(&mut buffer).await? {
                        stream.write_all(&buffer[..count]).await?;
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
        });
        Ok(json!({ "port": port }))
    }

    fn ping(&self, port: u64, count: u64) -> Result<Value> {
        let mut line = workload::line(0, 1).into_bytes();
        line.push(b'\n');
        let pinging = self.runtime.spawn(async move {
            let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).await?;
            stream.set_nodelay(true)?;
            let mut back = vec![0; line.len()];
            let mut micros = Vec::new();
            for _ in 0..count {
                let begun = Instant::now();
                stream.write_all(&line).await?;
                stream.read_exact(&mut back).await?;
                micros.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            Ok::<_, std::io::Error>(micros)
        });
        let micros = self.runtime.block_on(pinging)??;
        Ok(json!({ "us": micros }))
    }
}

impl Role for Echo {
    fn handle(&mut self, name: &str, what: &Value) -> Result<Value> {
        match name {
            "listen" => self.listen(),
            "ping" => self.ping(number(what, "port")?, number(what, "count")?),
            _ => Err(unknown(name)),
        }
    }
}
