//! Files of updates as the original writes and reads them: sessions without a peer.
//!
//! The bytes are those of the wire (`docs/protocol.md`): a digest, the updates in the order of
//! (timestamp, source), `"SYNC"`. Nothing here opens a file: bytes come in and go out in portions.

use std::fmt;

use crate::model::Model;
use crate::replica::Replica;
use crate::session::{Mode, Refusal, Session, SessionConfig, SessionError, SessionEvent, Tally};
use crate::wire::Decoder;

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
/// use scuttlebutt::{Import, ImportOptions, LwwMap, Replica, SourceId};
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
///
/// let options = ImportOptions { skip_invalid: true, ..ImportOptions::default() };
/// let mut import = Import::with_options(&mut replica, 200.0, options);
/// import.receive(&mut replica, 200.0, b"GET /\n[[\"k\",3],160,\"A\"]\n")?;
/// let imported = import.finish(&mut replica, 200.0)?;
/// assert_eq!((imported.skipped, imported.tally.updates_applied), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "createWriteStream")]
pub struct Import {
    session: Session,
    options: ImportOptions,
    /// Lines that were read to their end.
    lines: u64,
    /// The beginning of the line that is being read, if it is to be judged as a whole.
    begun: Vec<u8>,
    /// The rest of the line that is being read is passed over.
    is_skipping: bool,
    early_lines: Vec<u8>,
    skipped: u64,
    first_skipped: Option<ImportError>,
    is_complete: bool,
    refused: Option<(u64, Refusal)>,
    accept_at_ms: Option<f64>,
}

/// What becomes of lines of a file that cannot be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whether a line that is nothing a scuttlebutt writes is passed over. Default false: it ends the
    /// import. Since such a line may have been an update, the file counts as no promise to be complete from
    /// there on.
    pub skip_invalid: bool,
    /// Whether lines from too far in the future are handed back by [`Import::take_early`], to be read again
    /// when their time has come. Default false: they are left out.
    pub keep_early: bool,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What became of its updates.
    pub tally: Tally,
    /// Whether it holds a `"SYNC"`, which is its promise to be whole.
    pub is_complete: bool,
    /// Where an update was refused first, as a line's number from 1, and why. Updates that are kept for
    /// their time do not count.
    pub refused: Option<(u64, Refusal)>,
    /// Lines that were passed over ([`ImportOptions::skip_invalid`]).
    pub skipped: u64,
    /// The first of them.
    pub first_skipped: Option<ImportError>,
    /// When the first of those that are kept for their time ([`ImportOptions::keep_early`]) can be read
    /// again, in milliseconds since the epoch.
    pub accept_at_ms: Option<f64>,
}

/// A file could not be read on. Everything before the line is applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {}", InFile(error))]
pub struct ImportError {
    /// The line at fault, from 1.
    pub line: u64,
    /// What is wrong with it. Its own text speaks of a peer, where this one's speaks of the file.
    pub error: SessionError,
}

/// Prints a [`SessionError`] or a [`Refusal`], which speak of a peer, as what a file has.
///
/// ```
/// use scuttlebutt::{InFile, Refusal};
///
/// let refusal = InFile(&Refusal::Invalid("no event".to_owned()));
/// assert_eq!(refusal.to_string(), "an update that this model does not understand: no event");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct InFile<'a, T>(pub &'a T);

impl<T: fmt::Display> fmt::Display for InFile<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        match text.strip_prefix("the peer sent ") {
            Some(what) => f.write_str(what),
            None => f.write_str(&text.replacen("the peer", "the file", 1)),
        }
    }
}

impl Import {
    /// Begins at `now_ms`, milliseconds since the epoch.
    pub fn new<M: Model>(replica: &mut Replica<M>, now_ms: f64) -> Self {
        Self::with_options(replica, now_ms, ImportOptions::default())
    }

    /// Begins at `now_ms`, milliseconds since the epoch, and is lenient as far as the options say.
    pub fn with_options<M: Model>(
        replica: &mut Replica<M>,
        now_ms: f64,
        options: ImportOptions,
    ) -> Self {
        let session = Session::with_file(replica, now_ms, SessionConfig::receive_only());
        Self {
            session,
            options,
            lines: 0,
            begun: Vec::new(),
            is_skipping: false,
            early_lines: Vec::new(),
            skipped: 0,
            first_skipped: None,
            is_complete: false,
            refused: None,
            accept_at_ms: None,
        }
    }

    /// Takes the next bytes of the file, cut anywhere.
    ///
    /// # Errors
    /// [`ImportError`] when they are nothing that a scuttlebutt writes. An update for which there is no room
    /// is refused like one that means nothing, and told in [`Imported::refused`].
    pub fn receive<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        bytes: &[u8],
    ) -> Result<(), ImportError> {
        let judges_lines = self.options != ImportOptions::default();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let is_ended = part.ends_with(b"\n");
            if judges_lines {
                self.receive_part(replica, now_ms, part, is_ended)?;
            } else {
                let result = self.session.receive(replica, now_ms, part);
                self.note(result)?;
            }
            self.lines += u64::from(is_ended);
        }
        Ok(())
    }

    /// Takes the next part of a line, which is judged when it is whole.
    fn receive_part<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        part: &[u8],
        is_ended: bool,
    ) -> Result<(), ImportError> {
        if self.is_skipping {
            self.is_skipping = !is_ended;
            return Ok(());
        }
        self.begun.extend_from_slice(part);
        let is_too_long = self.begun.len() > replica.limits().line_bytes_max;
        if !is_ended && !is_too_long {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.begun);
        self.is_skipping = !is_ended;
        if !is_ended {
            line.push(b'\n');
        }
        self.receive_line(replica, now_ms, &line)
    }

    /// Takes a whole line, or one that is too long.
    fn receive_line<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
        line: &[u8],
    ) -> Result<(), ImportError> {
        if self.options.skip_invalid {
            let (mut decoder, limits) = (Decoder::default(), replica.limits());
            let decoded = decoder.decode(&mut &*line, limits).and_then(|_| decoder.finish(limits));
            if let Err(error) = decoded {
                let error = ImportError { line: self.lines + 1, error: error.into() };
                self.first_skipped.get_or_insert(error);
                self.skipped += 1;
                self.session.doubt_promises();
                return Ok(());
            }
        }
        let early_before = self.session.tally().updates_early;
        let result = self.session.receive(replica, now_ms, line);
        self.note(result)?;
        if self.options.keep_early && self.session.tally().updates_early > early_before {
            self.early_lines.extend_from_slice(line);
        }
        Ok(())
    }

    /// The lines from the future that have come since this was last called, each with its newline. Read them
    /// as a file of their own once [`Imported::accept_at_ms`] has come.
    #[must_use]
    pub fn take_early(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early_lines)
    }

    /// Whether updates of the file wait for verdicts. Feed it no more then than the replica's
    /// [`Limits`](crate::Limits) let wait: what comes beyond is refused.
    #[must_use]
    pub fn awaits_verdicts(&self) -> bool {
        self.session.awaits_verdicts()
    }

    /// Takes note of the verdicts that have come: see [`Session::settle`]. Where an update is refused
    /// only then, [`Imported::refused`] names the last line that was read.
    pub fn settle<M: Model>(&mut self, replica: &mut Replica<M>) {
        self.session.settle(replica);
        self.take_events();
    }

    /// The file has ended. Its last line may be early, too: see [`take_early`](Self::take_early).
    ///
    /// # Errors
    /// [`ImportError`] when its last line is not whole.
    pub fn finish<M: Model>(
        &mut self,
        replica: &mut Replica<M>,
        now_ms: f64,
    ) -> Result<Imported, ImportError> {
        if !self.begun.is_empty() {
            let mut line = std::mem::take(&mut self.begun);
            line.push(b'\n');
            self.receive_line(replica, now_ms, &line)?;
        }
        let result = self.session.receive_end(replica, now_ms);
        self.note(result)?;
        let Self { is_complete, skipped, accept_at_ms, .. } = *self;
        let (refused, first_skipped) = (self.refused.take(), self.first_skipped.take());
        let tally = *self.session.tally();
        Ok(Imported { tally, is_complete, refused, skipped, first_skipped, accept_at_ms })
    }

    /// Takes note of what the line that is being read has led to.
    fn note(&mut self, result: Result<(), SessionError>) -> Result<(), ImportError> {
        self.take_events();
        result.map_err(|error| ImportError { line: self.lines + 1, error })
    }

    fn take_events(&mut self) {
        let line = self.lines + 1;
        while let Some(event) = self.session.next_event() {
            match event {
                SessionEvent::HistoryReceived => self.is_complete = true,
                SessionEvent::Refused { refusal: Refusal::ClockSkew { accept_at_ms }, .. }
                    if self.options.keep_early =>
                {
                    let first = self.accept_at_ms.map_or(accept_at_ms, |at| at.min(accept_at_ms));
                    self.accept_at_ms = Some(first);
                }
                SessionEvent::Refused { refusal, .. } if self.refused.is_none() => {
                    self.refused = Some((line, refusal));
                }
                _ => {}
            }
        }
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

    const LENIENT: ImportOptions = ImportOptions { skip_invalid: true, keep_early: true };

    /// Reads a file in portions of so many bytes; answers what is early, too.
    fn import_in_portions(
        file: &[u8],
        portion_bytes: usize,
        options: ImportOptions,
    ) -> (Replica<LwwMap>, Imported, String) {
        let mut replica = Replica::new(SourceId::new("B").unwrap(), LwwMap::new());
        let mut import = Import::with_options(&mut replica, 1_000.0, options);
        for portion in file.chunks(portion_bytes) {
            import.receive(&mut replica, 1_000.0, portion).unwrap();
        }
        let imported = import.finish(&mut replica, 1_000.0).unwrap();
        (replica, imported, String::from_utf8(import.take_early()).unwrap())
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over_and_end_the_promise() {
        let file = b"{\"id\":\"A\",\"clock\":{\"A\":9}}\nGET / HTTP/1.1\n[[\"k\",1],5,\"A\"]\n\
            \x00\xff\n{\"id\":\"x\"}\n\n[[\"j\",1],6,\"A\"]\n\"SYNC\"\n[[\"j\",";
        for portion_bytes in [1, 7, 1_000] {
            let (replica, imported, early) = import_in_portions(file, portion_bytes, LENIENT);
            assert_eq!(replica.model().to_json(), r#"{"j":1,"k":1}"#);
            assert_eq!((imported.skipped, imported.is_complete, &*early), (4, true, ""));
            let first = imported.first_skipped.unwrap();
            assert_eq!(first.to_string(), "line 2: the file speaks HTTP, not scuttlebutt");
            assert!(replica.version_vector().is_empty(), "the lines may have been updates");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_to_its_end() {
        let limits = crate::Limits { line_bytes_max: 40, ..crate::Limits::default() };
        let id = SourceId::new("B").unwrap();
        let file = format!("[[\"k\",\"{}\"],5,\"A\"]\n[[\"j\",1],6,\"A\"]\n", "[1]".repeat(50));
        for portion_bytes in [3, 64, 1_000] {
            let mut replica = Replica::with_limits(id.clone(), LwwMap::new(), limits.clone());
            let mut import = Import::with_options(&mut replica, 1_000.0, LENIENT);
            for portion in file.as_bytes().chunks(portion_bytes) {
                import.receive(&mut replica, 1_000.0, portion).unwrap();
            }
            let imported = import.finish(&mut replica, 1_000.0).unwrap();
            assert!(matches!(imported.refused, Some((1, Refusal::Full { .. }))), "{imported:?}");
            assert_eq!(replica.model().to_json(), r#"{"j":1}"#);
        }
    }

    #[test]
    fn lines_from_the_future_are_handed_back() {
        let (day, line) = (86_400_000.0, r#"[["k",1],86402000,"A"]"#);
        let file = format!("{line}\n[[\"j\",1],6,\"A\"]\n{line}");
        for portion_bytes in [1, 1_000] {
            let (replica, imported, early) =
                import_in_portions(file.as_bytes(), portion_bytes, LENIENT);
            assert_eq!(replica.model().to_json(), r#"{"j":1}"#);
            assert_eq!(early, format!("{line}\n{line}\n"));
            assert_eq!(imported.accept_at_ms, Some(86_402_000.0 - day));
            assert_eq!((imported.refused, imported.tally.updates_early), (None, 2));
        }
        // Unless that is wished for they are refused.
        let (_, imported, early) =
            import_in_portions(file.as_bytes(), 1_000, ImportOptions::default());
        assert!(
            matches!(imported.refused, Some((1, Refusal::ClockSkew { .. }))) && early.is_empty()
        );
    }

    /// Whatever may be wrong, nobody but the file is blamed.
    #[test]
    fn a_file_is_no_peer() {
        for file in
            ["GET / HTTP/1.1\n", "x\n", "{\"id\":1}\n", "[[", "[[\"k\",", "\u{16}\u{3}\u{1}\n"]
        {
            let message = import(file).1.unwrap_err().to_string();
            assert!(message.starts_with("line 1: ") && !message.contains("peer"), "{message}");
        }
        for line in ["[1]", "[[\"k\"],-1,\"A\"]", "[null,1,\"A\"]", "[[\"k\",1],1e15,\"A\"]"] {
            let imported = import(line).1.unwrap();
            let (_, refusal) = imported.refused.unwrap();
            assert!(!InFile(&refusal).to_string().contains("peer"), "{refusal}");
        }
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
