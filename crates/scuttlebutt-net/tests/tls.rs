//! Nodes over TLS: who is let in, who is believed, and what is said to those who are not.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::eventually;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use scuttlebutt::{Direction, Limits, LwwMap, Mode, SessionConfig};
use scuttlebutt_net::{
    Address, Admitted, Authorities, LinkError, ListenError, ListenOptions, Node, NodeKey,
    StartError, Tls, TlsError, TlsIdentity,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Map = Node<LwwMap>;

/// An authority that exists for one test.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn authorities(&self) -> Option<Authorities> {
        Some(Authorities::from_pem(&self.pem).unwrap())
    }

    fn issue(&self, host: &str) -> TlsIdentity {
        self.issue_with(host, |_| ())
    }

    fn issue_with(&self, host: &str, adapt: impl FnOnce(&mut CertificateParams)) -> TlsIdentity {
        let mut parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
        adapt(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        TlsIdentity::from_pem(&certificate.pem(), &key.serialize_pem()).unwrap()
    }
}

/// A node that is known by its key.
fn keyed(seed: u8) -> (TlsIdentity, NodeKey) {
    let identity = TlsIdentity::from_ed25519_seed(&[seed; 32]).unwrap();
    let key = identity.node_key().unwrap();
    (identity, key)
}

fn admitting(keys: impl IntoIterator<Item = NodeKey>) -> Option<Admitted> {
    Some(keys.into_iter().collect())
}

async fn server(tls: Tls) -> (Map, String) {
    let node = Node::builder(LwwMap::new()).tls(tls).listen("tls://127.0.0.1:0").start();
    let node = node.await.unwrap();
    node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    let address = node.listeners()[0].address().to_string();
    (node, address)
}

/// Catches up over one connection; answers the server's key as the client saw it.
async fn catch_up(address: &str, tls: Tls) -> Result<Option<NodeKey>, LinkError> {
    let client = Node::builder(LwwMap::new()).tls(tls).start().await.unwrap();
    let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    let status = client.connect_once(&address.parse().unwrap(), config).await?;
    assert_eq!(client.read(|map| map.get::<i32>("k")).unwrap(), Some(1));
    Ok(status.node_key)
}

fn tls_error(result: Result<Option<NodeKey>, LinkError>) -> TlsError {
    match result {
        Err(LinkError::Tls(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn certificates_of_one_authority_know_each_other() {
    let (ca, other) = (Ca::new("ours"), Ca::new("another"));
    let mutual = |identity| Tls { authorities: ca.authorities(), ..Tls::of(identity) };
    let (node, address) = server(mutual(ca.issue("127.0.0.1"))).await;
    catch_up(&address, mutual(ca.issue("client"))).await.unwrap();

    let stranger = Tls { authorities: ca.authorities(), ..Tls::of(other.issue("client")) };
    let refused = tls_error(catch_up(&address, stranger).await);
    assert!(refused.to_string().contains("does not know the authority"), "{refused}");

    let nameless = Tls { authorities: ca.authorities(), ..Tls::default() };
    let refused = tls_error(catch_up(&address, nameless).await);
    assert!(refused.to_string().contains("this node has none"), "{refused}");

    let misled = Tls { authorities: other.authorities(), ..Tls::of(ca.issue("client")) };
    let refused = tls_error(catch_up(&address, misled).await);
    assert!(refused.to_string().contains("authority that is not known here"), "{refused}");

    let unsure = tls_error(catch_up(&address, Tls::of(ca.issue("client"))).await);
    assert_eq!(unsure, TlsError::NobodyTrusted);
    eventually("three failures", || node.refusals().failed_handshakes == 3).await;
}

#[tokio::test]
async fn a_certificate_is_for_a_name_and_a_time() {
    let ca = Ca::new("ours");
    let mutual = |identity| Tls { authorities: ca.authorities(), ..Tls::of(identity) };
    let (_node, address) = server(mutual(ca.issue("node.example"))).await;
    let refused = tls_error(catch_up(&address, mutual(ca.issue("client"))).await).to_string();
    assert!(refused.contains("is not for 127.0.0.1, but for"), "{refused}");
    assert!(refused.contains("node.example"), "{refused}");

    let expired = ca.issue_with("127.0.0.1", |it| it.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let (_node, address) = server(mutual(expired)).await;
    let refused = tls_error(catch_up(&address, mutual(ca.issue("client"))).await).to_string();
    assert!(refused.contains("has expired"), "{refused}");
}

#[tokio::test]
async fn nodes_know_each_other_by_their_keys() {
    let ((ada, ada_key), (ben, ben_key), (eve, eve_key)) = (keyed(1), keyed(2), keyed(3));
    let (node, address) = server(Tls { admitted: admitting([ben_key]), ..Tls::of(ada) }).await;
    let pinned = format!("{address}#{ada_key}");
    assert_eq!(catch_up(&pinned, Tls::of(ben.clone())).await.unwrap(), Some(ada_key));
    // By the list, too, where the address says nothing.
    let listing = Tls { admitted: admitting([ada_key]), ..Tls::of(ben.clone()) };
    assert_eq!(catch_up(&address, listing).await.unwrap(), Some(ada_key));

    let refused = tls_error(catch_up(&pinned, Tls::of(eve)).await);
    assert!(matches!(refused, TlsError::Refused { .. }), "{refused}");
    let other = tls_error(catch_up(&format!("{address}#{eve_key}"), Tls::of(ben.clone())).await);
    assert_eq!(other, TlsError::OtherNode { expected: eve_key, found: Some(ada_key) });
    let listing = Tls { admitted: admitting([eve_key]), ..Tls::of(ben) };
    let unlisted = tls_error(catch_up(&address, listing).await);
    assert_eq!(unlisted, TlsError::NotAdmitted { key: Some(ada_key) });
    eventually("three failures", || node.refusals().failed_handshakes == 3).await;
}

#[tokio::test]
async fn who_is_struck_off_the_list_does_not_come_in_again() {
    let ((ada, ada_key), (ben, ben_key)) = (keyed(1), keyed(2));
    let admitted: Admitted = [ben_key].into_iter().collect();
    let (_node, address) = server(Tls { admitted: Some(admitted.clone()), ..Tls::of(ada) }).await;
    let address = format!("{address}#{ada_key}");
    // The same client each time: a session that it could resume would not be judged.
    let client = Node::builder(LwwMap::new()).tls(Tls::of(ben)).start().await.unwrap();
    let address: Address = address.parse().unwrap();
    let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    client.connect_once(&address, config.clone()).await.unwrap();
    admitted.replace([]);
    let refused = client.connect_once(&address, config).await.unwrap_err();
    assert!(matches!(refused, LinkError::Tls(TlsError::Refused { .. })), "{refused}");
}

#[tokio::test]
async fn who_is_struck_off_is_cut_off_and_the_others_are_not() {
    let ((ada, ada_key), (ben, ben_key), (cy, cy_key)) = (keyed(1), keyed(2), keyed(3));
    let admitted: Admitted = [ben_key, cy_key].into_iter().collect();
    let (node, address) = server(Tls { admitted: Some(admitted.clone()), ..Tls::of(ada) }).await;
    let address = format!("{address}#{ada_key}");
    let [ben, cy] = [ben, cy].map(|identity| Node::builder(LwwMap::new()).tls(Tls::of(identity)));
    let (ben, cy) = (ben.start().await.unwrap(), cy.start().await.unwrap());
    for client in [&ben, &cy] {
        client.add_peer(&address).unwrap().synced().await.unwrap();
    }
    admitted.replace([(cy_key, Direction::Both)]);
    eventually("Ben is out", || node.session_count() == 1).await;
    assert_eq!(node.sessions()[0].node_key, Some(cy_key));
    let peer = ben.peers().remove(0);
    let is_refused = |error| matches!(error, Some(LinkError::Tls(TlsError::Refused { .. })));
    eventually("Ben knows", || is_refused(peer.status().last_error)).await;
}

#[tokio::test]
async fn a_node_on_the_list_has_its_own_direction() {
    let ((ada, ada_key), (ben, ben_key)) = (keyed(1), keyed(2));
    let admitted: Admitted = [(ben_key, Direction::SendOnly)].into_iter().collect();
    let tls = Tls { admitted: Some(admitted), ..Tls::of(ada) };
    let (node, address) = server(tls.clone()).await;
    let client = Node::builder(LwwMap::new()).tls(Tls::of(ben)).start().await.unwrap();
    let peer = client.add_peer(&format!("{address}#{ada_key}")).unwrap();
    let written = client.update(LwwMap::set("mine", &1).unwrap()).await.unwrap();
    assert!(client.deliver(&written, &peer).await.is_err());
    assert_eq!(client.read(|map| map.get::<i32>("k")).unwrap(), Some(1), "it may read");
    peer.remove();

    // A listener where others may only write leaves nothing for it to do.
    let session = SessionConfig { direction: Direction::ReceiveOnly, ..SessionConfig::default() };
    let options = ListenOptions { session, tls: Some(tls), ..ListenOptions::default() };
    let listener = node.listen_with(&"tls://127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::default() };
    let address: Address = format!("{}#{ada_key}", listener.address()).parse().unwrap();
    assert!(client.connect_once(&address, config).await.is_err());
}

#[tokio::test]
async fn a_listener_can_let_everybody_in_and_say_who_it_is() {
    let ((ada, ada_key), (ben, _)) = (keyed(1), keyed(2));
    let (_node, address) = server(Tls { admits_anyone: true, ..Tls::of(ada) }).await;
    let address = format!("{address}#{ada_key}");
    catch_up(&address, Tls::default()).await.unwrap();
    catch_up(&address, Tls::of(ben)).await.unwrap();
}

#[tokio::test]
async fn a_listener_has_its_own_direction() {
    let (ada, ada_key) = keyed(1);
    let tls = Tls { admits_anyone: true, ..Tls::of(ada) };
    let (node, _) = server(tls.clone()).await;
    let session = SessionConfig { direction: Direction::SendOnly, ..SessionConfig::default() };
    let options = ListenOptions { session, tls: Some(tls), ..ListenOptions::default() };
    let listener = node.listen_with(&"tls://127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let client = Node::builder(LwwMap::new()).start().await.unwrap();
    let peer = client.add_peer(&format!("{}#{ada_key}", listener.address())).unwrap();
    let written = client.update(LwwMap::set("mine", &1).unwrap()).await.unwrap();
    assert!(client.deliver(&written, &peer).await.is_err());
    assert_eq!(client.read(|map| map.get::<i32>("k")).unwrap(), Some(1), "it may read");
}

#[tokio::test]
async fn what_cannot_be_safe_does_not_start() {
    let listen = async |tls: Tls, address: &str| {
        let started = Node::builder(LwwMap::new()).tls(tls).listen(address).start().await;
        match started.map(|_| ()) {
            Err(StartError::Listen(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let nameless = listen(Tls::default(), "tls://127.0.0.1:0").await;
    assert!(matches!(nameless, ListenError::Tls { error: TlsError::NoIdentity, .. }));
    let closed = listen(Tls::of(keyed(1).0), "tls://127.0.0.1:0").await;
    assert!(matches!(closed, ListenError::Tls { error: TlsError::NobodyAdmitted, .. }));
    for address in ["0.0.0.0:0", "[::]:0"] {
        let plaintext = listen(Tls::default(), address).await;
        assert!(matches!(plaintext, ListenError::Plaintext { .. }), "{plaintext}");
    }
}

#[tokio::test]
async fn a_listener_goes_on_while_handshakes_do_not() {
    let ((ada, ada_key), (ben, ben_key)) = (keyed(1), keyed(2));
    let limits = Limits { handshake_wait_ms_max: 200, ..Limits::default() };
    let tls = Tls { admitted: admitting([ben_key]), ..Tls::of(ada) };
    let node = Node::builder(LwwMap::new()).limits(limits).tls(tls).listen("tls://127.0.0.1:0");
    let node = node.start().await.unwrap();
    node.update(LwwMap::set("k", &1).unwrap()).await.unwrap();
    let address = node.listeners()[0].address().to_string();
    let place = address.strip_prefix("tls://").unwrap();
    let mut silent = TcpStream::connect(place).await.unwrap();
    let mut plaintext = TcpStream::connect(place).await.unwrap();
    plaintext.write_all(b"{\"id\":\"J\",\"clock\":{}}\n").await.unwrap();

    catch_up(&format!("{address}#{ada_key}"), Tls::of(ben)).await.unwrap();
    let begun = std::time::Instant::now();
    let mut nothing = Vec::new();
    let _ = silent.read_to_end(&mut nothing).await;
    assert!(nothing.is_empty() && begun.elapsed() < Duration::from_secs(10));
    eventually("two failures", || node.refusals().failed_handshakes == 2).await;
}

#[tokio::test]
async fn much_goes_through_in_both_directions() {
    let ((ada, ada_key), (ben, ben_key)) = (keyed(1), keyed(2));
    let (node, address) = server(Tls { admitted: admitting([ben_key]), ..Tls::of(ada) }).await;
    let client = Node::builder(LwwMap::new()).tls(Tls::of(ben)).start().await.unwrap();
    for (node, name) in [(&node, "a"), (&client, "b")] {
        for key in 0..2_000 {
            let change = LwwMap::set(format!("{name}{key}"), &"v".repeat(1_000)).unwrap();
            node.update(change).await.unwrap();
        }
    }
    client.add_peer(&format!("{address}#{ada_key}")).unwrap().synced().await.unwrap();
    eventually("the same", || node.read(LwwMap::to_json) == client.read(LwwMap::to_json)).await;
    // What is written when all is quiet arrives by itself.
    node.update(LwwMap::set("last", &1).unwrap()).await.unwrap();
    eventually("the last", || client.read(|map| map.get::<i32>("last")).unwrap() == Some(1)).await;
    client.shutdown().await;
    eventually("the end", || node.session_count() == 0).await;
}
