//! Our side: nodes of each model, what they hold as lines, and the comparison with the original.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use scuttlebutt::{
    Change, EventLog, Limits, LwwMap, Model, Outcome, Register, Replica, SessionConfig, SourceId,
    Update, VersionVector, json,
};
use scuttlebutt_net::{Builder, Node};
use serde_json::Value;

use crate::js::{self, Js, PATIENCE};

/// A model that exists on both sides.
pub(crate) trait Kind: Model + Default + Send + 'static {
    /// What `peer.js` calls it.
    const NAME: &'static str;

    /// The change that the `n`-th write of a scenario makes; no two are the same. Keys come back,
    /// so that values are overwritten, and some are deleted.
    fn change(n: u64) -> String;

    /// The command by which `peer.js` makes a change.
    fn command(change: &str) -> (&'static str, String);

    /// What an application sees, in the form of `peer.js`.
    fn state(&self) -> String;
}

impl Kind for LwwMap {
    const NAME: &'static str = "map";

    fn change(n: u64) -> String {
        let key = n % 5;
        match n % 7 {
            // As long as no key is deleted twice in a scenario.
            6 => format!("[\"key{key}\",null]"),
            _ => format!("[\"key{key}\",{{\"n\":{n}}}]"),
        }
    }

    fn command(change: &str) -> (&'static str, String) {
        let mut parts = json::elements(change);
        let (key, value) = (parts.next().unwrap(), parts.next().unwrap());
        ("set", format!("\"key\":{key},\"value\":{value}"))
    }

    fn state(&self) -> String {
        self.to_json()
    }
}

impl Kind for EventLog {
    const NAME: &'static str = "events";

    fn change(n: u64) -> String {
        format!("[\"event{}\",{n},\"more\"]", n % 3)
    }

    fn command(change: &str) -> (&'static str, String) {
        let mut parts = json::elements(change);
        let name = parts.next().unwrap();
        let arguments: Vec<_> = parts.collect();
        ("emit", format!("\"name\":{name},\"args\":[{}]", arguments.join(",")))
    }

    fn state(&self) -> String {
        self.view()
    }
}

impl Kind for Register {
    const NAME: &'static str = "value";

    fn change(n: u64) -> String {
        format!("{{\"n\":{n}}}")
    }

    fn command(change: &str) -> (&'static str, String) {
        ("set", format!("\"value\":{change}"))
    }

    fn state(&self) -> String {
        self.get_raw().unwrap_or("null").to_owned()
    }
}

/// A node that dials again soon.
pub(crate) fn builder<M: Kind>(id: &str) -> Builder<M> {
    let limits = Limits { redial_delay_ms_min: 10, redial_delay_ms_max: 100, ..Limits::default() };
    Node::builder(M::default()).id(SourceId::new(id).unwrap()).limits(limits)
}

/// A node that listens on a free port.
pub(crate) async fn listening<M: Kind>(id: &str, config: SessionConfig) -> Node<M> {
    let builder = builder(id).sessions(config).listen("127.0.0.1:0");
    builder.start().await.unwrap()
}

/// A node that dials.
pub(crate) async fn dialling<M: Kind>(id: &str, to: &str) -> Node<M> {
    builder(id).peer(to).start().await.unwrap()
}

pub(crate) fn address<M: Kind>(node: &Node<M>) -> String {
    node.listeners()[0].address().to_string()
}

/// Makes a change by the wall clock.
pub(crate) async fn write<M: Kind>(node: &Node<M>, change: &str) -> Update {
    let change = Change::from_json_lossy(change).unwrap();
    node.update(change).await.unwrap()
}

/// Makes a change by a clock of our choosing.
pub(crate) fn write_at<M: Kind>(node: &Node<M>, change: &str, timestamp: f64) {
    let change = Change::from_json_lossy(change).unwrap();
    let update = node.write_replica(|replica| replica.local_update(timestamp, change).unwrap());
    assert_eq!(update.timestamp().as_millis(), timestamp, "nothing later was seen");
}

/// Applies finished updates and their sender's word that they are all there are.
pub(crate) fn apply<M: Kind>(node: &Node<M>, lines: &[String]) {
    node.write_replica(|replica| apply_to(replica, lines));
}

/// [`apply`] without a node.
pub(crate) fn apply_to<M: Kind>(replica: &mut Replica<M>, lines: &[String]) {
    let mut promise = VersionVector::new();
    for line in lines {
        let update = Update::from_json(line).unwrap();
        promise.advance(update.source(), update.timestamp());
        let outcome = replica.remote_update(now_ms(), update);
        assert!(matches!(outcome, Outcome::Applied | Outcome::Superseded), "{outcome:?}: {line}");
    }
    replica.promise(&promise);
}

/// The history, a line per update.
pub(crate) fn lines<M: Kind>(node: &Node<M>) -> Vec<String> {
    node.read_replica(lines_of)
}

/// [`lines`] without a node.
pub(crate) fn lines_of<M: Kind>(replica: &Replica<M>) -> Vec<String> {
    let nothing = VersionVector::new();
    let all = replica.updates_since(&nothing);
    all.map(Update::to_json).collect()
}

pub(crate) fn holds<M: Kind>(node: &Node<M>, change: &str) -> bool {
    js::holds(&lines(node), change)
}

/// Waits until the node's history holds this change.
pub(crate) async fn receives<M: Kind>(node: &Node<M>, change: &str) {
    eventually(
        || holds(node, change),
        || format!("{} never got {change}: {:#?}", node.id(), lines(node)),
    )
    .await;
}

/// Waits until `holds`, or panics with what `otherwise` says.
pub(crate) async fn eventually(holds: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{}", otherwise());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the wall clock shows another millisecond. The original does not look at the
/// timestamps it has received, so two sides that write in the same one may write at the same time.
pub(crate) async fn clock_ticks() {
    let start = now_ms();
    eventually(|| now_ms() > start, || "the clock stands".to_owned()).await;
}

pub(crate) fn now_ms() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as f64
}

/// A timestamp that no other write of this process has.
pub(crate) fn fresh_timestamp() -> f64 {
    static NEXT: AtomicU64 = AtomicU64::new(1_700_000_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed) as f64
}

/// Waits until both sides hold the same history, byte for byte, and their applications see the same. For a
/// moment they may, while both still lack what is on its way.
pub(crate) async fn assert_same<M: Kind>(js: &mut Js, node: &Node<M>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (theirs, ours) = (js.lines().await, lines(node));
        let (they_see, we_see) = (js.state().await, node.read(Kind::state));
        let (they_see, we_see) = (seen::<M>(&they_see), seen::<M>(&we_see));
        if theirs == ours && they_see == we_see {
            break;
        }
        if Instant::now() > deadline {
            assert_eq!(
                they_see,
                we_see,
                "what the applications of {} and {} see",
                js.id(),
                node.id()
            );
            panic_at_difference(js.id(), &theirs, &ours);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails unless the histories are equal, byte for byte.
pub(crate) fn assert_equal(theirs: &[String], ours: &[String]) {
    if theirs != ours {
        panic_at_difference("the original", theirs, ours);
    }
}

fn panic_at_difference(name: &str, theirs: &[String], ours: &[String]) -> ! {
    let same = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
    let cut = |line: Option<&String>| line.map(|line| line.chars().take(300).collect::<String>());
    panic!(
        "{name} holds {} updates, we hold {}; the first difference is at {same}:\ntheirs {:?}\nours   {:?}",
        theirs.len(),
        ours.len(),
        cut(theirs.get(same)),
        cut(ours.get(same)),
    );
}

/// State that can be compared: events arrive in different orders, but each exactly once.
fn seen<M: Kind>(state: &str) -> Value {
    let state = serde_json::from_str(state).unwrap();
    match state {
        Value::Array(mut events) if M::NAME == "events" => {
            events.sort_by_key(Value::to_string);
            Value::Array(events)
        }
        other => other,
    }
}
