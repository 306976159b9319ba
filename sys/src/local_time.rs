//! The machine's time zone, which `/etc/localtime` describes.
//!
//! Source: `localtime(3)`, `mktime(3)`, `tzset(3)`. The C library looks at the file anew when it has
//! changed, at each [`read_zone`].

/// Year, month (from 1), day, hour, minute, second.
pub type Fields = [u32; 6];

/// Looks at `/etc/localtime`, if it has changed.
pub fn read_zone() {
    unsafe extern "C" {
        fn tzset();
    }
    // SAFETY: only one thread of this program asks for the time zone, the supervisor's.
    unsafe { tzset() }
}

/// The wall clock's fields at `seconds` since 1970; none outside of the years 1970 to 9999.
#[must_use]
pub fn fields(seconds: u64) -> Option<Fields> {
    let seconds = libc::time_t::try_from(seconds).ok()?;
    // SAFETY: an all-zero tm is valid, and both pointers are to locals.
    let broken = unsafe {
        let mut broken: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&raw const seconds, &raw mut broken).is_null() {
            return None;
        }
        broken
    };
    let year = broken.tm_year.checked_add(1900)?;
    if !(1970..10_000).contains(&year) {
        return None;
    }
    let fields = [
        year,
        broken.tm_mon + 1,
        broken.tm_mday,
        broken.tm_hour,
        broken.tm_min,
        broken.tm_sec.min(59),
    ];
    Some(fields.map(|field| u32::try_from(field).unwrap_or(0)))
}

/// Seconds since 1970 when the wall clock shows these fields. A time that a change of the clock
/// skips is moved by the change; of one that comes twice it is either.
#[must_use]
pub fn seconds(fields: Fields) -> Option<u64> {
    let [year, month, day, hour, minute, second] = fields.map(|field| i32::try_from(field).ok());
    // SAFETY: an all-zero tm is valid; mktime changes nothing else.
    let seconds = unsafe {
        let mut broken: libc::tm = std::mem::zeroed();
        broken.tm_year = year?.checked_sub(1900)?;
        broken.tm_mon = month?.checked_sub(1)?;
        broken.tm_mday = day?;
        broken.tm_hour = hour?;
        broken.tm_min = minute?;
        broken.tm_sec = second?;
        broken.tm_isdst = -1;
        libc::mktime(&raw mut broken)
    };
    u64::try_from(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        read_zone();
        for time in (1_700_000_000..1_760_000_000).step_by(1_000_003) {
            let back = seconds(fields(time).unwrap()).unwrap();
            assert!(back.abs_diff(time) <= 3600, "{time} {back}");
        }
    }
}
