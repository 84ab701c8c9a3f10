//! Every pair of options that makes sense: what must flow flows, and nothing else does.
//!
//! What must not flow is looked for when the connection is over: by then, what either side had to
//! say before it ended has arrived.

use scuttlebutt::{Direction, EventLog, LwwMap, Metadata, Mode, SessionConfig};
use scuttlebutt_net::{Address, Node};
use serde_json::json;

use crate::js::Js;
use crate::ours::{
    Kind, address, apply, assert_same, builder, eventually, fresh_timestamp, holds, lines,
    listening, receives, write_at,
};

/// Our side's options, one for each column below.
fn ours() -> Vec<(&'static str, SessionConfig)> {
    let default = SessionConfig::default;
    vec![
        ("both", default()),
        ("both, no extensions", SessionConfig { announce_extensions: false, ..default() }),
        ("send only", SessionConfig { direction: Direction::SendOnly, ..default() }),
        ("send only, unasked", SessionConfig::send_only()),
        ("receive only", SessionConfig { direction: Direction::ReceiveOnly, ..default() }),
        ("receive only, silent", SessionConfig::receive_only()),
        ("catch up", SessionConfig { mode: Mode::CatchUp, ..default() }),
        (
            "receive only, catch up",
            SessionConfig { direction: Direction::ReceiveOnly, mode: Mode::CatchUp, ..default() },
        ),
    ]
}

/// The original's options, and for each column what flows to them and what flows to us: `-` nothing,
/// `h` the history and then the session ends, `l` also what is written later.
///
/// The original answers a digest also where it is asked to receive only; and without a digest it
/// sends nothing, unless it only sends.
#[rustfmt::skip]
const FLOWS: [(&str, [&str; 8]); 8] = [
    //                                                both  plain send  unask recv  silnt catch recv+catch
    (r#"{}"#,                                        ["ll", "ll", "l-", "l-", "-l", "--", "hh", "-h"]),
    (r#"{"writable":false}"#,                        ["-l", "-l", "--", "--", "-l", "-l", "-h", "-h"]),
    (r#"{"writable":false,"clock":true}"#,           ["-l", "-l", "--", "--", "-l", "--", "-h", "-h"]),
    (r#"{"readable":false}"#,                        ["-l", "-l", "--", "l-", "-l", "--", "-l", "-l"]),
    (r#"{"readable":false,"sendClock":true}"#,       ["ll", "ll", "l-", "l-", "-l", "--", "hh", "-h"]),
    (r#"{"tail":false}"#,                            ["hh", "hh", "h-", "h-", "-h", "--", "hh", "-h"]),
    (r#"{"writable":false,"tail":false}"#,           ["-h", "-h", "--", "--", "-h", "-h", "-h", "-h"]),
    (r#"{"writable":false,"clock":true,"tail":false}"#, ["-h", "-h", "--", "--", "-h", "--", "-h", "-h"]),
];

#[tokio::test]
async fn pairs_of_options_where_we_listen() {
    where_we_listen::<LwwMap>().await;
    where_we_listen::<EventLog>().await;
}

#[tokio::test]
async fn pairs_of_options_where_they_listen() {
    where_they_listen::<LwwMap>().await;
    where_they_listen::<EventLog>().await;
}

async fn where_we_listen<M: Kind>() {
    for (options, flows) in FLOWS {
        let mut js = Js::start::<M>("theirs", &["--options", options]).await;
        for (i, ((name, config), flow)) in ours().into_iter().zip(flows).enumerate() {
            let node = listening::<M>(&format!("ours-{i}"), config).await;
            let pair = Pair::prepare(&mut js, &node, i, format!("{options} with {name}")).await;
            js.connect(&address(&node)).await;
            pair.check(&mut js, &node, flow).await;
        }
    }
}

async fn where_they_listen<M: Kind>() {
    for (options, flows) in FLOWS {
        let mut js = Js::listening::<M>("theirs", &["--options", options]).await;
        let to: Address = js.address().await.parse().unwrap();
        for (i, ((name, config), flow)) in ours().into_iter().zip(flows).enumerate() {
            let node = builder::<M>(&format!("ours-{i}"));
            let node = node.start().await.unwrap();
            let pair = Pair::prepare(&mut js, &node, i, format!("{options} with {name}")).await;
            let (dialling, to) = (node.clone(), to.clone());
            let session = tokio::spawn(async move { dialling.connect_once(&to, config).await });
            pair.check(&mut js, &node, flow).await;
            let _ = session.await.unwrap();
        }
    }
}

/// One pair of options, and the four writes by which it is told what flows.
struct Pair {
    name: String,
    connected: usize,
    ours: [String; 2],
    theirs: [String; 2],
}

impl Pair {
    async fn prepare<M: Kind>(js: &mut Js, node: &Node<M>, i: usize, name: String) -> Self {
        let change = |who, when| format!("[\"{who} {when} {i}\",{i}]");
        let pair = Self {
            name,
            connected: i + 1,
            ours: [change("ours", "before"), change("ours", "later")],
            theirs: [change("theirs", "before"), change("theirs", "later")],
        };
        write_at(node, &pair.ours[0], fresh_timestamp());
        js.write_at(&pair.theirs[0], fresh_timestamp()).await;
        pair
    }

    async fn check<M: Kind>(&self, js: &mut Js, node: &Node<M>, flow: &str) {
        let (to_them, to_us) = flow.split_at(1);
        js.wait(json!({ "connected": self.connected })).await;
        if to_them != "-" {
            js.receives(&self.ours[0]).await;
        }
        if to_us != "-" {
            receives(node, &self.theirs[0]).await;
        }
        if flow.contains('h') {
            js.wait(json!({ "open": 0 })).await;
            let gone = || node.session_count() == 0;
            eventually(gone, || format!("{} stays", self.name)).await;
        }
        write_at(node, &self.ours[1], fresh_timestamp());
        js.write_at(&self.theirs[1], fresh_timestamp()).await;
        if to_them == "l" {
            js.receives(&self.ours[1]).await;
        }
        if to_us == "l" {
            receives(node, &self.theirs[1]).await;
        }
        if flow == "ll" {
            assert_same(js, node).await;
        }

        node.shutdown().await;
        let counts = js.wait(json!({ "open": 0 })).await;
        assert_eq!(counts["errors"], 0, "{}: {counts}", self.name);
        let theirs = js.lines().await;
        let flowed = |there: [bool; 2]| match there {
            [false, false] => "-",
            [true, false] => "h",
            [true, true] => "l",
            [false, true] => "only what was written later",
        };
        let at_theirs = self.ours.each_ref().map(|change| crate::js::holds(&theirs, change));
        let at_ours = self.theirs.each_ref().map(|change| holds(node, change));
        assert_eq!(
            (flowed(at_theirs), flowed(at_ours)),
            (to_them, to_us),
            "to them, to us: {}\n{:#?}",
            self.name,
            lines(node)
        );
    }
}

#[tokio::test]
async fn metadata_travels_both_ways() {
    let config = |text| SessionConfig {
        metadata: Some(Metadata::from_json(text).unwrap()),
        ..SessionConfig::default()
    };
    let node = listening::<LwwMap>("ours", config(r#"{"b":1,"1":"é"}"#)).await;
    let options = r#"{"meta":{"role":"leaf","10":[1e21,-0]}}"#;
    let mut js = Js::start::<LwwMap>("theirs", &["--options", options]).await;
    js.connect(&address(&node)).await;
    let header = js.event(|event| event["event"] == "header").await;
    let header = header["header"].as_str().unwrap().to_owned();
    assert!(header.contains(r#""meta":{"1":"é","b":1}"#), "{header}");
    let metadata = || node.sessions().first().and_then(|session| session.metadata.clone());
    eventually(|| metadata().is_some(), || format!("{:?}", node.sessions())).await;
    assert_eq!(metadata().unwrap(), r#"{"10":[1e+21,0],"role":"leaf"}"#);
}

/// What a peer can tell from the first line: without extensions it is the original's.
#[tokio::test]
async fn the_digest_is_the_originals() {
    let mut js = Js::start::<LwwMap>("theirs", &[]).await;
    for (announce_extensions, expected) in [
        (false, r#"{"id":"ours","clock":{"9":5,"b":6,"a":7.5}}"#),
        (true, r#"{"id":"ours","clock":{"9":5,"b":6,"a":7.5},"#),
    ] {
        let config = SessionConfig { announce_extensions, ..SessionConfig::default() };
        let node = listening::<LwwMap>("ours", config).await;
        let lines = [r#"[["k",1],6,"b"]"#, r#"[["l",1],7.5,"a"]"#, r#"[["m",1],5,"9"]"#];
        apply(&node, &lines.map(str::to_owned));
        let conn = js.connect(&address(&node)).await;
        let is_header =
            |event: &serde_json::Value| event["event"] == "header" && event["conn"] == conn;
        let header = js.event(is_header).await;
        let header = header["header"].as_str().unwrap();
        assert!(header.starts_with(expected), "{header}");
        assert_eq!(header.len() == expected.len(), !announce_extensions, "{header}");
        js.run("disconnect", json!({})).await;
    }
}
