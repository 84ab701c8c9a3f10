//! What the command line says about bounds: the same for every command that takes updates in.

use clap::Args;
use scuttlebutt::Limits;

/// Bounds other than the default ones.
#[derive(Args, Clone, Default)]
pub(crate) struct LimitArgs {
    /// Change a bound; once for each
    ///
    /// Among them are update_bytes_max, line_bytes_max, sources_max, updates_max, held_bytes_max and, for
    /// serve, sessions_max and write_wait_ms_max; the documentation of `Limits` says what they are and what
    /// they stand at. A command that talks to a node with a raised bound needs it raised, too.
    #[arg(long = "limit", value_name = "NAME=NUMBER", value_parser = parse_limit)]
    changes: Vec<LimitChange>,
}

impl LimitArgs {
    /// These bounds, with the changes that were asked for.
    pub(crate) fn over(&self, mut limits: Limits) -> Limits {
        for change in &self.changes {
            // The command line has been checked.
            let _ = change.apply(&mut limits);
        }
        limits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// A bound by its name.
#[derive(Clone, Debug)]
struct LimitChange {
    name: String,
    value: u64,
}

fn parse_limit(text: &str) -> Result<LimitChange, String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=NUMBER")?;
    let value = value.parse().map_err(|_| format!("{value:?} is no number of 0 or more"))?;
    let change = LimitChange { name: name.to_owned(), value };
    change.apply(&mut Limits::default())?;
    Ok(change)
}

impl LimitChange {
    fn apply(&self, limits: &mut Limits) -> Result<(), String> {
        let value = self.value;
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match self.name.as_str() {
            "line_bytes_max" => limits.line_bytes_max = size,
            "update_bytes_max" => limits.update_bytes_max = size,
            "nesting_depth_max" => limits.nesting_depth_max = size,
            "sources_max" => limits.sources_max = size,
            "source_bytes_max" => limits.source_bytes_max = size,
            "sources_bytes_max" => limits.sources_bytes_max = size,
            "metadata_bytes_max" => limits.metadata_bytes_max = size,
            "updates_max" => limits.updates_max = size,
            "held_bytes_max" => limits.held_bytes_max = size,
            "forks_max" => limits.forks_max = size,
            "forks_bytes_max" => limits.forks_bytes_max = size,
            "clock_skew_ms_max" => limits.clock_skew_ms_max = value as f64,
            "digest_wait_ms_max" => limits.digest_wait_ms_max = value as f64,
            "heartbeat_ms_max" => limits.heartbeat_ms_max = value as f64,
            "ask_again_ms_min" => limits.ask_again_ms_min = value as f64,
            "ask_again_ms_max" => limits.ask_again_ms_max = value as f64,
            "sessions_max" => limits.sessions_max = size,
            "sessions_per_address_max" => limits.sessions_per_address_max = size,
            "handshake_wait_ms_max" => limits.handshake_wait_ms_max = value,
            "write_wait_ms_max" => limits.write_wait_ms_max = value,
            "line_wait_ms_max" => limits.line_wait_ms_max = value,
            "unfinished_bytes_max" => limits.unfinished_bytes_max = size,
            "sessions_bytes_max" => limits.sessions_bytes_max = size,
            name => {
                return Err(format!(
                    "{name} cannot be changed here; what can are line_bytes_max, update_bytes_max, \
                     nesting_depth_max, sources_max, source_bytes_max, sources_bytes_max, \
                     metadata_bytes_max, updates_max, held_bytes_max, forks_max, forks_bytes_max, \
                     clock_skew_ms_max, digest_wait_ms_max, heartbeat_ms_max, ask_again_ms_min, \
                     ask_again_ms_max, \
                     sessions_max, sessions_per_address_max, handshake_wait_ms_max, write_wait_ms_max, \
                     line_wait_ms_max, unfinished_bytes_max and sessions_bytes_max"
                ));
            }
        }
        Ok(())
    }
}
