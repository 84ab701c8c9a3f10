//! `scuttlebutt set`: write one value, and know that the peer has it.

use scuttlebutt::{LwwMap, Register};

use crate::cli::{Set, Settable};
use crate::client;
use crate::exit::Failure;
use crate::input;
use crate::writing::Writing;

pub(crate) async fn run(args: Set) -> Result<(), Failure> {
    let reading = args.reading.reading();
    match (args.model, args.first, args.second) {
        (Settable::Map, key, Some(value)) => {
            let writing = Writing::Entry { key, value: input::json(&value, reading)? };
            client::write::<LwwMap>(&args.place, &args.trust, &args.key, &writing).await
        }
        (Settable::Value, value, None) => {
            let writing = Writing::Value(input::json(&value, reading)?);
            client::write::<Register>(&args.place, &args.trust, &args.key, &writing).await
        }
        (Settable::Map, key, None) => Err(Failure::usage(format!(
            "set {} to what? Give KEY and JSON, or use --model value",
            input::brief(&key)
        ))),
        (Settable::Value, _, Some(_)) => Err(Failure::usage("a value has no keys: give only JSON")),
    }
}
