//! Any bytes, cut anywhere, from a peer: nothing panics, what is waiting stays bounded, and how the
//! bytes were cut makes no difference.

use std::mem::{Discriminant, discriminant};

use scuttlebutt::{
    DecodeError, Limits, LwwMap, Replica, Session, SessionConfig, SessionError, SessionEvent,
    SourceId, Update,
};

const NOW_MS: f64 = 1_700_000_000_000.0;

/// Small, so that every bound is met.
fn limits() -> Limits {
    Limits {
        line_bytes_max: 512,
        nesting_depth_max: 8,
        sources_max: 8,
        source_bytes_max: 16,
        metadata_bytes_max: 64,
        updates_max: 32,
        held_bytes_max: 4_096,
        // Nobody reads in between when all comes at once, and what nobody reads is dropped there.
        session_events_max: 1 << 20,
        ..Limits::default()
    }
}

/// What went wrong, without the excerpt of what had arrived by then.
type Kind = (Discriminant<SessionError>, Option<Discriminant<DecodeError>>);

fn kind(error: &SessionError) -> Kind {
    let decode = match error {
        SessionError::Decode(error) => Some(discriminant(error)),
        _ => None,
    };
    (discriminant(error), decode)
}

/// Everything that can be seen of a conversation.
#[derive(Debug, PartialEq)]
struct Seen {
    error: Option<Kind>,
    events: Vec<SessionEvent>,
    view: String,
    vector: scuttlebutt::VersionVector,
    answer: Vec<u8>,
}

fn converse(bytes: &[u8], mut cut: impl FnMut(usize) -> usize) -> Seen {
    let id = SourceId::new("me").expect("an id");
    let mut replica = Replica::with_limits(id, LwwMap::new(), limits());
    let config = SessionConfig { compress: true, ..SessionConfig::default() };
    let mut session = Session::new(&mut replica, NOW_MS, config);
    let mut events = Vec::new();
    let mut error = None;
    let mut rest = bytes;
    while !rest.is_empty() && error.is_none() {
        let (chunk, after) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
        rest = after;
        error = session.receive(&mut replica, NOW_MS, chunk).err();
        events.extend(std::iter::from_fn(|| session.next_event()));
        assert!(session.buffered_bytes() <= limits().line_bytes_max);
        assert!(replica.updates_held() <= limits().updates_max);
        assert!(replica.sources_known() <= limits().sources_max);
    }
    if error.is_none() {
        error = session.receive_end(&mut replica, NOW_MS).err();
        events.extend(std::iter::from_fn(|| session.next_event()));
    }
    let mut answer = Vec::new();
    while session.has_output(&replica) && session.transmit(&replica, &mut answer, 4_096) > 0 {}
    Seen {
        error: error.as_ref().map(kind),
        events: comparable(events),
        view: replica.model().to_json(),
        vector: replica.version_vector(),
        answer,
    }
}

/// Refusals in a row are told as one unless somebody asks in between; the end is the error.
fn comparable(mut events: Vec<SessionEvent>) -> Vec<SessionEvent> {
    let depends = |event: &SessionEvent| {
        matches!(event, SessionEvent::Refused { .. } | SessionEvent::Closed { .. })
    };
    events.retain(|event| !depends(event));
    events
}

/// What a peer says before frames.
const SWITCH: &[u8] =
    b"{\"id\":\"x\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1,\"zstd\":1}}\n\"BINARY\"\n";

/// The first byte says how the rest is cut. It is tried as lines, as frames, and as what is in a pack.
pub fn run(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    compare(*how, bytes);
    compare(*how, &[SWITCH, bytes].concat());
    compare(*how, &[SWITCH, &pack(bytes)].concat());
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(update) = Update::from_json(text)
    {
        let again = Update::from_json(&update.to_json()).expect("what we write can be read");
        assert_eq!(update, again);
        assert_eq!(update.to_json(), again.to_json());
    }
}

/// A frame in which these bytes are compressed.
fn pack(bytes: &[u8]) -> Vec<u8> {
    let packed = zstd::bulk::compress(bytes, 1).expect("compresses");
    let body = [&[7], &number(bytes.len())[..], &packed].concat();
    [number(body.len()), body].concat()
}

fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn compare(how: u8, bytes: &[u8]) {
    let whole = converse(bytes, |all| all);
    let mut state = u32::from(how);
    let cut = converse(bytes, |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        1 + (state >> 16) as usize % (1 + usize::from(how % 32))
    });
    assert_eq!(whole, cut);
}
