//! The laws of models: the same updates in any order show the same.

use arbitrary::{Arbitrary, Unstructured};
use scuttlebutt::{Change, EventLog, LwwMap, Model, Register, laws};

use crate::json::Json;

#[derive(Arbitrary, Debug)]
struct Input {
    model: u8,
    seed: u64,
    changes: Vec<Shape>,
}

#[derive(Arbitrary, Debug)]
enum Shape {
    Set(u8, Json),
    Any(Json),
}

/// The bytes draw changes, most of which mean something to a map or an event log.
pub fn run(data: &[u8]) {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(data)) else { return };
    let mut changes = Vec::new();
    for shape in input.changes.iter().take(12) {
        let mut text = String::new();
        match shape {
            Shape::Set(key, json) => {
                text.push_str(&format!("[\"{}\",", key % 4));
                json.write(6, &mut text);
                text.push(']');
            }
            Shape::Any(json) => json.write(6, &mut text),
        }
        changes.push(Change::from_json_lossy(&text).expect("JSON is a change"));
    }
    if changes.is_empty() {
        return;
    }
    match input.model % 3 {
        0 => check(LwwMap::new, &changes, input.seed),
        1 => check(EventLog::new, &changes, input.seed),
        _ => check(Register::new, &changes, input.seed),
    }
}

fn check<M: Model>(new_model: impl Fn() -> M, changes: &[Change], seed: u64) {
    if let Err(violation) = laws::check(new_model, changes, 1, seed) {
        panic!("{violation}");
    }
}
