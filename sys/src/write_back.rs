//! Written data on its way to the disk before anybody waits for it.
//!
//! Source: `sync_file_range(2)`.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;

/// Has the kernel begin to write out what was written to `file` in `range`, in bytes, and does not
/// wait for it: a sync afterwards has less left to do. A hint: it promises nothing, and a file
/// system that cannot do it does nothing.
pub fn begin(file: &File, range: Range<u64>) {
    let length = range.end.saturating_sub(range.start);
    let (Ok(start), Ok(length)) = (i64::try_from(range.start), i64::try_from(length)) else {
        return;
    };
    if length > 0 {
        // SAFETY: the descriptor is open as long as the file is borrowed; all else are numbers.
        unsafe {
            libc::sync_file_range(file.as_raw_fd(), start, length, libc::SYNC_FILE_RANGE_WRITE);
        }
    }
}
