//! Dates as release files write them: `Sat, 11 Jul 2026 10:16:37 UTC`.
//!
//! Source: Debian's repository format; RFC 5322 dates, always in UTC.

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The moment that `text` names; `None` if it is no such date from 1970 to 9999.
#[must_use]
pub fn parse_date(text: &str) -> Option<SystemTime> {
    let mut words = text.split_ascii_whitespace().peekable();
    words.next_if(|word| word.ends_with(','));
    let day: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|day| (1..=31).contains(day))?;
    let month = words.next()?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let year: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    let zone = words.next()?;
    let fits = hours < 24 && minutes < 60 && seconds <= 60;
    if !fits || !["UTC", "GMT", "Z", "+0000"].contains(&zone) || words.next().is_some() {
        return None;
    }
    let seconds =
        ((days_before(year, month) + day - 1) * 24 + hours) * 3600 + minutes * 60 + seconds;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The day of a moment given in seconds since 1970, as `2026-07-11`.
#[must_use]
pub fn format_date(seconds: u64) -> String {
    let days = seconds / 86_400;
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (1..=12)
        .rev()
        .find(|month| days_before(year, *month) <= days)
        .unwrap_or(1);
    format!(
        "{year}-{month:02}-{:02}",
        days - days_before(year, month) + 1
    )
}

/// Days from 1970-01-01 to the first of a month. Years begin in March here, so that the leap day
/// is the last of its year.
fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5;
    // 719468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        Some(
            parse_date(text)?
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap()
                .as_secs(),
        )
    }

    #[test]
    fn days() {
        for (seconds, day) in [
            (0, "1970-01-01"),
            (1_783_764_997, "2026-07-11"),
            (1_709_208_000, "2024-02-29"),
            (4_107_542_399, "2100-02-28"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(format_date(seconds), day);
        }
    }

    #[test]
    fn dates() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Sat, 11 Jul 2026 10:16:37 UTC", Some(1_783_764_997)),
            ("29 Feb 2024 12:00:00 +0000", Some(1_709_208_000)),
            ("Mon, 1 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Sat, 11 Jul 2026 10:16:37 CEST", None),
            ("Sat, 11 July 2026 10:16:37 UTC", None),
            ("Sat, 11 Jul 2026 10:16 UTC", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
