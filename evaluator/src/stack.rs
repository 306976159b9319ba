//! The stack: large, since expressions nest deeply, and watched, so that it never overflows.

/// About where the stack ends now.
#[inline]
pub(crate) fn stack_address() -> usize {
    let marker = 0u8;
    std::ptr::from_ref(&marker).addr()
}

/// Runs `f` on a thread whose stack is as large as the system gives, up to `wanted` bytes. Pages
/// that are not touched cost nothing.
///
/// # Errors
/// Not even the smallest useful stack could be had.
pub fn with_stack<T: Send>(wanted: usize, f: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let mut size = wanted;
    let mut f = Some(f);
    loop {
        let job = std::sync::Mutex::new(&mut f);
        let outcome = std::thread::scope(|scope| {
            let run = || job.lock().ok().and_then(|mut job| job.take()).map(|f| f());
            match std::thread::Builder::new()
                .stack_size(size)
                .spawn_scoped(scope, run)
            {
                Ok(thread) => Ok(thread.join()),
                Err(error) => Err(error),
            }
        });
        match outcome {
            Ok(Ok(Some(result))) => return Ok(result),
            Ok(Ok(None)) => return Err(std::io::Error::other("the evaluation did not run")),
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) if size < (64 << 20) => return Err(error),
            Err(_) => size /= 2,
        }
    }
}
