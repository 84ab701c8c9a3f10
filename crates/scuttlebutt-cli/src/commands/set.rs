//! `scuttlebutt set`: write one value, and know that the peer has it.

use scuttlebutt::{LwwMap, Register};

use crate::cli::{Set, Settable};
use crate::client;
use crate::exit::Failure;
use crate::input;

pub(crate) async fn run(args: Set) -> Result<(), Failure> {
    match (args.model, args.first, args.second) {
        (Settable::Map, key, Some(value)) => {
            let value = input::json(&value, args.string)?;
            let change = input::array(&[input::literal(&key), value])?;
            client::write::<LwwMap>(&args.place, &args.trust, &args.key, change).await
        }
        (Settable::Value, value, None) => {
            let change = input::change(&input::json(&value, args.string)?)?;
            client::write::<Register>(&args.place, &args.trust, &args.key, change).await
        }
        (Settable::Map, key, None) => Err(Failure::usage(format!(
            "set {key:?} to what? Give KEY and JSON, or use --model value"
        ))),
        (Settable::Value, _, Some(_)) => Err(Failure::usage("a value has no keys: give only JSON")),
    }
}
