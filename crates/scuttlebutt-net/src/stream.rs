//! Sockets of every kind, as a pair of halves: what a connection reads from and writes to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::address::Address;
use crate::probing::Probing;
use crate::race;
use crate::tls::{self, Admitted, NodeKey, Place, Server, Tls, TlsError};

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A stream that is ready for a session.
pub(crate) struct Halves {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Whether what was written may wait for a flush.
    pub(crate) holds_back: bool,
    /// The key that the other end proved to have.
    pub(crate) node_key: Option<NodeKey>,
    /// Its place on the list of those who are admitted, if there is one.
    pub(crate) place: Option<Place>,
}

impl Halves {
    pub(crate) fn of(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        halves(tokio::io::split(stream))
    }
}

/// Dials. A name is resolved each time; of its addresses the first that answers is taken, with TLS the first
/// that shakes hands. The caller gives up after `wait`.
pub(crate) async fn dial(
    address: &Address,
    tls: &Tls,
    probing: Probing,
    wait: Duration,
) -> io::Result<Halves> {
    match address {
        Address::Tcp(address) => {
            let addresses = resolve(address).await?;
            let stream = race::first_to_answer(addresses, wait, TcpStream::connect).await?;
            tcp_halves(stream, probing)
        }
        Address::Unix(path) => Ok(socket_halves(UnixStream::connect(path).await?.into_split())),
        Address::Tls { address, key } => {
            let connector = TlsConnector::from(tls.client(*key)?);
            let name = tls::server_name(address)?;
            let addresses = resolve(address).await?;
            let shake_hands = |address| {
                let (connector, name) = (connector.clone(), name.clone());
                async move {
                    let stream = TcpStream::connect(address).await?;
                    probing.prepare(&stream)?;
                    connector.connect(name, stream).await.map_err(in_handshake)
                }
            };
            let stream = race::first_to_answer(addresses, wait, shake_hands).await?;
            let node_key = first_key(stream.get_ref().1.peer_certificates());
            // The key behind the address is reason enough.
            let admitted = tls.admitted.as_ref().filter(|_| key.is_none());
            Ok(tls_halves(tokio::io::split(stream), node_key, admitted))
        }
    }
}

async fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host(address).await?.collect())
}

fn tls_halves(
    parts: (impl AsyncRead + Send + Unpin + 'static, impl AsyncWrite + Send + Unpin + 'static),
    node_key: Option<NodeKey>,
    admitted: Option<&Admitted>,
) -> Halves {
    let place = node_key.and_then(|key| admitted?.place_of(key));
    Halves { node_key, place, ..halves(parts) }
}

fn halves(
    (reader, writer): (
        impl AsyncRead + Send + Unpin + 'static,
        impl AsyncWrite + Send + Unpin + 'static,
    ),
) -> Halves {
    let (reader, writer) = (Box::new(reader), Box::new(writer));
    Halves { reader, writer, holds_back: true, node_key: None, place: None }
}

/// A socket of the system, which holds nothing back.
fn socket_halves(
    parts: (impl AsyncRead + Send + Unpin + 'static, impl AsyncWrite + Send + Unpin + 'static),
) -> Halves {
    Halves { holds_back: false, ..halves(parts) }
}

fn tcp_halves(stream: TcpStream, probing: Probing) -> io::Result<Halves> {
    probing.prepare(&stream)?;
    Ok(socket_halves(stream.into_split()))
}

fn in_handshake(error: io::Error) -> io::Error {
    TlsError::of_handshake(&error).map_or(error, io::Error::from)
}

fn first_key(certificates: Option<&[CertificateDer<'_>]>) -> Option<NodeKey> {
    NodeKey::of(certificates?.first()?)
}

/// A socket that accepts connections.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
    Tls(TcpListener, Server),
}

/// A connection that was accepted, and nothing more.
pub(crate) struct Accepted {
    socket: Socket,
    /// Who it comes from.
    pub(crate) remote: String,
    pub(crate) address: Option<IpAddr>,
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TcpStream, Server),
}

impl Acceptor {
    /// Binds; answers the address with the port that was really chosen.
    pub(crate) async fn bind(
        address: &Address,
        tls: Option<Server>,
        allows_plaintext: bool,
    ) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(text) => {
                let places: Vec<_> = tokio::net::lookup_host(text).await?.collect();
                let is_here = |place: &SocketAddr| place.ip().to_canonical().is_loopback();
                if !allows_plaintext && !places.iter().all(is_here) {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, Plaintext));
                }
                let listener = TcpListener::bind(&places[..]).await?;
                let bound = Address::Tcp(listener.local_addr()?.to_string());
                Ok((Self::Tcp(listener), bound))
            }
            Address::Tls { address, .. } => {
                let config = tls.ok_or(TlsError::NoIdentity)?;
                let listener = TcpListener::bind(address).await?;
                let bound = Address::Tls { address: listener.local_addr()?.to_string(), key: None };
                Ok((Self::Tls(listener, config), bound))
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                Ok((Self::Unix(UnixListener::bind(path)?), address.clone()))
            }
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<Accepted> {
        let (socket, from) = match self {
            Self::Tcp(listener) => {
                let (stream, from) = listener.accept().await?;
                (Socket::Tcp(stream), Some(from))
            }
            Self::Tls(listener, config) => {
                let (stream, from) = listener.accept().await?;
                (Socket::Tls(stream, config.clone()), Some(from))
            }
            Self::Unix(listener) => (Socket::Unix(listener.accept().await?.0), None),
        };
        let remote = from.map_or_else(|| "unix".to_owned(), |from| from.to_string());
        Ok(Accepted { socket, remote, address: from.map(|from| from.ip()) })
    }
}

impl Accepted {
    /// Makes it ready for a session. With TLS that takes as long as the other side likes.
    pub(crate) async fn establish(self, probing: Probing) -> io::Result<Halves> {
        match self.socket {
            Socket::Tcp(stream) => tcp_halves(stream, probing),
            Socket::Unix(stream) => Ok(socket_halves(stream.into_split())),
            Socket::Tls(stream, Server { config, admitted }) => {
                probing.prepare(&stream)?;
                let accepted = TlsAcceptor::from(config).accept(stream).await;
                let stream = accepted.map_err(in_handshake)?;
                let node_key = first_key(stream.get_ref().1.peer_certificates());
                Ok(tls_halves(tokio::io::split(stream), node_key, admitted.as_ref()))
            }
        }
    }
}

/// Why plaintext is not served.
#[derive(Debug, thiserror::Error)]
#[error("it is no loopback address, and whoever sees the packets could read and change them")]
pub(crate) struct Plaintext;

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
