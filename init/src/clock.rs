//! The clocks, in milliseconds.

use nix::time::{ClockId, clock_gettime};

/// Milliseconds of `CLOCK_MONOTONIC`, which all processes of one boot share.
pub type Ms = u64;

/// Now, by `CLOCK_MONOTONIC`.
pub fn now() -> Ms {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Now, since 1970 began in UTC.
pub fn since_epoch() -> Ms {
    read(ClockId::CLOCK_REALTIME)
}

/// Reading either clock cannot fail on Linux; 0 would only make timeouts early.
fn read(clock: ClockId) -> Ms {
    clock_gettime(clock).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
        seconds * 1000 + nanoseconds / 1_000_000
    })
}
