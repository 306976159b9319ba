//! A time as people say it: `2026-11-29`, `2026-11-29 08:20`, `today`, `10m`.

use cairn_system::{Civil, LocalZone, timestamp};

/// Why a time is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no time; write 90s, 10m, 2h, 3d, today, yesterday, 2026-11-29 or '2026-11-29 08:20:00'"
)]
pub struct NoTime(String);

/// What `text` means at `now` (seconds since 1970): in the form that the logs have, which sorts. Dates and
/// times of day are those of `zone`'s clocks.
///
/// # Errors
/// It is no time.
pub fn parse(text: &str, now: u64, zone: &LocalZone) -> Result<String, NoTime> {
    let refused = || NoTime(text.to_owned());
    let seconds = ago(text)
        .map(|ago| now.saturating_sub(ago))
        .or_else(|| day(text, now, zone))
        .or_else(|| date(text, zone))
        .ok_or_else(refused)?;
    stamp(seconds).ok_or_else(refused)
}

/// Seconds: `10m`.
fn ago(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn day(text: &str, now: u64, zone: &LocalZone) -> Option<u64> {
    let midnight = |time: u64| zone.seconds(Civil::from_days(zone.civil(time)?.days()));
    match text {
        "today" => midnight(now),
        // The evening before: a day may have 23 hours.
        "yesterday" => midnight(midnight(now)?.checked_sub(3 * 3600)?),
        _ => None,
    }
}

fn date(text: &str, zone: &LocalZone) -> Option<u64> {
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "0:0"));
    let numbers = |text: &str, by: char| -> Option<Vec<u32>> {
        text.split(by).map(|part| part.parse().ok()).collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time, ':')?);
    let &[year @ 1970..10_000, month @ 1..=12, day @ 1..=31] = date.as_slice() else {
        return None;
    };
    let (hour, minute, second) = match *time.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second < 60;
    is_time.then_some(())?;
    zone.seconds(Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    })
}

/// In the logs' form; none after the year 9999, where it would not sort.
fn stamp(seconds: u64) -> Option<String> {
    let stamp = timestamp(seconds.checked_mul(1000)?);
    (stamp.len() == timestamp(0).len()).then_some(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_764_391_212; // 2025-11-29 04:40:12 UTC

    #[test]
    fn times_from_now() {
        for (text, expected) in [
            ("0s", "2025-11-29T04:40:12.000Z"),
            ("90s", "2025-11-29T04:38:42.000Z"),
            ("2h", "2025-11-29T02:40:12.000Z"),
            ("99999999999d", ""),
            ("3d", "2025-11-26T04:40:12.000Z"),
        ] {
            let parsed = parse(text, NOW, &LocalZone::default()).unwrap_or_default();
            let expected = if expected.is_empty() {
                "1970-01-01T00:00:00.000Z"
            } else {
                expected
            };
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_the_clock() {
        // In Auckland it is the evening of the 29th.
        let zone = LocalZone::of_rule("NZST-12NZDT,M9.5.0,M4.1.0/3").unwrap();
        for (text, expected) in [
            ("2024-02-29 08:20", "2024-02-28T19:20:00.000Z"),
            ("2024-02-29T08:20:59", "2024-02-28T19:20:59.000Z"),
            ("2024-07-01", "2024-06-30T12:00:00.000Z"),
            ("today", "2025-11-28T11:00:00.000Z"),
            ("yesterday", "2025-11-27T11:00:00.000Z"),
        ] {
            assert_eq!(parse(text, NOW, &zone).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "m",
            "-1m",
            "2024",
            "2024-13-01",
            "2024-01-01 25:00",
            "1:2",
            "é",
        ] {
            assert!(parse(text, NOW, &LocalZone::default()).is_err(), "{text}");
        }
    }
}
