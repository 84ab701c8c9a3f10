//! A wire that can be cut: passes a TCP connection on, so many bytes of it, or until told to stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where a connection is cut: after so many bytes to one of its ends.
#[derive(Clone, Copy)]
pub(crate) enum Cut {
    /// To the end that dialled.
    ToDialler(u64),
    /// To the end that listens.
    ToListener(u64),
}

pub(crate) struct Relay {
    address: String,
    state: Arc<State>,
}

struct State {
    target: String,
    /// For the connections to come, one each.
    cuts: Mutex<VecDeque<Cut>>,
    made: AtomicUsize,
    is_broken: AtomicBool,
    cutting: watch::Sender<()>,
}

impl Relay {
    /// Passes connections on to `target`; the first ones are cut as given.
    pub(crate) async fn start(target: &str, cuts: &[Cut]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            target: target.to_owned(),
            cuts: Mutex::new(cuts.iter().copied().collect()),
            made: AtomicUsize::new(0),
            is_broken: AtomicBool::new(false),
            cutting: watch::Sender::new(()),
        });
        let accepting = state.clone();
        tokio::spawn(async move {
            while let Ok((dialler, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(dialler));
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it has carried.
    pub(crate) fn made(&self) -> usize {
        self.state.made.load(Ordering::SeqCst)
    }

    /// Cuts all connections, and lets none through until it is mended.
    pub(crate) fn break_off(&self) {
        self.state.is_broken.store(true, Ordering::SeqCst);
        self.state.cutting.send_replace(());
    }

    pub(crate) fn mend(&self) {
        self.state.is_broken.store(false, Ordering::SeqCst);
    }
}

impl State {
    async fn carry(self: Arc<Self>, mut dialler: TcpStream) {
        let mut cutting = self.cutting.subscribe();
        if self.is_broken.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut listener) = TcpStream::connect(&self.target).await else {
            return;
        };
        self.made.fetch_add(1, Ordering::SeqCst);
        let cut = self.cuts.lock().unwrap().pop_front();
        let (to_dialler, to_listener) = match cut {
            Some(Cut::ToDialler(bytes)) => (bytes, u64::MAX),
            Some(Cut::ToListener(bytes)) => (u64::MAX, bytes),
            None => (u64::MAX, u64::MAX),
        };
        let (dialler_in, dialler_out) = dialler.split();
        let (listener_in, listener_out) = listener.split();
        // Whichever is cut first takes the other with it.
        tokio::select! {
            _ = async { tokio::try_join!(
                pass(listener_in, dialler_out, to_dialler),
                pass(dialler_in, listener_out, to_listener),
            ) } => {}
            _ = cutting.changed() => {}
        }
    }
}

/// Passes bytes on to their end; an error says that they were cut.
async fn pass(
    from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    bytes: u64,
) -> std::io::Result<()> {
    let mut from = from.take(bytes);
    tokio::io::copy(&mut from, &mut to).await?;
    if from.limit() == 0 {
        return Err(std::io::ErrorKind::ConnectionAborted.into());
    }
    to.shutdown().await
}
