//! The timers, carried out: they wake the supervisor, start services, and leave their marks.
//!
//! A persistent timer's mark is `/var/lib/cairn/timers/<name>`: the second at which it last fired.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use cairn_sys::{inotify, random};
use cairn_system::{LocalZone, Timer};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::clock::{Ms, now, since_epoch};
use crate::realm::realm;

use super::Supervisor;
use super::given::Trigger;
use super::services::{Event, Services};
use super::source::{Source, watch};
use super::state::MARK_BYTES;
use super::timers::{Entry, hash};

/// A time that no clock shows, in milliseconds since 1970: the year 9999.
const FAR: Ms = 253_370_764_800_000;

/// All timers, and what wakes us for the next one.
#[derive(Debug, Default)]
pub struct Clockwork {
    entries: Vec<Entry>,
    /// The machine's own time zone.
    zone: LocalZone,
    /// Of the wall clock; it is readable too when that is set.
    alarm: Option<TimerFd>,
    /// What happens to names in `/etc`.
    names: Option<OwnedFd>,
}

/// Where the time zone is.
const ZONE: &str = "/etc/localtime";

/// What tells machines apart.
const MACHINE_ID: &str = "/etc/machine-id";

/// Names in `/etc` through which the zone becomes another one: its own, and that behind which a generation's files are.
const NAMES: [&str; 2] = ["localtime", "static"];

impl Clockwork {
    /// Aims all timers but those that a predecessor had, whose `marks` are given; a persistent one
    /// from its own mark, so that what was missed is due at once.
    pub fn start(
        timers: Vec<Timer>,
        marks: &[[u8; MARK_BYTES]],
        services: &Services,
        epoll: &Epoll,
    ) -> Self {
        let number = |timer: &Timer| {
            let mut names = services.descriptions().iter();
            names.position(|service| service.name == timer.service)
        };
        let mut entries: Vec<Entry> = timers
            .into_iter()
            .filter_map(|timer| Some((number(&timer)?, timer)))
            .map(|(service, timer)| Entry::new(timer, service, now()))
            .collect();
        if entries.is_empty() {
            return Self::default();
        }
        // Before the zone is looked at: what comes between is seen twice.
        let names = watch_names(epoll).map_err(|error| {
            log::error!("cannot hear of another time zone: {error}");
        });
        let (wall, (zone, digest)) = (since_epoch(), zone());
        for entry in &mut entries {
            let is_known = entry.recall(marks);
            entry.zone_is(digest);
            if is_known {
                continue;
            }
            let base = if entry.timer.persistent {
                mark_of(&entry.timer).unwrap_or_else(|| {
                    // It has never fired: that is counted from now on.
                    write_mark(&entry.timer, wall);
                    wall
                })
            } else {
                wall
            };
            entry.aim(base.min(wall), &zone, share(&entry.timer));
        }
        let alarm = make_alarm(epoll).map_err(|error| {
            log::error!("cannot be woken for timers by the wall clock: {error}");
        });
        let mut clockwork = Self {
            entries,
            zone,
            alarm: alarm.ok(),
            names: names.ok(),
        };
        clockwork.arm();
        clockwork
    }

    /// What all timers remember.
    pub fn marks(&self) -> Vec<[u8; MARK_BYTES]> {
        self.entries.iter().map(Entry::mark).collect()
    }

    /// When a timer of the monotonic clock is due.
    pub fn next_deadline(&self, services: &Services) -> Option<Ms> {
        let all = self.entries.iter();
        all.filter(|_| !services.is_shutting_down())
            .filter_map(|entry| entry.monotonic_at(services.units().get(entry.service)?))
            .min()
    }

    /// How long it is until a timer starts each service that has one.
    pub fn next_runs(&self, services: &Services) -> BTreeMap<usize, Ms> {
        let (wall, time) = (since_epoch(), now());
        let mut next = BTreeMap::new();
        for entry in &self.entries {
            let by_wall = entry.wall_at.map(|at| at.saturating_sub(wall));
            let unit = services.units().get(entry.service);
            let monotonic = unit.and_then(|unit| entry.monotonic_at(unit));
            let monotonic = monotonic.map(|at| at.saturating_sub(time));
            for wait in by_wall.into_iter().chain(monotonic) {
                let least = next.entry(entry.service).or_insert(wait);
                *least = wait.min(*least);
            }
        }
        next
    }

    /// The wall clock has reached a time, or has been set: that is an error of reading.
    fn alarmed(&mut self) {
        let mut expirations = [0; 8];
        let read = self.alarm.as_ref();
        match read.map(|alarm| nix::unistd::read(alarm, &mut expirations)) {
            Some(Err(Errno::ECANCELED)) => {
                self.entries.iter_mut().for_each(Entry::clock_was_set);
            }
            Some(Err(error)) if error != Errno::EAGAIN => {
                log::error!("cannot read the wall clock's alarm: {error}");
            }
            _ => {}
        }
        (self.zone, _) = zone();
        self.aim_again();
    }

    /// Something has happened in `/etc`; whether the time zone may be another one.
    fn names_changed(&mut self) -> bool {
        let Some(names) = &self.names else {
            return false;
        };
        let events = inotify::read(names.as_fd()).unwrap_or_else(|error| {
            log::error!("cannot read what happens in /etc: {error}");
            Vec::new()
        });
        let concerns = |event: &inotify::Event| {
            event.watch == inotify::LOST || NAMES.iter().any(|name| event.name == *name)
        };
        if !events.iter().any(concerns) {
            return false;
        }
        let digest;
        (self.zone, digest) = zone();
        for entry in &mut self.entries {
            entry.zone_is(digest);
        }
        self.aim_again();
        true
    }

    /// The next times, by the clock and the zone as they are now.
    fn aim_again(&mut self) {
        let wall = since_epoch();
        for entry in &mut self.entries {
            // A clock that was put back must not keep it from firing until then.
            entry.aim_again(wall, &self.zone);
        }
        self.arm();
    }

    /// The services to start now, and the timers that do.
    fn due(&mut self, services: &Services) -> Vec<(usize, String)> {
        let (wall, time) = (since_epoch(), now());
        let mut due = Vec::new();
        for entry in &mut self.entries {
            let Some(unit) = services.units().get(entry.service) else {
                continue;
            };
            let by_wall = entry.wall_at.is_some_and(|at| at <= wall);
            if entry.fires(unit, wall, time) {
                due.push((entry.service, format!("{}.timer", entry.timer.name)));
                let share = share(&entry.timer);
                if by_wall {
                    entry.aim(wall, &self.zone, share);
                } else if entry.wall_at.is_none() {
                    entry.draw(share);
                }
                if entry.timer.persistent {
                    write_mark(&entry.timer, wall);
                }
            }
        }
        if !due.is_empty() {
            self.arm();
        }
        due
    }

    fn arm(&mut self) {
        // Far away, it tells when the clock is set.
        let hears = self.entries.iter().any(|entry| entry.timer.clock_change);
        let far = hears.then_some(FAR);
        let next = self.entries.iter().filter_map(|entry| entry.wall_at);
        let next = next.chain(far).min();
        let Some((alarm, at)) = self.alarm.as_ref().zip(next) else {
            return;
        };
        let seconds = i64::try_from(at / 1000).unwrap_or(i64::MAX);
        let nanoseconds = i64::try_from(at % 1000 * 1_000_000).unwrap_or(0);
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        let at = Expiration::OneShot(TimeSpec::new(seconds, nanoseconds));
        if let Err(error) = alarm.set(at, flags) {
            log::error!("cannot set the wall clock's alarm: {error}");
        }
    }
}

impl Supervisor {
    pub(super) fn alarmed(&mut self) {
        self.clockwork.alarmed();
        self.run_timers();
    }

    /// Something has happened in `/etc`.
    pub(super) fn names_changed(&mut self) {
        if self.clockwork.names_changed() {
            self.run_timers();
        }
    }

    /// Starts what is due; when nothing can be started any more, nothing has fired.
    pub(super) fn run_timers(&mut self) {
        if self.services.is_shutting_down() {
            return;
        }
        for (id, timer) in self.clockwork.due(&self.services) {
            // What is up is not started again: its next start has another reason.
            let is_down = (self.services.units().get(id)).is_some_and(|unit| !unit.is_alive());
            if let Some(held) = self.held.get_mut(id).filter(|_| is_down) {
                held.trigger = Some(Box::new(Trigger::Timer(timer, since_epoch(), now())));
            }
            self.step(Event::Start(id));
        }
        self.remember_timers();
    }

    /// Notes what the timers remember, for a successor.
    pub(super) fn remember_timers(&self) {
        if let Err(error) = self.state.write_marks(&self.clockwork.marks()) {
            log::error!("cannot note the state of the timers: {error}");
        }
    }
}

fn make_alarm(epoll: &Epoll) -> io::Result<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let alarm = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
    watch(epoll, alarm.as_fd(), Source::Alarm, EpollFlags::EPOLLIN)?;
    Ok(alarm)
}

fn watch_names(epoll: &Epoll) -> io::Result<OwnedFd> {
    let names = inotify::open()?;
    let mask = inotify::CREATE
        | inotify::DELETE
        | inotify::MOVED_TO
        | inotify::MOVED_FROM
        | inotify::CLOSE_WRITE;
    inotify::add(names.as_fd(), Path::new("/etc"), mask)?;
    watch(epoll, names.as_fd(), Source::Names, EpollFlags::EPOLLIN)?;
    Ok(names)
}

/// The time zone's rules, and their digest; of none, they are UTC's.
fn zone() -> (LocalZone, u64) {
    let rules = fs::read(ZONE).unwrap_or_default();
    let zone = match LocalZone::parse(&rules) {
        Ok(zone) => zone,
        Err(_) if rules.is_empty() => LocalZone::default(),
        Err(error) => {
            log::error!("cannot use {ZONE}: {error}; timers go by UTC");
            LocalZone::default()
        }
    };
    (zone, hash(&rules))
}

/// What share of its random delay a timer takes next; a fixed one depends on the machine and the timer's name.
fn share(timer: &Timer) -> u8 {
    if !timer.fixed_delay {
        return u8::from_ne_bytes(chance());
    }
    let machine = fs::read(MACHINE_ID).unwrap_or_default();
    let name = timer.name.as_str().as_bytes();
    let [share, ..] = hash(&[machine.as_slice(), name].concat()).to_ne_bytes();
    share
}

/// Bytes by chance. Without randomness delays are the same at each boot: they work all the same.
pub fn chance<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = random::fill_at_once(&mut bytes) {
        log::warn!("cannot take delays by chance: {error}");
    }
    bytes
}

fn mark_path(timer: &Timer) -> PathBuf {
    realm().marks.as_path().join(timer.name.as_str())
}

fn mark_of(timer: &Timer) -> Option<Ms> {
    let path = mark_path(timer);
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse::<u64>().ok()?.checked_mul(1000),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            log::error!("cannot read {}: {error}", path.display());
            None
        }
    }
}

fn write_mark(timer: &Timer, wall: Ms) {
    let path = mark_path(timer);
    let next = path.with_added_extension("new");
    let write = fs::create_dir_all(&realm().marks)
        .and_then(|()| fs::write(&next, format!("{}\n", wall / 1000)))
        .and_then(|()| fs::rename(&next, &path));
    if let Err(error) = write {
        log::error!("cannot write {}: {error}", path.display());
    }
}
