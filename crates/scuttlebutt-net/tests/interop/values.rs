//! Unusual values, keys, events and ids, in both directions.

use scuttlebutt::{EventLog, LwwMap, Register, SessionConfig, SourceId, json::JsString};
use scuttlebutt_net::Node;

use crate::for_each_model;
use crate::js::Js;
use crate::ours::{
    Kind, address, apply, assert_equal, dialling, eventually, fresh_timestamp, lines, listening,
    write,
};

for_each_model!(values, ids, elements_after_the_source);

/// JSON texts, as somebody may write them, and as they are read again.
fn unusual() -> Vec<(String, String)> {
    let same = [
        r#""""#,
        r#""é 日本 \u0000\u001f""#,
        "\"\u{1F600}\u{7F}\u{2028}\u{2029}/\"",
        r#""\ud800""#,
        r#""a\udc00\ud800b""#,
        r#"" \"\\\b\f\n\r\t""#,
        "0",
        "false",
        "[]",
        "{}",
        "[[],{},null,[null]]",
        "1e+21",
        "1e-7",
        "0.000001",
        "100000000000000000000",
        "9007199254740991",
        "5e-324",
        "1.7976931348623157e+308",
        "-1.5",
        r#"{"":"","a b":{"__proto__":1,"constructor":2}}"#,
        r#"{"\ud800":"\udc00","é":1}"#,
        r#"{"0":1,"10":2,"4294967294":3,"b":4,"4294967295":5,"01":6,"-1":7,"1.5":8}"#,
    ];
    let changed = [
        ("-0", "0"),
        ("1e21", "1e+21"),
        ("1E400", "null"),
        ("9007199254740993", "9007199254740992"),
        ("123456789012345678901234567890", "1.2345678901234568e+29"),
        ("0.1e-6", "1e-7"),
        ("1.0", "1"),
        (r#"{"b":1,"10":2,"2":3,"a":4}"#, r#"{"2":3,"10":2,"b":1,"a":4}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a":3,"b":2}"#),
        (r#""\u00e9\ud83d\ude00\/\u0041""#, "\"é\u{1F600}/A\""),
    ];
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(1_000), "}".repeat(1_000));
    let long = format!("\"{}\"", "x".repeat(5_000_000));
    let same = same.map(str::to_owned).into_iter().chain([deep, deep_object, long]);
    let same = same.map(|text| (text.clone(), text));
    let changed = changed.map(|(text, read)| (text.to_owned(), read.to_owned()));
    same.chain(changed).collect()
}

/// Names of keys and events. Not `__proto__`, which both refuse.
const NAMES: [&str; 12] = [
    r#""""#,
    r#""10""#,
    r#""constructor""#,
    r#""toString""#,
    r#""hasOwnProperty""#,
    r#""é日本""#,
    "\"\u{1F600}\"",
    "\"\u{FF5E}\"",
    r#""\ud800""#,
    r#""\udc00""#,
    r#""\n\u0001""#,
    r#""a.b c""#,
];

/// Changes that carry a value, as written and as read.
fn with_value<M: Kind>(i: usize, (text, read): &(String, String)) -> (String, String) {
    let carry = |value: &str| match M::NAME {
        "map" => format!("[\"key{i}\",{value}]"),
        "events" => format!("[\"event\",{value},{i}]"),
        _ => value.to_owned(),
    };
    (carry(text), carry(read))
}

/// All changes of a model that this file is about.
fn changes<M: Kind>() -> Vec<(String, String)> {
    let values = unusual();
    let values = values.iter().enumerate();
    let mut changes: Vec<_> = values.map(|(i, value)| with_value::<M>(i, value)).collect();
    if M::NAME != "value" {
        // The original looks some of these up in an object with a prototype.
        let inherited = ["constructor", "toString", "hasOwnProperty"];
        let is_safe = |name: &&&str| {
            M::NAME == "map" || !inherited.iter().any(|inherited| name.contains(inherited))
        };
        let named = NAMES.iter().filter(is_safe).map(|name| format!("[{name},1]"));
        changes.extend(named.map(|change| (change.clone(), change)));
    }
    changes
}

/// Written by the application on one side, read on the other.
async fn values<M: Kind>() {
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    for (text, read) in changes::<M>() {
        let update = write(&node, &text).await;
        assert_eq!(update.change(), read, "canonical as in the original");
    }
    assert_same_history(&mut js, &node).await;

    // Later than all of the above, and the other way round, on keys of its own.
    let node = listening::<M>("ours", SessionConfig::default()).await;
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.connect(&address(&node)).await;
    let mut expected = Vec::new();
    for (text, read) in changes::<M>() {
        js.write::<M>(&text).await;
        expected.push(read);
    }
    assert_same_history(&mut js, &node).await;
    if M::NAME != "value" {
        let lines = lines(&node);
        assert_eq!(lines.len(), expected.len());
        for change in expected {
            let short: String = change.chars().take(100).collect();
            assert!(crate::js::holds(&lines, &change), "{short}");
        }
    }
    // And once more to a newcomer, as history.
    let mut newcomer = Js::start::<M>("newcomer", &[]).await;
    newcomer.connect(&address(&node)).await;
    assert_same_history(&mut newcomer, &node).await;
}

/// The history alone: what the applications see holds lone surrogates and more.
async fn assert_same_history<M: Kind>(js: &mut Js, node: &Node<M>) {
    let deadline = std::time::Instant::now() + crate::js::PATIENCE;
    loop {
        let (theirs, ours) = (js.lines().await, lines(node));
        if theirs == ours || std::time::Instant::now() > deadline {
            return assert_equal(&theirs, &ours);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Ids that a clock in a digest has to carry both ways.
async fn ids<M: Kind>() {
    const IDS: [&str; 11] = [
        r#""""#,
        r#""0""#,
        r#""10""#,
        r#""9""#,
        r#""01""#,
        r#""é日本""#,
        "\"\u{1F600}\"",
        "\"\u{FF5E}\"",
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\"\\\n""#,
    ];
    let written = |prefix: &str, n: u64| -> Vec<String> {
        let line = |(i, id)| {
            let change = match M::NAME {
                "map" => format!("[\"{prefix}{i}\",{n}]"),
                "events" => format!("[\"{prefix}{i}\",{n}]"),
                _ => format!("\"{prefix}{i}\""),
            };
            format!("[{change},{},{id}]", fresh_timestamp())
        };
        IDS.iter().enumerate().map(line).collect()
    };
    let id = SourceId::new(JsString::from_json_literal(r#""ours \ud83d""#).unwrap()).unwrap();
    let node = Node::builder(M::default()).id(id).listen("127.0.0.1:0");
    let node = node.start().await.unwrap();
    let mut js = Js::start::<M>("theirs", &[]).await;
    js.apply(&written("a", 1)).await;
    js.connect(&address(&node)).await;
    assert_same_history(&mut js, &node).await;
    js.apply(&written("b", 2)).await;
    write(&node, &M::change(0)).await;
    assert_same_history(&mut js, &node).await;

    // Each announces the other's, so that nothing comes again.
    eventually(
        || node.read_replica(|replica| replica.version_vector().len()) == IDS.len() + 1,
        || format!("{:?}", node.read_replica(scuttlebutt::Replica::version_vector)),
    )
    .await;
    js.run("disconnect", serde_json::json!({})).await;
    let before = js.wait(serde_json::json!({ "open": 0 })).await;
    js.connect(&address(&node)).await;
    let after = js.wait(serde_json::json!({ "syncs": 2 })).await;
    assert_eq!((&after["applied"], &after["stale"]), (&before["applied"], &before["stale"]));

    // Through us to a newcomer.
    let mut newcomer = Js::start::<M>("newcomer", &[]).await;
    newcomer.connect(&address(&node)).await;
    assert_same_history(&mut newcomer, &node).await;
}

/// Signatures and whatever else stands there are passed on untouched.
async fn elements_after_the_source<M: Kind>() {
    let many = (0..1_000).map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(",");
    let extras = [r#""signature""#, "null", r#"{"b":1,"0":2},[[]],"","\ud800",1e+21"#, &many];
    let written = |first: u64| -> Vec<String> {
        let line = |(n, extra): (usize, &&str)| {
            let change = M::change(first + n as u64);
            format!("[{change},{},\"someone {first}\",{extra}]", fresh_timestamp())
        };
        extras.iter().enumerate().map(line).collect()
    };
    let mut js = Js::listening::<M>("theirs", &[]).await;
    let node = dialling::<M>("ours", &js.address().await).await;
    js.apply(&written(0)).await;
    let theirs = js.lines().await;
    assert_same_history(&mut js, &node).await;
    assert_eq!(lines(&node), canonical(&theirs));
    apply(&node, &written(10));
    assert_same_history(&mut js, &node).await;
}

/// Object keys that are integers come first, on both sides.
fn canonical(lines: &[String]) -> Vec<String> {
    let swapped = |line: &String| line.replace(r#"{"b":1,"0":2}"#, r#"{"0":2,"b":1}"#);
    lines.iter().map(swapped).collect()
}

/// A key that is no string is one to both, and travels as it was.
#[tokio::test]
async fn keys_that_are_no_strings() {
    let keys = ["5", "null", "true", r#"{"a":1}"#, "[1,[2]]", "-0", "1e21"];
    let mut js = Js::listening::<LwwMap>("theirs", &[]).await;
    let node = dialling::<LwwMap>("ours", &js.address().await).await;
    for key in keys {
        js.write_at(&format!("[{key},\"odd\"]"), fresh_timestamp()).await;
    }
    assert_same_history(&mut js, &node).await;
    // The same keys, spelt as strings: they supersede the odd ones.
    for key in ["5", "null", "true", "[object Object]", "1,2", "0", "1e+21"] {
        write(&node, &format!("[\"{key}\",\"plain\"]")).await;
    }
    assert_same_history(&mut js, &node).await;
    assert_eq!(lines(&node).len(), keys.len());
    assert_eq!(lines(&node).iter().filter(|line| line.contains("odd")).count(), 0);
}

/// Where the original's own model would do something else with the name, ours does what it says.
#[tokio::test]
async fn names_that_only_ours_can_hold() {
    let node = listening::<EventLog>("ours", SessionConfig::default()).await;
    let other = dialling::<EventLog>("other", &address(&node)).await;
    write(&node, r#"["constructor",1]"#).await;
    write(&node, r#"["toString"]"#).await;
    eventually(|| lines(&other) == lines(&node), || format!("{:#?}", lines(&other))).await;

    let node = listening::<Register>("ours", SessionConfig::default()).await;
    let mut js = Js::start::<Register>("theirs", &[]).await;
    js.connect(&address(&node)).await;
    write(&node, "null").await;
    assert_same_history(&mut js, &node).await;
}
