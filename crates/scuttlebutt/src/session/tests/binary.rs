//! The binary protocol within a session: when it is spoken, and what is acknowledged.

use super::*;
use crate::limits::Limits;
use crate::replica::{Trust, Verifier};
use crate::wire::{DecodeError, Tap};

const BINARY_DIGEST: &[u8] = b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n";
const JSON_DIGEST: &[u8] = b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"refusals\":1}}\n";

/// What was said, in lines of JSON.
fn told(tap: &mut Tap, bytes: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    tap.read(bytes, &Limits::default(), |line| lines.push(line.to_owned())).expect("frames");
    lines
}

struct Later;

impl Verifier for Later {
    fn verify(&self, _: &Update) -> Trust {
        Trust::Later
    }
}

fn lag(session: &Session) -> (u64, u64) {
    let lag = session.peer_lag().expect("it speaks binary");
    (lag.unhandled, lag.not_durable)
}

#[test]
fn it_is_spoken_where_both_announce_it() {
    for (a_offers, b_offers) in [(true, true), (true, false), (false, true), (false, false)] {
        let (mut a, mut b) = (replica("A"), replica("B"));
        a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
        let config = |announce_binary| SessionConfig { announce_binary, ..json() };
        let mut to_b = new_session(&mut a, config(a_offers));
        let mut to_a = new_session(&mut b, config(b_offers));
        let digests = [spoken(&mut to_b, &a), spoken(&mut to_a, &b)];
        to_b.receive(&mut a, NOW, &digests[1]).unwrap();
        to_a.receive(&mut b, NOW, &digests[0]).unwrap();
        let answers = [spoken(&mut to_b, &a), spoken(&mut to_a, &b)];
        let both = a_offers && b_offers;
        for answer in &answers {
            assert_eq!(answer.starts_with(b"\"BINARY\"\n"), both, "{a_offers} {b_offers}");
        }
        to_a.receive(&mut b, NOW, &answers[0]).unwrap();
        to_b.receive(&mut a, NOW, &answers[1]).unwrap();
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!((to_b.is_binary(), to_a.is_binary()), (both, both));
        assert_eq!(to_b.peer_lag().is_some(), both);
        assert_eq!(b.model().to_json(), r#"{"k":1}"#);
        assert_eq!(a.version_vector(), b.version_vector());
    }
}

/// The same is said in both ways, but for acknowledgements.
#[test]
fn what_is_said_does_not_depend_on_it() {
    let transcripts = ours().map(|config| {
        let (mut a, mut b) = (replica("A"), replica("B"));
        for n in 0..20 {
            a.local_update(NOW, LwwMap::set(format!("k{}", n % 7), &n).unwrap()).unwrap();
            b.local_update(NOW, LwwMap::set(format!("k{}", n % 5), &n).unwrap()).unwrap();
        }
        let mut to_b = new_session(&mut a, config.clone());
        let mut to_a = new_session(&mut b, config);
        let (mut from_a, mut from_b) = (Tap::default(), Tap::default());
        let mut lines = Vec::new();
        for round in 0..10 {
            if round < 5 {
                b.local_update(NOW, LwwMap::set("round", &round).unwrap()).unwrap();
            }
            let said = spoken(&mut to_b, &a);
            to_a.receive(&mut b, NOW, &said).unwrap();
            lines.extend(told(&mut from_a, &said));
            let said = spoken(&mut to_a, &b);
            to_b.receive(&mut a, NOW, &said).unwrap();
            lines.extend(told(&mut from_b, &said));
        }
        assert_eq!(a.version_vector(), b.version_vector());
        let is_binary = |line: &&String| line.contains("binary") || line.contains("BINARY");
        assert_eq!(lines.iter().filter(is_binary).count() > 0, to_b.is_binary());
        lines.retain(|line| !line.contains("handled") && !line.contains("BINARY"));
        let plain = |line: &String| line.replace(",\"binary\":1", "").replace(",\"zstd\":1", "");
        lines.iter().map(plain).collect::<Vec<_>>()
    });
    for transcript in &transcripts[1..] {
        assert_eq!(&transcripts[0], transcript);
    }
}

#[test]
fn a_switch_that_was_not_agreed_on() {
    let mut r = replica("R");
    // It never announced it.
    let mut session = new_session(&mut r, SessionConfig::default());
    session.receive(&mut r, NOW, JSON_DIGEST).unwrap();
    let error = session.receive(&mut r, NOW, b"\"BINARY\"\n").unwrap_err();
    assert_eq!(error, SessionError::Decode(DecodeError::NotAgreed));
    // It has not announced anything yet.
    let mut session = new_session(&mut r, SessionConfig::default());
    assert!(session.receive(&mut r, NOW, b"\"BINARY\"\n").is_err());
    // To one that announced none it is a string like any other, as it is to the original.
    for config in [json(), plain(), SessionConfig::send_only(), SessionConfig::receive_only()] {
        let mut session = new_session(&mut r, config);
        session.receive(&mut r, NOW, BINARY_DIGEST).unwrap();
        session.receive(&mut r, NOW, b"\"BINARY\"\n\"SYNC\"\n").unwrap();
        assert!(!session.is_binary());
        assert_eq!(session.tally().histories_received, 1);
    }
    // A digest that comes later agrees on nothing, and revokes nothing.
    let mut session = new_session(&mut r, SessionConfig::default());
    session.receive(&mut r, NOW, &[JSON_DIGEST, BINARY_DIGEST].concat()).unwrap();
    assert!(!session.is_binary() && !said(&mut session, &r).contains("BINARY"));
    let mut session = new_session(&mut r, SessionConfig::default());
    session.receive(&mut r, NOW, &[BINARY_DIGEST, JSON_DIGEST].concat()).unwrap();
    assert!(session.is_binary());
}

/// What is sent unasked goes before any agreement.
#[test]
fn unasked_it_is_never_announced() {
    let mut r = replica("R");
    let unasked = SessionConfig {
        direction: Direction::SendOnly,
        await_digest: false,
        ..SessionConfig::default()
    };
    let mut session = new_session(&mut r, unasked);
    assert_eq!(
        said(&mut session, &r),
        "{\"id\":\"R\",\"clock\":{},\"ext\":{\"marks\":1,\"refusals\":1,\"model\":\"map\",\"heartbeat\":30000}}\n\"SYNC\"\n"
    );
}

/// A history in frames that breaks off after each byte is what its whole frames say, no more.
#[test]
fn i2_a_frame_counts_when_it_is_whole() {
    let mut sender = replica("A");
    for n in 0..5 {
        sender.local_update(NOW, LwwMap::set(format!("k{n}"), &n).unwrap()).unwrap();
    }
    let mut session = new_session(&mut sender, SessionConfig::default());
    session.receive(&mut sender, NOW, BINARY_DIGEST).unwrap();
    let bytes = spoken(&mut session, &sender);
    for cut in 0..=bytes.len() {
        let lines = told(&mut Tap::default(), &bytes[..cut]);
        let mut survivor = replica("S");
        let mut session = new_session(&mut survivor, SessionConfig::default());
        session.receive(&mut survivor, NOW, &bytes[..cut]).unwrap();
        let updates = lines.iter().filter(|line| line.starts_with('[')).count();
        assert_eq!(survivor.updates_held(), updates, "cut at {cut}");
        let is_complete = lines.iter().any(|line| line == "\"SYNC\"");
        assert_eq!(survivor.version_vector().is_empty(), !is_complete, "cut at {cut}");
        let is_within = session.decoder.has_switched() && session.unfinished_bytes() > 0;
        let error = session.receive_end(&mut survivor, NOW).err();
        let is_broken_off =
            matches!(error, Some(SessionError::Decode(DecodeError::BrokenOff { .. })));
        assert!(is_broken_off || !is_within, "cut at {cut}: {error:?}");
    }
}

/// One acknowledgement for all that came at once; what is not stored is not said to be.
#[test]
fn what_was_dealt_with_and_what_is_durable() {
    let (mut a, mut b) = (replica("A"), replica("B"));
    b.wait_for_store();
    let mut to_b = new_session(&mut a, SessionConfig::default());
    let mut to_a = new_session(&mut b, SessionConfig::default());
    talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    assert_eq!(lag(&to_b), (0, 0));
    for n in 0..100 {
        a.local_update(NOW, LwwMap::set(format!("k{n}"), &n).unwrap()).unwrap();
    }
    let said = spoken(&mut to_b, &a);
    assert_eq!(lag(&to_b), (100, 100));
    to_a.receive(&mut b, NOW, &said).unwrap();
    let half = b.head() / 2;
    talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    assert_eq!(lag(&to_b), (0, 100), "nothing is stored yet");
    b.stored(half);
    talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    assert_eq!(lag(&to_b), (0, 100), "only one position is remembered");
    b.stored(b.head());
    talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    assert_eq!(lag(&to_b), (0, 0));
    assert_eq!(to_a.tally().acknowledgements_sent, 2);
    // What comes meanwhile is noted when that is durable.
    for n in 0..2 {
        a.local_update(NOW, LwwMap::set("k", &n).unwrap()).unwrap();
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    }
    assert_eq!(lag(&to_b), (0, 2));
    for left in [1, 0] {
        b.stored(b.head() - left);
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(lag(&to_b), (0, left));
    }
    assert_eq!(lag(&to_a), (0, 0), "B has sent nothing");
}

/// An update that waits for a verdict is not dealt with, nor is what came after it.
#[test]
fn what_waits_is_not_acknowledged() {
    let (mut a, mut b) = (replica("A"), replica("B").verify_with(Later));
    let mut to_b = new_session(&mut a, SessionConfig::default());
    let mut to_a = new_session(&mut b, SessionConfig::default());
    talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    for n in 0..3 {
        a.local_update(NOW, LwwMap::set("k", &n).unwrap()).unwrap();
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
    }
    assert_eq!(lag(&to_b), (3, 3));
    for (nth, question) in b.take_questions(9).into_iter().enumerate() {
        b.answer(question.ticket, Trust::Trusted);
        to_a.settle(&mut b);
        talk((&mut a, &mut to_b), (&mut b, &mut to_a));
        assert_eq!(lag(&to_b), (2 - nth as u64, 2 - nth as u64));
    }
}

/// Claims beyond what was sent, and ones that fall, are no claims.
#[test]
fn acknowledgements_are_not_believed_beyond_what_was_sent() {
    let mut a = replica("A");
    a.local_update(NOW, LwwMap::set("k", &1).unwrap()).unwrap();
    a.local_update(NOW, LwwMap::set("j", &1).unwrap()).unwrap();
    let mut session = new_session(&mut a, SessionConfig::default());
    session.receive(&mut a, NOW, &[BINARY_DIGEST, b"\"BINARY\"\n"].concat()).unwrap();
    spoken(&mut session, &a);
    for (handled, durable, expected) in
        [(1, 0, (1, 2)), (0, 9, (1, 1)), (9, 1, (0, 1)), (0, 0, (0, 1)), (2, 2, (0, 0))]
    {
        session.receive(&mut a, NOW, &[3, 6, handled, durable]).unwrap();
        assert_eq!(lag(&session), expected, "{handled} {durable}");
    }
}

/// A peer that sends lines until it switches, with something that waits before.
#[test]
fn what_waits_since_before_the_switch_is_counted_by_nobody() {
    let mut r = replica("R").verify_with(Later);
    let mut session = new_session(&mut r, SessionConfig::default());
    let lines = [BINARY_DIGEST, b"[[\"k\",1],5,\"X\"]\n\"BINARY\"\n\x04\x02\"Y\"\x07\x00\x02[1,2]"];
    session.receive(&mut r, NOW, &lines.concat()).unwrap();
    spoken(&mut session, &r);
    assert_eq!(session.tally().acknowledgements_sent, 0);
}

#[cfg(feature = "zstd")]
mod packs {
    use super::*;
    use crate::wire::{PACK_BYTES_MAX, pack};

    const PACKS_DIGEST: &[u8] =
        b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1,\"zstd\":1}}\n";

    /// A replica that holds so many updates.
    fn writer(count: usize) -> Replica<LwwMap> {
        let mut r = replica("W");
        for n in 0..count {
            r.local_update(NOW, LwwMap::set(format!("key {n}"), "a value").unwrap()).unwrap();
        }
        r
    }

    /// All that a session has to say, in portions of a socket.
    fn spoken_at_once(session: &mut Session, replica: &Replica<LwwMap>) -> Vec<u8> {
        let mut out = Vec::new();
        while session.has_output(replica) {
            session.transmit(replica, &mut out, PACK_BYTES_MAX);
        }
        out
    }

    /// Bytes that `a` sends to one that has nothing, until both are in sync.
    fn bytes_sent(a: &mut Replica<LwwMap>, configs: [SessionConfig; 2]) -> (usize, bool) {
        let mut b = replica("B");
        let [mut to_b, mut to_a] =
            [(&mut *a, &configs[0]), (&mut b, &configs[1])].map(|(r, c)| new_session(r, c.clone()));
        let mut count = 0;
        loop {
            let (from_a, from_b) = (spoken_at_once(&mut to_b, a), spoken_at_once(&mut to_a, &b));
            if from_a.is_empty() && from_b.is_empty() {
                break;
            }
            count += from_a.len();
            to_a.receive(&mut b, NOW, &from_a).unwrap();
            to_b.receive(a, NOW, &from_b).unwrap();
        }
        assert_eq!(a.version_vector(), b.version_vector());
        assert_eq!(a.model().to_json(), b.model().to_json());
        assert_eq!(to_b.tally().packs_sent > 0, to_b.is_compressed());
        (count, to_b.is_compressed() && to_a.is_compressed())
    }

    #[test]
    fn they_are_spoken_where_both_announce_them() {
        let mut a = writer(3_000);
        let default = SessionConfig::default;
        let (plain, _) = bytes_sent(&mut a, [default(), default()]);
        for configs in [[compressing(), default()], [default(), compressing()]] {
            // The digest alone differs.
            let (bytes, is_compressed) = bytes_sent(&mut a, configs);
            assert!(bytes.abs_diff(plain) <= 9 && !is_compressed, "{bytes} of {plain}");
        }
        let without = SessionConfig { announce_binary: false, ..compressing() };
        assert!(!bytes_sent(&mut a, [without, compressing()]).1);
        let (bytes, is_compressed) = bytes_sent(&mut a, [compressing(), compressing()]);
        assert!(is_compressed && bytes < plain / 4, "{bytes} of {plain}");
    }

    /// Between small frames, in the middle of a history, and alone.
    #[test]
    fn an_update_too_large_for_a_pack_goes_in_its_turn() {
        let mut a = writer(100);
        let large = "x".repeat(2 * PACK_BYTES_MAX);
        for key in ["large", "larger"] {
            a.local_update(NOW, LwwMap::set(key, &large).unwrap()).unwrap();
        }
        a.local_update(NOW, LwwMap::set("small", &1).unwrap()).unwrap();
        let (bytes, _) = bytes_sent(&mut a, [compressing(), compressing()]);
        assert!(bytes > 2 * large.len());
    }

    /// Otherwise they are frames of a later version.
    #[test]
    fn packs_are_read_where_both_announced_them() {
        for (config, digest, is_compressed) in [
            (compressing(), PACKS_DIGEST, true),
            (compressing(), BINARY_DIGEST, false),
            (SessionConfig::default(), PACKS_DIGEST, false),
        ] {
            let mut r = replica("R");
            let mut session = new_session(&mut r, config);
            session.receive(&mut r, NOW, &[digest, b"\"BINARY\"\n"].concat()).unwrap();
            assert_eq!(session.is_compressed(), is_compressed);
            let mut bytes = Vec::new();
            assert!(pack(&b"\x01\x05".repeat(300), &mut bytes), "it is packed");
            session.receive(&mut r, NOW, &bytes).unwrap();
            assert_eq!(session.tally().histories_received > 0, is_compressed);
        }
    }
}
