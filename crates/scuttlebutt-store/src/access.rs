//! Who may do what with the files of a store.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Write,
    /// Not a byte of the data is changed.
    Read,
}

/// A file that is made is its owner's alone: what is in it may be nobody else's business.
#[cfg(unix)]
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

/// As the directory has it.
#[cfg(not(unix))]
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Makes a directory with all above it, if it is not there. What is made is its owner's alone.
pub(crate) fn make_dir(dir: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| match error.kind() {
        // As in /proc. What is missing above it would have been made.
        io::ErrorKind::NotFound | io::ErrorKind::Unsupported => {
            let reason = format!("no directory can be made here: {error}");
            StoreError::Unsuitable { path: dir.to_owned(), reason }
        }
        _ => StoreError::io(dir, "creating the directory", error),
    })
}
