//! Packs: frames that were compressed together, with Zstandard.
//!
//! A pack stands by itself: nothing is remembered from one to the next, so a connection at rest holds
//! nothing for it. What one unpacks to is bounded twice, by a number and by how many times its own length
//! it may be, so that whoever sends few bytes cannot cause much work.
//!
//! The crate itself has no compression in it. With its feature `zstd` that is the C library; without, nothing
//! is announced, packed or unpacked.

use crate::wire::FrameError;

use super::{Kind, varint};

/// Whether packs can be written and read at all.
pub(crate) const IS_AVAILABLE: bool = cfg!(feature = "zstd");

/// What a pack unpacks to at most, in bytes. Larger frames go unpacked.
pub(crate) const PACK_BYTES_MAX: usize = 64 << 10;

/// What a pack unpacks to at most, as a multiple of what was compressed.
const PACK_RATIO_MAX: usize = 64;

/// Less than this is not worth packing.
const PACK_BYTES_MIN: usize = 512;

/// Appends `frames`, packed if that makes them shorter; answers whether it did.
pub(crate) fn write(frames: &[u8], out: &mut Vec<u8>) -> bool {
    let is_of_size = (PACK_BYTES_MIN..=PACK_BYTES_MAX).contains(&frames.len());
    let packed = if is_of_size { compress(frames) } else { None };
    match packed {
        Some(packed) if is_worth_it(frames.len(), packed.len()) => {
            let (head, len) = (Kind::Pack.with_slot(0), frames.len() as u64);
            let total = varint::len(head) + varint::len(len) + packed.len();
            varint::write(total as u64, out);
            varint::write(head, out);
            varint::write(len, out);
            out.extend_from_slice(&packed);
            true
        }
        _ => {
            out.extend_from_slice(frames);
            false
        }
    }
}

fn is_worth_it(len: usize, packed_len: usize) -> bool {
    packed_len + 2 * varint::BYTES_MAX < len && len <= PACK_RATIO_MAX * packed_len
}

/// What `packed` unpacks to, of which a number before it says that it is `len` bytes.
pub(super) fn read(len: u64, packed: &[u8]) -> Result<Vec<u8>, FrameError> {
    let most = PACK_BYTES_MAX.min(PACK_RATIO_MAX * packed.len());
    let len = usize::try_from(len).ok().filter(|len| *len <= most).ok_or(FrameError::Pack)?;
    decompress(packed, len).filter(|frames| frames.len() == len).ok_or(FrameError::Pack)
}

#[cfg(feature = "zstd")]
fn compress(frames: &[u8]) -> Option<Vec<u8>> {
    // The fastest level: more costs much time and saves few bytes.
    zstd::bulk::compress(frames, 1).ok()
}

#[cfg(feature = "zstd")]
fn decompress(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    /// How a frame begins, other than one that is to be passed over.
    const MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
    // The library would read several frames, and pass over some.
    let is_one = packed.starts_with(MAGIC)
        && zstd::zstd_safe::find_frame_compressed_size(packed) == Ok(packed.len());
    if is_one { zstd::bulk::decompress(packed, len).ok() } else { None }
}

#[cfg(not(feature = "zstd"))]
fn compress(_: &[u8]) -> Option<Vec<u8>> {
    None
}

#[cfg(not(feature = "zstd"))]
fn decompress(_: &[u8], _: usize) -> Option<Vec<u8>> {
    None
}
