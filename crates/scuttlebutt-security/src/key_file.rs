//! Secrets on the disk: files that only their owner may read.
//!
//! What is in them is for the keys to say. Nothing here puts any of it into an error.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::regular_file;

/// The longest file that is read as a key: more than the longest key takes.
pub const KEY_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and writing fails.
    Keep,
    /// It is replaced, at once and whole. The key that was in it is lost.
    Replace,
}

/// Reads the text of a key file, whose owner alone may read it.
///
/// # Errors
/// [`KeyFileError`]; also where others may read it (on Unix), as then it is a secret no more.
pub fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let file = regular_file::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => KeyFileError::NoFile,
        _ => KeyFileError::Io(error),
    })?;
    let metadata = file.metadata()?;
    refuse_if_open(&metadata)?;
    if metadata.len() > KEY_FILE_BYTES_MAX {
        return Err(KeyFileError::TooLong);
    }
    // Room for all of it from the start: growing would leave parts of it behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_FILE_BYTES_MAX as usize + 1));
    file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    let text = str::from_utf8(&bytes).map_err(|_| KeyFileError::NoText)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Writes a key file that its owner alone may read (on Unix: mode 0600), down to the disk.
///
/// ```
/// use scuttlebutt_security::key_file::{self, Existing, KeyFileError};
/// use scuttlebutt_security::Ed25519Key;
///
/// let path = std::env::temp_dir().join(format!("key-file-doc-{}", std::process::id()));
/// let key = Ed25519Key::generate(&mut rand::rng());
/// key_file::write(&path, &key.to_text(), Existing::Keep)?;
/// assert_eq!(Ed25519Key::from_text(&key_file::read(&path)?)?.id(), key.id());
///
/// let again = key_file::write(&path, &key.to_text(), Existing::Keep);
/// assert!(matches!(again, Err(KeyFileError::Exists)));
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`KeyFileError`]; what was there is there still then.
pub fn write(path: &Path, text: &str, existing: Existing) -> Result<(), KeyFileError> {
    match existing {
        Existing::Keep => create(path, text),
        Existing::Replace => {
            // Written beside it, so that there is one key or the other at every moment, and so that
            // an older file's mode and links are not inherited.
            let mut beside = path.as_os_str().to_owned();
            beside.push(".new");
            let beside = Path::new(&beside);
            create(beside, text)?;
            fs::rename(beside, path).map_err(|error| {
                let _ = fs::remove_file(beside);
                error.into()
            })
        }
    }
}

fn create(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists,
        _ => KeyFileError::Io(error),
    })?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // Half a key is none.
        let _ = fs::remove_file(path);
        error.into()
    })
}

#[cfg(unix)]
fn refuse_if_open(metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyFileError::TooOpen { mode }) }
}

#[cfg(not(unix))]
fn refuse_if_open(_metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

/// A key file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The operating system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a FIFO or a device.
    #[error("it is not a file")]
    NoFile,
    /// There is a file of this name, or what an interrupted replacement left beside it (`.new`).
    #[error("the file exists already, or one beside it that ends in `.new`; it was not touched")]
    Exists,
    /// Others than its owner may read or write it.
    #[error(
        "its mode is {mode:04o}: others can read or change it; `chmod 600` makes it its owner's"
    )]
    TooOpen {
        /// Its permission bits.
        mode: u32,
    },
    /// Longer than any key.
    #[error("it is longer than {KEY_FILE_BYTES_MAX} bytes: no key file")]
    TooLong,
    /// Not UTF-8.
    #[error("it is not text: no key file")]
    NoText,
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A directory that goes away.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_its_owners_and_is_kept() {
        let directory = Directory::new("key-file-kept");
        let path = directory.0.join("key");
        write(&path, "first", Existing::Keep).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(matches!(write(&path, "second", Existing::Keep), Err(KeyFileError::Exists)));
        assert_eq!(*read(&path).unwrap(), "first");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::TooOpen { mode: 0o644 })));
        write(&path, "third", Existing::Replace).unwrap();
        assert_eq!((mode(&path), read(&path).unwrap().as_str()), (0o600, "third"));
        assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_is_no_key_file_is_refused() {
        let directory = Directory::new("key-file-refused");
        assert!(matches!(read(&directory.0.join("none")), Err(KeyFileError::Io(_))));
        assert!(matches!(read(&directory.0), Err(KeyFileError::NoFile)));
        for (content, is_accepted) in [
            (vec![b'x'; KEY_FILE_BYTES_MAX as usize], true),
            (vec![b'x'; KEY_FILE_BYTES_MAX as usize + 1], false),
            (vec![0xff], false),
        ] {
            let path = directory.0.join("key");
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read(&path).is_ok(), is_accepted);
        }
    }
}
