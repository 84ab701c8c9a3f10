//! Where a file has holes, as far as the system tells.

use std::fs::File;
use std::ops::Range;

/// The holes in the first `len` bytes, in their order. Those that hold no multiple of `step` may be left out:
/// so a file that has more of them than anybody needs to know is gone through in `len / step` steps.
#[cfg(target_os = "linux")]
pub(crate) fn of(file: &File, len: u64, step: u64) -> Vec<Range<u64>> {
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

/// None: not known on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn of(_file: &File, _len: u64, _step: u64) -> Vec<Range<u64>> {
    Vec::new()
}
