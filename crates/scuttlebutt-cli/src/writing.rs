//! What a user wants written: the change it is, and the command that says it.

use scuttlebutt::Change;

use crate::exit::{Code, Failure};
use crate::input;
use crate::model::ModelName;

/// An advice that is longer than this names a command's help instead.
const ADVICE_BYTES_MAX: usize = 200;

/// What is to be written; values and arguments as JSON text.
pub(crate) enum Writing {
    Entry { key: String, value: String },
    Value(String),
    Event { name: String, arguments: Vec<String> },
}

impl Writing {
    /// The change that it is.
    pub(crate) fn change(&self) -> Result<Change, Failure> {
        match self {
            Self::Entry { key, value } => input::array(&[input::literal(key), value.clone()]),
            Self::Value(value) => input::change(value),
            Self::Event { name, arguments } => {
                let name = input::literal(name);
                input::array(&[&[name], &arguments[..]].concat())
            }
        }
    }

    /// Adds what to do to a failure to write at this place (`--peer` or `--data`, and where), if that is
    /// since another model is held there.
    pub(crate) fn advise(&self, failure: Failure, place: [&str; 2]) -> Failure {
        let Some(held) = failure.held else { return failure };
        let message = format!(
            "nothing is written: {} holds {}; `{}` writes to that",
            place[1],
            held.described(),
            self.command_for(held, place)
        );
        Failure::new(Code::Protocol, message)
    }

    /// The command that writes the like where another model is held.
    fn command_for(&self, held: ModelName, place: [&str; 2]) -> String {
        let (name, values) = match self {
            Self::Entry { key, value } => (key.as_str(), std::slice::from_ref(value)),
            Self::Value(value) => ("value", std::slice::from_ref(value)),
            Self::Event { name, arguments } => (name.as_str(), &arguments[..]),
        };
        let value = values.first().map_or("true", String::as_str);
        let (command, words) = match held {
            ModelName::Map => ("set", vec![name, value]),
            ModelName::Value => ("set", vec!["--model", "value", value]),
            ModelName::Events => {
                let values = values.iter().map(String::as_str);
                ("emit", std::iter::once(name).chain(values).collect())
            }
        };
        let words: Vec<_> = place.into_iter().chain(words).map(input::for_shell).collect();
        match format!("scuttlebutt {command} {}", words.join(" ")) {
            long if long.len() > ADVICE_BYTES_MAX => format!("scuttlebutt help {command}"),
            command => command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_like_of_what_was_to_be_written() {
        let entry = Writing::Entry { key: "it's".to_owned(), value: "[1]".to_owned() };
        let event = Writing::Event { name: "tick".to_owned(), arguments: vec![] };
        let dir = ["--data", "some data"];
        assert_eq!(
            entry.command_for(ModelName::Events, dir),
            r"scuttlebutt emit --data 'some data' 'it'\''s' '[1]'"
        );
        assert_eq!(
            entry.command_for(ModelName::Value, dir),
            "scuttlebutt set --data 'some data' --model value '[1]'"
        );
        assert_eq!(
            event.command_for(ModelName::Map, ["--peer", "h:1"]),
            "scuttlebutt set --peer h:1 tick true"
        );
        let long = Writing::Value("1".repeat(1_000));
        assert_eq!(long.command_for(ModelName::Events, dir), "scuttlebutt help emit");
    }
}
