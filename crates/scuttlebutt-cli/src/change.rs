//! How a change looks: for a person, for a pipe, or as JSON.
//!
//! | format | a line |
//! |---|---|
//! | plain | the model's fields, the timestamp and the source, each as JSON text, between tabs |
//! | JSON | one object with the same fields by name |
//! | human | for reading only; it may change |
//!
//! JSON text contains neither tabs nor line feeds, so `cut -f2 | jq` takes a plain line apart. The
//! notices that are no change, `listening …`, `missed …` and `withdrawn`, contain no tab.

use scuttlebutt::Update;
use scuttlebutt_net::{Address, Notice};

use crate::model::Shown;
use crate::terminal::{Style, harmless};

/// How to print what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Plain,
    Json,
    Human(Style),
}

impl Format {
    /// JSON if it was asked for; otherwise what suits the reader of stdout.
    pub(crate) fn choose(wants_json: bool) -> Self {
        match Style::of_stdout() {
            _ if wants_json => Self::Json,
            Some(style) => Self::Human(style),
            None => Self::Plain,
        }
    }

    /// The line for a listener.
    pub(crate) fn listening(self, address: &Address) -> String {
        let (kind, place) = match address {
            Address::Unix(path) => ("unix", path.display().to_string()),
            Address::Tls { address, .. } => ("tls", address.clone()),
            tcp => ("tcp", tcp.to_string()),
        };
        match self {
            Self::Json => object(&[("listening", quoted(kind)), ("address", quoted(&place))]),
            Self::Plain | Self::Human(_) => format!("listening {kind} {place}"),
        }
    }

    /// The line for what a subscription told.
    pub(crate) fn notice<M: Shown>(self, notice: &Notice) -> String {
        match (notice, self) {
            (Notice::Changed { update, .. }, _) => self.change::<M>(update),
            (Notice::Missed(count), Self::Json) => object(&[("missed", count.to_string())]),
            (Notice::Missed(count), Self::Plain) => format!("missed {count}"),
            (Notice::Missed(count), Self::Human(style)) => {
                style.faint(&format!("({count} more, replaced by what follows)"))
            }
            (Notice::Withdrawn, Self::Json) => object(&[("withdrawn", "true".to_owned())]),
            (Notice::Withdrawn, Self::Plain) => "withdrawn".to_owned(),
            (Notice::Withdrawn, Self::Human(style)) => {
                style.faint("(some of it counts no more: its writer is believed no longer)")
            }
        }
    }

    fn change<M: Shown>(self, update: &Update) -> String {
        let Self::Human(style) = self else {
            let mut fields = M::fields(update);
            fields.push(("timestamp", update.timestamp().to_string()));
            fields.push(("source", update.source().json_literal().to_owned()));
            return match self {
                Self::Json => object(&fields),
                _ => columns(&fields),
            };
        };
        let source = update.source().to_string();
        let source: String = harmless(&source).chars().take(8).collect();
        let when = time_of_day(update.timestamp().as_millis());
        let origin = style.faint(&format!("{when} {source}"));
        format!("{}  {origin}", M::sentence(update, style))
    }
}

fn columns(fields: &[(&str, String)]) -> String {
    let texts: Vec<_> = fields.iter().map(|(_, text)| text.as_str()).collect();
    texts.join("\t")
}

/// A JSON object from names and JSON texts.
fn object(fields: &[(&str, String)]) -> String {
    let members: Vec<_> = fields.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
    format!("{{{}}}", members.join(","))
}

fn quoted(text: &str) -> String {
    scuttlebutt::json::JsString::from(text).to_json_literal()
}

/// The time of day in UTC. Timestamps from outside may be any number.
fn time_of_day(millis: f64) -> String {
    let seconds = (millis / 1_000.0).rem_euclid(86_400.0) as u32;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}Z", seconds % 60)
}

#[cfg(test)]
mod tests {
    use scuttlebutt::{EventLog, LwwMap, Register};

    use super::*;

    fn lines<M: Shown>(line: &str) -> [String; 3] {
        let update = Update::from_json(line).expect("an update");
        let human = Format::Human(Style::without_colour());
        [Format::Plain, Format::Json, human].map(|format| format.change::<M>(&update))
    }

    #[test]
    fn a_write_to_a_map() {
        let [plain, json, human] = lines::<LwwMap>(r#"[["a\tb",[1]],1700000000000.5,"A"]"#);
        assert_eq!(plain, "\"a\\tb\"\t[1]\t1700000000000.5\t\"A\"");
        assert_eq!(json, r#"{"key":"a\tb","value":[1],"timestamp":1700000000000.5,"source":"A"}"#);
        assert_eq!(human, "a\\u0009b = [1]  22:13:20Z A");
    }

    #[test]
    fn a_removal_from_a_map() {
        let [plain, json, human] = lines::<LwwMap>(r#"[["k",null],100,"A"]"#);
        assert_eq!(plain, "\"k\"\tnull\t100\t\"A\"");
        assert_eq!(json, r#"{"key":"k","value":null,"timestamp":100,"source":"A"}"#);
        assert_eq!(human, "k removed  00:00:00Z A");
    }

    #[test]
    fn an_event() {
        let [plain, json, human] = lines::<EventLog>(r#"[["joined","ada",3],100,"A"]"#);
        assert_eq!(plain, "\"joined\"\t[\"ada\",3]\t100\t\"A\"");
        assert_eq!(
            json,
            r#"{"event":"joined","arguments":["ada",3],"timestamp":100,"source":"A"}"#
        );
        assert_eq!(human, "joined \"ada\" 3  00:00:00Z A");
    }

    #[test]
    fn a_value() {
        let [plain, json, human] = lines::<Register>(r#"[42,1e300,"A"]"#);
        assert_eq!(plain, "42\t1e+300\t\"A\"");
        assert_eq!(json, r#"{"value":42,"timestamp":1e+300,"source":"A"}"#);
        assert!(human.starts_with("42  "), "{human}");
    }
}
