//! `scuttlebutt get`: one value of a peer or a data directory.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use scuttlebutt::json::{self, JsString, Kind};
use scuttlebutt::{LwwMap, Register};

use crate::cli::Get;
use crate::exit::Failure;
use crate::input;
use crate::model::ModelName;
use crate::printer::print_at_once;
use crate::source::Source;
use crate::terminal::{Style, harmless};

pub(crate) async fn run(args: Get) -> Result<(), Failure> {
    let source = Source::find(&args.place, args.model.map(ModelName::from)).await?;
    let place = match (source.dir(), args.place.peer()) {
        (None, Some(peer)) => peer.address.to_string(),
        (dir, _) => dir.unwrap_or(Path::new("")).display().to_string(),
    };
    let found = match (source.model, &args.key) {
        (ModelName::Map, Some(key)) => {
            let node = source.catch_up(LwwMap::new(), &args.trust).await?;
            let found = node.read(|map| map.get_raw(key.as_str()).map(str::to_owned));
            node.shutdown().await;
            found
        }
        (ModelName::Value, None) => {
            let node = source.catch_up(Register::new(), &args.trust).await?;
            let found = node.read(|value| value.get_raw().map(str::to_owned));
            node.shutdown().await;
            found
        }
        (ModelName::Map, None) => {
            let or_value = if args.place.data.is_none() { ", or use --model value" } else { "" };
            return Err(Failure::usage(format!("get what? Name a key{or_value}")));
        }
        (ModelName::Value, Some(_)) => {
            return Err(Failure::usage("a value has no keys: leave KEY out"));
        }
        (ModelName::Events, _) => return Err(source.other(Path::new(&place))),
    };
    match (found, args.key) {
        (Some(value), _) => {
            let text = shown(&value, args.raw);
            print_at_once(|out| writeln!(out, "{text}"))
        }
        (None, Some(key)) => {
            Err(Failure::failed(format!("{place} has no value at {}", input::brief(&key))))
        }
        (None, None) => Err(Failure::failed(format!("{place} has no value yet"))),
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
