//! What is tolerated, what is ignored, what is an error; whatever the chunks.

use super::*;
use crate::json::{JsString, JsonErrorKind};
use crate::limits::LimitExceeded;
use crate::update::{Change, InvalidUpdate, Update};
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
    frames.extend(decoder.finish(limits)?);
    Ok(frames)
}

fn decode_text(text: &str) -> Result<Vec<Frame>, DecodeError> {
    decode(&[text.as_bytes()], &Limits::default())
}

fn one(line: &str) -> Frame {
    let mut frames = decode_text(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(frames.len(), 1, "{line}: {frames:?}");
    frames.remove(0)
}

fn update(line: &str) -> Frame {
    Frame::Update(Ok(Update::from_json(line).expect("an update")))
}

#[test]
fn lines_may_be_laid_out_as_json_parse_allows() {
    let plain = r#"[["k",1],10,"A"]"#;
    for line in [
        plain,
        "[[\"k\",1],10,\"A\"]\n",
        "[[\"k\",1],10,\"A\"]\r\n",
        " \t[ [ \"k\" , 1.0 ] , 1e1 , \"\\u0041\" ] \r\n",
        "\n\r\n   \n[[\"k\",1],10,\"A\"]\n\n\t\n",
    ] {
        assert_eq!(one(line), update(plain), "{line:?}");
    }
    for line in ["\"SYNC\"\n", "\t\"SYNC\"\r\n", "\"\\u0053YNC\"\n", "\"SYNC\""] {
        assert_eq!(one(line), Frame::HistorySent, "{line:?}");
    }
    assert_eq!(decode_text("").unwrap(), []);
    assert_eq!(decode_text("\n\r\n \n").unwrap(), [], "blank lines are skipped");
}

#[test]
fn scalars_that_are_no_message_are_ignored() {
    for line in
        ["null", "true", "false", "0", "-17.5", "1e999", "\"\"", "\"sync\"", "\"SYNC \"", "\"x\""]
    {
        assert_eq!(one(line), Frame::Unknown, "{line}");
    }
}

#[test]
fn arrays_that_are_no_update_say_why() {
    use InvalidUpdate::{SourceName, SourceType, Timestamp, TimestampType, TooShort};
    for (line, reason) in [
        ("[]", TooShort),
        (r#"["k"]"#, TooShort),
        (r#"[["k",1],10]"#, TooShort),
        (r#"[["k",1],"10","p"]"#, TimestampType),
        (r#"[["k",1],null,"p"]"#, TimestampType),
        (r#"[["k",1],1e999,"p"]"#, TimestampType),
        (r#"[["k",1],{},"p"]"#, TimestampType),
        (r#"[["k",1],0,"p"]"#, Timestamp(0.0)),
        (r#"[["k",1],-0,"p"]"#, Timestamp(0.0)),
        (r#"[["k",1],-3,"p"]"#, Timestamp(-3.0)),
        (r#"[["k",1],10,5]"#, SourceType),
        (r#"[["k",1],10,null]"#, SourceType),
        (r#"[["k",1],10,["p"]]"#, SourceType),
        (r#"[["k",1],10,"__proto__"]"#, SourceName),
        (r#"[["k",1],10,"\u005f_proto__"]"#, SourceName),
    ] {
        assert_eq!(one(line), Frame::Update(Err(reason)), "{line}");
    }
}

/// Of the change nothing is demanded here: what it means is the model's business.
#[test]
fn updates_are_kept_as_they_are() {
    for line in [
        r#"[null,1,"n"]"#,
        r#"["zq",1,"n"]"#,
        r#"[["__proto__",1],1,"n"]"#,
        r#"[["k",{"__proto__":1}],1,"n"]"#,
        r#"[["k",1],1700000000000.001,""]"#,
        r#"[["k",1],1,"constructor"]"#,
        r#"[["k","\ud800"],1,"\udfff"]"#,
        r#"[["k",1],1,"A","signature",null,{"2":1,"b":[]}]"#,
        r#"[["k",1],5e-324,"A"]"#,
        r#"[["k",1],1.7976931348623157e+308,"A"]"#,
    ] {
        let Frame::Update(Ok(update)) = one(line) else { panic!("{line}") };
        assert_eq!(update.to_json(), line);
    }
    let Frame::Update(Ok(signed)) = one(r#"[["k",1],1,"A", "s" , [ 1 ]]"#) else { panic!() };
    assert_eq!(signed.extras(), ["\"s\"", "[1]"]);
    assert_eq!(signed.change(), r#"["k",1]"#);
}

#[test]
fn digests_may_have_odd_clocks_and_ids() {
    let digest = |line: &str| match one(line) {
        Frame::Digest(digest) => digest,
        other => panic!("{line}: {other:?}"),
    };
    // As the original's `<` sees them.
    let infinity = f64::MAX;
    for (clock, expected) in [
        (r#"{"A":100,"B":0.5}"#, &[("A", 100.0), ("B", 0.5)][..]),
        (r#"{"A":"150"}"#, &[("A", 150.0)]),
        (r#"{"A":" 0x10 "}"#, &[("A", 16.0)]),
        (r#"{"A":"text"}"#, &[("A", infinity)]),
        (r#"{"A":{}}"#, &[("A", infinity)]),
        (r#"{"A":1e999,"B":-1e999,"C":0.5}"#, &[("A", infinity), ("C", 0.5)]),
        (r#"{"A":[1e400],"B":"1e999"}"#, &[("A", infinity), ("B", infinity)]),
        ("1e999", &[]),
        (r#"{"A":"Infinity"}"#, &[("A", infinity)]),
        (r#"{"A":[7]}"#, &[("A", 7.0)]),
        (r#"{"A":true}"#, &[("A", 1.0)]),
        (r#"{"A":null,"B":0,"C":false,"D":"","E":-5,"F":[]}"#, &[]),
        (r#"{"A":1,"A":2}"#, &[("A", 2.0)]),
        (r#"{"__proto__":5,"A":1}"#, &[("A", 1.0)]),
        ("{}", &[]),
        ("[]", &[]),
        ("[5]", &[]),
        ("5", &[]),
        ("true", &[]),
        (r#""text""#, &[]),
    ] {
        let expected = expected.iter().map(|(id, at)| {
            (SourceId::new(*id).expect("an id"), Timestamp::new(*at).expect("a timestamp"))
        });
        let found = digest(&format!("{{\"id\":\"P\",\"clock\":{clock}}}")).vector;
        assert_eq!(found, expected.collect(), "{clock}");
    }
    for (id, expected) in [
        (r#""id":"P","#, Some("P")),
        (r#""id":"","#, Some("")),
        (r#""id":7,"#, None),
        (r#""id":null,"#, None),
        (r#""id":["P"],"#, None),
        ("", None),
    ] {
        let found = digest(&format!("{{{id}\"clock\":{{}}}}")).id;
        assert_eq!(found, expected.map(JsString::from), "{id}");
    }
    let all =
        digest(r#"{"accept":null,"meta": { "a" : 1 },"clock":{},"ext":{"x":0,"marks":1},"y":[]}"#);
    assert_eq!(all.metadata.as_deref(), Some(r#"{"a":1}"#));
    let infinite = digest(r#"{"clock":{},"meta":[1e999,{"b":-1e999}]}"#);
    assert_eq!(
        infinite.metadata.as_deref(),
        Some(r#"[null,{"b":null}]"#),
        "as JavaScript prints it"
    );
    assert_eq!(all.extensions, Some(Extensions { promises: true, ..Extensions::default() }));
    for (ext, expected) in [
        (r#"{"marks":0}"#, Some(false)),
        (r#"{"marks":2}"#, Some(false)),
        ("{}", None),
        ("1", None),
        (r#"["marks"]"#, None),
        ("null", None),
    ] {
        let found = digest(&format!("{{\"clock\":{{}},\"ext\":{ext}}}")).extensions;
        assert_eq!(found.map(|extensions| extensions.promises), expected, "{ext}");
    }
    for (ext, expected) in [
        (r#"{"marks":1,"binary":1}"#, true),
        (r#"{"binary":2,"marks":0}"#, true),
        (r#"{"marks":1,"binary":0}"#, false),
        (r#"{"marks":1,"binary":"1"}"#, false),
        (r#"{"marks":1,"binary":true}"#, false),
        (r#"{"marks":1,"binary":-1}"#, false),
        (r#"{"binary":1}"#, false),
    ] {
        let found = digest(&format!("{{\"clock\":{{}},\"ext\":{ext}}}")).extensions;
        assert_eq!(found.is_some_and(|extensions| extensions.binary), expected, "{ext}");
    }
}

/// What is unknown, or of another type than it should be, is as if it were not there.
#[test]
fn extensions_say_what_a_peer_belongs_to() {
    let found = |ext: &str| match one(&format!("{{\"clock\":{{}},\"ext\":{ext}}}")) {
        Frame::Digest(digest) => digest.extensions,
        other => panic!("{ext}: {other:?}"),
    };
    let marks = Extensions { promises: true, ..Extensions::default() };
    let label = |text| Some(Label::new(text).expect("a label"));
    for (ext, expected) in [
        (r#"{"marks":1,"model":"map"}"#, Extensions { model: label("map"), ..marks.clone() }),
        (r#"{"model":"\u006dap","marks":1}"#, Extensions { model: label("map"), ..marks.clone() }),
        (r#"{"marks":1,"cluster":"é"}"#, Extensions { cluster: label("é"), ..marks.clone() }),
        (r#"{"marks":1,"heartbeat":2.5}"#, Extensions { heartbeat_ms: Some(2.5), ..marks.clone() }),
        (r#"{"marks":1,"model":"","cluster":""}"#, marks.clone()),
        (r#"{"marks":1,"model":["map"],"cluster":7,"heartbeat":"30000"}"#, marks.clone()),
        (r#"{"marks":1,"heartbeat":0,"later":{"model":"map"}}"#, marks.clone()),
        (r#"{"marks":1,"heartbeat":-5}"#, marks.clone()),
        (r#"{"marks":1,"heartbeat":1e999}"#, marks),
    ] {
        assert_eq!(found(ext), Some(expected), "{ext}");
    }
    assert_eq!(found(r#"{"model":"map","cluster":"a","heartbeat":1}"#), None, "it says no marks");

    let limits = Limits { label_bytes_max: 6, ..Limits::default() };
    for member in ["model", "cluster"] {
        let line = |text: &str| {
            format!("{{\"clock\":{{}},\"ext\":{{\"marks\":1,\"{member}\":\"{text}\"}}}}")
        };
        assert!(decode(&[line("four").as_bytes()], &limits).is_ok());
        let error = decode(&[line("fiver").as_bytes()], &limits).unwrap_err();
        assert_eq!(error, LimitExceeded::new(Bound::LabelBytes, 6).into());
    }
}

#[test]
fn digests_without_a_clock_are_malformed() {
    for line in [
        "{}",
        r#"{"id":"P"}"#,
        r#"{"clock":null}"#,
        r#"{"clock":false}"#,
        r#"{"clock":0}"#,
        r#"{"clock":-0.0}"#,
        r#"{"clock":""}"#,
        r#"{"clock":null,"mark":{"A":1}}"#,
    ] {
        let error = decode_text(line).expect_err(line);
        assert!(matches!(error, DecodeError::MalformedDigest { .. }), "{line}: {error}");
        assert!(error.to_string().contains("clock"), "{error}");
    }
    let Frame::Mark(mark) = one(r#"{"mark":{"A":1.5}}"#) else { panic!() };
    assert_eq!(mark.len(), 1);
}

#[test]
fn what_is_no_json_is_named() {
    for (text, kind) in [
        ("[1,]\n", JsonErrorKind::ExpectedValue),
        ("{\"a\" 1}\n", JsonErrorKind::ExpectedColon),
        ("{'a':1}\n", JsonErrorKind::ExpectedKey),
        ("[1] [2]\n", JsonErrorKind::ExpectedEnd),
        ("\"SYNC\"\"SYNC\"\n", JsonErrorKind::ExpectedEnd),
        ("\"a\tb\"\n", JsonErrorKind::ControlCharacter),
        ("[01]\n", JsonErrorKind::ExpectedCommaOrBracket),
        ("nul\n", JsonErrorKind::ExpectedValue),
    ] {
        match decode_text(text) {
            Err(DecodeError::NotJson { error, .. }) => assert_eq!(error.kind, kind, "{text:?}"),
            other => panic!("{text:?}: {other:?}"),
        }
    }
    let error = decode_text(&format!("[\"\\x1b\u{1b}{}\"]\n", "y".repeat(200))).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("bytes)") && text.len() < 250, "short: {text}");
    assert!(!text.contains('\u{1b}'), "safe to print: {text}");
}

#[test]
fn the_last_line_may_lack_its_newline_but_not_its_end() {
    assert_eq!(decode_text("\"SYNC\"\n[[\"k\",1],10,\"A\"]").unwrap().len(), 2);
    assert_eq!(decode_text("\"SYNC\"\n \t").unwrap().len(), 1);
    for text in
        ["[[\"k\",1],10,\"A\"", "\"SYN", "{\"clock\":{}", "\"SYNC\"\n[", "{\"clock\":{\"A\":1"]
    {
        let error = decode_text(text).expect_err(text);
        assert!(matches!(error, DecodeError::BrokenOff { .. }), "{text}: {error}");
    }
}

/// Recognised by the first bytes, without waiting for the end of a line.
#[test]
fn other_protocols_are_recognised_at_once() {
    let limits = Limits::default();
    let unknown = |bytes: &[u8]| Foreign::Unknown(Excerpt::of(bytes));
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n"[..], Foreign::Http),
        (b"POST /x HTTP/1.1", Foreign::Http),
        (b"HTTP/1.1 400 Bad Request", Foreign::Http),
        (b"PRI * HTTP/2.0", Foreign::Http),
        (b"\r\n\r\nGET / HTTP/1.1", Foreign::Http),
        (b"\x16\x03\x01\x00\xa5\x01", Foreign::Tls),
        (b"\x16\x03\x03", Foreign::Tls),
        (b"SSH-2.0-OpenSSH_9.6", Foreign::Ssh),
        (b"\xef\xbb\xbf{}", unknown(b"\xef\xbb\xbf{}")),
        (b"\xff\xfe{\x00", unknown(b"\xff\xfe{\x00")),
        (b"\x00\x01\x02", unknown(b"\x00\x01\x02")),
        (b"EHLO", unknown(b"EHLO")),
        (b"G", unknown(b"G")),
    ] {
        let mut input = bytes;
        let error = Decoder::default().decode(&mut input, &limits).expect_err("foreign");
        assert_eq!(error, DecodeError::Foreign(expected), "{}", bytes.escape_ascii());
    }
    // Later in a stream it is only a bad line.
    let error = decode_text("\"SYNC\"\nGET / HTTP/1.1\n").unwrap_err();
    assert!(matches!(error, DecodeError::NotJson { .. }), "{error}");
}

#[test]
fn bounds_are_named() {
    let limits = Limits {
        line_bytes_max: 40,
        nesting_depth_max: 4,
        sources_max: 2,
        source_bytes_max: 5,
        metadata_bytes_max: 4,
        ..Limits::default()
    };
    let bound = |text: &str| match decode(&[text.as_bytes()], &limits) {
        Err(DecodeError::Limit(exceeded)) => Some((exceeded.bound, exceeded.limit)),
        Ok(frames) => frames.into_iter().find_map(|frame| match frame {
            Frame::Oversized(exceeded) => Some((exceeded.bound, exceeded.limit)),
            Frame::Digest(digest) => {
                digest.exceeded.map(|exceeded| (exceeded.bound, exceeded.limit))
            }
            _ => None,
        }),
        Err(other) => panic!("{text}: {other}"),
    };
    let padded = |length: usize| format!("\"{}\"\n", "x".repeat(length - 2));
    assert_eq!(bound(&padded(40)), None);
    assert_eq!(bound(&padded(41)), Some((Bound::LineBytes, 40)));
    assert_eq!(bound(padded(41).trim_end()), Some((Bound::LineBytes, 40)), "before its end");
    assert_eq!(bound(&(padded(40) + &padded(40))), None, "each line by itself");
    assert_eq!(bound("[[[[1]]]]\n"), None);
    assert_eq!(bound("[[[[[]]]]]\n"), Some((Bound::NestingDepth, 4)));
    assert_eq!(bound("{\"clock\":{\"a\":1,\"b\":2}}\n"), None);
    assert_eq!(bound("{\"clock\":{\"a\":1,\"b\":2,\"c\":3}}\n"), Some((Bound::Sources, 2)));
    let mark = decode(&[b"{\"mark\":{\"a\":1,\"b\":2,\"c\":3}}\n"], &limits).expect("a mark");
    assert!(matches!(&mark[..], [Frame::Mark(vector)] if vector.len() == 2), "{mark:?}");
    assert_eq!(bound("{\"clock\":{\"abc\":1}}\n"), None);
    assert_eq!(bound("{\"clock\":{\"abcd\":1}}\n"), Some((Bound::SourceBytes, 5)));
    assert_eq!(bound("{\"clock\":{},\"meta\":1234}\n"), None);
    assert_eq!(bound("{\"clock\":{},\"meta\":12345}\n"), Some((Bound::MetadataBytes, 4)));
}

/// An update that is too long is passed over to its newline in no memory, however it is cut.
#[test]
fn i9_an_update_that_is_too_long_is_passed_over() {
    let limits = Limits { line_bytes_max: 100, ..Limits::default() };
    let text = format!(" [[\"k\",\"{}\"],1,\"A\"]\n[[\"k\",1],2,\"A\"]\n", "x".repeat(100_000));
    for chunk in [1, 99, 100, 101, 4_096, text.len()] {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for mut part in text.as_bytes().chunks(chunk) {
            while let Some(frame) = decoder.decode(&mut part, &limits).expect("lines") {
                frames.push(frame);
            }
            assert!(decoder.held_bytes() <= 200);
        }
        let exceeded = LimitExceeded::new(Bound::LineBytes, 100);
        assert!(
            matches!(&frames[..], [Frame::Oversized(found), Frame::Update(Ok(_))] if *found == exceeded)
        );
        assert_eq!(decoder.finish(&limits), Ok(None));
    }
}

/// 100 MB without a newline: refused at the bound, and never more than that is held.
#[test]
fn a_line_without_an_end_is_bounded() {
    let limits = Limits { line_bytes_max: 1 << 20, ..Limits::default() };
    let mut decoder = Decoder::default();
    let chunk = vec![b'1'; 64 << 10];
    let mut taken = 0;
    let error = loop {
        let mut input = &chunk[..];
        match decoder.decode(&mut input, &limits) {
            Ok(frame) => assert_eq!(frame, None),
            Err(error) => break error,
        }
        taken += chunk.len();
        assert!(taken <= 1 << 20 && decoder.partial.len() <= 1 << 20);
        assert!(decoder.partial.capacity() <= 2 << 20);
    };
    assert_eq!(taken, 1 << 20);
    assert_eq!(error, DecodeError::Limit(LimitExceeded::new(Bound::LineBytes, 1 << 20)));
}

/// The original corrupts a character that is split over chunks; here every split is the same.
#[test]
fn where_the_stream_is_split_does_not_matter() {
    let text = "{\"id\":\"\u{1F600}\",\"clock\":{\"é\":1.5}}\n\r\n[[\"ключ\",\"é\u{1F600}\\ud800\"],10,\"漢\",\"s\"]\r\n\
                [\"x\"]\n7\n\"SYNC\"\n{\"mark\":{\"é\":2}}\n[[\"last\",1],11,\"漢\"]";
    let limits = Limits::default();
    let whole = decode(&[text.as_bytes()], &limits).unwrap();
    assert_eq!(whole.len(), 7);
    for at in 0..=text.len() {
        let (a, b) = text.as_bytes().split_at(at);
        assert_eq!(decode(&[a, b], &limits).unwrap(), whole, "split at {at}");
    }
    let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
    assert_eq!(decode(&bytes, &limits).unwrap(), whole, "byte by byte");
}

/// As the original reads it: U+FFFD in the place of what is no UTF-8.
#[test]
fn bytes_that_are_no_utf8_are_replaced() {
    let frames = decode(&[b"[[\"k\",\"a\xffb\"],10,\"A\"]\n"], &Limits::default()).unwrap();
    assert_eq!(frames, [update("[[\"k\",\"a\u{fffd}b\"],10,\"A\"]")]);
}

#[test]
fn vectors_list_array_indices_first() {
    let ids =
        ["z", "10", "9", "b", "01", "4294967294", "4294967295", "0", "-1", "1.5", "", "+1", "é"];
    let sources: Vec<_> = ids.iter().map(|id| SourceId::new(*id).expect("an id")).collect();
    let entries = sources.iter().zip(1..);
    let entries = entries.map(|(id, at)| (id, Timestamp::new(f64::from(at)).expect("positive")));
    let mut line = String::new();
    encode_mark(entries, &mut line);
    assert_eq!(
        line,
        "{\"mark\":{\"0\":8,\"9\":3,\"10\":2,\"4294967294\":6,\"z\":1,\"b\":4,\"01\":5,\"4294967295\":7,\
         \"-1\":9,\"1.5\":10,\"\":11,\"+1\":12,\"é\":13}}\n"
    );
}

fn js_string() -> impl Strategy<Value = JsString> {
    // Surrogates, paired and lone, control characters, quotes, and all the rest.
    let unit = prop_oneof![any::<u16>(), 0xd7f0..0xe010_u16, 0..0x80_u16];
    prop::collection::vec(unit, 0..12).prop_map(|units| JsString::from_utf16(&units))
}

fn json() -> impl Strategy<Value = String> {
    let number = any::<f64>().prop_map(|number| {
        let mut text = String::new();
        json::write_number(number, &mut text);
        text
    });
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|truth| truth.to_string()),
        number,
        js_string().prop_map(|string| string.to_json_literal()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let member = (js_string(), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..4).prop_map(|members| {
                let members = members.iter();
                let members =
                    members.map(|(key, value)| format!("{}:{value}", key.to_json_literal()));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

fn any_source() -> impl Strategy<Value = SourceId> {
    js_string().prop_filter_map("__proto__", |id| SourceId::new(id).ok())
}

fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    any::<f64>().prop_filter_map("no timestamp", |millis| Timestamp::new(millis.abs()).ok())
}

fn any_label() -> impl Strategy<Value = Label> {
    "[^\\p{Cc}]{1,16}".prop_filter_map("a label", |text| Label::new(&text).ok())
}

proptest! {
    /// What is written is read back as it was: changes, lone surrogates, extras, any double; and what
    /// is read is written as the same bytes.
    #[test]
    fn updates_survive_the_wire(
        change in json(),
        timestamp in any_timestamp(),
        source in any_source(),
        extras in prop::collection::vec(json(), 0..3),
        cut in any::<prop::sample::Index>(),
    ) {
        let change = Change::from_json(&change).unwrap();
        let plain = Update::new(&change, timestamp, source);
        let mut line = plain.to_json();
        line.pop();
        for extra in &extras {
            line += ",";
            line += extra;
        }
        line += "]";
        let update = Update::from_json(&line).unwrap();
        prop_assert_eq!((update.id(), update.change()), (plain.id(), change.as_json()));
        prop_assert_eq!(update.extras().len(), extras.len());
        if extras.is_empty() {
            prop_assert_eq!(&update, &plain);
        }
        let mut wire = Vec::new();
        update.write_line(&mut wire);
        prop_assert_eq!(wire.len(), update.line_len());
        let (a, b) = wire.split_at(cut.index(wire.len()));
        let frames = decode(&[a, b], &Limits::default()).unwrap();
        let [Frame::Update(Ok(back))] = &frames[..] else { panic!("{frames:?}") };
        prop_assert_eq!(back, &update);
        let mut again = Vec::new();
        back.write_line(&mut again);
        prop_assert_eq!(again, wire);
    }

    #[test]
    fn digests_survive_the_wire(
        id in any_source(),
        entries in prop::collection::vec((any_source(), any_timestamp()), 0..8),
        metadata in prop::option::of(json()),
        promises in prop::option::of(any::<bool>()),
        binary: bool,
        zstd: bool,
        model in prop::option::of(any_label()),
        cluster in prop::option::of(any_label()),
        heartbeat_ms in prop::option::of(1.0..1e300),
        life in prop::option::of(0..1_u64 << 53),
        places in prop::collection::vec((0..1_u64 << 53, (any_source(), any_timestamp()), 0..1_u64 << 53), 0..4),
    ) {
        let place = |(life, (source, timestamp), since)| {
            Place { life, at: UpdateId { timestamp, source }, since }
        };
        let places = places.into_iter().map(place).collect();
        let vector: VersionVector = entries.into_iter().collect();
        let metadata = metadata.map(|text| json::canonicalize(text.as_bytes(), Limits::default().text()).unwrap().into_owned());
        let zstd = binary && zstd;
        let extensions =
            promises.map(|promises| Extensions {
            promises,
            binary,
            zstd,
            refusals: zstd,
            without_evidence: binary,
            model,
            cluster,
            heartbeat_ms,
            life,
            places,
        });
        let mut line = String::new();
        encode_digest(id.json_literal(), vector.iter(), metadata.as_deref(), extensions.as_ref(), &mut line);
        let id = Some(id.as_js_string().clone());
        let expected = Digest { id, vector, metadata, extensions, exceeded: None };
        prop_assert_eq!(one(&line), Frame::Digest(expected));
    }

    /// Whatever the bytes and their portions: no panic, and the same answer.
    #[test]
    fn nonsense_never_panics(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"[]{},:\"\\\nSYNCclock0".to_vec())], 0..80),
        cut in any::<prop::sample::Index>(),
    ) {
        let limits = Limits { line_bytes_max: 60, nesting_depth_max: 3, ..Limits::default() };
        let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
        let whole = decode(&[&bytes], &limits);
        let parts = decode(&[a, b], &limits);
        // A foreign protocol is recognised by what has arrived of it.
        match (&whole, &parts) {
            (Err(DecodeError::Foreign(_)), Err(DecodeError::Foreign(_))) => {}
            _ => prop_assert_eq!(whole, parts),
        }
    }
}
