//! What was written is read, however it is cut; what is none is refused by name. The malformed frames
//! of `docs/protocol.md` are tried in the crate's `tests/binary.rs`.

use super::*;
use crate::limits::{Bound, LimitExceeded, Limits};
use crate::model::Register;
use crate::replica::{Outcome, Replica};
use crate::source::SourceId;
use crate::timestamp::Timestamp;
use crate::update::{Change, Update};
use crate::version_vector::VersionVector;
use crate::wire::{DecodeError, Frame, FrameError};
use proptest::prelude::*;

/// All frames of a whole stream that arrives in the portions given.
fn decode(portions: &[&[u8]], limits: &Limits) -> Result<Vec<Frame>, DecodeError> {
    let mut decoder = Decoder::default();
    let mut frames = Vec::new();
    for mut portion in portions.iter().copied() {
        while let Some(frame) = decoder.decode(&mut portion, limits)? {
            frames.push(frame);
        }
        assert!(portion.is_empty(), "all that is there was read");
    }
    decoder.finish()?;
    Ok(frames)
}

fn decode_all(bytes: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    decode(&[bytes], &Limits::default())
}

fn source(id: &str) -> SourceId {
    SourceId::new(id).expect("an id")
}

fn at(millis: f64) -> Timestamp {
    Timestamp::new(millis).expect("a timestamp")
}

fn update(line: &str) -> Update {
    Update::from_json(line).expect("an update")
}

/// The frame in which A says this change at the bits 1, after the one that names A.
fn frame_of(change: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::default().update(&update(r#"[0,1,"A"]"#), &source("A"), &mut out);
    let name = 1 + usize::from(out[0]);
    out.truncate(name);
    let mut body = vec![0, 2];
    body.extend_from_slice(change.as_bytes());
    varint::write(body.len() as u64, &mut out);
    out.extend(body);
    out
}

#[test]
fn an_update_is_its_change_and_little_else() {
    let (mut encoder, a) = (Encoder::default(), source("A"));
    let mut out = Vec::new();
    encoder.update(&update(r#"[["k",1],1700000000000,"A"]"#), &a, &mut out);
    encoder.update(&update(r#"[["k",2],1700000000000.0002,"A"]"#), &a, &mut out);
    encoder.update(&update(r#"[["k",3],1700000000001,"A","s"]"#), &a, &mut out);
    let expected: [&[u8]; 4] = [
        b"\x04\x02\"A\"",
        b"\x12\x00\x80\x80\x80\xe8\xca\xbf\xde\xf8\x84\x01[\"k\",1]",
        b"\x09\x00\x02[\"k\",2]",
        b"\x10\x01\xfe\x3f\x07[\"k\",3][\"s\"]",
    ];
    assert_eq!(out, expected.concat());
    let frames = decode_all(&out).expect("frames");
    assert_eq!(frames.len(), 3, "a name is nothing that a session has to know of: {frames:?}");
}

/// More sources than there are slots, each met again after it was driven out.
#[test]
fn slots_are_used_again() {
    let sources: Vec<_> = (0..SLOTS + 100).map(|n| source(&format!("source {n}"))).collect();
    let mut encoder = Encoder::default();
    let (mut out, mut expected) = (Vec::new(), Vec::new());
    for round in 0..3 {
        for (nth, source) in sources.iter().enumerate() {
            let millis = at(1.0 + (round * sources.len() + nth) as f64);
            let update = Update::new(&Change::new(&nth).expect("JSON"), millis, source.clone());
            encoder.update(&update, source, &mut out);
            expected.push(Frame::Update(Ok(update)));
        }
    }
    assert_eq!(decode_all(&out).expect("frames"), expected);
    let mut decoder = Decoder::default();
    let mut rest = &out[..];
    while decoder.decode(&mut rest, &Limits::default()).expect("frames").is_some() {}
    assert!(format!("{decoder:?}").matches("\"source ").count() <= SLOTS);
}

/// Whoever fills slots can fill those there are.
#[test]
fn i8_slots_have_an_end() {
    let (mut decoder, limits) = (Decoder::default(), Limits::default());
    for slot in 0..=SLOTS as u64 {
        let mut frame = Vec::new();
        varint::write(slot << KIND_BITS | Kind::Source as u64, &mut frame);
        frame.extend_from_slice(b"\"A\"");
        frame.insert(0, frame.len() as u8);
        let expected =
            if slot < SLOTS as u64 { Ok(None) } else { Err(FrameError::SlotOutOfTurn.into()) };
        assert_eq!(decoder.decode(&mut &frame[..], &limits), expected, "slot {slot}");
    }
}

/// A source that lies in two places in memory is two to the encoder, and one to whoever reads.
#[test]
fn copies_of_a_source_are_named_twice() {
    let (mut encoder, mut out) = (Encoder::default(), Vec::new());
    let update = update(r#"[1,5,"A"]"#);
    encoder.update(&update, &source("A"), &mut out);
    encoder.update(&update, &source("A"), &mut out);
    let frame = Frame::Update(Ok(update));
    assert_eq!(decode_all(&out).expect("frames"), [frame.clone(), frame]);
}

#[test]
fn a_mark_of_many_sources_takes_no_slots() {
    for (count, slots) in [(3, 3), (2_000, 0)] {
        let vector: VersionVector =
            (0..count).map(|n| (source(&format!("s{n}")), at(1.0 + f64::from(n)))).collect();
        let (mut encoder, mut out) = (Encoder::default(), Vec::new());
        encoder.mark(vector.iter(), &mut out);
        assert_eq!(decode_all(&out).expect("a mark"), [Frame::Mark(vector)]);
        assert_eq!(format!("{encoder:?}").matches("\"s").count(), slots);
    }
}

/// As in lines: what JSON.parse takes is taken, in the form in which it is passed on.
#[test]
fn a_change_becomes_canonical() {
    for change in ["[\"k\",1]", " [ \"k\" , 1.0 ] ", "[\"\\u006b\",1e0]"] {
        let frames = decode_all(&frame_of(change)).expect("a frame");
        let [Frame::Update(Ok(update))] = &frames[..] else { panic!("{frames:?}") };
        assert_eq!(update.change(), r#"["k",1]"#, "{change:?}");
    }
    for change in ["", " ", "[1", "1 2", "nul"] {
        let error = decode_all(&frame_of(change)).expect_err("no JSON");
        assert!(matches!(error, DecodeError::NotJson { .. }), "{change:?}: {error}");
    }
}

/// Whoever speaks JSON has to be able to take what came in a frame.
#[test]
fn i8_updates_are_bounded_as_in_lines() {
    let line = r#"[[["k"],"long"],5e-324,"A"]"#;
    let frame = frame_of(r#"[["k"],"long"]"#);
    let fits = Limits { line_bytes_max: line.len(), nesting_depth_max: 3, ..Limits::default() };
    assert_eq!(decode(&[&frame], &fits).expect("fits"), [Frame::Update(Ok(update(line)))]);
    let shorter = Limits { line_bytes_max: line.len() - 1, ..fits.clone() };
    let mut replica = Replica::with_limits(source("R"), Register::new(), shorter);
    let exceeded = LimitExceeded::new(Bound::UpdateBytes, line.len() - 1);
    assert_eq!(replica.remote_update(1.0, update(line)), Outcome::Full(exceeded));
    let flatter = Limits { nesting_depth_max: 2, ..fits };
    let exceeded = LimitExceeded::new(Bound::NestingDepth, 2);
    assert_eq!(decode(&[&frame], &flatter).expect("frames"), [Frame::Oversized(exceeded)]);
}

/// A length is a claim; what arrives is what is kept.
#[test]
fn i8_a_long_frame_is_not_believed_before_it_comes() {
    let limits = Limits { line_bytes_max: 1_000, ..Limits::default() };
    let mut long = Vec::new();
    varint::write(1_033, &mut long);
    long.extend_from_slice(&[Kind::Digest as u8; 20]);
    let error = Decoder::default().decode(&mut &long[..], &limits).expect_err("too long");
    assert_eq!(error, LimitExceeded::new(Bound::LineBytes, 1_000).into());
    let mut decoder = Decoder::default();
    let mut longest = Vec::new();
    varint::write(1_032, &mut longest);
    assert_eq!(decoder.decode(&mut &longest[..], &limits), Ok(None));
    assert!(decoder.held_bytes() <= 16);
    assert!(matches!(decoder.finish(), Err(DecodeError::BrokenOff { .. })));
}

/// An update that is too long is passed over in little memory, however it is cut, and what follows is
/// understood: the slots of its frame and of the next, and the timestamps that are counted from its own. So
/// is a name that is too long for a source, and what is said of it.
#[test]
fn i9_what_is_too_long_is_passed_over() {
    let limits = Limits { line_bytes_max: 300, source_bytes_max: 20, ..Limits::default() };
    let long = format!("[[\"k\",\"{}\"],20,\"A\"]", "x".repeat(100_000));
    let signed = format!("[[\"k\",\"{}\"],21,\"A\",\"s\"]", "x".repeat(1_000));
    let named = format!("[[\"k\",2],22,\"{}\"]", "n".repeat(30));
    let endless = format!("[[\"k\",2],23,\"{}\"]", "n".repeat(1_000));
    let said = [r#"[["k",1],10,"A"]"#, &long, &signed, &named, &endless, r#"[["k",3],30,"A"]"#];
    let mut bytes = Vec::new();
    let mut encoder = Encoder::default();
    for update in said.map(update) {
        encoder.update(&update, update.source(), &mut bytes);
    }
    let mark = [(source(&"n".repeat(30)), 22.0), (source("A"), 30.0)];
    let mark = mark.map(|(id, at)| (id, Timestamp::new(at).expect("positive")));
    encoder.mark(mark.iter().map(|(id, at)| (id, *at)), &mut bytes);
    let line = Frame::Oversized(LimitExceeded::new(Bound::LineBytes, 300));
    let id = Frame::Oversized(LimitExceeded::new(Bound::SourceBytes, 20));
    let expected = [
        Frame::Update(Ok(update(said[0]))),
        line.clone(),
        line,
        id.clone(),
        id,
        Frame::Update(Ok(update(said[5]))),
        Frame::Mark(mark.into_iter().skip(1).collect()),
    ];
    for chunk in [1, 2, 3, 19, 20, 21, 64, 301, 4_096, bytes.len()] {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for mut part in bytes.chunks(chunk) {
            while let Some(frame) = decoder.decode(&mut part, &limits).expect("frames") {
                frames.push(frame);
            }
            assert!(decoder.held_bytes() <= 1_024, "{} bytes are held", decoder.held_bytes());
        }
        assert_eq!(frames, expected, "in parts of {chunk}");
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn frames_of_later_versions_are_passed_over() {
    // The kind 7, and a kind that has no slot with one.
    let bytes = b"\x03\x07xy\x01\x0d\x01\x05";
    assert_eq!(decode_all(bytes), Ok(vec![Frame::HistorySent]));
}

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    (1..0x7ff0_0000_0000_0000_u64, 0..64_u32)
        .prop_map(|(bits, shift)| Timestamp::from_bits((bits >> shift).max(1)).expect("positive"))
}

#[derive(Clone, Debug)]
enum Said {
    Update(u8, Timestamp, String, bool),
    Mark(Vec<(u8, Timestamp)>),
    HistorySent,
    Acknowledgement(u64, u64),
}

fn said() -> impl Strategy<Value = Said> {
    let mark = prop::collection::vec((any::<u8>(), any_timestamp()), 0..40);
    prop_oneof![
        6 => (any::<u8>(), any_timestamp(), ".{0,200}", any::<bool>())
            .prop_map(|(source, at, text, signed)| Said::Update(source, at, text, signed)),
        2 => mark.prop_map(Said::Mark),
        1 => Just(Said::HistorySent),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| Said::Acknowledgement(a, b)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        all in prop::collection::vec(said(), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let sources: Vec<_> = (0..=255u8).map(|n| source(&format!("s\u{1F600}{n}"))).collect();
        let id = |nth: u8| &sources[usize::from(nth)];
        let (mut encoder, mut out, mut expected) = (Encoder::default(), Vec::new(), Vec::new());
        for said in all {
            expected.push(match said {
                Said::Update(nth, at, text, signed) => {
                    let change = Change::new(&text).expect("JSON");
                    let mut update = Update::new(&change, at, id(nth).clone());
                    if signed {
                        update = update.signed("sgn=");
                    }
                    let (before, most) = (out.len(), Encoder::update_len_max(&update, id(nth)));
                    encoder.update(&update, id(nth), &mut out);
                    prop_assert!(out.len() - before <= most);
                    Frame::Update(Ok(update))
                }
                Said::Mark(entries) => {
                    let vector: VersionVector =
                        entries.into_iter().map(|(nth, at)| (id(nth).clone(), at)).collect();
                    let shared = vector.iter().map(|(source, at)| {
                        (sources.iter().find(|known| *known == source).expect("known"), at)
                    });
                    encoder.mark(shared, &mut out);
                    Frame::Mark(vector)
                }
                Said::HistorySent => {
                    Encoder::history_sent(&mut out);
                    Frame::HistorySent
                }
                Said::Acknowledgement(handled, durable) => {
                    Encoder::acknowledgement(handled, durable, &mut out);
                    Frame::Acknowledgement { handled, durable }
                }
            });
        }
        prop_assert_eq!(decode_all(&out).expect("frames"), expected.clone());
        let (a, b) = out.split_at(cut.index(out.len() + 1));
        prop_assert_eq!(decode(&[a, b], &Limits::default()).expect("frames"), expected.clone());
        let bytes: Vec<&[u8]> = out.chunks(1).collect();
        prop_assert_eq!(decode(&bytes, &Limits::default()).expect("frames"), expected);
    }

    /// Whatever the bytes and their portions: no panic, the same answer, and no more memory than came.
    #[test]
    fn nonsense_never_panics(
        frames in prop::collection::vec(
            (0..9u8, prop::collection::vec(any::<u8>(), 0..12)), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = b"\x04\x02\"A\"".to_vec();
        for (kind, body) in frames {
            bytes.push(1 + body.len() as u8);
            bytes.push(kind);
            bytes.extend(body);
        }
        bytes.extend(tail);
        let limits = Limits { line_bytes_max: 60, nesting_depth_max: 3, ..Limits::default() };
        let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
        prop_assert_eq!(decode(&[&bytes], &limits), decode(&[a, b], &limits));
    }
}

#[test]
fn a_difference_may_go_either_way() {
    for difference in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
        assert_eq!(unzigzag(zigzag(difference)), difference);
    }
    assert_eq!([0, -1, 1].map(zigzag), [0, 1, 2]);
    let error = decode_all(b"\x04\x02\"A\"\x03\x00\x001").expect_err("at zero");
    assert_eq!(error, FrameError::Timestamp.into());
}

#[cfg(feature = "zstd")]
mod packs {
    use super::*;
    use crate::wire::binary::pack::{self, PACK_BYTES_MAX};

    fn decode_packs(bytes: &[u8], limits: &Limits) -> Result<Vec<Frame>, DecodeError> {
        let [byte_by_byte, at_once] = [1, usize::MAX].map(|portion| {
            let mut decoder = Decoder::new(true);
            let mut frames = Vec::new();
            for mut portion in bytes.chunks(portion) {
                while let Some(frame) = decoder.decode(&mut portion, limits)? {
                    frames.push(frame);
                }
            }
            decoder.finish()?;
            Ok(frames)
        });
        assert_eq!(byte_by_byte, at_once);
        at_once
    }

    fn packed(frames: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert!(pack::write(frames, &mut out), "it is packed");
        out
    }

    fn zstd(frames: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(frames, 1).expect("compresses")
    }

    /// A pack, and how long it says that what is in it is.
    fn claiming(len: usize, packed: &[u8]) -> Vec<u8> {
        let mut body = vec![Kind::Pack as u8];
        varint::write(len as u64, &mut body);
        body.extend_from_slice(packed);
        let mut out = Vec::new();
        varint::write(body.len() as u64, &mut out);
        out.extend(body);
        out
    }

    /// So many updates of A, not so alike that they are packed into next to nothing.
    fn updates(count: u32) -> Vec<u8> {
        let (mut encoder, mut out, a) = (Encoder::default(), Vec::new(), source("A"));
        for n in 0..count {
            let change = Change::new(&("key", n.wrapping_mul(2_654_435_761))).expect("JSON");
            let update = Update::new(&change, at(1.0 + f64::from(n)), a.clone());
            encoder.update(&update, &a, &mut out);
        }
        out
    }

    #[test]
    fn a_pack_is_read_as_what_it_holds() {
        let frames = updates(200);
        let bytes = [packed(&frames), b"\x01\x05".to_vec()].concat();
        let expected = decode_all(&[&frames[..], b"\x01\x05"].concat());
        assert_eq!(decode_packs(&bytes, &Limits::default()), expected);
        // Whoever agreed on none passes over it.
        assert_eq!(decode_all(&bytes), Ok(vec![Frame::HistorySent]));
        // What does not become shorter, or by too much, goes as it is.
        for frames in [updates(3), b"\x01\x05".repeat(PACK_BYTES_MAX / 2), updates(20_000)] {
            let mut out = Vec::new();
            assert!(!pack::write(&frames, &mut out));
            assert_eq!(out, frames);
        }
    }

    #[test]
    fn i8_what_is_no_pack_is_refused() {
        let good = updates(200);
        // Two of the library's frames, and one before which stands what it passes over.
        let (half, rest) = good.split_at(good.len() / 2);
        let two_frames = [zstd(half), zstd(rest)].concat();
        let skipped = b"\x50\x2a\x4d\x18\x02\x00\x00\x00hi";
        let pack_in_pack = [packed(&good), updates(600)].concat();
        for (bytes, expected) in [
            (claiming(good.len() + 1, &zstd(&good)), FrameError::Pack),
            (claiming(good.len() - 1, &zstd(&good)), FrameError::Pack),
            (claiming(good.len(), &zstd(&good)[1..]), FrameError::Pack),
            (claiming(good.len(), &good), FrameError::Pack),
            (claiming(good.len(), &two_frames), FrameError::Pack),
            (claiming(good.len(), &[skipped, &zstd(&good)[..]].concat()), FrameError::Pack),
            (claiming(good.len(), &[&zstd(&good)[..], skipped].concat()), FrameError::Pack),
            (claiming(0, skipped), FrameError::Pack),
            (claiming(600, b""), FrameError::Pack),
            // More than a pack may hold, and more than so few bytes may hold.
            (claiming(PACK_BYTES_MAX + 1, &zstd(&updates(20_000))), FrameError::Pack),
            (claiming(PACK_BYTES_MAX, &zstd(&vec![0; PACK_BYTES_MAX])), FrameError::Pack),
            // It ends within a frame.
            (packed(&good[..good.len() - 1]), FrameError::Short),
            (packed(&pack_in_pack), FrameError::PackInPack),
        ] {
            let error = decode_packs(&bytes, &Limits::default());
            assert_eq!(error, Err(expected.into()), "{:02x?}", &bytes[..8]);
        }
    }

    /// A pack may be longer than a line, what is in it may not.
    #[test]
    fn i8_frames_in_packs_are_bounded_as_others_are() {
        let limits = Limits { line_bytes_max: 400, ..Limits::default() };
        let frames = updates(200);
        assert!(packed(&frames).len() > 500);
        assert_eq!(decode_packs(&packed(&frames), &limits).map(|frames| frames.len()), Ok(200));
        let sources: VersionVector =
            (0..60).map(|n| (source(&format!("source {n}")), at(1.0 + f64::from(n)))).collect();
        let mut mark = Vec::new();
        Encoder::default().mark(sources.iter(), &mut mark);
        let error = LimitExceeded::new(Bound::LineBytes, 400).into();
        assert_eq!(decode_packs(&packed(&mark), &limits), Err(error));
    }
}
