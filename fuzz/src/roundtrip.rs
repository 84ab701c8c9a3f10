//! What we write, we read, and it is what was meant: updates, digests, marks, histories.

use arbitrary::{Arbitrary, Unstructured};
use scuttlebutt::{
    Change, EventLog, Metadata, Model, Replica, Session, SessionConfig, SessionEvent, SourceId,
    Timestamp, Update,
};

use crate::json::Json;

const NOW_MS: f64 = 1_700_000_000_000.0;

#[derive(Arbitrary, Debug)]
struct Input {
    id: String,
    metadata: Option<Json>,
    updates: Vec<(Json, f64, String)>,
}

fn text(json: &Json) -> String {
    let mut text = String::new();
    json.write(10, &mut text);
    text
}

/// The bytes draw an identity, metadata and updates.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(data)) else { return };
    let Ok(id) = SourceId::new(format!("a{}", input.id)) else { return };
    let mut sender = Replica::new(id, EventLog::new());
    for (json, millis, source) in &input.updates {
        let change = Change::from_json_lossy(&text(json)).expect("JSON is a change");
        let again = Change::from_json(change.as_json()).expect("ours is JSON");
        assert_eq!(change.as_json(), again.as_json(), "not canonical");
        let (Ok(timestamp), Ok(source)) =
            (Timestamp::new(millis.abs() % NOW_MS), SourceId::new(source.clone()))
        else {
            continue;
        };
        let update = Update::new(&change, timestamp, source);
        assert_eq!(Update::from_json(&update.to_json()).expect("ours is an update"), update);
        sender.remote_update(NOW_MS, update);
    }
    let all = sender
        .updates_since(&Default::default())
        .map(|update| (update.source().clone(), update.timestamp()))
        .collect();
    sender.promise(&all);

    let mut config = SessionConfig::default();
    if let Some(metadata) = &input.metadata {
        let Ok(metadata) = Metadata::from_json(&text(metadata)) else { return };
        config.metadata = Some(metadata);
    }
    let mut receiver = Replica::new(SourceId::new("b").expect("an id"), EventLog::new());
    let mut to = Session::new(&mut sender, NOW_MS, config);
    let mut from = Session::new(&mut receiver, NOW_MS, SessionConfig::default());
    let mut has_digest = false;
    loop {
        let mut bytes = Vec::new();
        to.transmit(&sender, &mut bytes, 100);
        from.receive(&mut receiver, NOW_MS, &bytes).expect("ours is understood");
        let mut back = Vec::new();
        from.transmit(&receiver, &mut back, 1_000);
        to.receive(&mut sender, NOW_MS, &back).expect("ours is understood");
        while let Some(event) = from.next_event() {
            if let SessionEvent::DigestReceived { vector, .. } = event {
                has_digest = true;
                assert_eq!(vector, sender.version_vector());
            }
        }
        if bytes.is_empty() && back.is_empty() {
            break;
        }
    }
    assert!(has_digest && from.is_synced() && to.is_synced());
    assert_eq!(receiver.model().view(), sender.model().view());
    assert_eq!(receiver.version_vector(), sender.version_vector());
}
