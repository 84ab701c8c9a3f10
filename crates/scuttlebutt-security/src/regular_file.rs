//! Opening what has to be a file: nothing that an option names may keep a command waiting for ever, as a
//! FIFO does whose other end nobody opens.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Opens a file for reading.
///
/// # Errors
/// What the operating system says; [`io::ErrorKind::InvalidInput`] for a directory, a FIFO, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    check(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    // It may have been replaced meanwhile.
    check(&file.metadata()?)?;
    Ok(file)
}

fn check(metadata: &fs::Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_keeps_nobody_waiting() {
        let path = std::env::temp_dir().join(format!("regular-file-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let refused = [path.as_path(), Path::new("/"), Path::new("/dev/null")];
        for path in refused {
            let error = open(path).unwrap_err();
            assert_eq!(error.to_string(), "it is not a file", "{}", path.display());
        }
        fs::remove_file(&path).unwrap();
    }
}
