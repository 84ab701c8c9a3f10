//! The proof that a source gave one name to two changes: both updates, and nothing else.
//!
//! It is a value that anyone can check by himself. It knows no replica, and says nothing of what is
//! held where, or which of the two counts.

use super::{Trust, Verifier};
use crate::update::{Update, UpdateError};

/// Two different updates with one name, which an honest source never writes. Whoever has the source's
/// key can check it, wherever it comes from.
///
/// As text it is two lines of the wire, the lesser change first: a fork that two replicas met in either
/// order gives one proof.
///
/// ```
/// use scuttlebutt::{ForkProof, Trust, Update, Verifier};
///
/// struct Anybody;
/// impl Verifier for Anybody {
///     fn verify(&self, _: &Update) -> Trust {
///         Trust::Trusted
///     }
/// }
///
/// let (one, two) = (r#"[["k",1],100,"A","s1"]"#, r#"[["k",2],100,"A","s2"]"#);
/// let proof = ForkProof::from_json_lines(&format!("{two}\n{one}\n"))?;
/// assert_eq!(proof.to_json_lines(), format!("{one}\n{two}\n"));
/// assert_eq!(proof.verify(&Anybody), Trust::Trusted);
///
/// let no_fork = format!("{one}\n{}\n", r#"[["k",2],101,"A","s2"]"#);
/// assert!(ForkProof::from_json_lines(&no_fork).is_err());
/// # Ok::<(), scuttlebutt::ForkProofError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkProof {
    sides: [Update; 2],
}

impl ForkProof {
    /// The proof that these two make, whoever vouches for them.
    ///
    /// # Errors
    /// [`ForkProofError::NoFork`] when their sources or timestamps differ, or their changes do not.
    pub fn new(one: Update, other: Update) -> Result<Self, ForkProofError> {
        if one.id() != other.id() || one.change() == other.change() {
            return Err(ForkProofError::NoFork);
        }
        let mut sides = [one, other];
        sides.sort_by(Update::cmp_order);
        Ok(Self { sides })
    }

    /// The two updates, the lesser change first.
    #[must_use]
    pub fn sides(&self) -> &[Update; 2] {
        &self.sides
    }

    /// Whether it proves that its source forked: [`Trust::Trusted`] if `verifier` vouches for both sides.
    pub fn verify(&self, verifier: &(impl Verifier + ?Sized)) -> Trust {
        let [one, other] = self.sides.each_ref().map(|side| verifier.verify(side));
        match (one, other) {
            (Trust::Trusted, Trust::Trusted) => Trust::Trusted,
            (Trust::Untrusted, _) | (_, Trust::Untrusted) => Trust::Untrusted,
            _ => Trust::Later,
        }
    }

    /// Both wire lines, each with its newline.
    #[must_use]
    pub fn to_json_lines(&self) -> String {
        self.sides.iter().map(|side| side.to_json() + "\n").collect()
    }

    /// Reads what [`to_json_lines`](Self::to_json_lines) writes. It is no proof before it is
    /// [verified](Self::verify).
    ///
    /// # Errors
    /// [`ForkProofError`] when these are not two updates, or not two of one name.
    pub fn from_json_lines(text: &str) -> Result<Self, ForkProofError> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let (Some(one), Some(other), None) = (lines.next(), lines.next(), lines.next()) else {
            return Err(ForkProofError::NotTwoLines);
        };
        Self::new(Update::from_json(one)?, Update::from_json(other)?)
    }
}

/// Something is no proof of a fork.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForkProofError {
    /// It is not two lines.
    #[error("the proof of a fork is two lines, each an update as it stands on the wire")]
    NotTwoLines,
    /// A line is no update.
    #[error("a line of the proof is no update: {0}")]
    Update(#[from] UpdateError),
    /// The updates are none of a fork.
    #[error("these two updates are no fork: that takes one source, one timestamp and two changes")]
    NoFork,
}
