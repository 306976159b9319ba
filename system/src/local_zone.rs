//! A time zone: what clocks on its walls show.
//!
//! Source: RFC 8536 (`TZif`), which `/etc/localtime` is; POSIX.1, 8.3, on `TZ`.

use tz::{LocalTimeType, TimeZone, TimeZoneRef, TimeZoneSettings};

use super::Civil;

/// Seconds of a day: no zone's clocks are further from UTC.
const DAY: i64 = 86_400;

/// The first second of the year 10000.
const END: u64 = 253_402_300_800;

/// A time zone's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalZone(TimeZone);

/// Why there is no zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no description of a time zone: {0}")]
pub struct NoZone(String);

impl Default for LocalZone {
    /// UTC.
    fn default() -> Self {
        Self(TimeZone::utc())
    }
}

impl LocalZone {
    /// The zone that a file such as `/etc/localtime` describes.
    ///
    /// # Errors
    /// `bytes` are no `TZif`.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoZone> {
        let parsed = TimeZone::from_tz_data(bytes);
        parsed.map(Self).map_err(|error| NoZone(error.to_string()))
    }

    /// The zone of a rule, as `TZ` has it: `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// # Errors
    /// It is no rule.
    pub fn of_rule(rule: &str) -> Result<Self, NoZone> {
        let no_file = |_: &str| Err("it is no file".into());
        let parsed = TimeZoneSettings::new(&[], no_file).parse_posix_tz(rule);
        parsed.map(Self).map_err(|error| NoZone(error.to_string()))
    }

    /// What the clocks show `seconds` after 1970; nothing outside of the years 1970 to 9999.
    #[must_use]
    pub fn civil(&self, seconds: u64) -> Option<Civil> {
        let shown = i64::try_from(seconds).ok()?;
        let shown = u64::try_from(shown.checked_add(self.ahead(shown))?).ok()?;
        (shown < END).then(|| Civil::from_seconds(shown))
    }

    /// Seconds since 1970 when the clocks show `civil`. A time that they skip is moved by as much as they
    /// are; of one that comes twice it is the first.
    #[must_use]
    pub fn seconds(&self, civil: Civil) -> Option<u64> {
        let shown = i64::try_from(civil.seconds()).ok()?;
        let [before, after] = [-DAY, DAY].map(|days| self.ahead(shown.saturating_add(days)));
        let is_shown = |ahead: &i64| self.ahead(shown.saturating_sub(*ahead)) == *ahead;
        let ahead = [before, after].into_iter().find(is_shown);
        u64::try_from(shown.checked_sub(ahead.unwrap_or(before))?).ok()
    }

    /// How many seconds the clocks are ahead of UTC at a time.
    fn ahead(&self, time: i64) -> i64 {
        let zone = self.0.as_ref();
        let kind = zone.find_local_time_type(time).ok();
        kind.or_else(|| last(&zone))
            .map_or(0, |kind| i64::from(kind.ut_offset()))
    }
}

/// What holds after the last change that a file knows, when it has no rule for what follows.
fn last<'a>(zone: &TimeZoneRef<'a>) -> Option<&'a LocalTimeType> {
    let kind = zone.transitions().last()?.local_time_type_index();
    zone.local_time_types().get(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A `TZif` of the second version without changes, and with this rule.
    fn zone(rule: &str) -> LocalZone {
        let counts = [0u32, 0, 0, 0, 1, 4].map(u32::to_be_bytes).concat();
        let header = [b"TZif2".as_slice(), &[0; 15], &counts].concat();
        let kinds = [[0; 6].as_slice(), b"UTC\0"].concat();
        let file = [&header, &kinds, &header, &kinds, b"\n".as_slice()].concat();
        LocalZone::parse(&[&file, rule.as_bytes(), b"\n"].concat()).unwrap()
    }

    fn berlin() -> LocalZone {
        zone("CET-1CEST,M3.5.0,M10.5.0/3")
    }

    fn civil(year: u32, month: u32, day: u32, hour: u32, minute: u32) -> Civil {
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second: 0,
        }
    }

    #[test]
    fn clocks_are_ahead_or_behind() {
        let utc = LocalZone::default();
        assert_eq!(utc.civil(1_764_391_212).unwrap().hour, 4);
        let (berlin, noon) = (berlin(), civil(2026, 1, 1, 12, 0).seconds());
        assert_eq!(berlin.civil(noon), Some(civil(2026, 1, 1, 13, 0)));
        assert_eq!(
            berlin.seconds(civil(2026, 7, 1, 12, 0)),
            Some(civil(2026, 7, 1, 10, 0).seconds())
        );
        let caracas = zone("<-0430>4:30");
        assert_eq!(caracas.civil(0), None);
        assert_eq!(caracas.civil(noon), Some(civil(2026, 1, 1, 7, 30)));
        assert_eq!(berlin.civil(END - 1), None);
        assert_eq!(berlin.civil(u64::MAX), None);
    }

    #[test]
    fn an_hour_is_skipped_or_comes_twice() {
        let berlin = berlin();
        let at = |hour, minute| civil(2026, 3, 29, hour, minute);
        // 02:00 to 03:00 are not there.
        assert_eq!(berlin.seconds(at(2, 30)), Some(at(1, 30).seconds()));
        assert_eq!(berlin.civil(at(1, 30).seconds()), Some(at(3, 30)));
        assert_eq!(berlin.seconds(at(1, 59)), Some(at(0, 59).seconds()));
        assert_eq!(berlin.seconds(at(3, 0)), Some(at(1, 0).seconds()));
        let at = |hour, minute| civil(2026, 10, 25, hour, minute);
        assert_eq!(berlin.seconds(at(2, 30)), Some(at(0, 30).seconds()));
        assert_eq!(berlin.seconds(at(3, 0)), Some(at(2, 0).seconds()));
        for (hour, shown) in [(0, 2), (1, 2), (2, 3)] {
            assert_eq!(berlin.civil(at(hour, 30).seconds()), Some(at(shown, 30)));
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for bytes in [b"".as_slice(), b"TZif", b"CET-1", &[0; 100]] {
            let error = LocalZone::parse(bytes).unwrap_err().to_string();
            assert!(
                error.starts_with("no description of a time zone"),
                "{error}"
            );
        }
        for rule in ["", "Europe/Berlin", "CET-1CEST", "localtime"] {
            assert!(LocalZone::of_rule(rule).is_err(), "{rule}");
        }
        let rule = "CET-1CEST,M3.5.0,M10.5.0/3";
        let noon = civil(2026, 7, 1, 12, 0);
        assert_eq!(
            LocalZone::of_rule(rule).unwrap().seconds(noon),
            berlin().seconds(noon)
        );
    }

    proptest! {
        #[test]
        fn there_and_back(seconds in 100_000..END - 100_000) {
            for zone in [berlin(), zone("<-0430>4:30"), zone("NZST-12NZDT,M9.5.0,M4.1.0/3"), LocalZone::default()] {
                let shown = zone.civil(seconds).unwrap();
                let back = zone.seconds(shown).unwrap();
                prop_assert!(back == seconds || back + 3600 == seconds, "{seconds} {back}");
                prop_assert_eq!(zone.civil(back), Some(shown));
            }
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), seconds: u64) {
            let file = [b"TZif2".as_slice(), &bytes].concat();
            if let Ok(zone) = LocalZone::parse(&file) {
                zone.civil(seconds).and_then(|civil| zone.seconds(civil));
            }
        }
    }
}
