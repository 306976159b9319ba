//! Blocks that two files share until one of them is written to: a copy that is made without being read or
//! written, on file systems that can (btrfs, xfs, bcachefs, ZFS).
//!
//! ```text
//! struct file_clone_range { s64 src_fd; u64 src_offset, src_length, dest_offset; }
//! ```
//!
//! Source: `ioctl_ficlonerange(2)`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

#[repr(C)]
struct FileCloneRange {
    src_fd: i64,
    src_offset: u64,
    src_length: u64,
    dest_offset: u64,
}

// The size is part of the request's number.
const _: () = assert!(size_of::<FileCloneRange>() == 32);

mod request {
    use super::FileCloneRange;
    nix::ioctl_write_ptr!(clone_range, 0x94, 13, FileCloneRange);
}

/// Has `target` share the blocks of `source` in `range`, from `at` on; all in bytes, and multiples of the file
/// system's block size. Whether it does: it does not where the file system cannot, or the two are not in the
/// same one.
///
/// # Errors
/// The kernel's: no room is left, or the source cannot be read.
pub fn share(source: &File, range: Range<u64>, target: &File, at: u64) -> io::Result<bool> {
    if range.is_empty() {
        return Ok(true);
    }
    let arguments = FileCloneRange {
        src_fd: source.as_raw_fd().into(),
        src_offset: range.start,
        src_length: range.end - range.start,
        dest_offset: at,
    };
    // SAFETY: the request reads one such structure, and both descriptors are open as long as the files are
    // borrowed.
    match unsafe { request::clone_range(target.as_raw_fd(), &raw const arguments) } {
        Ok(_) => Ok(true),
        // `ENOTTY` of file systems that know no such request, `EPERM` of immutable and append-only files,
        // `EINVAL` of other block sizes and of what is stored in another way.
        Err(
            Errno::EOPNOTSUPP
            | Errno::EXDEV
            | Errno::EINVAL
            | Errno::ENOTTY
            | Errno::ENOSYS
            | Errno::EPERM
            | Errno::ETXTBSY
            | Errno::EBADF
            | Errno::EISDIR,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_is_shared_reads_the_same_and_what_cannot_be_is_left() {
        let [source, target] = [(), ()].map(|()| tempfile::tempfile().unwrap());
        source.write_all_at(&[7; 8192], 0).unwrap();
        target.write_all_at(&[1; 12288], 0).unwrap();
        let shared = share(&source, 4096..8192, &target, 4096).unwrap();
        let mut read = [0; 12288];
        target.read_exact_at(&mut read, 0).unwrap();
        let mut wanted = [1; 12288];
        if shared {
            wanted[4096..8192].fill(7);
        }
        assert_eq!(read, wanted);
        // No file system shares parts of blocks.
        assert!(!share(&source, 1..2, &target, 1).unwrap());
        assert!(share(&source, 5..5, &target, 1).unwrap());
        let null = File::options().write(true).open("/dev/null").unwrap();
        assert!(!share(&source, 0..4096, &null, 0).unwrap());
    }
}
