//! Sockets of every kind, as a pair of halves: what a connection reads from and writes to.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::address::Address;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// After how long a silent TCP connection is probed, so that a half-open one comes to an end.
const KEEPALIVE: Duration = Duration::from_secs(30);

pub(crate) async fn dial(address: &Address) -> io::Result<(Reader, Writer)> {
    match address {
        Address::Tcp(address) => tcp_halves(TcpStream::connect(address).await?),
        Address::Unix(path) => Ok(unix_halves(UnixStream::connect(path).await?)),
    }
}

fn tcp_halves(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    let (reader, writer) = stream.into_split();
    Ok((Box::new(reader), Box::new(writer)))
}

fn unix_halves(stream: UnixStream) -> (Reader, Writer) {
    let (reader, writer) = stream.into_split();
    (Box::new(reader), Box::new(writer))
}

/// A socket that accepts connections.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    /// Binds; answers the address with the port that was really chosen.
    pub(crate) async fn bind(address: &Address) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(text) => {
                let listener = TcpListener::bind(text).await?;
                let bound = Address::Tcp(listener.local_addr()?.to_string());
                Ok((Self::Tcp(listener), bound))
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                Ok((Self::Unix(UnixListener::bind(path)?), address.clone()))
            }
        }
    }

    /// The next connection, and who it comes from.
    pub(crate) async fn accept(&self) -> io::Result<(Reader, Writer, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                let (reader, writer) = tcp_halves(stream)?;
                Ok((reader, writer, from.to_string()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let (reader, writer) = unix_halves(stream);
                Ok((reader, writer, "unix".to_owned()))
            }
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        if let Self::Unix(listener) = self
            && let Ok(address) = listener.local_addr()
            && let Some(path) = address.as_pathname()
        {
            // Whoever finds the path next is refused by nobody; the file is only a leftover.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes the socket file of a process that is gone; never anything else.
async fn remove_stale(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    let is_refused = match UnixStream::connect(path).await {
        Err(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        Ok(_) => false,
    };
    if is_socket && is_refused { std::fs::remove_file(path) } else { Ok(()) }
}
