//! Which sources may write, and up to when.
//!
//! A signature says who wrote an update, not whether anyone wants it. A [`TrustList`] names the
//! sources that may write, and [`Allowed`](crate::Allowed) makes a verifier ask it first. How its lines are
//! written is in `trust_line.rs`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Read};
use std::path::Path;

use scuttlebutt::{SourceId, Timestamp, Update};

use crate::regular_file;
use crate::trust_line::{Line, TrustListFault};

/// Ids that one list can name.
pub const TRUSTED_IDS_MAX: usize = 1_000_000;
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The sources that may write, and up to when.
///
/// Its text has one id a line. Behind it may stand `until` and a timestamp, in milliseconds since the epoch:
/// what the source wrote until then counts, and nothing later. Empty lines count for nothing, nor does what
/// follows a `#` at the beginning of a line or after a space. An id with a space in it, or one that begins
/// with `#` or `"`, is written as a JSON string.
///
/// ```
/// use scuttlebutt::{SourceId, Timestamp};
/// use scuttlebutt_security::{Ed25519Key, Term, TrustList};
///
/// let ada = Ed25519Key::from_seed(&[7; 32]);
/// let text = format!("# who may write\n{} # Ada\n\n\"the printer\" until 1700000000000\n", ada.id());
/// let list: TrustList = text.parse()?;
/// assert_eq!(list.len(), 2);
/// assert_eq!(list.term(ada.id()), Some(Term::Open));
/// let end = Timestamp::new(1_700_000_000_000.0)?;
/// assert_eq!(list.term(&SourceId::new("the printer")?), Some(Term::Until(end)));
///
/// let error = "\ned25519:6kpsY\n".parse::<TrustList>().unwrap_err();
/// assert_eq!(error.to_string(), "line 2: it begins as an Ed25519 public key does, but is none");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustList(BTreeMap<SourceId, Term>);

/// How long a source may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Without an end.
    Open,
    /// What it wrote until then counts, and nothing later.
    Until(Timestamp),
}

impl Term {
    /// Whether what was written at `timestamp` counts.
    #[must_use]
    pub fn includes(self, timestamp: Timestamp) -> bool {
        match self {
            Self::Open => true,
            Self::Until(end) => timestamp <= end,
        }
    }
}

impl TrustList {
    /// Reads the list in a file.
    ///
    /// # Errors
    /// [`TrustListError`]: the file, or a line of it.
    pub fn read(path: &Path) -> Result<Self, TrustListError> {
        let mut text = Vec::new();
        regular_file::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(TrustListError::TooLong { bytes_max: FILE_BYTES_MAX });
        }
        match str::from_utf8(&text) {
            Ok(text) => text.parse(),
            Err(error) => {
                let before = &text[..error.valid_up_to()];
                let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                Err(TrustListError::Line { line, fault: TrustListFault::Utf8 })
            }
        }
    }

    /// The text of a list with another term for `id`, or without it; everything else stays as it is written.
    /// `None` if it does not name the id.
    ///
    /// ```
    /// use scuttlebutt::{SourceId, Timestamp};
    /// use scuttlebutt_security::{Term, TrustList};
    ///
    /// let text = "# who may write\nada # since spring\nben\n";
    /// let (ada, ben) = (SourceId::new("ada")?, SourceId::new("ben")?);
    /// let end = Term::Until(Timestamp::new(1_700_000_000_000.0)?);
    /// let text = TrustList::revise(text, &ada, Some(end))?.unwrap_or_default();
    /// assert_eq!(text, "# who may write\nada until 1700000000000 # since spring\nben\n");
    /// let text = TrustList::revise(&text, &ben, None)?.unwrap_or_default();
    /// assert_eq!(text, "# who may write\nada until 1700000000000 # since spring\n");
    /// assert_eq!(TrustList::revise(&text, &ben, None)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TrustListError`] if the text is no list.
    pub fn revise(
        text: &str,
        id: &SourceId,
        term: Option<Term>,
    ) -> Result<Option<String>, TrustListError> {
        let list: Self = text.parse()?;
        if list.term(id).is_none() {
            return Ok(None);
        }
        let mut revised = String::with_capacity(text.len() + 32);
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let read =
                Line::read(line).map_err(|fault| TrustListError::Line { line: number, fault })?;
            match (read, term) {
                (Some(read), None) if read.id == *id => {}
                (Some(read), Some(term)) if read.id == *id => {
                    revised.push_str(&Line { term, ..read }.to_string());
                    revised.push('\n');
                }
                _ => revised.push_str(line),
            }
        }
        Ok(Some(revised))
    }

    /// How long `id` may write, if it may at all.
    #[must_use]
    pub fn term(&self, id: &SourceId) -> Option<Term> {
        self.0.get(id).copied()
    }

    /// Whether the source of `update` may have written it.
    #[must_use]
    pub fn allows(&self, update: &Update) -> bool {
        self.term(update.source()).is_some_and(|term| term.includes(update.timestamp()))
    }

    /// The ids, in their order, each with its term.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceId, Term)> {
        self.0.iter().map(|(id, term)| (id, *term))
    }

    /// How many ids it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody may write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<SourceId> for TrustList {
    fn from_iter<I: IntoIterator<Item = SourceId>>(ids: I) -> Self {
        Self(ids.into_iter().map(|id| (id, Term::Open)).collect())
    }
}

impl std::str::FromStr for TrustList {
    type Err = TrustListError;

    fn from_str(text: &str) -> Result<Self, TrustListError> {
        let mut terms = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()) {
            let wrong = |fault| TrustListError::Line { line, fault };
            let Some(Line { id, term, .. }) = Line::read(text).map_err(wrong)? else { continue };
            match terms.entry(id) {
                Entry::Vacant(entry) => {
                    entry.insert(term);
                }
                Entry::Occupied(entry) if *entry.get() == term => {}
                Entry::Occupied(_) => return Err(wrong(TrustListFault::Twice)),
            }
            if terms.len() > TRUSTED_IDS_MAX {
                return Err(TrustListError::TooMany { ids_max: TRUSTED_IDS_MAX });
            }
        }
        Ok(Self(terms))
    }
}

/// A list that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustListError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is longer than a list can be.
    #[error("longer than {bytes_max} bytes")]
    TooLong {
        /// The longest.
        bytes_max: u64,
    },
    /// It names more ids than a list can.
    #[error("more than {ids_max} ids")]
    TooMany {
        /// The most.
        ids_max: usize,
    },
    /// A line is wrong.
    #[error("line {line}: {fault}")]
    Line {
        /// Which line, counted from one.
        line: usize,
        /// What is wrong with it.
        fault: TrustListFault,
    },
}

#[cfg(test)]
mod tests {
    use scuttlebutt::json::JsString;

    use super::*;

    fn fault(text: &str) -> (usize, TrustListFault) {
        match text.parse::<TrustList>() {
            Err(TrustListError::Line { line, fault }) => (line, fault),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn every_wrong_line_is_named() {
        assert_eq!(fault("a\nb c\n"), (2, TrustListFault::Words));
        assert_eq!(fault("\r\n\"a\" b"), (2, TrustListFault::Words));
        assert_eq!(fault("\"a"), (1, TrustListFault::Literal));
        assert_eq!(fault("# x\n# y\n__proto__"), (3, TrustListFault::Name));
        assert_eq!(fault("\"ed25519:\""), (1, TrustListFault::Ed25519));
        assert_eq!(fault("\na\u{feff}"), (2, TrustListFault::Invisible { code: 0xfeff }));
        assert_eq!(fault("\u{feff}a"), (1, TrustListFault::ByteOrderMark));
        assert_eq!(fault("\u{feff}# a\nb"), (1, TrustListFault::ByteOrderMark));
        assert_eq!(fault("x\na\u{200b}"), (2, TrustListFault::Invisible { code: 0x200b }));
        assert_eq!(fault("\"a\u{200d}\""), (1, TrustListFault::Invisible { code: 0x200d }));
        assert_eq!(fault("Ed25519:6kpsY-KcUgq"), (1, TrustListFault::Capitals));
        assert_eq!(fault("ed25519-secret:BwcHBwcH"), (1, TrustListFault::Secret));
        assert_eq!(fault("a\n-----BEGIN PRIVATE KEY-----"), (2, TrustListFault::Secret));
        assert_eq!(fault("a # ok\na until 5"), (2, TrustListFault::Twice));
        for end in ["a until", "a until x", "a until 0", "a until 1e999", "a until # x"] {
            assert_eq!(fault(end), (1, TrustListFault::End), "{end}");
        }
        assert_eq!(fault("a until 5 6"), (1, TrustListFault::Words));
    }

    #[test]
    fn an_end_cuts_off_what_is_later() {
        let list: TrustList =
            "a until 100.5 # gone\n\"b c\" until 7\nd\nd # twice\n".parse().unwrap();
        for (line, is_allowed) in [
            (r#"[1,100.5,"a"]"#, true),
            (r#"[1,100.6,"a"]"#, false),
            (r#"[1,7,"b c"]"#, true),
            (r#"[1,8,"b c"]"#, false),
            (r#"[1,1e300,"d"]"#, true),
            (r#"[1,1,"e"]"#, false),
        ] {
            assert_eq!(list.allows(&Update::from_json(line).unwrap()), is_allowed, "{line}");
        }
    }

    #[test]
    fn ids_of_every_kind_are_read() {
        let text = "7J+j9S1Sa5vnlgp5TL1XwZ/z7mg=\r\na#b\t# c\n\"\\ud800 #\"\n\"#\"\n";
        let list: TrustList = text.parse().unwrap();
        assert_eq!(list.len(), 4);
        for literal in
            [r#""7J+j9S1Sa5vnlgp5TL1XwZ/z7mg=""#, r#""a#b""#, r#""\ud800 #""#, r##""#""##]
        {
            let id = SourceId::new(JsString::from_json_literal(literal).unwrap()).unwrap();
            assert_eq!(list.term(&id), Some(Term::Open), "{literal}");
        }
    }

    #[test]
    fn a_file_is_read_or_its_line_is_named() {
        let path = std::env::temp_dir().join(format!("trust-list-{}", std::process::id()));
        std::fs::write(&path, "a # b\n").unwrap();
        assert_eq!(TrustList::read(&path).unwrap().len(), 1);
        std::fs::write(&path, b"a\nb\n\xff\n").unwrap();
        let error = TrustList::read(&path).unwrap_err();
        assert_eq!(error.to_string(), "line 3: it is not UTF-8");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(TrustList::read(&path), Err(TrustListError::Io(_))));
    }
}
