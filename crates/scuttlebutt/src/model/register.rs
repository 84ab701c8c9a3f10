//! One value that the last writer wins: the shortest model there is, and npm's `r-value`.
//!
//! Read it to see what writing a model takes: what to keep, what to answer, what to show.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::json::ToCanonicalError;
use crate::model::{Merge, Model};
use crate::update::{Change, Update};

/// A single JSON value.
///
/// *Under concurrency:* the write with the greater (timestamp, source) wins on every replica; the
/// other one is gone.
///
/// *On the wire* a change is the value itself, as npm `r-value` writes it.
///
/// ```
/// use scuttlebutt::{Register, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, Register::new());
/// replica.local_update(100.0, Register::set(&21)?)?;
/// replica.local_update(200.0, Register::set(&42)?)?;
/// assert_eq!(replica.model().get::<u32>()?, Some(42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Register {
    winner: Option<Update>,
}

impl Register {
    /// A register that was never written.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The change that writes `value`.
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON, or holds a number that would not be read back as it is:
    /// see [`Change::new`].
    pub fn set<T: Serialize + ?Sized>(value: &T) -> Result<Change, ToCanonicalError> {
        Change::new(value)
    }

    /// [`set`](Self::set) that takes numbers as JavaScript would: see [`Change::new_lossy`].
    ///
    /// # Errors
    /// When `value` cannot be serialized as JSON.
    pub fn set_lossy<T: Serialize + ?Sized>(value: &T) -> Result<Change, ToCanonicalError> {
        Change::new_lossy(value)
    }

    /// The value, decoded; `None` when nothing was ever written.
    ///
    /// # Errors
    /// When the value is not of the type asked for.
    pub fn get<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.get_raw().map(serde_json::from_str).transpose()
    }

    /// The value as JSON text; `None` when nothing was ever written.
    #[must_use]
    pub fn get_raw(&self) -> Option<&str> {
        self.winner.as_ref().map(Update::change)
    }

    /// The update that wrote the value.
    #[must_use]
    pub fn update(&self) -> Option<&Update> {
        self.winner.as_ref()
    }
}

impl Model for Register {
    fn name(&self) -> Option<&str> {
        Some("value")
    }

    fn apply(&mut self, update: &Update) -> Merge {
        if self.winner.as_ref().is_some_and(|winner| winner.cmp_order(update).is_gt()) {
            return Merge::superseded();
        }
        let earlier = self.winner.replace(update.clone());
        // The other side of a fork stays.
        let earlier = earlier.map(|earlier| earlier.id()).filter(|id| *id != update.id());
        Merge::superseding(earlier)
    }

    fn preview(&self, update: &Update) -> Merge {
        self.clone().apply(update)
    }

    fn view(&self) -> String {
        self.get_raw().unwrap_or("null").to_owned()
    }
}
