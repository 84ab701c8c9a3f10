//! Any JSON, as text that nobody has tidied up.

use arbitrary::Arbitrary;

/// A JSON value.
#[derive(Arbitrary, Debug)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as Rust prints it.
    Number(f64),
    /// A whole number.
    Integer(i64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object, whose names may occur twice and be numbers.
    Object(Vec<(Name, Json)>),
}

/// A member's name.
#[derive(Arbitrary, Debug)]
pub enum Name {
    /// Any text.
    Text(String),
    /// What JavaScript puts first.
    Index(u32),
}

impl Json {
    /// Its text; nothing is nested deeper than `depth`.
    pub fn write(&self, depth: usize, out: &mut String) {
        match self {
            _ if depth == 0 => out.push('0'),
            Json::Null => out.push_str("null"),
            Json::Bool(value) => out.push_str(if *value { "true" } else { " false" }),
            Json::Number(value) if value.is_finite() => out.push_str(&format!("{value:?}")),
            Json::Number(_) => out.push_str("-0.0"),
            Json::Integer(value) => out.push_str(&value.to_string()),
            Json::String(value) => write_string(value, out),
            Json::Array(values) => {
                out.push('[');
                for (nth, value) in values.iter().enumerate() {
                    out.push_str(if nth > 0 { " , " } else { "" });
                    value.write(depth - 1, out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (nth, (name, value)) in members.iter().enumerate() {
                    out.push_str(if nth > 0 { "," } else { "\t" });
                    match name {
                        Name::Text(text) => write_string(text, out),
                        Name::Index(index) => write_string(&index.to_string(), out),
                    }
                    out.push(':');
                    value.write(depth - 1, out);
                }
                out.push('}');
            }
        }
    }
}

/// Every other character as an escape, which JavaScript would not write.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for (nth, unit) in text.encode_utf16().enumerate() {
        let plain = char::from_u32(u32::from(unit)).filter(|c| c.is_ascii_alphanumeric());
        match plain {
            Some(plain) if nth % 2 == 0 => out.push(plain),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out.push('"');
}
