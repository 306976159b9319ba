//! Seconds since 1970 as a date for people.

use cairn_system::civil_date;

/// `seconds` since 1970 as `2026-11-22 08:30 UTC`; any number has a date.
pub(crate) fn utc(seconds: i64) -> String {
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let minute = seconds.rem_euclid(86_400) / 60;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

/// As [`utc`], without the time.
pub(crate) fn day(seconds: i64) -> String {
    let mut text = utc(seconds);
    text.truncate(text.find(' ').unwrap_or(text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (1_795_336_200, "2026-11-22 08:30 UTC"),
        ] {
            assert_eq!(utc(seconds), date);
        }
        for extreme in [i64::MIN / 2, i64::MAX / 2] {
            assert!(utc(extreme).ends_with("UTC"));
        }
    }
}
