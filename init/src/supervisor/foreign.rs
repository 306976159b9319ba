//! Files that somebody else may have put where they are: a service's user, who can put a pipe there that nobody
//! writes to, or a device that has no end. All services would wait for those.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NONBLOCK, O_PATH};
use nix::sys::stat::makedev;

/// What is in it, but not more than `most` bytes.
///
/// # Errors
/// It cannot be read at once, or is neither a file nor `/dev/null`.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let open = |path: &Path, flags| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags).open(path)
    };
    // Some devices do something when they are opened: a watchdog begins to count.
    let place = open(path, O_PATH)?;
    let metadata = place.metadata()?;
    let is_null = metadata.file_type().is_char_device() && metadata.rdev() == makedev(1, 3);
    if !metadata.is_file() && !is_null {
        return Err(io::Error::other("it is no regular file"));
    }
    let place = format!("/proc/self/fd/{}", place.as_raw_fd());
    let file = open(Path::new(&place), O_NONBLOCK)?;
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(io::Error::other(format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// The same as text.
///
/// # Errors
/// As above, or it is no text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "four").unwrap();
        let read = |path: &Path, most| read_text(path, most).map_err(|error| error.to_string());
        assert_eq!(read(&file, 4).as_deref(), Ok("four"));
        assert_eq!(read(Path::new("/dev/null"), 4).as_deref(), Ok(""));
        let error = |path, most| read(path, most).unwrap_err();
        assert_eq!(error(&file, 3), "it has more than 3 bytes");
        assert_eq!(error(Path::new("/dev/zero"), 9), "it is no regular file");
        assert_eq!(error(&pipe, 9), "it is no regular file");
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(error(&file, 9), "it is no text in UTF-8");
    }
}
