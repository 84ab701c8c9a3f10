//! Which file on which machine this is, as far as the operating system tells.
//!
//! A store that was copied must not go on writing under the id of the one it was copied from. So a
//! store remembers where it was created, and whoever opens it compares.

use std::fs::{File, Metadata};
use std::io;
use std::time::UNIX_EPOCH;

/// `inode;birth in nanoseconds;machine`, each as far as it is known. The device is left out: its
/// number may be another after each start of a machine.
pub(crate) fn of(file: &File) -> io::Result<String> {
    let metadata = file.metadata()?;
    let born = metadata.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.map(|born| born.as_nanos().to_string()).unwrap_or_default();
    Ok(format!("{};{born};{}", inode(&metadata), machine()))
}

/// Whether two origins can be of the same file. What one of them does not know cannot differ.
pub(crate) fn is_same(held: &str, found: &str) -> bool {
    let mut pairs = held.split(';').zip(found.split(';'));
    pairs.all(|(held, found)| held == found || held.is_empty() || found.is_empty())
}

/// Tells files of a running system apart. Other than the origin it need not outlive that.
pub(crate) type FileId = (u64, u64);

/// Device and inode.
#[cfg(unix)]
pub(crate) fn file_id(metadata: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((metadata.dev(), metadata.ino()))
}

/// Not told.
#[cfg(not(unix))]
pub(crate) fn file_id(_: &Metadata) -> Option<FileId> {
    None
}

/// This start of the machine; empty where nobody tells.
pub(crate) fn boot() -> String {
    first_line("/proc/sys/kernel/random/boot_id")
}

fn machine() -> String {
    first_line("/etc/machine-id")
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or_default().replace(';', "")
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> String {
    std::os::unix::fs::MetadataExt::ino(metadata).to_string()
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> String {
    String::new()
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn what_is_unknown_does_not_differ() {
        assert!(is_same("1;2;m", "1;2;m"));
        assert!(is_same("1;2;m", "1;2;"));
        assert!(is_same(";2;m", "1;2;m"));
        assert!(!is_same("1;2;m", "3;2;m"));
        assert!(!is_same("1;2;m", "1;4;m"));
        assert!(!is_same("1;2;m", "1;2;n"));
    }
}
