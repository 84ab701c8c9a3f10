//! `scuttlebutt get`: one value of a peer.

use std::borrow::Cow;
use std::io::Write;

use scuttlebutt::json::{self, JsString, Kind};
use scuttlebutt::{LwwMap, Register};

use crate::cli::{Get, KeyArgs, Settable};
use crate::client::Client;
use crate::exit::Failure;
use crate::printer::print_at_once;
use crate::terminal::{Style, harmless};

pub(crate) async fn run(args: Get) -> Result<(), Failure> {
    let found = match (args.model, &args.key) {
        (Settable::Map, Some(key)) => {
            let client =
                Client::<LwwMap>::start(&args.peer, &args.trust, &KeyArgs::default()).await?;
            client.catch_up().await?;
            client.node.read(|map| map.get_raw(key.as_str()).map(str::to_owned))
        }
        (Settable::Value, None) => {
            let client =
                Client::<Register>::start(&args.peer, &args.trust, &KeyArgs::default()).await?;
            client.catch_up().await?;
            client.node.read(|value| value.get_raw().map(str::to_owned))
        }
        (Settable::Map, None) => {
            return Err(Failure::usage("get what? Name a key, or use --model value"));
        }
        (Settable::Value, Some(_)) => {
            return Err(Failure::usage("a value has no keys: leave KEY out"));
        }
    };
    let address = &args.peer.address;
    match (found, args.key) {
        (Some(value), _) => {
            let text = shown(&value, args.raw);
            print_at_once(|out| writeln!(out, "{text}"))
        }
        (None, Some(key)) => Err(Failure::failed(format!("{address} has no value at {key:?}"))),
        (None, None) => Err(Failure::failed(format!("{address} has no value yet"))),
    }
}

fn shown(value: &str, is_raw: bool) -> Cow<'_, str> {
    if is_raw
        && json::kind(value) == Kind::String
        && let Ok(string) = JsString::from_json_literal(value)
    {
        return Cow::Owned(string.to_string_lossy().into_owned());
    }
    match Style::of_stdout() {
        Some(_) => harmless(value),
        None => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_takes_the_quotes_off_strings_only() {
        assert_eq!(shown(r#""a\nb""#, true), "a\nb");
        assert_eq!(shown(r#"["a"]"#, true), r#"["a"]"#);
        assert_eq!(shown(r#""a\nb""#, false), r#""a\nb""#);
    }
}
