//! Whether bounds fit together: whatever one of them lets in, the others let out again.
//!
//! Called where a node starts. It changes nothing; a set that does not fit is refused with the names of
//! both bounds.

use super::Limits;

/// What an entry of a version vector takes beside the literal of its source: a colon, a comma, and the
/// longest timestamp there is.
const ENTRY_BYTES: usize = 27;

/// What a digest takes beside its vector, its writer's id and its metadata: names, and the announcement
/// of extensions.
const DIGEST_BYTES: usize = 64 << 10;

/// A bound is too small, by itself or beside another.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("Limits::{bound} is {value}, and has to be at least {needed}{}: {why}", asked_by(.other))]
pub struct InconsistentLimits {
    /// The bound that is too small.
    pub bound: &'static str,
    /// What it stands at.
    pub value: f64,
    /// The bound that asks for more, unless it is too small by itself. Lowering that one helps, too.
    pub other: Option<&'static str>,
    /// The least that would do.
    pub needed: f64,
    /// What would go wrong.
    pub why: &'static str,
}

fn asked_by(other: &Option<&'static str>) -> String {
    other.map_or_else(String::new, |other| format!(" beside this Limits::{other}"))
}

/// A bound by its name.
type Named = (&'static str, f64);

fn named(name: &'static str, value: usize) -> Named {
    (name, value as f64)
}

fn at_least(bound: Named, other: Named, why: &'static str) -> Result<(), InconsistentLimits> {
    let ((bound, value), (other, needed)) = (bound, other);
    // Written so that what is no number fails, too.
    if value >= needed {
        return Ok(());
    }
    Err(InconsistentLimits { bound, value, other: Some(other), needed, why })
}

impl Limits {
    /// Whether the bounds fit together. Replicas and sessions take any; with some that do not fit, they
    /// can hold what no peer with the same bounds accepts.
    ///
    /// ```
    /// use scuttlebutt::Limits;
    ///
    /// Limits::default().check()?;
    ///
    /// let longer = Limits { update_bytes_max: 20 << 20, ..Limits::default() };
    /// let error = longer.check().unwrap_err();
    /// assert_eq!((error.bound, error.other), ("line_bytes_max", Some("update_bytes_max")));
    /// # Ok::<(), scuttlebutt::InconsistentLimits>(())
    /// ```
    ///
    /// # Errors
    /// [`InconsistentLimits`], which names both bounds.
    pub fn check(&self) -> Result<(), InconsistentLimits> {
        self.check_least()?;
        let line = named("line_bytes_max", self.line_bytes_max);
        let update = named("update_bytes_max", self.update_bytes_max);
        let sources = named("sources_bytes_max", self.sources_bytes_max);
        at_least(line, update, "an update that is accepted could not be passed on in one line")?;
        at_least(
            line,
            ("sources_bytes_max", self.digest_bytes_max() as f64),
            "a digest with so many bytes of ids, and a timestamp for each of sources_max, would not fit \
             into one line",
        )?;
        at_least(
            sources,
            named("source_bytes_max", self.source_bytes_max),
            "a source whose id is accepted would not fit",
        )?;
        at_least(
            named("unfinished_bytes_max", self.unfinished_bytes_max),
            // Where a line is put together grows by doubling.
            ("line_bytes_max", 2.0 * self.line_bytes_max as f64),
            "a line that is accepted could not arrive",
        )?;
        at_least(
            named("held_bytes_max", self.held_bytes_max),
            update,
            "an update that is accepted could not be held",
        )?;
        at_least(
            named("sessions_bytes_max", self.sessions_bytes_max),
            update,
            "an update that is accepted could not wait for a slow peer",
        )?;
        let why = "the shortest wait would be longer than the longest";
        for (longest, shortest) in [
            (
                ("ask_again_ms_max", self.ask_again_ms_max),
                ("ask_again_ms_min", self.ask_again_ms_min),
            ),
            (
                ("redial_delay_ms_max", self.redial_delay_ms_max as f64),
                ("redial_delay_ms_min", self.redial_delay_ms_min as f64),
            ),
            (
                ("verify_delay_ms_max", self.verify_delay_ms_max as f64),
                ("verify_delay_ms_min", self.verify_delay_ms_min as f64),
            ),
        ] {
            at_least(longest, shortest, why)?;
        }
        Ok(())
    }

    /// What would let nothing happen at all.
    fn check_least(&self) -> Result<(), InconsistentLimits> {
        for (bound, value, least) in [
            ("nesting_depth_max", self.nesting_depth_max, 2),
            ("sources_max", self.sources_max, 1),
            ("updates_max", self.updates_max, 1),
            ("output_bytes_max", self.output_bytes_max, 1),
            ("input_bytes_max", self.input_bytes_max, 1),
            ("sessions_max", self.sessions_max, 1),
            ("sessions_per_address_max", self.sessions_per_address_max, 1),
            ("waiting_updates_max", self.waiting_updates_max, 1),
            ("waiting_updates_per_source_max", self.waiting_updates_per_source_max, 1),
            ("unasked_updates_max", self.unasked_updates_max, 1),
            ("verify_batch_updates_max", self.verify_batch_updates_max, 1),
            ("verify_batches_max", self.verify_batches_max, 1),
        ] {
            if value < least {
                let (value, needed) = (value as f64, f64::from(least as u32));
                let why = "nothing could ever be accepted";
                return Err(InconsistentLimits { bound, value, other: None, needed, why });
            }
        }
        Ok(())
    }

    /// The longest digest or mark that a replica with these bounds ever says, in bytes.
    #[must_use]
    pub fn digest_bytes_max(&self) -> usize {
        self.sources_max
            .saturating_mul(ENTRY_BYTES)
            .saturating_add(self.sources_bytes_max)
            .saturating_add(self.source_bytes_max)
            .saturating_add(self.metadata_bytes_max)
            .saturating_add(DIGEST_BYTES)
    }

    /// The longest update there may be, also beside a bound on lines that does not fit to it.
    pub(crate) fn longest_update(&self) -> usize {
        self.update_bytes_max.min(self.line_bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceId;
    use crate::timestamp::Timestamp;
    use crate::wire::Encoder;

    #[test]
    fn i8_the_default_bounds_fit_together() {
        Limits::default().check().unwrap();
    }

    /// As many ids as there may be, as long as they may be together, and the longest of timestamps.
    #[test]
    fn i8_the_longest_digest_fits_into_a_line() {
        let limits = Limits {
            line_bytes_max: 1_052_096,
            update_bytes_max: 1_000,
            sources_max: 20_000,
            sources_bytes_max: 380_000,
            ..Limits::default()
        };
        limits.check().unwrap();
        assert_eq!(limits.digest_bytes_max(), limits.line_bytes_max);
        let ids: Vec<SourceId> =
            (0..limits.sources_max).map(|n| SourceId::new(format!("{n:017}")).unwrap()).collect();
        let bytes: usize = ids.iter().map(|id| id.json_literal().len()).sum();
        assert_eq!(bytes, limits.sources_bytes_max);
        let longest = Timestamp::new(0.000_001_234_567_890_123_456_7).unwrap();
        assert_eq!(longest.to_string().len(), ENTRY_BYTES - 3);
        let vector = ids.iter().map(|id| (id, longest));
        let metadata = format!("\"{}\"", "m".repeat(limits.metadata_bytes_max - 2));
        let mut line = Vec::new();
        let writer = SourceId::new("w".repeat(limits.source_bytes_max - 2)).unwrap();
        Encoder::default().digest(&writer, vector, Some(&metadata), None, &mut line);
        assert!(line.len() <= limits.digest_bytes_max() && line.len() <= limits.line_bytes_max);
    }

    #[test]
    fn i8_bounds_that_do_not_fit_are_named() {
        let fit = Limits::default();
        let cases = [
            (
                Limits { line_bytes_max: 1 << 20, ..fit.clone() },
                "line_bytes_max",
                "update_bytes_max",
            ),
            (Limits { sources_max: 1 << 20, ..fit.clone() }, "line_bytes_max", "sources_bytes_max"),
            (
                Limits { sources_bytes_max: 1_000, ..fit.clone() },
                "sources_bytes_max",
                "source_bytes_max",
            ),
            (
                Limits { unfinished_bytes_max: 20 << 20, ..fit.clone() },
                "unfinished_bytes_max",
                "line_bytes_max",
            ),
            (
                Limits { held_bytes_max: 1 << 20, ..fit.clone() },
                "held_bytes_max",
                "update_bytes_max",
            ),
            (
                Limits { ask_again_ms_max: f64::NAN, ..fit.clone() },
                "ask_again_ms_max",
                "ask_again_ms_min",
            ),
        ];
        for (limits, bound, other) in cases {
            let error = limits.check().unwrap_err();
            assert_eq!((error.bound, error.other), (bound, Some(other)), "{error}");
            let text = error.to_string();
            assert!(text.contains(bound) && text.contains(other), "{text}");
        }
        let error = Limits { updates_max: 0, ..fit }.check().unwrap_err();
        assert_eq!((error.bound, error.other), ("updates_max", None));
    }
}
