//! When an update was written: the original's number format, with its holes closed.
//!
//! A [`Timestamp`] is an IEEE-754 double of milliseconds since the Unix epoch whose fraction only
//! orders writes within a millisecond. It never is zero, negative, infinite or NaN, so comparing
//! two of them is a total order and no arithmetic on the wire can poison it. This module never
//! reads a clock.

use std::cmp::Ordering;
use std::fmt;

use crate::json;

/// Milliseconds since the Unix epoch, positive and finite; fractions are used for order only.
///
/// ```
/// use scuttlebutt::Timestamp;
///
/// let first = Timestamp::new(1_700_000_000_000.0)?;
/// let second = first.next().expect("far from the largest double");
/// assert!(second > first);
/// assert_eq!(second.to_string(), "1700000000000.0002");
/// assert!(Timestamp::new(f64::NAN).is_err());
/// assert!(Timestamp::new(0.0).is_err());
/// # Ok::<(), scuttlebutt::InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, PartialEq)]
#[doc(alias = "timestamp")]
pub struct Timestamp(f64);

impl Timestamp {
    /// The largest timestamp there is.
    pub const MAX: Timestamp = Timestamp(f64::MAX);

    /// Takes `millis` milliseconds since the epoch.
    ///
    /// # Errors
    /// [`InvalidTimestamp`] for zero, negative and non-finite numbers: in the original each of them
    /// breaks the order that replication rests on.
    pub fn new(millis: f64) -> Result<Self, InvalidTimestamp> {
        if millis.is_finite() && millis > 0.0 {
            Ok(Self(millis))
        } else {
            Err(InvalidTimestamp(millis))
        }
    }

    /// What [`as_millis`](Self::as_millis) gave before.
    pub(crate) fn of_positive(millis: f64) -> Self {
        debug_assert!(millis.is_finite() && millis > 0.0);
        Self(millis)
    }

    /// The number of milliseconds.
    #[must_use]
    pub fn as_millis(self) -> f64 {
        self.0
    }

    /// The next representable timestamp, or `None` after [`Timestamp::MAX`].
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::new(self.0.next_up()).ok()
    }

    /// The representable timestamp before, or `None` before the first.
    pub(crate) fn previous(self) -> Option<Self> {
        Self::new(self.0.next_down()).ok()
    }

    /// Its bits, which are ordered as timestamps are.
    pub(crate) fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The timestamp of these bits, if they are one's.
    pub(crate) fn from_bits(bits: u64) -> Option<Self> {
        Self::new(f64::from_bits(bits)).ok()
    }

    /// Appends the number as JavaScript prints it.
    pub(crate) fn write_json(self, out: &mut String) {
        json::write_number(self.0, out);
    }
}

impl Eq for Timestamp {}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        // Positive and finite by construction, where total order and numeric order agree.
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_json(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number that can be no timestamp; nothing was changed by offering it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no timestamp: one is a finite number of milliseconds greater than zero")]
pub struct InvalidTimestamp(pub f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_break_order_are_refused() {
        for millis in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Timestamp::new(millis).is_err(), "{millis}");
        }
    }

    #[test]
    fn the_last_timestamp_has_no_successor() {
        assert_eq!(Timestamp::MAX.next(), None);
    }
}
