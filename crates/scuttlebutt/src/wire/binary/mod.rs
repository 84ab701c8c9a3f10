//! The binary codec: frames with a length, sources named once, timestamps as differences.
//!
//! Both sides announce it, and each switches its own direction to it with one line of JSON; from
//! there on that direction is read and written here (`docs/protocol.md`, section 10). What is said
//! stays what it was: only the bytes differ. Like [`json_lines`](super::json_lines) this module judges
//! form only, and it never takes memory for what has not arrived.

mod decoder;
mod encoder;
pub(super) mod pack;
#[cfg(test)]
mod tests;
mod varint;

pub(crate) use decoder::Decoder;
pub(crate) use encoder::Encoder;

/// The line that says: what follows in this direction is frames.
pub(crate) const SWITCH: &str = "\"BINARY\"\n";

/// Sources that a direction can name by number at a time.
const SLOTS: usize = 1_024;

/// In the place of a slot, this says that a frame of the kind of digests tells of a refusal.
const NO_ROOM: u16 = 1;

/// Kind 5 with this slot says only that its writer is there. Readers pass over it, as over all such frames.
const HEARTBEAT_SLOT: u16 = 1;

/// The slot of a digest's frame that holds how far a history got instead.
const PLACE: u16 = 2;

/// A frame may be longer than the line that says the same by no more than this: an update of the
/// longest line there may be has to fit, whatever its source and timestamp are.
const FRAME_EXCESS_BYTES: usize = 32;

/// The low bits of a frame's first number say what it is; the rest is a slot, or zero.
const KIND_BITS: u32 = 3;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
enum Kind {
    /// An update that ends with its source.
    Update = 0,
    /// An update with something behind its source.
    UpdateWithExtras = 1,
    /// From here on this slot stands for this source.
    Source = 2,
    /// A digest, as its JSON text; or another object, which one is said in the place of a slot.
    Digest = 3,
    /// A promise on the way.
    Mark = 4,
    /// The end of a history.
    HistorySent = 5,
    /// How many updates of the other direction were dealt with.
    Acknowledgement = 6,
    /// Other frames, compressed together.
    Pack = 7,
}

impl Kind {
    /// The kind and the slot of a frame's first number.
    fn split(number: u64) -> (Self, u64) {
        const KINDS: [Kind; 1 << KIND_BITS] = [
            Kind::Update,
            Kind::UpdateWithExtras,
            Kind::Source,
            Kind::Digest,
            Kind::Mark,
            Kind::HistorySent,
            Kind::Acknowledgement,
            Kind::Pack,
        ];
        let kind = (number & ((1 << KIND_BITS) - 1)) as usize;
        (KINDS[kind], number >> KIND_BITS)
    }

    fn with_slot(self, slot: u16) -> u64 {
        u64::from(slot) << KIND_BITS | self as u64
    }
}

/// The difference of two timestamps' bits: doubles above zero are ordered as their bits are, and what
/// was written at about the same time differs in few of the low ones.
fn zigzag(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
