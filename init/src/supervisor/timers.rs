//! When timers start their services: arithmetic on clocks, without I/O.
//!
//! Times of the wall clock are milliseconds since 1970, others of `CLOCK_MONOTONIC`.
//!
//! What a timer remembers is in the supervisor's memory too, so that one that a new generation
//! describes as before neither misses a time nor fires twice:
//! ```text
//! 0..8 digest of its description   8..16 wall clock (ms), 0 if none   16..24 fired (ms), 0 if never
//! 24..32 digest of the time zone, 0 if none   32..40 wall clock since when, 0 if unknown (ms)
//! 40 share of the random delay   41..48 zero   48..56 when it came (ms)   56..128 zero
//! ```

use cairn_system::{Calendar, Civil, LocalZone, Timer};

use super::graph::Id;
use super::state::MARK_BYTES;
use super::unit::{Ms, Unit};

/// One timer and what it remembers.
#[derive(Debug)]
pub struct Entry {
    /// The description.
    pub timer: Timer,
    /// The service's number.
    pub service: Id,
    /// Its next time of the wall clock.
    pub wall_at: Option<Ms>,
    /// Since when that was looked for, by the wall clock.
    base: Option<Ms>,
    /// What share of the random delay it has.
    chance: u8,
    /// When it came, by the monotonic clock.
    came_at: Ms,
    /// When it has last fired, by the same.
    fired_at: Option<Ms>,
    /// The digest of the time zone that it knows; 0 if none.
    zone: u64,
    /// What it waits for has happened.
    has_come: bool,
}

/// The wall clock's arithmetic: between seconds since 1970 and what clocks on walls show.
pub trait Zone {
    /// What they show.
    fn civil(&self, seconds: u64) -> Option<Civil>;
    /// When they show that.
    fn seconds(&self, civil: Civil) -> Option<u64>;
}

impl Zone for LocalZone {
    fn civil(&self, seconds: u64) -> Option<Civil> {
        self.civil(seconds)
    }

    fn seconds(&self, civil: Civil) -> Option<u64> {
        self.seconds(civil)
    }
}

/// UTC.
#[derive(Debug, Clone, Copy)]
pub struct Utc;

impl Zone for Utc {
    fn civil(&self, seconds: u64) -> Option<Civil> {
        Some(Civil::from_seconds(seconds))
    }

    fn seconds(&self, civil: Civil) -> Option<u64> {
        Some(civil.seconds())
    }
}

impl Entry {
    /// One that comes `now`, and has not fired yet.
    pub fn new(timer: Timer, service: Id, now: Ms) -> Self {
        Self {
            timer,
            service,
            came_at: now,
            wall_at: None,
            base: None,
            chance: 0,
            fired_at: None,
            zone: 0,
            has_come: false,
        }
    }

    /// Somebody has set the wall clock.
    pub fn clock_was_set(&mut self) {
        self.has_come |= self.timer.clock_change;
    }

    /// The time zone is the one with this digest now.
    pub fn zone_is(&mut self, zone: u64) {
        self.has_come |= self.timer.zone_change && self.zone != 0 && self.zone != zone;
        self.zone = zone;
    }

    /// What it remembers.
    pub fn mark(&self) -> [u8; MARK_BYTES] {
        let mut mark = [0; MARK_BYTES];
        let fields = digest(&self.timer)
            .to_ne_bytes()
            .into_iter()
            .chain(self.wall_at.unwrap_or(0).to_ne_bytes())
            .chain(self.fired_at.unwrap_or(0).to_ne_bytes())
            .chain(self.zone.to_ne_bytes())
            .chain(self.base.unwrap_or(0).to_ne_bytes())
            .chain([self.chance])
            .chain([0; 7])
            .chain(self.came_at.to_ne_bytes());
        for (byte, field) in mark.iter_mut().zip(fields) {
            *byte = field;
        }
        mark
    }

    /// Remembers what a timer of the same description has left among `marks`; whether there was one.
    pub fn recall(&mut self, marks: &[[u8; MARK_BYTES]]) -> bool {
        let number = |mark: &[u8; MARK_BYTES], at: usize| {
            let bytes = mark.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u64::from_ne_bytes)
        };
        let own = digest(&self.timer);
        let Some(mark) = marks.iter().find(|mark| number(mark, 0) == own) else {
            return false;
        };
        self.wall_at = Some(number(mark, 8)).filter(|at| *at != 0);
        self.fired_at = Some(number(mark, 16)).filter(|at| *at != 0);
        self.zone = number(mark, 24);
        self.base = Some(number(mark, 32)).filter(|base| *base != 0);
        self.chance = mark.get(40).copied().unwrap_or(0);
        self.came_at = number(mark, 48);
        true
    }

    /// Finds the next time of the wall clock after `base`, put off by a share of the random delay
    /// that `chance` (0 to 255) gives.
    pub fn aim(&mut self, base: Ms, zone: &dyn Zone, chance: u8) {
        let next = self.timer.calendar.iter().filter_map(|calendar| {
            let zone = if calendar.is_utc() { &Utc } else { zone };
            next(calendar, base / 1000, zone)
        });
        (self.base, self.chance) = (Some(base), chance);
        let delay = self.delay();
        self.wall_at = next.min().map(|at| (at * 1000).saturating_add(delay));
    }

    /// Another share of the random delay, for its next time of the monotonic clock.
    pub fn draw(&mut self, chance: u8) {
        self.chance = chance;
    }

    /// Its share of the random delay.
    fn delay(&self) -> Ms {
        (self.timer.random_delay_ms / 256).saturating_mul(u64::from(self.chance))
    }

    /// The clock or the zone is another one: finds the next time anew, from where it was looked for last, lest one
    /// be left out whose delay is not over; from now if that is still to come.
    pub fn aim_again(&mut self, wall: Ms, zone: &dyn Zone) {
        if self.wall_at.is_some_and(|at| at > wall) {
            let base = self.base.filter(|base| *base <= wall).unwrap_or(wall);
            self.aim(base, zone, self.chance);
        }
    }

    /// Its next time of the monotonic clock.
    pub fn monotonic_at(&self, unit: &Unit) -> Option<Ms> {
        let timer = &self.timer;
        let started = unit.started_at;
        // What lies before its last firing has been taken care of.
        let pending = |at: &Ms| self.fired_at.is_none_or(|fired| *at > fired);
        let not_begun = |at: &Ms| started.is_none_or(|started| *at > started);
        let boot = timer.after_boot_ms.iter().copied();
        let came = timer.after_active_ms.iter();
        let came = came.map(|after| self.came_at.saturating_add(*after));
        let once = boot.chain(came).filter(not_begun);
        let start = timer
            .after_start_ms
            .iter()
            .filter_map(|after| started?.checked_add(*after));
        let down = unit.ended_at.filter(|_| !unit.is_alive());
        let stop = timer
            .after_stop_ms
            .iter()
            .filter_map(|after| down?.checked_add(*after));
        let at_once = self.has_come.then_some(0);
        let next = || once.chain(start).chain(stop).filter(pending).min();
        at_once.or_else(|| Some(next()?.saturating_add(self.delay())))
    }

    /// Whether it is due, by either clock; if so, it counts as fired.
    pub fn fires(&mut self, unit: &Unit, wall: Ms, now: Ms) -> bool {
        let due = self.wall_at.is_some_and(|at| at <= wall)
            || self.monotonic_at(unit).is_some_and(|at| at <= now);
        if due {
            self.fired_at = Some(now);
            self.has_come = false;
        }
        due
    }
}

/// Tells timers apart: of the description, name included.
fn digest(timer: &Timer) -> u64 {
    hash(format!("{timer:?}").as_bytes())
}

/// FNV-1a.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The first second after `after` at which clocks show what `calendar` names. Where clocks are put
/// back, a time that is shown twice counts once.
fn next(calendar: &Calendar, after: u64, zone: &dyn Zone) -> Option<u64> {
    let mut civil = zone.civil(after)?;
    loop {
        civil = calendar.next(civil)?;
        let at = zone.seconds(civil)?;
        if at > after {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::phase::Phase;
    use super::*;
    use proptest::prelude::*;

    fn entry(json: &str) -> Entry {
        let json = format!(r#"{{"name":"t","service":"t",{json}}}"#);
        Entry::new(serde_json::from_str(&json).unwrap(), 0, 0)
    }

    #[test]
    fn the_wall_clock() {
        let mut entry = entry(r#""calendar":["daily","*-*-* 06:00"],"randomDelayMs":25600"#);
        let day = 86_400_000;
        entry.aim(10 * day, &Utc, 0);
        assert_eq!(entry.wall_at, Some(10 * day + day / 4));
        entry.aim(10 * day + day / 4, &Utc, 10);
        assert_eq!(entry.wall_at, Some(11 * day + 1000));
        let unit = Unit::default();
        assert!(!entry.fires(&unit, 11 * day + 999, 5));
        assert!(entry.fires(&unit, 11 * day + 1000, 5));
    }

    #[test]
    fn what_is_delayed_by_chance_still_comes() {
        let mut entry = entry(r#""calendar":["daily"],"randomDelayMs":25600"#);
        let day = 86_400_000;
        entry.aim(9 * day + 7, &Utc, 128);
        assert_eq!(entry.wall_at, Some(10 * day + 12_800));
        // Its day has begun when the clock is set, or another generation brings its own `/etc`.
        let mut successor = Entry::new(entry.timer.clone(), 0, 0);
        assert!(successor.recall(&[entry.mark()]));
        for entry in [&mut entry, &mut successor] {
            entry.aim_again(10 * day + 1000, &Utc);
            assert_eq!(entry.wall_at, Some(10 * day + 12_800));
            // Back before it was aimed at, it is aimed at from there.
            entry.aim_again(3 * day + 1, &Utc);
            assert_eq!(entry.wall_at, Some(4 * day + 12_800));
            // What is due is due.
            entry.aim_again(20 * day, &Utc);
            assert_eq!(entry.wall_at, Some(4 * day + 12_800));
        }
    }

    #[test]
    fn the_monotonic_clock() {
        let mut entry =
            entry(r#""afterBootMs":[5000],"afterStartMs":[60000],"afterStopMs":[1000]"#);
        let mut unit = Unit::default();
        assert_eq!(entry.monotonic_at(&unit), Some(5000));
        assert!(!entry.fires(&unit, 0, 4999));
        assert!(entry.fires(&unit, 0, 5000));
        assert_eq!(
            entry.monotonic_at(&unit),
            None,
            "it has fired, whatever came of it"
        );
        unit.started_at = Some(5001);
        unit.phase = Phase::Up;
        assert_eq!(entry.monotonic_at(&unit), Some(65_001));
        unit.phase = Phase::Done;
        unit.ended_at = Some(7000);
        assert_eq!(entry.monotonic_at(&unit), Some(8000));
        assert!(entry.fires(&unit, 0, 8000));
        assert_eq!(entry.monotonic_at(&unit), Some(65_001));
    }

    #[test]
    fn a_timer_that_comes_later_counts_from_then() {
        let timer = entry(r#""afterActiveMs":[60000]"#).timer;
        let mut came = Entry::new(timer.clone(), 0, 3_600_000);
        let unit = Unit::default();
        assert_eq!(came.monotonic_at(&unit), Some(3_660_000));
        // Another generation that has it goes on.
        let mut successor = Entry::new(timer, 0, 3_650_000);
        assert!(successor.recall(&[came.mark()]));
        for entry in [&mut came, &mut successor] {
            assert!(!entry.fires(&unit, 0, 3_659_999) && entry.fires(&unit, 0, 3_660_000));
            assert_eq!(entry.monotonic_at(&unit), None);
        }
    }

    #[test]
    fn the_monotonic_clock_is_delayed_by_chance_too() {
        let mut entry = entry(r#""afterBootMs":[5000],"afterStopMs":[1000],"randomDelayMs":25600"#);
        let mut unit = Unit::default();
        entry.aim(0, &Utc, 10);
        assert_eq!(
            (entry.wall_at, entry.monotonic_at(&unit)),
            (None, Some(6000))
        );
        assert!(!entry.fires(&unit, 0, 5999) && entry.fires(&unit, 0, 6000));
        (unit.started_at, unit.ended_at) = (Some(6000), Some(6000));
        entry.draw(1);
        assert_eq!(entry.monotonic_at(&unit), Some(7100));
    }

    #[test]
    fn a_timer_that_is_the_same_remembers() {
        let mut one = entry(r#""calendar":["daily"],"afterBootMs":[5000]"#);
        one.wall_at = Some(7_000_000);
        assert!(one.fires(&Unit::default(), 0, 5000));
        let marks = [Entry::new(one.timer.clone(), 3, 0).mark(), one.mark()];
        let mut same = entry(r#""calendar":["daily"],"afterBootMs":[5000]"#);
        assert!(same.recall(&marks[1..]));
        assert_eq!(same.wall_at, Some(7_000_000));
        assert_eq!(same.monotonic_at(&Unit::default()), None, "it has fired");
        let mut other = entry(r#""calendar":["daily"],"afterBootMs":[5001]"#);
        assert!(!other.recall(&marks));
        assert_eq!((other.wall_at, other.fired_at), (None, None));
    }

    #[test]
    fn a_clock_that_is_set_and_another_zone() {
        let mut entry = entry(r#""clockChange":true,"zoneChange":true"#);
        let unit = Unit::default();
        entry.zone_is(7);
        assert!(!entry.fires(&unit, 0, 1), "it has known none");
        entry.clock_was_set();
        assert_eq!(entry.monotonic_at(&unit), Some(0));
        assert!(entry.fires(&unit, 0, 2) && !entry.fires(&unit, 0, 3));
        let marks = [entry.mark()];
        let mut successor = Entry::new(entry.timer.clone(), 0, 0);
        assert!(successor.recall(&marks));
        successor.zone_is(7);
        assert!(!successor.fires(&unit, 0, 4));
        successor.zone_is(8);
        assert!(successor.fires(&unit, 0, 5));
    }

    /// Clocks that are put forward an hour at one second and back at another.
    struct Summer(u64, u64);

    impl Zone for Summer {
        fn civil(&self, seconds: u64) -> Option<Civil> {
            let summer = (self.0..self.1).contains(&seconds);
            Some(Civil::from_seconds(seconds + if summer { 3600 } else { 0 }))
        }

        fn seconds(&self, civil: Civil) -> Option<u64> {
            let seconds = civil.seconds();
            let summer = (self.0..self.1).contains(&(seconds - 3600));
            Some(if summer { seconds - 3600 } else { seconds })
        }
    }

    proptest! {
        #[test]
        fn time_goes_forward_whatever_clocks_do(
            text in prop_oneof![Just("hourly"), Just("*:0/7"), Just("02:30"), Just("Sun 03:00")],
            start in 1_000_000_000_u64..1_000_200_000, length in 0..200_000_u64, after in 1_000_000_000_u64..1_000_500_000,
        ) {
            let calendar = Calendar::try_from(text.to_owned()).unwrap();
            let zone = Summer(start, start + length);
            let found = next(&calendar, after, &zone).unwrap();
            prop_assert!(found > after);
        }
    }
}
