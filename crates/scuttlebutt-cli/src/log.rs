//! Log lines on stderr, never on stdout.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::exit::tell;
use crate::log_writer::LogWriter;
use crate::terminal;

/// Starts logging with the first of `--log`, `RUST_LOG` and the command's own default. The answer is for
/// waiting at the end until it is written.
pub(crate) fn start(option: Option<&str>, default: &str) -> LogWriter {
    let from_environment = || {
        let filter = std::env::var("RUST_LOG").ok().filter(|f| !f.is_empty())?;
        EnvFilter::try_new(filter)
            .inspect_err(|error| tell("warning", format!("RUST_LOG is ignored: {error}")))
            .ok()
    };
    let filter = option
        .map(EnvFilter::new)
        .or_else(from_environment)
        .unwrap_or_else(|| EnvFilter::new(default));
    let is_terminal = std::io::stderr().is_terminal();
    let writer = LogWriter::start(std::io::stderr());
    let lines = writer.clone();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || lines.clone())
        // It would say on stderr, of all places, that stderr cannot be written.
        .log_internal_errors(false)
        .with_ansi(is_terminal && terminal::allows_colour())
        .with_target(false);
    if is_terminal {
        log.without_time().init();
    } else {
        log.init();
    }
    writer
}

/// Checks a filter for the command line.
pub(crate) fn parse_filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; write error, warn, info, debug, trace or off")),
    }
}
