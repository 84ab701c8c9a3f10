//! One line of a trust list: an id, perhaps an end, perhaps a comment.
//!
//! A list is edited by hand and sent around, so what looks right and is not is refused by name: a reader who
//! does not see a character would look for the fault for a long time. Nothing of a line gets into an error,
//! since a secret may stand there by mistake.

use std::fmt;

use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Timestamp};

use crate::ed25519;
use crate::trust_list::Term;

/// A line that names a source.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line<'t> {
    pub(crate) id: SourceId,
    /// As it is written.
    pub(crate) id_text: &'t str,
    pub(crate) term: Term,
    /// From the `#` on; empty without one.
    pub(crate) comment: &'t str,
}

impl<'t> Line<'t> {
    /// Reads a line; `None` if it names nobody.
    pub(crate) fn read(line: &'t str) -> Result<Option<Self>, TrustListFault> {
        if line.starts_with('\u{feff}') && !line.trim_start_matches('\u{feff}').is_empty() {
            return Err(TrustListFault::ByteOrderMark);
        }
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (id_text, rest) = cut_off_id(line)?;
        check_characters(id_text)?;
        let id = match id_text.starts_with('"') {
            true => JsString::from_json_literal(id_text).map_err(|_| TrustListFault::Literal)?,
            false => JsString::from(id_text),
        };
        let id = SourceId::new(id).map_err(|_| TrustListFault::Name)?;
        if ed25519::claims_to_be_id(&id) && !ed25519::is_ed25519_id(&id) {
            return Err(TrustListFault::Ed25519);
        }
        let (term, comment) = read_rest(rest)?;
        Ok(Some(Self { id, id_text, term, comment }))
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id_text)?;
        if let Term::Until(end) = self.term {
            write!(f, " until {end}")?;
        }
        if !self.comment.is_empty() {
            write!(f, " {}", self.comment)?;
        }
        Ok(())
    }
}

fn cut_off_id(line: &str) -> Result<(&str, &str), TrustListFault> {
    let end = match line.starts_with('"') {
        true => literal_len(line).ok_or(TrustListFault::Literal)?,
        false => line.find(char::is_whitespace).unwrap_or(line.len()),
    };
    let (id, rest) = line.split_at(end);
    match rest.starts_with(char::is_whitespace) || rest.is_empty() {
        true => Ok((id, rest.trim_start())),
        false => Err(TrustListFault::Literal),
    }
}

/// The length of the JSON string that a line begins with.
fn literal_len(line: &str) -> Option<usize> {
    let mut is_escaped = false;
    line.char_indices().skip(1).find_map(|(at, character)| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends.then_some(at + 1)
    })
}

fn check_characters(id: &str) -> Result<(), TrustListFault> {
    let written = id.trim_start_matches('"');
    let lower = written.to_ascii_lowercase();
    if lower.starts_with("ed25519-secret:") || id.starts_with("-----BEGIN") {
        return Err(TrustListFault::Secret);
    }
    if let Some(invisible) = id.chars().find(|character| is_invisible(*character)) {
        return Err(TrustListFault::Invisible { code: invisible.into() });
    }
    if lower.starts_with("ed25519:") && !written.starts_with("ed25519:") {
        return Err(TrustListFault::Capitals);
    }
    Ok(())
}

/// Characters of which a reader sees nothing.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn read_rest(rest: &str) -> Result<(Term, &str), TrustListFault> {
    let Some(end) = rest.strip_prefix("until") else {
        return read_comment(rest).map(|comment| (Term::Open, comment));
    };
    if !end.starts_with(char::is_whitespace) && !end.is_empty() {
        return Err(TrustListFault::Words);
    }
    let end = end.trim_start();
    let (number, rest) = end.split_once(char::is_whitespace).unwrap_or((end, ""));
    let millis = number.parse::<f64>().map_err(|_| TrustListFault::End)?;
    let end = Timestamp::new(millis).map_err(|_| TrustListFault::End)?;
    read_comment(rest.trim_start()).map(|comment| (Term::Until(end), comment))
}

fn read_comment(rest: &str) -> Result<&str, TrustListFault> {
    match rest.is_empty() || rest.starts_with('#') {
        true => Ok(rest),
        false => Err(TrustListFault::Words),
    }
}

/// What is wrong with a line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustListFault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// More than one word.
    #[error(
        "it has more than one word; behind an id may stand `until TIMESTAMP` and a comment after `#`, and \
         an id with spaces is written as a JSON string"
    )]
    Words,
    /// Begins with a quotation mark and is no JSON string.
    #[error("it begins with a quotation mark, but not with a JSON string")]
    Literal,
    /// `__proto__`.
    #[error("`__proto__` cannot be a source id")]
    Name,
    /// Begins with `ed25519:` and is no such key.
    #[error("it begins as an Ed25519 public key does, but is none")]
    Ed25519,
    /// Begins with `ed25519:`, in other letters.
    #[error("an Ed25519 public key begins with `ed25519:`, in small letters")]
    Capitals,
    /// A secret key.
    #[error(
        "it is a secret key, which must stand nowhere but in its own file: write the id that `scuttlebutt id \
         --key FILE` prints, and if anybody else has seen this list, replace the key"
    )]
    Secret,
    /// It begins with a byte order mark.
    #[error("it begins with a byte order mark; save the file as UTF-8 without one")]
    ByteOrderMark,
    /// A character that nobody sees.
    #[error("there is an invisible character in the id, U+{code:04X}; write the id anew")]
    Invisible {
        /// Its number in Unicode.
        code: u32,
    },
    /// What follows `until` is no time.
    #[error("behind `until` a timestamp should follow, in milliseconds since the epoch")]
    End,
    /// It stands on an earlier line with another end.
    #[error("its id stands on an earlier line, with another end: which one counts?")]
    Twice,
}
