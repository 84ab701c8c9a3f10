//! Files of updates as the original writes and reads them: sessions without a peer.
//!
//! The bytes are those of the wire (`docs/protocol.md`): a digest, the updates in the order of
//! (timestamp, source), `"SYNC"`. Nothing here opens a file: bytes come in and go out in portions.

use crate::model::Model;
use crate::replica::Replica;
use crate::session::{Mode, Refusal, Session, SessionConfig, SessionError, SessionEvent, Tally};

/// Writes everything a replica holds, as the original's `createReadStream({tail: false})` does, byte
/// for byte.
///
/// ```
/// use scuttlebutt::{Export, LwwMap, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("A")?, LwwMap::new());
/// replica.local_update(100.0, LwwMap::set("k", &1)?)?;
///
/// let mut file = Vec::new();
/// let mut export = Export::new(&mut replica, 200.0);
/// while !export.is_finished() {
///     export.transmit(&replica, &mut file, 4096);
/// }
/// let lines = "{\"id\":\"A\",\"clock\":{\"A\":100}}\n[[\"k\",1],100,\"A\"]\n\"SYNC\"\n";
/// assert_eq!(String::from_utf8(file)?, lines);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "createReadStream")]
pub struct Export(Session);

impl Export {
    /// Begins with what `replica` holds at `now_ms`, milliseconds since the epoch.
    pub fn new<M: Model>(replica: &mut Replica<M>, now_ms: f64) -> Self {
        let config = SessionConfig { mode: Mode::CatchUp, ..SessionConfig::send_only() };
        Self(Session::new(replica, now_ms, config))
    }

    /// Appends the next bytes to `out`, at most `room`, and answers how many. The replica may change
    /// in between; what it accepted meanwhile is written too.
    pub fn transmit<M: Model>(
        &mut self,
        replica: &Replica<M>,
        out: &mut Vec<u8>,
        room: usize,
    ) -> usize {
        self.0.transmit(replica, out, room)
    }

    /// Whether the file is whole.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_output_finished()
    }

    /// Number of updates written.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.0.tally().updates_sent_catching_up + self.0.tally().updates_sent_live
    }
}

/// Reads a file into a replica, as the original's `createWriteStream` does.
///
/// The file may lack its first line, its last newline or its `"SYNC"`, and may consist of several
/// that follow one another. The replica keeps its own id. What the file promises to be complete is
/// announced (see [`Replica::promise`]); updates without such a promise are applied and passed on, and
/// announced once a peer has promised them.
///
/// ```
/// use scuttlebutt::{Import, LwwMap, Replica, SourceId};
///
/// let mut replica = Replica::new(SourceId::new("B")?, LwwMap::new());
/// let mut import = Import::new(&mut replica, 200.0);
/// import.receive(&mut replica, 200.0, b"{\"id\":\"A\",\"clock\":{\"A\":100}}\n[[\"k\",1],10")?;
/// import.receive(&mut replica, 200.0, b"0,\"A\"]\n\"SYNC\"\n")?;
/// let imported = import.finish(&mut replica, 200.0)?;
/// assert_eq!((imported.tally.updates_applied, imported.is_complete), (1, true));
/// assert_eq!(replica.model().to_json(), r#"{"k":1}"#);
///
/// let mut import = Import::new(&mut replica, 200.0);
/// let error = import.receive(&mut replica, 200.0, b"[[\"k\",2],150,\"A\"]\nGET /\n").unwrap_err();
/// assert_eq!(error.line, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "createWriteStream")]
pub struct Import {
    session: Session,
    /// Lines that were read to their end.
    lines: u64,
    is_complete: bool,
    refused: Option<(u64, Refusal)>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What became of its updates.
    pub tally: Tally,
    /// Whether it holds a `"SYNC"`, which is its promise to be whole.
    pub is_complete: bool,
    /// Where an update was refused first, as a line's number from 1, and why.
    pub refused: Option<(u64, Refusal)>,
}

/// A file could not be read on. Everything before the line is applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct ImportError {
    /// The line at fault, from 1.
    pub line: u64,
    /// What is wrong with it. Its text speaks of a peer, which here is who wrote the file.
    #[source]
    pub error: SessionError,
}

impl Import {
    /// Begins at `now_ms`, milliseconds since the epoch.
    pub fn new<M: Model>(replica: &mut Replica<M>, now_ms: f64) -> Self {
        let session = Session::new(replica, now_ms, SessionConfig::receive_only());
        Self { session, lines: 0, is_complete: false, refused: None }
    }

    /// Takes the next bytes of the file, cut anywhere.
    ///
    /// # Errors
    /// [`ImportError`] when they are nothing that a scuttlebutt writes, or a bound is reached.
    pub fn receive<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        bytes: &[u8],
    ) -> Result<(), ImportError> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let result = self.session.receive(replica, now_ms, part);
            self.note(result)?;
            self.lines += u64::from(part.ends_with(b"\n"));
        }
        Ok(())
    }

    /// Whether updates of the file wait for verdicts. Feed it no more then than the replica's
    /// [`Limits`](crate::Limits) let wait: what comes beyond is refused.
    #[must_use]
    pub fn awaits_verdicts(&self) -> bool {
        self.session.awaits_verdicts()
    }

    /// Takes note of the verdicts that have come: see [`Session::settle`]. Where an update is refused
    /// only then, [`Imported::refused`] names the last line that was read.
    ///
    /// # Errors
    /// [`ImportError`] when a bound is reached.
    pub fn settle<M: Model>(&mut self, replica: &mut Replica<M>) -> Result<(), ImportError> {
        let result = self.session.settle(replica);
        self.note(result)
    }

    /// The file has ended.
    ///
    /// # Errors
    /// [`ImportError`] when its last line is not whole.
    pub fn finish<M: Model>(
        mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
    ) -> Result<Imported, ImportError> {
        let result = self.session.receive_end(replica, now_ms);
        self.note(result)?;
        let Self { session, is_complete, refused, .. } = self;
        Ok(Imported { tally: *session.tally(), is_complete, refused })
    }

    /// Takes note of what the line that is being read has led to.
    fn note(&mut self, result: Result<(), SessionError>) -> Result<(), ImportError> {
        let line = self.lines + 1;
        while let Some(event) = self.session.next_event() {
            match event {
                SessionEvent::HistoryReceived => self.is_complete = true,
                SessionEvent::Refused { refusal, .. } if self.refused.is_none() => {
                    self.refused = Some((line, refusal));
                }
                _ => {}
            }
        }
        result.map_err(|error| ImportError { line, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LwwMap, SourceId};

    fn import(file: &str) -> (Replica<LwwMap>, Result<Imported, ImportError>) {
        let mut replica = Replica::new(SourceId::new("B").unwrap(), LwwMap::new());
        let mut import = Import::new(&mut replica, 1_000.0);
        let result = import
            .receive(&mut replica, 1_000.0, file.as_bytes())
            .and_then(|()| import.finish(&mut replica, 1_000.0));
        (replica, result)
    }

    #[test]
    fn a_file_that_was_cut_off_says_so() {
        let (replica, result) = import("{\"id\":\"A\",\"clock\":{\"A\":9}}\n[[\"k\",1],5,\"A\"]\n");
        assert!(!result.unwrap().is_complete);
        assert_eq!(replica.model().to_json(), r#"{"k":1}"#);
        assert!(replica.version_vector().is_empty(), "nobody promised all of it");

        let (_, result) = import("[[\"k\",1],5,\"A\"]\n[[\"k\",");
        assert_eq!(result.unwrap_err().line, 2);
    }

    #[test]
    fn refused_updates_are_told_by_line() {
        let (replica, result) =
            import("[[\"k\",1],5,\"A\"]\n[1]\n[[\"j\",1],6,\"A\"]\n[2]\n\"SYNC\"");
        let imported = result.unwrap();
        assert_eq!(imported.tally.updates_applied, 2);
        assert_eq!(imported.tally.updates_malformed, 2);
        assert!(matches!(imported.refused, Some((2, Refusal::Malformed(_)))), "{imported:?}");
        assert_eq!(replica.updates_held(), 2);
    }
}
