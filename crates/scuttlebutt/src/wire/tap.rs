//! Reading along: what one direction of a conversation says, as lines of JSON.
//!
//! For whoever debugs, records or checks what goes over the wire. It judges nothing, and no session
//! uses it.

use super::{DecodeError, Decoder, Frame, json_lines};
use crate::limits::Limits;

/// Follows one direction of a conversation and tells it in lines of JSON, in whichever way it is spoken.
///
/// Acknowledgements, which JSON has no word for, are told as `{"handled":…,"durable":…}`; lines that mean
/// nothing are left out.
///
/// ```
/// use scuttlebutt::{Limits, Tap};
///
/// let mut tap = Tap::default();
/// let mut lines = Vec::new();
/// let bytes = b"{\"id\":\"A\",\"clock\":{},\"ext\":{\"marks\":1,\"binary\":1}}\n\"BINARY\"\n\x01\x05";
/// tap.read(bytes, &Limits::default(), |line| lines.push(line.to_owned()))?;
/// assert_eq!(lines[1..], ["\"BINARY\"", "\"SYNC\""]);
/// # Ok::<(), scuttlebutt::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tap(Decoder);

/// Whoever writes packs has agreed on that: this end need not.
const READS_PACKS: bool = true;

impl Tap {
    /// Takes the next bytes, cut anywhere, and tells each line that they complete, without its newline.
    ///
    /// # Errors
    /// [`DecodeError`] when they are nothing that a scuttlebutt says.
    pub fn read(
        &mut self,
        mut bytes: &[u8],
        limits: &Limits,
        mut tell: impl FnMut(&str),
    ) -> Result<(), DecodeError> {
        while let Some(frame) = self.0.decode(&mut bytes, limits)? {
            if frame == Frame::Switch && !self.0.has_switched() {
                self.0.switch(READS_PACKS);
            }
            if let Some(line) = line_of(frame) {
                tell(line.trim_end());
            }
        }
        Ok(())
    }
}

fn line_of(frame: Frame) -> Option<String> {
    let mut line = String::new();
    match frame {
        Frame::Update(update) => line = update.ok()?.to_json(),
        Frame::Digest(digest) => {
            let id = digest.id.map_or_else(|| "null".to_owned(), |id| id.to_json_literal());
            let (metadata, extensions) = (digest.metadata.as_deref(), digest.extensions.as_ref());
            json_lines::encode_digest(&id, digest.vector.iter(), metadata, extensions, &mut line);
        }
        Frame::Mark(vector) => json_lines::encode_mark(vector.iter(), &mut line),
        Frame::HistorySent => line.push_str(json_lines::HISTORY_SENT),
        Frame::Acknowledgement { handled, durable } => {
            line = format!("{{\"handled\":{handled},\"durable\":{durable}}}");
        }
        Frame::NoRoom(no_room) => json_lines::encode_no_room(&no_room, &mut line),
        Frame::Place { at, since } => json_lines::encode_place(&at, since, &mut line),
        Frame::Switch => line.push_str(super::binary::SWITCH),
        Frame::Oversized(_) | Frame::Unknown => return None,
    }
    Some(line)
}
