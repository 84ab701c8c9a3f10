//! Canonical text against what Node prints, and against a plain twin on random text.

use std::borrow::Cow;

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

const LIMITS: TextLimits = TextLimits { nesting_depth_max: 3_000 };

fn canonical(text: &str) -> Option<Cow<'_, str>> {
    canonicalize(text.as_bytes(), LIMITS).ok()
}

/// Texts, and what `JSON.stringify(JSON.parse(text))` printed in Node 20.20. `None` where
/// `JSON.parse` threw.
#[rustfmt::skip]
const NODE: &[(&str, Option<&str>)] = &[
    ("0", Some("0")),
    ("-0", Some("0")),
    ("-0.0", Some("0")),
    ("1.0", Some("1")),
    ("1.50", Some("1.5")),
    ("-1", Some("-1")),
    ("100", Some("100")),
    ("1e0", Some("1")),
    ("1E2", Some("100")),
    ("1e+2", Some("100")),
    ("1e16", Some("10000000000000000")),
    ("1e20", Some("100000000000000000000")),
    ("1e21", Some("1e+21")),
    ("123456789012345680000", Some("123456789012345680000")),
    ("1234567890123456800000", Some("1.2345678901234568e+21")),
    ("1e-6", Some("0.000001")),
    ("1e-7", Some("1e-7")),
    ("0.000001", Some("0.000001")),
    ("0.0000001", Some("1e-7")),
    ("0.00000123", Some("0.00000123")),
    ("1.5e300", Some("1.5e+300")),
    ("-1.5e-300", Some("-1.5e-300")),
    ("5e-324", Some("5e-324")),
    ("2e-324", Some("0")),
    ("1.7976931348623157e308", Some("1.7976931348623157e+308")),
    ("1.7976931348623159e308", Some("null")),
    ("1e999", Some("null")),
    ("-1e999", Some("null")),
    ("9007199254740991", Some("9007199254740991")),
    ("9007199254740992", Some("9007199254740992")),
    ("9007199254740993", Some("9007199254740992")),
    ("0.1", Some("0.1")),
    ("0.30000000000000004", Some("0.30000000000000004")),
    ("1700000000000.001", Some("1700000000000.001")),
    ("1700000000000.0010", Some("1700000000000.001")),
    ("1700000000000.0001", Some("1700000000000")),
    ("1700000000000.00012", Some("1700000000000")),
    ("4503599627370497.5", Some("4503599627370498")),
    ("123456789.123456789", Some("123456789.12345679")),
    ("563000000000000.2", Some("563000000000000.2")),
    ("563000000000000.3", Some("563000000000000.2")),
    ("563000000000000.25", Some("563000000000000.2")),
    ("5960464477539.0625e-20", Some("5.960464477539063e-8")),
    ("618970019642690137449562112", Some("6.189700196426902e+26")),
    ("0.1e1", Some("1")),
    ("10e-1", Some("1")),
    ("00", None),
    ("01", None),
    ("-01", None),
    ("-", None),
    ("+1", None),
    (".5", None),
    ("1.", None),
    ("1.e1", None),
    ("1e", None),
    ("1e+", None),
    ("0x1", None),
    ("1_0", None),
    ("NaN", None),
    ("Infinity", None),
    ("-Infinity", None),
    ("undefined", None),
    ("null", Some("null")),
    ("true", Some("true")),
    ("false", Some("false")),
    ("nul", None),
    ("nulll", None),
    ("True", None),
    ("tru", None),
    (r#""""#, Some(r#""""#)),
    (r#""a""#, Some(r#""a""#)),
    (r#""\u0041""#, Some(r#""A""#)),
    (r#""\/""#, Some(r#""/""#)),
    (r#""/""#, Some(r#""/""#)),
    (r#""\"""#, Some(r#""\"""#)),
    (r#""\\""#, Some(r#""\\""#)),
    (r#""\b\f\n\r\t""#, Some(r#""\b\f\n\r\t""#)),
    (r#""\u0008\u000c\u000a\u000D\u0009""#, Some(r#""\b\f\n\r\t""#)),
    (r#""\u0000\u001F\u007f""#, Some("\"\\u0000\\u001f\u{7f}\"")),
    ("\"\u{7f}\"", Some("\"\u{7f}\"")),
    (r#""\u2028\u2029""#, Some("\"\u{2028}\u{2029}\"")),
    ("\"\u{2028}\u{2029}\"", Some("\"\u{2028}\u{2029}\"")),
    (r#""\u00e9\u00E9""#, Some(r#""éé""#)),
    (r#""\ud83d\ude00""#, Some(r#""😀""#)),
    (r#""\uD83D\uDE00""#, Some(r#""😀""#)),
    (r#""😀""#, Some(r#""😀""#)),
    (r#""\ud800""#, Some(r#""\ud800""#)),
    (r#""\uD800""#, Some(r#""\ud800""#)),
    (r#""\udfff\uD800""#, Some(r#""\udfff\ud800""#)),
    (r#""\ude00\ud83d""#, Some(r#""\ude00\ud83d""#)),
    (r#""\ud83d\ud83d\ude00""#, Some(r#""\ud83d😀""#)),
    (r#""\ud83dx\ude00""#, Some(r#""\ud83dx\ude00""#)),
    (r#""\ud83d\n""#, Some(r#""\ud83d\n""#)),
    (r#""\ufeff""#, Some("\"\u{feff}\"")),
    ("\"\u{feff}\"", Some("\"\u{feff}\"")),
    (r#""\uFFFF\uffff""#, Some("\"\u{ffff}\u{ffff}\"")),
    (r#""\u003c/script>""#, Some(r#""</script>""#)),
    (r#""\u0022\u005c""#, Some(r#""\"\\""#)),
    (r#"""#, None),
    (r#""a"#, None),
    (r#""\"#, None),
    (r#""\x41""#, None),
    (r#""\a""#, None),
    (r#""\u12""#, None),
    (r#""\u12g4""#, None),
    (r#""\u{41}""#, None),
    (r#""\U0041""#, None),
    ("\"a\nb\"", None),
    ("\"a\tb\"", None),
    ("\"a\u{0}b\"", None),
    ("\"a\u{1f}b\"", None),
    ("'a'", None),
    ("[]", Some("[]")),
    ("[ ]", Some("[]")),
    ("[1,2]", Some("[1,2]")),
    (" [ 1 , 2 ] ", Some("[1,2]")),
    ("\t[\r\n1\r\n]\r", Some("[1]")),
    ("[1,]", None),
    ("[,1]", None),
    ("[1 2]", None),
    ("[1", None),
    ("[", None),
    ("]", None),
    ("[[],[[]],{}]", Some("[[],[[]],{}]")),
    ("[1],", None),
    ("[1] [2]", None),
    ("[1]x", None),
    ("[1}", None),
    ("\u{b}1", None),
    ("\u{a0}1", None),
    ("\u{feff}1", None),
    ("\u{feff}[]", None),
    ("// a\n1", None),
    ("/**/1", None),
    ("", None),
    ("  ", None),
    ("\r", None),
    ("{}", Some("{}")),
    ("{ }", Some("{}")),
    (r#"{"a":1}"#, Some(r#"{"a":1}"#)),
    (r#" { "a" : 1 , "b" : 2 } "#, Some(r#"{"a":1,"b":2}"#)),
    (r#"{"a":1,}"#, None),
    ("{,}", None),
    (r#"{"a"}"#, None),
    (r#"{"a":}"#, None),
    ("{a:1}", None),
    ("{1:1}", None),
    (r#"{"a":1 "b":2}"#, None),
    (r#"{"a":1"#, None),
    (r#"{"a""#, None),
    ("{", None),
    ("}", None),
    (r#"{"a":1]"#, None),
    (r#"{"b":1,"a":2}"#, Some(r#"{"b":1,"a":2}"#)),
    (r#"{"b":1,"2":2,"1":3}"#, Some(r#"{"1":3,"2":2,"b":1}"#)),
    (r#"{"10":1,"9":2,"a":3}"#, Some(r#"{"9":2,"10":1,"a":3}"#)),
    (r#"{"1":1,"1":2}"#, Some(r#"{"1":2}"#)),
    (r#"{"a":1,"b":2,"a":3}"#, Some(r#"{"a":3,"b":2}"#)),
    (r#"{"a":1,"\u0061":2}"#, Some(r#"{"a":2}"#)),
    (r#"{"\u0031":1,"0":2}"#, Some(r#"{"0":2,"1":1}"#)),
    (r#"{"a":1,"b":2,"a":{"y":1,"x":2,"y":3},"0":4}"#, Some(r#"{"0":4,"a":{"y":3,"x":2},"b":2}"#)),
    (r#"{"4294967294":1,"4294967293":2}"#, Some(r#"{"4294967293":2,"4294967294":1}"#)),
    (r#"{"4294967295":1,"4294967294":2}"#, Some(r#"{"4294967294":2,"4294967295":1}"#)),
    (r#"{"4294967296":1,"0":2}"#, Some(r#"{"0":2,"4294967296":1}"#)),
    (r#"{"b":0,"4294967295":1,"a":2}"#, Some(r#"{"b":0,"4294967295":1,"a":2}"#)),
    (r#"{"01":1,"1":2,"-1":3,"0":4,"1.5":5,"1e3":6,"":7,"+2":8,"2":9," 3":10}"#, Some(r#"{"0":4,"1":2,"2":9,"01":1,"-1":3,"1.5":5,"1e3":6,"":7,"+2":8," 3":10}"#)),
    (r#"{"9007199254740991":1,"1":2}"#, Some(r#"{"1":2,"9007199254740991":1}"#)),
    (r#"{"-0":1,"0":2}"#, Some(r#"{"0":2,"-0":1}"#)),
    (r#"{"__proto__":1}"#, Some(r#"{"__proto__":1}"#)),
    (r#"{"a":1,"__proto__":{"b":2},"__proto__":3}"#, Some(r#"{"a":1,"__proto__":3}"#)),
    (r#"{"__proto__":null,"1":[]}"#, Some(r#"{"1":[],"__proto__":null}"#)),
    (r#"{"constructor":1,"toString":2,"hasOwnProperty":3}"#, Some(r#"{"constructor":1,"toString":2,"hasOwnProperty":3}"#)),
    (r#"{"toJSON":1}"#, Some(r#"{"toJSON":1}"#)),
    (r#"{"length":1,"0":2}"#, Some(r#"{"0":2,"length":1}"#)),
    (r#"{"\ud800":1,"\uD800":2}"#, Some(r#"{"\ud800":2}"#)),
    (r#"{"😀":1,"\ud83d\ude00":2}"#, Some(r#"{"😀":2}"#)),
    (r#"{"\/":1,"/":2}"#, Some(r#"{"/":2}"#)),
    (r#"{"":1,"":2}"#, Some(r#"{"":2}"#)),
    (r#"{"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"k1":10}"#, Some(r#"{"k1":10,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9}"#)),
    (r#"{"9":1,"8":1,"7":1,"6":1,"5":1,"4":1,"3":1,"2":1,"1":1,"0":1,"5":2}"#, Some(r#"{"0":1,"1":1,"2":1,"3":1,"4":1,"5":2,"6":1,"7":1,"8":1,"9":1}"#)),
    (r#"[{"b":{"1":[{"z":1,"0":{"c":1,"c":2}}],"0":1},"a":1.0}, "x"]"#, Some(r#"[{"b":{"0":1,"1":[{"0":{"c":2},"z":1}]},"a":1},"x"]"#)),
    (r#"[["key-0000000001",{"a":1,"b":"some text"}],1700000000000.001,"A1B2C3"]"#, Some(r#"[["key-0000000001",{"a":1,"b":"some text"}],1700000000000.001,"A1B2C3"]"#)),
    (r#"{"id":"A","clock":{"B":1,"A":2},"meta":{"10":1,"9":[true,false,null]}}"#, Some(r#"{"id":"A","clock":{"B":1,"A":2},"meta":{"9":[true,false,null],"10":1}}"#)),
    (r#""SYNC""#, Some(r#""SYNC""#)),
    ("GET / HTTP/1.1\r", None),
];

#[test]
fn canonical_text_is_what_node_prints() {
    for &(text, expected) in NODE {
        assert_eq!(canonical(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn the_twin_prints_what_node_prints() {
    for &(text, expected) in NODE {
        assert_eq!(twin::canonicalize(text).as_deref(), expected, "{text}");
    }
}

/// One way to write a string of a few characters, with and without escapes.
fn literal() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-c]",
        2 => "[0-9]",
        1 => Just("é".to_owned()),
        1 => Just("😀".to_owned()),
        1 => Just("\u{2028}".to_owned()),
        1 => "[ -~&&[^\"\\\\]]",
        1 => "\\\\[\"\\\\/bfnrt]",
        2 => any::<u16>().prop_map(|unit| format!("\\u{unit:04x}")),
        2 => (0u16..0x80).prop_map(|unit| format!("\\u{unit:04X}")),
        1 => (0xd800u16..0xe000).prop_map(|unit| format!("\\u{unit:04x}")),
        1 => Just("\\uD83D\\ude00".to_owned()),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

/// A key, often one that was there before, and often an array index or nearly one.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "\"[a-c]\"",
        2 => "\"[0-9]{1,2}\"",
        1 => "\"429496729[3-6]\"",
        1 => "\"\\\\u00(3[0-9]|61)\"",
        1 => Just("\"__proto__\"".to_owned()),
        1 => literal(),
    ]
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?",
        "-?(0|[1-9][0-9]{0,2})",
        any::<f64>().prop_map(|number| if number.is_finite() {
            number.to_string()
        } else {
            "0".into()
        }),
    ]
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just(""), 1 => Just(" "), 1 => Just("\t"), 1 => Just("\r\n")]
}

/// A JSON text with all the liberties JSON allows.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        literal(),
        number(),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
    ];
    leaf.prop_recursive(4, 40, 12, |value| {
        let value =
            (space(), value, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}")).boxed();
        let member = (space(), key(), space(), value.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            prop::collection::vec(value, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            (prop::collection::vec(member, 0..12), space())
                .prop_map(|(members, a)| format!("{{{a}{}}}", members.join(","))),
        ]
    })
}

/// Bytes that often are JSON, or nearly.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let pieces = "[\\[\\]{},:\"\\\\/0-9eE+.truefalsn \t\n\u{1}é-]{0,30}";
    prop_oneof![
        any::<Vec<u8>>(),
        pieces.prop_map(String::into_bytes),
        (text(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, index, byte)| {
            let mut bytes = text.into_bytes();
            let index = index.index(bytes.len());
            bytes[index] = byte;
            bytes
        }),
        (text(), any::<prop::sample::Index>()).prop_map(|(text, index)| {
            let mut bytes = text.into_bytes();
            bytes.truncate(index.index(bytes.len()));
            bytes
        }),
    ]
}

proptest! {
    #[test]
    fn canonical_text_is_what_the_twin_prints(text in text()) {
        let expected = twin::canonicalize(&text);
        prop_assert!(expected.is_some());
        prop_assert_eq!(canonical(&text).map(Cow::into_owned), expected);
    }

    #[test]
    fn canonical_text_stays_and_is_borrowed(text in text()) {
        let once = canonical(&text).expect("is JSON");
        let twice = canonical(&once).expect("is JSON");
        prop_assert_eq!(&once, &twice);
        prop_assert!(matches!(twice, Cow::Borrowed(_)));
    }

    #[test]
    fn the_same_texts_are_json_as_for_others(bytes in nearly_json()) {
        let repaired = String::from_utf8_lossy(&bytes);
        let ours = canonicalize(&bytes, LIMITS);
        // `IgnoredAny` passes over values by the grammar alone: too large a number or a lone
        // surrogate is no fault to it.
        let theirs = serde_json::from_str::<IgnoredAny>(&repaired);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        prop_assert_eq!(ours.ok().map(Cow::into_owned), twin::canonicalize(&repaired));
    }

    #[test]
    fn canonical_text_comes_apart_and_goes_together(text in text()) {
        let text = canonical(&text).expect("is JSON");
        match kind(&text) {
            Kind::Array => {
                let parts: Vec<&str> = elements(&text).collect();
                for part in &parts {
                    prop_assert!(matches!(canonical(part), Some(Cow::Borrowed(same)) if same == *part));
                }
                prop_assert_eq!(format!("[{}]", parts.join(",")), text);
            }
            Kind::Object => {
                let mut parts = Vec::new();
                for (key, value) in members(&text) {
                    prop_assert_eq!(JsString::from_json_literal(key).expect("is a literal").to_json_literal(), key);
                    prop_assert!(matches!(canonical(value), Some(Cow::Borrowed(same)) if same == value));
                    parts.push(format!("{key}:{value}"));
                }
                prop_assert_eq!(format!("{{{}}}", parts.join(",")), text);
            }
            Kind::String => {
                prop_assert_eq!(to_js_string(&text).to_json_literal(), text);
            }
            Kind::Number => prop_assert_eq!(to_js_string(&text), &*text),
            Kind::Null | Kind::Bool => prop_assert!(matches!(&*text, "null" | "true" | "false")),
        }
    }

    #[test]
    fn numbers_print_as_the_twin_prints_them(bits: u64) {
        let number = f64::from_bits(bits);
        let mut ours = String::new();
        write_number(number, &mut ours);
        let theirs = if number.is_finite() {
            twin::canonicalize(&format!("{number:e}"))
        } else {
            Some("null".to_owned())
        };
        prop_assert_eq!(Some(ours), theirs);
    }
}
