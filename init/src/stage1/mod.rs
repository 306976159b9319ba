//! Stage 1: the initrd's `/init`.

/// Runs as PID 1 in the initrd; ends in executing stage 2.
pub fn run() -> ! {
    loop {
        std::thread::park();
    }
}
