//! Seconds since 1970 as a date for people.

/// `seconds` since 1970 as `2026-11-22 08:30 UTC`; any number has a date.
///
/// Source: the proleptic Gregorian calendar in eras of 400 years, the year counted from March.
pub(crate) fn utc(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let minute = seconds.rem_euclid(86_400) / 60;
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
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
