//! Where a node listens, and where a peer is dialled.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::tls::NodeKey;

/// A TCP or Unix socket address; TCP with TLS or without.
///
/// ```
/// use scuttlebutt_net::Address;
///
/// let tcp: Address = "tcp://127.0.0.1:7000".parse()?;
/// assert_eq!(tcp, "127.0.0.1:7000".parse()?);
/// assert_eq!(tcp.to_string(), "127.0.0.1:7000");
/// let unix: Address = "unix:/run/state.sock".parse()?;
/// assert_eq!(unix.to_string(), "unix:/run/state.sock");
/// let tls = "tls://node.example:7000#ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw";
/// assert_eq!(tls.parse::<Address>()?.to_string(), tls);
/// assert!("127.0.0.1".parse::<Address>().is_err(), "no port");
/// # Ok::<(), scuttlebutt_net::InvalidAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// `host:port`, resolved each time it is used. All addresses of a name are dialled, a quarter of a second
    /// apart, until one answers.
    Tcp(String),
    /// `host:port`, spoken to in TLS.
    Tls {
        /// `host:port`, resolved each time it is used. A certificate has to be for this host.
        address: String,
        /// The key that the node there must have. Name and authority do not matter then.
        key: Option<NodeKey>,
    },
    /// A path in the file system.
    Unix(PathBuf),
}

impl Address {
    /// The address of a Unix socket.
    pub fn unix(path: impl AsRef<Path>) -> Self {
        Self::Unix(path.as_ref().to_owned())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    /// Reads `host:port`, `tcp://host:port`, `tls://host:port`, `tls://host:port#KEY`, `unix:PATH` or
    /// `unix://PATH`.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |reason| InvalidAddress { address: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(invalid("the path is missing"))
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if let Some(address) = text.strip_prefix("tls://") {
            let (address, key) = match address.split_once('#') {
                Some((address, key)) => {
                    let key = key.parse().map_err(|_| {
                        invalid("what follows # is no node key, `ed25519:` and 43 characters")
                    })?;
                    (address, Some(key))
                }
                None => (address, None),
            };
            check_host_and_port(address).map_err(invalid)?;
            return Ok(Self::Tls { address: address.to_owned(), key });
        }
        let address = text.strip_prefix("tcp://").unwrap_or(text);
        if address.contains("://") {
            return Err(invalid("the scheme is not known"));
        }
        check_host_and_port(address).map_err(invalid)?;
        Ok(Self::Tcp(address.to_owned()))
    }
}

fn check_host_and_port(address: &str) -> Result<(), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("the port is missing")?;
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.contains(':') && !host.starts_with('[') {
        return Err("an IPv6 address stands in brackets, as in [::1]:7000");
    }
    port.parse::<u16>().map_err(|_| "the port is not a number below 65536")?;
    Ok(())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Tls { address, key: None } => write!(f, "tls://{address}"),
            Address::Tls { address, key: Some(key) } => write!(f, "tls://{address}#{key}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{address}\" is no address: {reason}; write host:port, tcp://host:port, tls://host:port or unix:PATH"
)]
pub struct InvalidAddress {
    address: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (text, reason) in [
            ("localhost", "the port is missing"),
            (":7000", "the host is missing"),
            ("localhost:port", "the port is not a number below 65536"),
            ("localhost:70000", "the port is not a number below 65536"),
            ("unix:", "the path is missing"),
            ("tls://localhost", "the port is missing"),
            (
                "tls://localhost:1#key",
                "what follows # is no node key, `ed25519:` and 43 characters",
            ),
            ("ftp://localhost:1", "the scheme is not known"),
            ("::1:7000", "an IPv6 address stands in brackets, as in [::1]:7000"),
        ] {
            assert_eq!(text.parse::<Address>().map_err(|e| e.reason), Err(reason), "{text}");
        }
    }
}
