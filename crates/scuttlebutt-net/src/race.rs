//! Several addresses of one name: all are tried, a little apart, and the first that answers is taken.
//!
//! As RFC 8305 ("Happy Eyeballs") has it: families take turns, and nobody waits for an address that keeps
//! silent before the next is tried. What it means to answer, the caller decides; this never resolves a name.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;

/// How long an address may keep silent before the next is tried, too.
const HEAD_START: Duration = Duration::from_millis(250);

/// Tries the addresses, each a head start after the one before or when that one has failed, and answers with
/// the first that succeeds. Within half of `wait` all have begun. The others are let go.
///
/// # Errors
/// If all fail, what the first of them failed with: it is the one that the resolver prefers.
pub(crate) async fn first_to_answer<T: Send + 'static, A>(
    addresses: Vec<SocketAddr>,
    wait: Duration,
    attempt: impl Fn(SocketAddr) -> A,
) -> io::Result<T>
where
    A: Future<Output = io::Result<T>> + Send + 'static,
{
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let head_start = HEAD_START.min(wait / (2 * count));
    let mut untried = families_in_turn(addresses).into_iter().enumerate();
    // They end when this is dropped.
    let mut attempts = JoinSet::new();
    let mut begin = |attempts: &mut JoinSet<_>| {
        if let Some((nth, address)) = untried.next() {
            let attempt = attempt(address);
            attempts.spawn(async move { attempt.await.map_err(|error| (nth, error)) });
        }
        untried.len() > 0
    };
    let mut are_left = begin(&mut attempts);
    let mut failure: Option<(usize, io::Error)> = None;
    loop {
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(answered))) => return Ok(answered),
                Some(Ok(Err((nth, error)))) => {
                    if failure.as_ref().is_none_or(|(first, _)| nth < *first) {
                        failure = Some((nth, error));
                    }
                    are_left = begin(&mut attempts);
                }
                Some(Err(broken)) => return Err(io::Error::other(broken)),
                None => {
                    let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                    return Err(failure.map_or_else(none, |(_, error)| error));
                }
            },
            () = tokio::time::sleep(head_start), if are_left => are_left = begin(&mut attempts),
        }
    }
}

/// The first family first, and each in the order in which the resolver prefers its addresses.
fn families_in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first_family = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == is_first_family);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let turns = std::iter::from_fn(|| match (one.next(), other.next()) {
        (None, None) => None,
        turn => Some(turn),
    });
    turns.flat_map(|(one, other)| [one, other]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::*;

    const WAIT: Duration = Duration::from_secs(10);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns() {
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(families_in_turn(given), turns);
        assert_eq!(families_in_turn(vec![]), []);
    }

    /// Races addresses of which the last byte says what becomes of them; answers who won or what the error
    /// says, after how many milliseconds, and who was tried.
    async fn race(addresses: Vec<SocketAddr>) -> (Result<u16, String>, u128, Vec<u16>) {
        let (begun, tried) = (Instant::now(), Arc::new(Mutex::new(vec![])));
        let answered = first_to_answer(addresses, WAIT, |address| {
            tried.lock().unwrap().push(address.port());
            async move {
                match address.port() / 100 {
                    0 => std::future::pending().await,
                    1 => Err(io::Error::other(address.port().to_string())),
                    _ => Ok(address.port()),
                }
            }
        });
        let answered = answered.await.map_err(|error| error.to_string());
        let tried = tried.lock().unwrap().clone();
        (answered, begun.elapsed().as_millis(), tried)
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_holds_up_the_next_for_a_moment_only() {
        let given = addresses(&["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:201", "1.1.1.1:202"]);
        assert_eq!(race(given).await, (Ok(201), 500, vec![1, 2, 201]));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_holds_up_nobody() {
        let given = addresses(&["1.1.1.1:101", "1.1.1.1:102", "1.1.1.1:201"]);
        assert_eq!(race(given).await, (Ok(201), 0, vec![101, 102, 201]));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_fail_the_preferred_address_says_why() {
        let given = addresses(&["1.1.1.1:101", "1.1.1.1:102"]);
        assert_eq!(race(given).await, (Err("101".to_owned()), 0, vec![101, 102]));
        assert_eq!(race(vec![]).await.0, Err("the name has no address".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn with_many_addresses_all_are_tried_in_time() {
        let mut given: Vec<_> = (0..100).map(|nth| ([1, 1, 1, nth], 1).into()).collect();
        given.push(([1, 1, 1, 100], 201).into());
        let (answered, after_ms, _) = race(given).await;
        assert_eq!(answered, Ok(201));
        assert!(after_ms < WAIT.as_millis() / 2 + 100, "{after_ms} ms");
    }

    /// The system drops what it cannot keep: as far as whoever dials can tell, there is nobody.
    #[tokio::test]
    async fn sockets_behind_a_black_hole_are_reached() {
        let hole =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        hole.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        hole.listen(0).unwrap();
        let hole_address = hole.local_addr().unwrap().as_socket().unwrap();
        let mut filling = vec![];
        while let Ok(Ok(stream)) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(hole_address)).await
        {
            filling.push(stream);
            assert!(filling.len() < 100, "it never becomes full");
        }
        let live = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live_address = live.local_addr().unwrap();
        let begun = Instant::now();
        let stream = first_to_answer(vec![hole_address, live_address], WAIT, TcpStream::connect);
        assert_eq!(stream.await.unwrap().peer_addr().unwrap(), live_address);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}
