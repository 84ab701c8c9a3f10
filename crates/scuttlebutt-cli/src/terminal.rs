//! What differs when a person reads: colour, and no control characters from outside.

use std::borrow::Cow;
use std::io::IsTerminal;

/// Whether stdout is read by a person, and may be coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    is_coloured: bool,
}

impl Style {
    /// The style of stdout; `None` when no person reads it.
    pub(crate) fn of_stdout() -> Option<Self> {
        let is_coloured = allows_colour();
        std::io::stdout().is_terminal().then_some(Self { is_coloured })
    }

    #[cfg(test)]
    pub(crate) fn without_colour() -> Self {
        Self { is_coloured: false }
    }

    /// What the eye should find first.
    pub(crate) fn strong(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    /// What is there for whoever looks for it.
    pub(crate) fn faint(self, text: &str) -> String {
        self.wrapped("2", text)
    }

    fn wrapped(self, code: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether the user's environment allows colour: <https://no-color.org>.
pub(crate) fn allows_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Text from outside without what a terminal would obey: control characters, and marks that reverse
/// the direction of writing, become JSON escapes.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let obeys =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(obeys) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| {
        if obeys(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(harmless("grüße 😀"), "grüße 😀");
        assert_eq!(harmless("\x1b[2J\u{9b}2J\u{202e}"), r"\u001b[2J\u009b2J\u202e");
    }
}
