//! What was confirmed last, and whether a file that is opened still has it.
//!
//! After each commit, and before anybody is told of it, the commit's number and root are noted apart from
//! the file. The note is written in its place and not waited for: it survives the end of the process, and
//! reaches the disk some time later, always after what it speaks of. So the file may have more than the
//! note says. If it has less, it lost what was confirmed. This module neither reads nor writes files.

use crate::commits::{Commit, Commits};
use crate::record;

const KEY: &[u8] = b"confirmed";

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Confirmed {
    pub(crate) commit: Commit,
    /// Of which file: as [`origin`](crate::origin) names it.
    pub(crate) origin: String,
    /// In which start of the machine; empty where nobody tells.
    pub(crate) boot: String,
}

impl Confirmed {
    /// As it is kept: of the same length, as long as file and machine stay the same.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let mut body = self.commit.number.to_le_bytes().to_vec();
        body.extend_from_slice(&self.commit.root);
        body.extend_from_slice(format!("{}\n{}\n", self.origin, self.boot).as_bytes());
        record::seal(KEY, &body)
    }

    /// The note that was kept, if it is whole.
    pub(crate) fn open(kept: &[u8]) -> Option<Self> {
        let (number, body) = record::open(KEY, kept)?.split_first_chunk()?;
        let (root, names) = body.split_first_chunk()?;
        let mut names = std::str::from_utf8(names).ok()?.lines().map(str::to_owned);
        let commit = Commit { number: u64::from_le_bytes(*number), root: *root };
        Some(Self { commit, origin: names.next()?, boot: names.next()? })
    }
}

/// What the note says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Everything that was confirmed is there.
    Whole,
    /// The last commit is not whole, and was confirmed.
    Damaged,
    /// The last commit is not whole, and nobody knows whether it was confirmed: the machine stopped and
    /// took the note with it, or somebody removed that.
    Uncertain,
    /// All that is there is whole, and older than what was confirmed.
    SetBack,
}

/// Judges a file in which the engine found these commits and `shown` is what it shows of them. Of a note
/// that speaks of another file nothing is believed.
pub(crate) fn judge(
    found: &Commits,
    shown: Commit,
    note: Option<&Confirmed>,
    (origin, boot): (&str, &str),
) -> Finding {
    let newest = found.newest();
    let went_back = newest.root != shown.root;
    // The engine may have given it another number since.
    let shown = found.with_root(shown.root).unwrap_or(shown);
    let note = note.filter(|note| note.origin == origin);
    match note {
        Some(Confirmed { commit, .. })
            if commit.root != shown.root && commit.number >= shown.number =>
        {
            if went_back {
                Finding::Damaged
            } else {
                Finding::SetBack
            }
        }
        // Whoever was told of a commit since would have left a note.
        Some(note) if went_back && (note.boot != boot || boot.is_empty()) => Finding::Uncertain,
        None if went_back => Finding::Uncertain,
        _ => Finding::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64) -> Commit {
        Commit { number, root: [number as u8; 24] }
    }

    fn note(number: u64) -> Confirmed {
        Confirmed { commit: commit(number), origin: "1;2;m".to_owned(), boot: "b".to_owned() }
    }

    #[test]
    fn a_note_is_whole_or_nothing() {
        let kept = note(7).seal();
        assert_eq!(Confirmed::open(&kept), Some(note(7)));
        assert_eq!(kept.len(), note(8).seal().len());
        for at in 0..kept.len() {
            let mut flipped = kept.clone();
            flipped[at] ^= 4;
            assert_eq!(Confirmed::open(&flipped), None);
        }
        assert_eq!(Confirmed::open(&kept[..20]), None);
        assert_eq!(Confirmed::open(b""), None);
    }

    #[test]
    fn a_file_has_what_was_confirmed_or_does_not() {
        let found = Commits { first: commit(6), other: commit(5) };
        let judged = |shown, noted: Option<u64>| {
            judge(&found, commit(shown), noted.map(note).as_ref(), ("1;2;m", "b"))
        };
        assert_eq!(judged(6, Some(6)), Finding::Whole);
        assert_eq!(judged(6, Some(5)), Finding::Whole, "killed before the note was written");
        assert_eq!(judged(5, Some(5)), Finding::Whole, "killed in the middle of a commit");
        assert_eq!(judged(5, Some(6)), Finding::Damaged);
        assert_eq!(judged(6, Some(9)), Finding::SetBack);
        assert_eq!(judged(6, None), Finding::Whole);
        assert_eq!(judged(5, None), Finding::Uncertain);
        let elsewhere = |boot| judge(&found, commit(5), Some(&note(5)), ("1;2;m", boot));
        assert_eq!(elsewhere("b"), Finding::Whole);
        assert_eq!(elsewhere("c"), Finding::Uncertain, "the machine stopped");
        assert_eq!(elsewhere(""), Finding::Uncertain);
        let of_another = judge(&found, commit(6), Some(&note(9)), ("3;4;m", "b"));
        assert_eq!(of_another, Finding::Whole);
        // As the engine numbers it anew when it repairs.
        let renumbered = Commit { number: 6, root: commit(5).root };
        assert_eq!(judge(&found, renumbered, Some(&note(6)), ("1;2;m", "b")), Finding::Damaged);
    }
}
