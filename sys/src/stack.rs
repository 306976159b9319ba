//! The calling thread's stack: madvise(2) for those who recurse deeply on it.

use std::io;

/// Asks for huge pages below the first `shallow` bytes of the calling thread's stack. Whoever stays
/// within those pays nothing; whoever goes deep does so without a fault at each 4 KiB.
///
/// # Errors
/// The bounds of the stack are not known, or the kernel has no huge pages.
pub fn use_huge_pages(shallow: usize) -> io::Result<()> {
    let (lowest, size) = bounds()?;
    let length = size.saturating_sub(shallow);
    // SAFETY: the range is mapped, it is a part of this thread's stack. The advice changes how the
    // kernel backs memory, never what is in it.
    check(unsafe { libc::madvise(lowest, length, libc::MADV_HUGEPAGE) })
}

/// Lowest address and size of the calling thread's stack, as it was asked for.
fn bounds() -> io::Result<(*mut libc::c_void, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut lowest = std::ptr::null_mut();
    let mut size = 0;
    // SAFETY: the first call initialises the attributes and the second reads them only after that;
    // both write into locals that outlive them. What the attributes own is given back by the last.
    unsafe {
        status(libc::pthread_getattr_np(
            libc::pthread_self(),
            attributes.as_mut_ptr(),
        ))?;
        let found = status(libc::pthread_attr_getstack(
            attributes.as_ptr(),
            &raw mut lowest,
            &raw mut size,
        ));
        status(libc::pthread_attr_destroy(attributes.as_mut_ptr()))?;
        found?;
    }
    Ok((lowest, size))
}

/// The result of a call that returns its error.
fn status(code: libc::c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread goes on using its stack, advised or not, and at any depth of it.
    #[test]
    fn a_stack_with_huge_pages_is_a_stack() {
        fn deep(levels: u64) -> u64 {
            let room = std::hint::black_box([levels; 64]);
            if levels == 0 {
                return 0;
            }
            deep(levels - 1) + room.iter().filter(|word| **word == levels).count() as u64
        }
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
            let advised = use_huge_pages(256 << 10);
            // A kernel may have none.
            let refused = advised.is_err_and(|error| error.raw_os_error() != Some(libc::EINVAL));
            (refused, deep(50_000))
        });
        assert_eq!(thread.unwrap().join().unwrap(), (false, 64 * 50_000));
    }

    #[test]
    fn the_bounds_hold_what_is_on_the_stack() {
        let (lowest, size) = bounds().unwrap();
        let here = (&raw const size).addr();
        assert!((lowest.addr()..lowest.addr() + size).contains(&here));
    }
}
