//! Which sources may write.
//!
//! A signature says who wrote an update, not whether anyone wants it. A [`TrustList`] names the
//! sources that may write, and [`Allowed`] makes a verifier ask it first.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use scuttlebutt::json::JsString;
use scuttlebutt::{SourceId, Trust, Update, Verifier};

use crate::ed25519;

/// Ids that one list can name.
pub const TRUSTED_IDS_MAX: usize = 1_000_000;
const FILE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The sources that may write.
///
/// Its text has one id a line. Empty lines count for nothing, nor does what follows a `#` at the
/// beginning of a line or after a space. An id with a space in it, or one that begins with `#` or
/// `"`, stands alone on its line as a JSON string.
///
/// ```
/// use scuttlebutt_security::{Ed25519Key, TrustList};
///
/// let ada = Ed25519Key::from_seed(&[7; 32]);
/// let list: TrustList = format!("# who may write\n{} # Ada\n\n\"the printer\"\n", ada.id()).parse()?;
/// assert!(list.contains(ada.id()));
/// assert_eq!(list.len(), 2);
///
/// let error = "\ned25519:6kpsY\n".parse::<TrustList>().unwrap_err();
/// assert_eq!(error.to_string(), "line 2: it begins as an Ed25519 public key does, but is none");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustList(BTreeSet<SourceId>);

impl TrustList {
    /// Reads the list in a file.
    ///
    /// # Errors
    /// [`TrustListError`]: the file, or a line of it.
    pub fn read(path: &Path) -> Result<Self, TrustListError> {
        let mut text = Vec::new();
        File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
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

    /// Whether `id` may write.
    #[must_use]
    pub fn contains(&self, id: &SourceId) -> bool {
        self.0.contains(id)
    }

    /// The ids, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &SourceId> {
        self.0.iter()
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
        Self(ids.into_iter().collect())
    }
}

impl std::str::FromStr for TrustList {
    type Err = TrustListError;

    fn from_str(text: &str) -> Result<Self, TrustListError> {
        let mut ids = BTreeSet::new();
        for (line, text) in (1..).zip(text.lines()) {
            let id =
                read_line(text.trim()).map_err(|fault| TrustListError::Line { line, fault })?;
            ids.extend(id);
            if ids.len() > TRUSTED_IDS_MAX {
                return Err(TrustListError::TooMany { ids_max: TRUSTED_IDS_MAX });
            }
        }
        Ok(Self(ids))
    }
}

fn read_line(line: &str) -> Result<Option<SourceId>, TrustListFault> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let id = if line.starts_with('"') {
        JsString::from_json_literal(line).map_err(|_| TrustListFault::Literal)?
    } else {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if !rest.is_empty() && !rest.trim_start().starts_with('#') {
            return Err(TrustListFault::Words);
        }
        JsString::from(word)
    };
    let id = SourceId::new(id).map_err(|_| TrustListFault::Name)?;
    if ed25519::claims_to_be_id(&id) && !ed25519::is_ed25519_id(&id) {
        return Err(TrustListFault::Ed25519);
    }
    Ok(Some(id))
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

/// What is wrong with a line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustListFault {
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Utf8,
    /// More than one word.
    #[error(
        "it has more than one word; write an id with spaces as a JSON string, a comment after `#`"
    )]
    Words,
    /// Begins with a quotation mark and is no JSON string.
    #[error("it begins with a quotation mark, but is not one JSON string")]
    Literal,
    /// `__proto__`.
    #[error("`__proto__` cannot be a source id")]
    Name,
    /// Begins with `ed25519:` and is no such key.
    #[error("it begins as an Ed25519 public key does, but is none")]
    Ed25519,
}

/// A verifier that believes `V`, about the sources on a list.
///
/// The list can be replaced while replicas use it: share it in an [`Arc`].
///
/// ```
/// use std::sync::Arc;
/// use scuttlebutt::{LwwMap, Outcome, Replica, Signer, SourceId, Update};
/// use scuttlebutt_security::{Allowed, Ed25519Key, Ed25519Verifier, TrustList};
///
/// let key = Ed25519Key::from_seed(&[7; 32]);
/// let update = Update::from_json(&format!(r#"[["k",1],100,"{}"]"#, key.id()))?;
/// let update = update.signed(&key.sign(&update)?);
///
/// let verifier = Arc::new(Allowed::new(TrustList::default(), Ed25519Verifier));
/// let replica = Replica::new(SourceId::new("R")?, LwwMap::new());
/// let mut replica = replica.verify_with(verifier.clone());
/// assert_eq!(replica.remote_update(100.0, update.clone()), Outcome::Unverified);
/// verifier.replace([key.id().clone()].into_iter().collect());
/// assert_eq!(replica.remote_update(100.0, update), Outcome::Applied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Allowed<V> {
    list: RwLock<Arc<TrustList>>,
    verifier: V,
}

impl<V> Allowed<V> {
    /// Believes `verifier` about the sources on `list`.
    pub fn new(list: TrustList, verifier: V) -> Self {
        Self { list: RwLock::new(Arc::new(list)), verifier }
    }

    /// From now on `list` counts. What was accepted before stays.
    pub fn replace(&self, list: TrustList) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// The list that counts.
    pub fn list(&self) -> Arc<TrustList> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<V: Verifier> Verifier for Allowed<V> {
    fn verify(&self, update: &Update) -> Trust {
        if self.list().contains(update.source()) {
            self.verifier.verify(update)
        } else {
            Trust::Untrusted
        }
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        let list = self.list();
        judge_some(updates, &self.verifier, |update| list.contains(update.source()))
    }
}

/// The verdicts of `verifier` on those updates that `may` pass; the others are not believed.
pub(crate) fn judge_some(
    updates: &[Update],
    verifier: &impl Verifier,
    may: impl Fn(&Update) -> bool,
) -> Vec<Trust> {
    let passed: Vec<bool> = updates.iter().map(may).collect();
    let asked: Vec<Update> = updates
        .iter()
        .zip(&passed)
        .filter(|(_, passed)| **passed)
        .map(|(u, _)| u.clone())
        .collect();
    let mut verdicts = verifier.verify_all(&asked).into_iter();
    let verdict = |passed: &bool| match passed {
        true => verdicts.next().unwrap_or(Trust::Later),
        false => Trust::Untrusted,
    };
    passed.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
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
        assert_eq!(fault("\r\n\"a\" b"), (2, TrustListFault::Literal));
        assert_eq!(fault("\"a"), (1, TrustListFault::Literal));
        assert_eq!(fault("# x\n# y\n__proto__"), (3, TrustListFault::Name));
        assert_eq!(fault("\"ed25519:\""), (1, TrustListFault::Ed25519));
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
            assert!(list.contains(&id), "{literal}");
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
