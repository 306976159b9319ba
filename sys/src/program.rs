//! The pages of the running program's own file.

use std::io;

unsafe extern "C" {
    /// The linker's names for the first byte of the program, and for the one behind its code.
    static __executable_start: u8;
    static etext: u8;
}

/// Takes code and constants out of this process's memory; what is used again comes back by itself, from
/// the kernel's cache of the file or from the file. For a process that begins to wait: the kernel has
/// mapped pages around each that was touched, so nearly all.
///
/// # Errors
/// The kernel refuses, and nothing is changed.
pub fn release_pages() -> io::Result<()> {
    // SAFETY: sysconf(3) has no preconditions.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).map_err(|_| io::Error::last_os_error())?;
    // Only the addresses of the two are used.
    let first = (&raw const __executable_start).addr();
    let behind = (&raw const etext).addr();
    let first = first.next_multiple_of(page);
    let length = (behind / page * page).saturating_sub(first);
    // SAFETY: headers, constants and code lie there, which are mapped from the file and which nobody can
    // write to: what is mapped anew is the same. What is relocated and what is data lie behind.
    let status = unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(first),
            length,
            libc::MADV_DONTNEED,
        )
    };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kilobytes of files that are mapped and there.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssFile:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
    }

    #[test]
    fn the_program_goes_on_with_less() {
        // Other tests run in this program, and bring pages back at any moment.
        let became_less = (0..100).any(|_| {
            let before = resident();
            release_pages().unwrap();
            resident() < before
        });
        assert!(became_less);
        // Constants and code are what they were.
        assert_eq!(format!("{:?}", [1, 2].map(f64::from)), "[1.0, 2.0]");
    }
}
