//! The malformed frames of docs/protocol.md, tried: the document says what really becomes of them, or
//! this fails.

use scuttlebutt::{
    DecodeError, LwwMap, PeerLag, Replica, Session, SessionConfig, SessionError, SourceId,
};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");
const NOW_MS: f64 = 1_000_000.0;

/// What goes before: the peer switches.
const HELLO: &[u8] =
    b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n\"BINARY\"\n";

#[test]
fn what_is_no_frame_ends_the_session_as_documented() {
    check("frames", HELLO, &SessionConfig::default());
}

#[cfg(feature = "zstd")]
#[test]
fn what_is_no_pack_ends_the_session_as_documented() {
    let hello =
        b"{\"id\":\"P\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1,\"zstd\":1}}\n\"BINARY\"\n";
    check("packs", hello, &SessionConfig { compress: true, ..SessionConfig::default() });
}

fn check(table: &str, hello: &[u8], config: &SessionConfig) {
    let rows = rows(table);
    assert!(rows.len() > 5, "the table was not found");
    for (bytes, outcome) in rows {
        for portion in [1, 2, bytes.len()] {
            let found = outcome_of(hello, config, &bytes, portion);
            assert_eq!(found, outcome, "{bytes:02x?} in portions of {portion}");
        }
    }
}

fn outcome_of(hello: &[u8], config: &SessionConfig, bytes: &[u8], portion: usize) -> String {
    let id = SourceId::new("R").expect("an id");
    let mut replica = Replica::new(id, LwwMap::new());
    let mut session = Session::new(&mut replica, NOW_MS, config.clone());
    session.receive(&mut replica, NOW_MS, hello).expect("a good beginning");
    let heard = bytes
        .chunks(portion)
        .try_for_each(|bytes| session.receive(&mut replica, NOW_MS, bytes))
        .and_then(|()| session.receive_end(&mut replica, NOW_MS));
    assert_eq!(replica.updates_held(), 0, "nothing came of {bytes:02x?}");
    match heard {
        Err(SessionError::Decode(error)) => match error {
            DecodeError::Frame(error) => format!("`FrameError::{error:?}`"),
            DecodeError::Limit(_) => "`Limits::line_bytes_max`".into(),
            DecodeError::NotJson { .. } => "`DecodeError::NotJson`".into(),
            DecodeError::MalformedDigest { .. } => "`DecodeError::MalformedDigest`".into(),
            DecodeError::BrokenOff { .. } => "`DecodeError::BrokenOff`".into(),
            other => panic!("{bytes:02x?}: {other}"),
        },
        Err(error) => panic!("{bytes:02x?}: {error}"),
        Ok(()) if session.tally().acknowledgements_received > 0 => {
            assert_eq!(session.peer_lag(), Some(PeerLag::default()));
            "counts for nothing".into()
        }
        Ok(()) => "passed over".into(),
    }
}

/// The bytes and the outcome of each row of a table.
fn rows(table: &str) -> Vec<(Vec<u8>, &'static str)> {
    let (_, table) =
        DOCUMENT.split_once(&format!("<!-- malformed {table} -->")).expect("the table");
    table
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|row| {
            let [_, bytes, _, outcome, _] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("a row of three cells: {row}")
            };
            let bytes = bytes.trim().trim_matches('`').split(' ');
            let bytes = bytes.map(|hex| u8::from_str_radix(hex, 16).expect("hexadecimal"));
            (bytes.collect(), outcome.trim())
        })
        .collect()
}
