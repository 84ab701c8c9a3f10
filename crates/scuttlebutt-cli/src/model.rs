//! What a command has to know about each data model: how its changes and its state are shown.

use std::io::{self, Write};

use clap::ValueEnum;
use scuttlebutt::json::{self, Kind};
use scuttlebutt::{Event, EventLog, LwwMap, MapChange, Model, Register, Retention, Update};

use crate::terminal::{Style, harmless};

/// The models by the names they have on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelName {
    /// Keys and values; the last write to a key stays (npm scuttlebutt/model)
    #[default]
    Map,
    /// A log of events, all of them kept (npm scuttlebutt/events)
    Events,
    /// One value; the last write stays (npm r-value)
    Value,
}

impl ModelName {
    /// By the name that a data directory has for it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Map, Self::Events, Self::Value].into_iter().find(|model| model.name() == name)
    }

    /// What a data directory calls it, and the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Map => LwwMap::NAME,
            Self::Events => EventLog::NAME,
            Self::Value => Register::NAME,
        }
    }

    /// After “holds”.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::Map => "a map",
            Self::Events => "events",
            Self::Value => "one value",
        }
    }
}

/// A model that can be shown.
pub(crate) trait Shown: Model + Default + Send + 'static {
    /// What a data directory calls it: its name on the command line.
    const NAME: &'static str;

    /// How much of it is kept.
    fn retention(&self) -> Retention {
        Retention::default()
    }

    /// What a change of this model is on the wire.
    const SHAPE: &'static str;

    /// The parts of a change, each as JSON text.
    fn fields(update: &Update) -> Vec<(&'static str, String)>;

    /// A change for a person to read.
    fn sentence(update: &Update, style: Style) -> String;

    /// Prints the state, with the line feed at its end. With a style, so that a person can read it.
    fn write_state(&self, style: Option<Style>, out: &mut impl Write) -> io::Result<()>;
}

impl Shown for LwwMap {
    const NAME: &'static str = "map";
    const SHAPE: &'static str = "[key, value]";

    fn fields(update: &Update) -> Vec<(&'static str, String)> {
        let Some(change) = MapChange::of(update) else {
            return Vec::new();
        };
        vec![
            ("key", change.key.to_json_literal()),
            ("value", change.value.unwrap_or("null").to_owned()),
        ]
    }

    fn sentence(update: &Update, style: Style) -> String {
        let Some(change) = MapChange::of(update) else {
            return String::new();
        };
        let key = change.key.to_string();
        let key = style.strong(&harmless(&key));
        match change.value {
            Some(value) => format!("{key} = {}", harmless(value)),
            None => format!("{key} removed"),
        }
    }

    fn write_state(&self, style: Option<Style>, out: &mut impl Write) -> io::Result<()> {
        let mut separator = if style.is_some() { "\n  " } else { "" };
        out.write_all(b"{")?;
        for entry in self.iter() {
            let key = entry.key.to_json_literal();
            match style {
                None => write!(out, "{separator}{key}:{}", entry.value)?,
                Some(style) => {
                    let key = style.strong(&harmless(&key));
                    write!(out, "{separator}{key}: {}", harmless(entry.value))?;
                }
            }
            separator = if style.is_some() { ",\n  " } else { "," };
        }
        let is_spread = style.is_some() && !self.is_empty();
        out.write_all(if is_spread { b"\n}\n" } else { b"}\n" })
    }
}

impl Shown for EventLog {
    const NAME: &'static str = "events";
    const SHAPE: &'static str = "[event, argument…]";

    fn retention(&self) -> Retention {
        EventLog::retention(self)
    }

    fn fields(update: &Update) -> Vec<(&'static str, String)> {
        let Some(event) = Event::of(update) else {
            return Vec::new();
        };
        vec![
            ("event", event.name.to_json_literal()),
            ("arguments", format!("[{}]", event.arguments.join(","))),
        ]
    }

    fn sentence(update: &Update, style: Style) -> String {
        let Some(event) = Event::of(update) else {
            return String::new();
        };
        let name = event.name.to_string();
        let mut text = style.strong(&harmless(&name));
        for argument in event.arguments {
            text.push(' ');
            text.push_str(&harmless(argument));
        }
        text
    }

    fn write_state(&self, style: Option<Style>, out: &mut impl Write) -> io::Result<()> {
        for event in self.iter() {
            let name = event.name.to_json_literal();
            let line =
                std::iter::once(name.as_str()).chain(event.arguments).collect::<Vec<_>>().join(",");
            match style {
                None => writeln!(out, "[{line}]")?,
                Some(_) => writeln!(out, "[{}]", harmless(&line))?,
            }
        }
        Ok(())
    }
}

impl Shown for Register {
    const NAME: &'static str = "value";
    const SHAPE: &'static str = "any value";

    fn fields(update: &Update) -> Vec<(&'static str, String)> {
        vec![("value", update.change().to_owned())]
    }

    fn sentence(update: &Update, style: Style) -> String {
        style.strong(&harmless(update.change()))
    }

    fn write_state(&self, style: Option<Style>, out: &mut impl Write) -> io::Result<()> {
        let value = self.get_raw().unwrap_or("null");
        match style {
            None => writeln!(out, "{value}"),
            Some(_) => writeln!(out, "{}", harmless(value)),
        }
    }
}

/// Whether the change is an array that begins with a name, as those of maps and events do.
/// JavaScript programs name keys and events by numbers too.
pub(crate) fn starts_with_name(update: &Update) -> bool {
    json::kind(update.change()) == Kind::Array
        && json::elements(update.change())
            .next()
            .is_some_and(|name| matches!(json::kind(name), Kind::String | Kind::Number))
}
