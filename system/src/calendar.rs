//! Calendar expressions: `Mon..Fri *-*-* 08:00`, `daily`, `*:0/15`.
//!
//! ```text
//! [WEEKDAYS] [[YEAR-]MONTH-DAY] [HOUR:MINUTE[:SECOND]] [UTC]
//! each of them:  *   N   N..M   N/STEP   */STEP   N..M/STEP   and lists of these with commas
//! ```
//! What is left out of a date is `*`, of a time `00:00:00`; a missing second is `00`.
//!
//! Source: `systemd.time(7)`, section "Calendar events"; without its `~` (days from the end of a
//! month), fractions of seconds, and time zones other than UTC and the machine's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The last year looked at.
const LAST_YEAR: u32 = 2199;

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Words and what they stand for.
const WORDS: [(&str, &str); 9] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
];

/// A calendar expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Calendar {
    text: String,
    weekdays: Field,
    year: Field,
    month: Field,
    day: Field,
    hour: Field,
    minute: Field,
    second: Field,
    utc: bool,
}

/// A date and a time without a time zone. Fields in this order, so that it compares as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// From 1970.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
}

/// Why a text is no calendar expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no calendar expression: {problem}; examples are daily, Mon..Fri 08:00, *-*-01 03:30, *:0/15"
)]
pub struct CalendarError {
    text: String,
    problem: String,
}

/// The values that one part may have: all if there is no range.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Field(Vec<Range>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    step: u32,
}

impl Calendar {
    /// The first time after `after` that it names; none before the year 2200.
    #[must_use]
    pub fn next(&self, after: Civil) -> Option<Civil> {
        let mut days = after.days();
        let mut earliest = Some(after);
        loop {
            let date = Civil::from_days(days);
            if date.year > LAST_YEAR {
                return None;
            }
            if self.has_day(date, days)
                && let Some(found) = self.next_time(date, earliest)
            {
                return Some(found);
            }
            earliest = None;
            days += 1;
        }
    }

    /// Whether it is meant in UTC, and not in the machine's time zone.
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.utc
    }

    fn has_day(&self, date: Civil, days: u64) -> bool {
        // 1970-01-01 was a Thursday; Monday is 0.
        let weekday = u32::try_from((days + 3) % 7).unwrap_or(0);
        self.year.has(date.year)
            && self.month.has(date.month)
            && self.day.has(date.day)
            && self.weekdays.has(weekday)
    }

    /// The first time of a day, or the first one after `after` of that day.
    fn next_time(&self, date: Civil, after: Option<Civil>) -> Option<Civil> {
        let late_enough = |time: &Civil| after.is_none_or(|after| *time > after);
        let first_hour = after.map_or(0, |after| after.hour);
        let hours = (first_hour..24).filter(|hour| self.hour.has(*hour));
        let minutes = || (0..60).filter(|minute| self.minute.has(*minute));
        let seconds = || (0..60).filter(|second| self.second.has(*second));
        hours
            .flat_map(|hour| {
                minutes().map(move |minute| Civil {
                    hour,
                    minute,
                    ..date
                })
            })
            .filter(|time| {
                late_enough(&Civil {
                    second: 60,
                    ..*time
                })
            })
            .flat_map(|time| seconds().map(move |second| Civil { second, ..time }))
            .find(late_enough)
    }
}

impl Civil {
    /// Days since 1970-01-01.
    ///
    /// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
    #[must_use]
    pub fn days(self) -> u64 {
        let year = u64::from(self.year) - u64::from(self.month <= 2);
        let month = u64::from(self.month);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + u64::from(self.day) - 1;
        let (era, of_era) = (year / 400, year % 400);
        let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era).saturating_sub(719_468)
    }

    /// The first second of a day, counted from 1970-01-01.
    ///
    /// Source: as above, `civil_from_days`.
    #[must_use]
    pub fn from_days(days: u64) -> Self {
        let z = days + 719_468;
        let (era, day_of_era) = (z / 146_097, z % 146_097);
        let of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * of_era + of_era / 4 - of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            year: small(of_era + era * 400 + u64::from(month <= 2)),
            month: small(month),
            day: small(day_of_year - (153 * shifted + 2) / 5 + 1),
            hour: 0,
            minute: 0,
            second: 0,
        }
    }

    /// Seconds since 1970 if it is meant in UTC.
    #[must_use]
    pub fn seconds(self) -> u64 {
        let of_day = self.hour * 3600 + self.minute * 60 + self.second;
        self.days() * 86_400 + u64::from(of_day)
    }

    /// Undoes it.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        let of_day = u32::try_from(seconds % 86_400).unwrap_or(0);
        Self {
            hour: of_day / 3600,
            minute: of_day / 60 % 60,
            second: of_day % 60,
            ..Self::from_days(seconds / 86_400)
        }
    }
}

impl Field {
    fn has(&self, value: u32) -> bool {
        self.0.is_empty() || self.0.iter().any(|range| range.has(value))
    }

    /// One value.
    fn only(value: u32) -> Self {
        Self(vec![Range {
            first: value,
            last: value,
            step: 1,
        }])
    }

    fn parse(text: &str, name: &str, lowest: u32, highest: u32) -> Result<Self, String> {
        let number = |text: &str| -> Result<u32, String> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|number| digits && (lowest..=highest).contains(number))
                .ok_or_else(|| format!("'{text}' is no {name} from {lowest} to {highest}"))
        };
        let ranges = text
            .split(',')
            .map(|part| {
                let (values, step) = match part.split_once('/') {
                    None => (part, None),
                    Some((values, step)) => {
                        let step = step.parse::<u32>().ok().filter(|step| *step > 0);
                        let step = step.ok_or_else(|| format!("'{part}' has no step"))?;
                        (values, Some(step))
                    }
                };
                let (first, last) = match values.split_once("..") {
                    Some((first, last)) => (number(first)?, number(last)?),
                    None if values == "*" => (lowest, highest),
                    None => {
                        let first = number(values)?;
                        (first, if step.is_some() { highest } else { first })
                    }
                };
                if last < first {
                    return Err(format!("'{part}' ends before it begins"));
                }
                let step = step.unwrap_or(1);
                Ok(Range { first, last, step })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self(ranges))
    }

    /// `Mon`, `Mon,Wed`, `Mon..Fri`; none if `text` is no such list at all.
    fn parse_weekdays(text: &str) -> Option<Result<Self, String>> {
        if !text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return None;
        }
        let number = |text: &str| {
            let text = text.to_ascii_lowercase();
            (0..)
                .zip(WEEKDAYS)
                .find(|(_, name)| text.starts_with(name))
                .map(|(number, _)| number)
                .ok_or_else(|| format!("'{text}' is no day of the week"))
        };
        let range = |part: &str| {
            let (first, last) = part.split_once("..").unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            // `Sat..Mon` goes over the end of the week.
            Ok(if first <= last {
                vec![Range {
                    first,
                    last,
                    step: 1,
                }]
            } else {
                let until_end = Range {
                    first,
                    last: 6,
                    step: 1,
                };
                vec![
                    until_end,
                    Range {
                        first: 0,
                        last,
                        step: 1,
                    },
                ]
            })
        };
        let ranges: Result<Vec<Vec<Range>>, String> = text.split(',').map(range).collect();
        Some(ranges.map(|ranges| Self(ranges.concat())))
    }
}

impl Range {
    fn has(self, value: u32) -> bool {
        (self.first..=self.last).contains(&value) && (value - self.first).is_multiple_of(self.step)
    }
}

fn parse(text: &str) -> Result<Calendar, String> {
    let word = WORDS
        .iter()
        .find(|(word, _)| text.eq_ignore_ascii_case(word));
    let mut parts: Vec<&str> = word
        .map_or(text, |(_, long)| long)
        .split_whitespace()
        .collect();
    let utc = parts.last().is_some_and(|last| *last == "UTC");
    if utc {
        parts.pop();
    }
    let mut calendar = Calendar {
        text: text.to_owned(),
        weekdays: Field::default(),
        year: Field::default(),
        month: Field::default(),
        day: Field::default(),
        hour: Field::only(0),
        minute: Field::only(0),
        second: Field::only(0),
        utc,
    };
    if parts.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut rest = parts.into_iter().peekable();
    if let Some(weekdays) = rest.peek().and_then(|part| Field::parse_weekdays(part)) {
        calendar.weekdays = weekdays?;
        rest.next();
    }
    if let Some(date) = rest.next_if(|part| part.contains('-')) {
        let fields: Vec<&str> = date.split('-').collect();
        let (year, month, day) = match fields.as_slice() {
            [month, day] => ("*", *month, *day),
            [year, month, day] => (*year, *month, *day),
            _ => return Err(format!("'{date}' is no date")),
        };
        calendar.year = Field::parse(year, "year", 1970, LAST_YEAR)?;
        calendar.month = Field::parse(month, "month", 1, 12)?;
        calendar.day = Field::parse(day, "day", 1, 31)?;
    }
    if let Some(time) = rest.next() {
        let fields: Vec<&str> = time.split(':').collect();
        let (hour, minute, second) = match fields.as_slice() {
            [hour, minute] => (*hour, *minute, "00"),
            [hour, minute, second] => (*hour, *minute, *second),
            _ => return Err(format!("'{time}' is no time")),
        };
        calendar.hour = Field::parse(hour, "hour", 0, 23)?;
        calendar.minute = Field::parse(minute, "minute", 0, 59)?;
        calendar.second = Field::parse(second, "second", 0, 59)?;
    }
    match rest.next() {
        None => Ok(calendar),
        Some(extra) => Err(format!("'{extra}' makes no sense there")),
    }
}

impl TryFrom<String> for Calendar {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, CalendarError> {
        parse(&text).map_err(|problem| CalendarError { text, problem })
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.text
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn show(time: Civil) -> String {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = time;
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }

    fn calendar(text: &str) -> Calendar {
        Calendar::try_from(text.to_owned()).unwrap()
    }

    /// The next three times after a Friday's 13:45:30.
    fn check(text: &str, expected: &Expect) {
        let start = Civil {
            year: 2026,
            month: 11,
            day: 27,
            hour: 13,
            minute: 45,
            second: 30,
        };
        let times = match Calendar::try_from(text.to_owned()) {
            Err(error) => error.to_string(),
            Ok(calendar) => {
                let mut at = start;
                let mut times = Vec::new();
                for _ in 0..3 {
                    let Some(next) = calendar.next(at) else { break };
                    times.push(show(next));
                    at = next;
                }
                times.join(", ")
            }
        };
        expected.assert_eq(&times);
    }

    #[test]
    fn times() {
        check(
            "daily",
            &expect!["2026-11-28 00:00:00, 2026-11-29 00:00:00, 2026-11-30 00:00:00"],
        );
        check(
            "weekly",
            &expect!["2026-11-30 00:00:00, 2026-12-07 00:00:00, 2026-12-14 00:00:00"],
        );
        check(
            "Monthly",
            &expect!["2026-12-01 00:00:00, 2027-01-01 00:00:00, 2027-02-01 00:00:00"],
        );
        check(
            "*:0/20",
            &expect!["2026-11-27 14:00:00, 2026-11-27 14:20:00, 2026-11-27 14:40:00"],
        );
        check(
            "*:*:*",
            &expect!["2026-11-27 13:45:31, 2026-11-27 13:45:32, 2026-11-27 13:45:33"],
        );
        check(
            "Mon..Wed,Fri 13:45:30",
            &expect!["2026-11-30 13:45:30, 2026-12-01 13:45:30, 2026-12-02 13:45:30"],
        );
        check(
            "Sat..Mon 04:05",
            &expect!["2026-11-28 04:05:00, 2026-11-29 04:05:00, 2026-11-30 04:05:00"],
        );
        check(
            "02-29",
            &expect!["2028-02-29 00:00:00, 2032-02-29 00:00:00, 2036-02-29 00:00:00"],
        );
        check("2026-12-31 23:59:59 UTC", &expect!["2026-12-31 23:59:59"]);
        check("2020-01-01", &expect![""]);
        check("*-02-30", &expect![""]);
        check(
            "8..10/2,22:30",
            &expect!["2026-11-27 22:30:00, 2026-11-28 08:30:00, 2026-11-28 10:30:00"],
        );
    }

    #[test]
    fn what_is_none() {
        check(
            "",
            &expect![
                "'' is no calendar expression: it is empty; examples are daily, Mon..Fri 08:00, *-*-01 03:30, *:0/15"
            ],
        );
        check(
            "dayly",
            &expect![
                "'dayly' is no calendar expression: 'dayly' is no day of the week; examples are daily, Mon..Fri 08:00, *-*-01 03:30, *:0/15"
            ],
        );
        check(
            "25:00",
            &expect![
                "'25:00' is no calendar expression: '25' is no hour from 0 to 23; examples are daily, Mon..Fri 08:00, *-*-01 03:30, *:0/15"
            ],
        );
        for text in [
            "8",
            "*-13-01",
            "08:00 09:00",
            "*:*/0",
            "10..8:00",
            "1-2-3-4",
            "+1:00",
            "00:00 Europe/Berlin",
            "UTC",
        ] {
            assert!(Calendar::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_and_days() {
        assert_eq!(Civil::from_days(0).days(), 0);
        for days in (0..100_000).step_by(13) {
            assert_eq!(Civil::from_days(days).days(), days);
        }
        assert_eq!(
            show(Civil::from_seconds(1_709_164_800)),
            "2024-02-29 00:00:00"
        );
    }

    proptest! {
        /// Held against a walk over all minutes.
        #[test]
        fn nothing_is_skipped(
            hours in "(\\*|[0-9]|1[0-9]|[0-5]\\.\\.1[0-9])(/[1-9])?", minutes in "(\\*|[0-5][0-9])(/[1-9]|/1[0-9])?",
            weekdays in "((Mon|Tue|Sun)(\\.\\.(Wed|Sat))? )?", start in 1_700_000_000_u64..1_900_000_000,
        ) {
            let calendar = calendar(&format!("{weekdays}{hours}:{minutes}"));
            let start = Civil::from_seconds(start);
            let found = calendar.next(start).unwrap();
            prop_assert!(found > start);
            let mut minute = start.seconds() / 60 * 60 + 60;
            let walked = loop {
                let at = Civil::from_seconds(minute);
                if calendar.hour.has(at.hour) && calendar.minute.has(at.minute) && calendar.has_day(at, at.days()) {
                    break at;
                }
                minute += 60;
            };
            prop_assert_eq!(found, walked);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String, close in "[a-zA-Z0-9*./,:~ -]{0,30}") {
            for text in [text, close] {
                if let Ok(calendar) = Calendar::try_from(text.clone()) {
                    prop_assert!(calendar.next(Civil::from_days(20_000)).is_none_or(|at| at.year >= 2024));
                    prop_assert_eq!(String::from(calendar), text);
                }
            }
        }
    }
}
