//! `cairn log`: what services have written, read from the supervisor's files.
//!
//! A file has a line `<time> <text>` for each line that came, and before the first one of each boot a
//! line `-- boot <id>`, which no service can write: all that they write stands behind a time.
//! What came before the newest mebibyte is in a second file. What a service's processes have written to `/dev/log` is
//! in the log of the service `syslogd`, with the service's name ([`cairn_system::log_line`]).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_system::ServiceName;
use cairn_system::control::BOOT_MARK;
use cairn_system::log_line::{Heard, Priority, SYSLOG_SERVICE};

use super::ControlError;
use super::follow::Followed;

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// Length of a time: `2026-11-22T08:20:12.345Z`.
const TIME_BYTES: usize = 24;

/// The level of a line that does not say how serious it is: `info`.
const PLAIN_LEVEL: u8 = 6;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// These services; all if there are none.
    pub services: Vec<ServiceName>,
    /// The last so many lines; all if absent.
    pub lines: Option<usize>,
    /// Nothing from before this time: as in the files.
    pub since: Option<String>,
    /// Only from this boot: 0 is the present one, -1 the one before, 1 the first that is known.
    pub boot: Option<i64>,
    /// Nothing that is less serious than this level; 0 is the most serious one.
    pub level: Option<u8>,
    /// As lines of JSON.
    pub json: bool,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who has written it.
    pub service: String,
    /// When it came: `2026-11-22T08:20:12.345Z`.
    pub time: String,
    /// The boot in which it came; empty if that is not known.
    pub boot: String,
    /// How serious it says that it is.
    pub priority: Option<Priority>,
    /// Who has written it to `/dev/log`, as that says itself, and the number of its process.
    pub heard: Option<(String, Option<u32>)>,
    /// The line.
    pub text: String,
}

/// What `query` asks for, to be printed.
///
/// # Errors
/// A log cannot be read (only root may), or there is no such boot.
pub fn read(query: &Query) -> Result<String, ControlError> {
    let directory = super::logs();
    let current = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let entries = entries(directory, &query.services)?;
    let chosen = choose(entries, query, current.trim_end())?;
    Ok(chosen.iter().map(|entry| show(entry, query)).collect())
}

/// The last `count` lines of a service's log, as they stand there.
///
/// # Errors
/// The log cannot be read; that it does not exist yet is an empty one.
pub fn last_lines(name: &ServiceName, count: usize) -> Result<String, ControlError> {
    read(&Query {
        services: vec![name.clone()],
        lines: Some(count),
        ..Query::default()
    })
}

/// As [`read`], and then what comes, until `out` or a log breaks.
///
/// # Errors
/// A log cannot be read, or `out` not be written.
pub fn follow(query: &Query, out: &mut impl Write) -> Result<(), ControlError> {
    let directory = super::logs();
    let failed = |source| ControlError::Log {
        path: directory.to_owned(),
        source,
    };
    // Before what is there is read: what comes in between would be lost.
    let mut followed: BTreeMap<String, Followed> = BTreeMap::new();
    for name in files(directory, &query.services)? {
        let path = path_of(directory, &name);
        followed.insert(name, Followed::from_end(&path).map_err(failed)?);
    }
    out.write_all(read(query)?.as_bytes()).map_err(failed)?;
    loop {
        out.flush().map_err(failed)?;
        std::thread::sleep(FOLLOW);
        let mut news = Vec::new();
        for name in files(directory, &query.services)? {
            let path = path_of(directory, &name);
            let file = followed.entry(name.clone()).or_default();
            let lines = file.news(&path).map_err(failed)?;
            news.extend(of_services(parse(&name, &lines), &name, &query.services));
        }
        news.retain(|entry| is_serious(entry, query.level));
        news.sort_by(|one, other| one.time.cmp(&other.time));
        for entry in &news {
            out.write_all(show(entry, query).as_bytes())
                .map_err(failed)?;
        }
    }
}

fn show(entry: &Entry, query: &Query) -> String {
    let Entry {
        service,
        time,
        boot,
        priority,
        heard,
        text,
    } = entry;
    if query.json {
        let mut value = serde_json::json!({
            "time": time, "service": service, "boot": boot, "message": text,
        });
        if let (Some(priority), Some(value)) = (priority, value.as_object_mut()) {
            value.insert("level".to_owned(), priority.level_name().into());
            if let Some((identifier, pid)) = heard {
                value.insert("facility".to_owned(), priority.facility_name().into());
                value.insert("identifier".to_owned(), identifier.as_str().into());
                value.insert("pid".to_owned(), (*pid).into());
            }
        }
        return format!("{value}\n");
    }
    let level = priority.map_or(String::new(), |priority| match priority.level() {
        // Nothing out of the ordinary.
        5 | 6 => String::new(),
        _ => format!("[{}] ", priority.level_name()),
    });
    let who = match heard {
        Some((identifier, Some(pid))) => format!("{identifier}[{pid}]: "),
        Some((identifier, None)) => format!("{identifier}: "),
        None => String::new(),
    };
    if query.services.len() == 1 {
        let stamp = if time.is_empty() { "" } else { " " };
        format!("{time}{stamp}{level}{who}{text}\n")
    } else {
        format!("{time} {service}: {level}{who}{text}\n")
    }
}

/// All lines of these services, or of all, in the order of their times; lines of one service stay in
/// their order.
fn entries(directory: &Path, services: &[ServiceName]) -> Result<Vec<Entry>, ControlError> {
    let files = files(directory, services)?;
    let mut all = Vec::new();
    let mut sources = 0;
    for name in &files {
        let path = path_of(directory, name);
        let older = read_if_there(&path.with_extension("log.1"))?;
        let entries = parse(name, &(older + &read_if_there(&path)?));
        let before = all.len();
        all.extend(of_services(entries, name, services));
        sources += usize::from(all.len() > before);
    }
    // A clock that was set back does not turn the order within a service.
    if sources > 1 {
        all.sort_by(|one, other| one.time.cmp(&other.time));
    }
    Ok(all)
}

/// What of the file of `name` is these services': what others have written to `/dev/log` is theirs, and all of it is
/// `syslogd`'s.
fn of_services(
    entries: Vec<Entry>,
    name: &str,
    services: &[ServiceName],
) -> impl Iterator<Item = Entry> {
    let asked = |name: &str| services.iter().any(|service| service.as_str() == name);
    let is_all = services.is_empty() || asked(name);
    entries
        .into_iter()
        .filter(move |entry| is_all || asked(&entry.service))
}

/// Whether it is at least so serious.
fn is_serious(entry: &Entry, level: Option<u8>) -> bool {
    let own = entry.priority.map_or(PLAIN_LEVEL, Priority::level);
    level.is_none_or(|level| own <= level)
}

fn choose(
    mut entries: Vec<Entry>,
    query: &Query,
    current: &str,
) -> Result<Vec<Entry>, ControlError> {
    if let Some(number) = query.boot {
        let boot = boot_of(&entries, number, current).ok_or(ControlError::NoBoot(number))?;
        entries.retain(|entry| entry.boot == boot);
    }
    if let Some(since) = &query.since {
        entries.retain(|entry| entry.time >= *since);
    }
    entries.retain(|entry| is_serious(entry, query.level));
    if let Some(lines) = query.lines {
        entries.drain(..entries.len().saturating_sub(lines));
    }
    Ok(entries)
}

/// The boot of this number. Boots are in the order of their last lines: a clock may be wrong until it
/// is set.
fn boot_of(entries: &[Entry], number: i64, current: &str) -> Option<String> {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.boot.is_empty()) {
        let time = last.entry(&entry.boot).or_default();
        *time = entry.time.as_str().max(time);
    }
    let mut boots: Vec<(&str, &str)> = last
        .into_iter()
        .filter(|(boot, _)| *boot != current)
        .map(|(boot, time)| (time, boot))
        .collect();
    boots.sort_unstable();
    let mut boots: Vec<&str> = boots.into_iter().map(|(_, boot)| boot).collect();
    boots.push(current);
    let place = if number > 0 {
        usize::try_from(number).ok()?.checked_sub(1)?
    } else {
        let back = usize::try_from(number.unsigned_abs()).ok()?;
        boots.len().checked_sub(back.checked_add(1)?)?
    };
    boots.get(place).map(|boot| (*boot).to_owned())
}

/// Reads the text of a log.
fn parse(service: &str, text: &str) -> Vec<Entry> {
    let mut boot = String::new();
    let mut last = String::new();
    let mut entries = Vec::new();
    for line in text.lines() {
        if let Some(id) = line.strip_prefix(BOOT_MARK) {
            id.clone_into(&mut boot);
            continue;
        }
        let (time, text) = timed(line).unwrap_or((&last, line));
        let time = time.to_owned();
        last.clone_from(&time);
        let (priority, text) = match Priority::split(text.as_bytes()) {
            // The number is ASCII.
            Some((priority, rest)) => {
                let rest = text.get(text.len() - rest.len()..);
                (Some(priority), rest.unwrap_or_default())
            }
            None => (None, text),
        };
        let heard = Heard::parse(text).filter(|_| service == SYSLOG_SERVICE && priority.is_some());
        let whose = heard.as_ref().and_then(|heard| heard.service.as_deref());
        entries.push(Entry {
            service: whose.unwrap_or(service).to_owned(),
            time,
            boot: boot.clone(),
            priority,
            text: heard.as_ref().map_or(text, |heard| heard.text).to_owned(),
            heard: heard.map(|heard| (heard.identifier.into_owned(), heard.pid)),
        });
    }
    entries
}

/// The time and the rest of a line. What `cairn switch` tells has none; it stands where it came.
fn timed(line: &str) -> Option<(&str, &str)> {
    let (time, text) = line.split_once(' ')?;
    let is_time = time.len() == TIME_BYTES && time.ends_with('Z') && time.contains('T');
    is_time.then_some((time, text))
}

/// Whose files have what is asked for: the services and what they have written to `/dev/log`, or all that there are.
fn files(directory: &Path, services: &[ServiceName]) -> Result<Vec<String>, ControlError> {
    if !services.is_empty() {
        let mut names: Vec<String> = services.iter().map(ToString::to_string).collect();
        if !names.iter().any(|name| name == SYSLOG_SERVICE) {
            names.push(SYSLOG_SERVICE.to_owned());
        }
        return Ok(names);
    }
    let listing = fs::read_dir(directory).map_err(|source| ControlError::Log {
        path: directory.to_owned(),
        source,
    })?;
    let mut names: Vec<String> = listing
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".log")?.to_owned()))
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn path_of(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.log"))
}

fn read_if_there(path: &Path) -> Result<String, ControlError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ControlError::Log {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn logs() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (file, text) in [
            (
                "web.log.1",
                "-- boot one\n2026-01-01T00:00:00.000Z start\n2026-01-01T00:00:05.000Z work\n",
            ),
            (
                "web.log",
                "-- boot one\n2026-01-01T00:00:09.000Z -- boot two\n-- boot two\n1970-01-01T00:00:03.000Z again\n2026-01-02T00:00:00.000Z clock set\n",
            ),
            (
                "sshd.log",
                "-- boot one\n2026-01-01T00:00:01.000Z listening\n-- boot three\n2026-01-03T00:00:00.000Z bye\n",
            ),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        folder
    }

    fn check(services: &[&str], query: &Query, expected: &Expect) {
        check_in(&logs(), services, query, expected);
    }

    fn check_in(folder: &tempfile::TempDir, services: &[&str], query: &Query, expected: &Expect) {
        let services: Vec<ServiceName> = services
            .iter()
            .map(|name| ServiceName::try_from(*name).unwrap())
            .collect();
        let query = Query {
            services,
            ..query.clone()
        };
        let entries = entries(folder.path(), &query.services).unwrap();
        let text = match choose(entries, &query, "three") {
            Ok(entries) => entries.iter().map(|entry| show(entry, &query)).collect(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn one_service_in_the_order_in_which_it_wrote() {
        check(
            &["web"],
            &Query::default(),
            &expect![[r"
                2026-01-01T00:00:00.000Z start
                2026-01-01T00:00:05.000Z work
                2026-01-01T00:00:09.000Z -- boot two
                1970-01-01T00:00:03.000Z again
                2026-01-02T00:00:00.000Z clock set
            "]],
        );
        let last = Query {
            lines: Some(1),
            json: true,
            ..Query::default()
        };
        check(
            &["web"],
            &last,
            &expect![[r#"
                {"boot":"two","message":"clock set","service":"web","time":"2026-01-02T00:00:00.000Z"}
            "#]],
        );
    }

    #[test]
    fn all_services_by_their_times() {
        let since = Query {
            since: Some("2026-01-01T00:00:01.000Z".to_owned()),
            ..Query::default()
        };
        check(
            &[],
            &since,
            &expect![[r"
                2026-01-01T00:00:01.000Z sshd: listening
                2026-01-01T00:00:05.000Z web: work
                2026-01-01T00:00:09.000Z web: -- boot two
                2026-01-02T00:00:00.000Z web: clock set
                2026-01-03T00:00:00.000Z sshd: bye
            "]],
        );
    }

    #[test]
    fn what_is_in_the_system_log_is_its_services() {
        let folder = logs();
        for (file, text) in [
            (
                "syslogd.log",
                "-- boot three\n2026-01-03T00:00:00.500Z <35>sshd sshd[7]: denied: <3>x\n\
                 2026-01-03T00:00:00.600Z <38>sshd sshd: allowed\n\
                 2026-01-03T00:00:00.700Z <15>- me[8]: of nobody\n\
                 2026-01-03T00:00:00.800Z it says that itself\n",
            ),
            (
                "sshd.log",
                "-- boot three\n2026-01-03T00:00:00.550Z <4>careful\n2026-01-03T00:00:00.900Z plain\n\
                 2026-01-03T00:00:01.000Z <38>web web[1]: its own text\n",
            ),
        ] {
            fs::write(folder.path().join(file), text).unwrap();
        }
        let all = Query::default();
        check_in(
            &folder,
            &["sshd"],
            &all,
            &expect![[r#"
            2026-01-03T00:00:00.500Z [err] sshd[7]: denied: <3>x
            2026-01-03T00:00:00.550Z [warning] careful
            2026-01-03T00:00:00.600Z sshd: allowed
            2026-01-03T00:00:00.900Z plain
            2026-01-03T00:00:01.000Z web web[1]: its own text
        "#]],
        );
        check_in(
            &folder,
            &["syslogd"],
            &all,
            &expect![[r#"
            2026-01-03T00:00:00.500Z [err] sshd[7]: denied: <3>x
            2026-01-03T00:00:00.600Z sshd: allowed
            2026-01-03T00:00:00.700Z [debug] me[8]: of nobody
            2026-01-03T00:00:00.800Z it says that itself
        "#]],
        );
        let serious = Query {
            level: Some(4),
            ..Query::default()
        };
        check_in(
            &folder,
            &[],
            &serious,
            &expect![[r#"
            2026-01-03T00:00:00.500Z sshd: [err] sshd[7]: denied: <3>x
            2026-01-03T00:00:00.550Z sshd: [warning] careful
        "#]],
        );
        let json = Query {
            json: true,
            since: Some("2026-01-03T00:00:00.550Z".to_owned()),
            ..Query::default()
        };
        check_in(
            &folder,
            &["sshd", "syslogd"],
            &json,
            &expect![[r#"
            {"boot":"three","level":"warning","message":"careful","service":"sshd","time":"2026-01-03T00:00:00.550Z"}
            {"boot":"three","facility":"auth","identifier":"sshd","level":"info","message":"allowed","pid":null,"service":"sshd","time":"2026-01-03T00:00:00.600Z"}
            {"boot":"three","facility":"user","identifier":"me","level":"debug","message":"of nobody","pid":8,"service":"syslogd","time":"2026-01-03T00:00:00.700Z"}
            {"boot":"three","message":"it says that itself","service":"syslogd","time":"2026-01-03T00:00:00.800Z"}
            {"boot":"three","message":"plain","service":"sshd","time":"2026-01-03T00:00:00.900Z"}
            {"boot":"three","level":"info","message":"web web[1]: its own text","service":"sshd","time":"2026-01-03T00:00:01.000Z"}
        "#]],
        );
    }

    #[test]
    fn boots_are_counted_from_either_end() {
        let boot = |number| Query {
            boot: Some(number),
            ..Query::default()
        };
        for number in [-1, 2] {
            check(
                &[],
                &boot(number),
                &expect![[r"
                    1970-01-01T00:00:03.000Z web: again
                    2026-01-02T00:00:00.000Z web: clock set
                "]],
            );
        }
        check(
            &[],
            &boot(0),
            &expect![[r"
                2026-01-03T00:00:00.000Z sshd: bye
            "]],
        );
        // It has written nothing in this one.
        check(&["web"], &boot(0), &expect![""]);
        check(
            &[],
            &boot(-3),
            &expect!["the logs have no boot -3; cairn log --boot 1 is the first that they have"],
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(-- boot [a-z]{0,3}|[0-9TZ]{0,6} ?[a-zö -]{0,8}|\n){0,12}") {
            let lines = text.lines().filter(|line| !line.starts_with(BOOT_MARK)).count();
            proptest::prop_assert_eq!(parse("x", &text).len(), lines);
        }
    }
}
