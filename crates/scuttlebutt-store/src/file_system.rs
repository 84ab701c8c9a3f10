//! What the system tells of the file system that a file is on, and of the file's holes there.

use std::fs::File;
use std::ops::Range;

/// Whether this is one of the file systems that are known never to write to one place twice: there nothing is
/// gained by having written to a place before.
#[cfg(target_os = "linux")]
pub(crate) fn writes_elsewhere(file: &File) -> bool {
    /// From the kernel's `linux/magic.h`, and of ZFS and bcachefs their own.
    const BTRFS: i64 = 0x9123_683e;
    const ZFS: i64 = 0x2fc1_2fc1;
    const BCACHEFS: i64 = 0xca45_1a4e;

    #[allow(
        clippy::unnecessary_cast,
        reason = "its width differs from one architecture to the next"
    )]
    let kind = rustix::fs::fstatfs(file).map(|found| found.f_type as i64 & 0xffff_ffff);
    kind.is_ok_and(|kind| [BTRFS, ZFS, BCACHEFS].contains(&kind))
}

/// The holes in the first `len` bytes, in their order. Those that hold no multiple of `step` may be left out:
/// so a file that has more of them than anybody needs to know is gone through in `len / step` steps.
#[cfg(target_os = "linux")]
pub(crate) fn holes(file: &File, len: u64, step: u64) -> Vec<Range<u64>> {
    use rustix::fs::{SeekFrom, seek};

    let mut holes = Vec::new();
    let mut at = 0;
    while at < len && step > 0 {
        let Ok(start) = seek(file, SeekFrom::Hole(at)) else { break };
        let end = match seek(file, SeekFrom::Data(start)) {
            Ok(end) => end.min(len),
            // Nothing but a hole until the end.
            Err(rustix::io::Errno::NXIO) => len,
            Err(_) => break,
        };
        holes.push(start.min(end)..end);
        at = end.saturating_add(1).next_multiple_of(step);
    }
    holes
}

/// Not known on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn writes_elsewhere(_file: &File) -> bool {
    false
}

/// None: not known on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn holes(_file: &File, _len: u64, _step: u64) -> Vec<Range<u64>> {
    Vec::new()
}
