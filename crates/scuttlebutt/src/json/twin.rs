//! A second reading of JSON, for tests: as plain as can be, slow, and recursive.
//!
//! It shares nothing with the code it checks, not even how numbers are printed.

/// A value as JavaScript holds it.
enum Value {
    /// `null`, `true` or `false`
    Word(&'static str),
    Number(f64),
    String(Vec<u16>),
    Array(Vec<Value>),
    Object(Vec<(Vec<u16>, Value)>),
}

/// What `JSON.stringify(JSON.parse(text))` prints. `None` if `JSON.parse` would throw.
pub(super) fn canonicalize(text: &str) -> Option<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut reader = Reader { characters: &characters };
    let value = reader.value()?;
    reader.characters.is_empty().then(|| print(&value))
}

struct Reader<'a> {
    characters: &'a [char],
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.characters.first().copied()
    }

    fn next(&mut self) -> Option<char> {
        let (&first, rest) = self.characters.split_first()?;
        self.characters = rest;
        Some(first)
    }

    fn take(&mut self, wanted: &str) -> Option<()> {
        wanted.chars().all(|character| self.next() == Some(character)).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
            self.next();
        }
    }

    /// A value with the space around it.
    fn value(&mut self) -> Option<Value> {
        self.space();
        let value = match self.peek()? {
            'n' => self.take("null").map(|()| Value::Word("null")),
            't' => self.take("true").map(|()| Value::Word("true")),
            'f' => self.take("false").map(|()| Value::Word("false")),
            '"' => self.string().map(Value::String),
            '[' => self.list(']', Self::value).map(Value::Array),
            '{' => self.list('}', Self::member).map(Value::Object),
            _ => self.number().map(Value::Number),
        }?;
        self.space();
        Some(value)
    }

    fn member(&mut self) -> Option<(Vec<u16>, Value)> {
        self.space();
        let key = self.string()?;
        self.space();
        self.take(":")?;
        Some((key, self.value()?))
    }

    fn list<T>(&mut self, end: char, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.next();
        self.space();
        if self.peek() == Some(end) {
            self.next();
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            match self.next()? {
                ',' => {}
                closing if closing == end => return Some(items),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<Vec<u16>> {
        self.take("\"")?;
        let mut units = Vec::new();
        loop {
            match self.next()? {
                '"' => return Some(units),
                '\\' => units.push(match self.next()? {
                    'b' => 8,
                    't' => 9,
                    'n' => 10,
                    'f' => 12,
                    'r' => 13,
                    plain @ ('"' | '\\' | '/') => plain as u16,
                    'u' => {
                        let mut unit = 0;
                        for _ in 0..4 {
                            unit = unit * 16 + self.next()?.to_digit(16)? as u16;
                        }
                        unit
                    }
                    _ => return None,
                }),
                '\0'..' ' => return None,
                character => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
            }
        }
    }

    fn number(&mut self) -> Option<f64> {
        let mut text = String::new();
        while let Some(character @ ('0'..='9' | '+' | '-' | '.' | 'e' | 'E')) = self.peek() {
            text.push(character);
            self.next();
        }
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        for digits in [whole, fraction, exponent] {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        text.parse().ok()
    }
}

fn print(value: &Value) -> String {
    match value {
        Value::Word(word) => (*word).to_owned(),
        Value::Number(number) => print_number(*number),
        Value::String(units) => print_string(units),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(print).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let mut merged: Vec<(&[u16], &Value)> = Vec::new();
            for (key, value) in members {
                match merged.iter_mut().find(|(earlier, _)| earlier == key) {
                    Some(earlier) => earlier.1 = value,
                    None => merged.push((key, value)),
                }
            }
            // Stable: keys that are no index stay as they are.
            merged.sort_by_key(|(key, _)| index(key).unwrap_or(u64::MAX));
            let members: Vec<String> = merged
                .into_iter()
                .map(|(key, value)| format!("{}:{}", print_string(key), print(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn index(key: &[u16]) -> Option<u64> {
    let text = String::from_utf16(key).ok()?;
    let index: u64 = text.parse().ok()?;
    (index.to_string() == text && index <= 4_294_967_294).then_some(index)
}

fn print_string(units: &[u16]) -> String {
    let mut out = String::from("\"");
    for decoded in char::decode_utf16(units.iter().copied()) {
        match decoded {
            Ok('"') => out += "\\\"",
            Ok('\\') => out += "\\\\",
            Ok('\u{8}') => out += "\\b",
            Ok('\t') => out += "\\t",
            Ok('\n') => out += "\\n",
            Ok('\u{c}') => out += "\\f",
            Ok('\r') => out += "\\r",
            Ok(control @ '\0'..' ') => out += &format!("\\u{:04x}", control as u32),
            Ok(character) => out.push(character),
            Err(lone) => out += &format!("\\u{:04x}", lone.unpaired_surrogate()),
        }
    }
    out + "\""
}

/// ECMAScript's `Number::toString`, step by step as the standard has it, from the shortest digits
/// as Rust finds them. When two such are equally near, JavaScript takes the even, Rust the upper.
fn print_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    if number == 0.0 {
        return "0".to_owned();
    }
    if number < 0.0 {
        return format!("-{}", print_number(-number));
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("has an exponent");
    let n = exponent.parse::<i32>().expect("is an integer") + 1;
    let mut digits = mantissa.replace('.', "");
    let k = digits.len() as i32;
    // Long enough to be exact for any double.
    let exact = format!("{number:.800e}").replace('.', "");
    let (exact, _) = exact.split_once('e').expect("has an exponent");
    let (lower, rest) = exact.split_at(digits.len());
    let is_tie = rest.trim_end_matches('0') == "5";
    let is_even = lower.ends_with(['0', '2', '4', '6', '8']);
    let reads_back = format!("{lower}e{}", n - k);
    if is_tie && is_even && reads_back.parse() == Ok(number) {
        lower.clone_into(&mut digits);
    }
    if k <= n && n <= 21 {
        format!("{digits}{}", "0".repeat((n - k) as usize))
    } else if 0 < n && n <= 21 {
        format!("{}.{}", &digits[..n as usize], &digits[n as usize..])
    } else if -6 < n && n <= 0 {
        format!("0.{}{digits}", "0".repeat(-n as usize))
    } else {
        let sign = if n > 0 { '+' } else { '-' };
        let point = if k == 1 { "" } else { "." };
        format!("{}{point}{}e{sign}{}", &digits[..1], &digits[1..], (n - 1).abs())
    }
}
