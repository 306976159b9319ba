//! `cairn log`: what services have written, read from the supervisor's files.
//!
//! A file has a line `<time> <text>` for each line that came, and before the first one of each boot a
//! line `-- boot <id>`, which no service can write: all that they write stands behind a time.
//! What came before the newest mebibyte is in a second file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_system::ServiceName;
use cairn_system::control::BOOT_MARK;

use super::ControlError;
use super::follow::Followed;

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// Length of a time: `2026-11-22T08:20:12.345Z`.
const TIME_BYTES: usize = 24;

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
    for name in names(directory, &query.services)? {
        let path = path_of(directory, &name);
        followed.insert(name, Followed::from_end(&path).map_err(failed)?);
    }
    out.write_all(read(query)?.as_bytes()).map_err(failed)?;
    loop {
        out.flush().map_err(failed)?;
        std::thread::sleep(FOLLOW);
        let mut news = Vec::new();
        for name in names(directory, &query.services)? {
            let path = path_of(directory, &name);
            let file = followed.entry(name.clone()).or_default();
            news.extend(parse(&name, &file.news(&path).map_err(failed)?));
        }
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
        text,
    } = entry;
    if query.json {
        let value = serde_json::json!({
            "time": time, "service": service, "boot": boot, "message": text,
        });
        format!("{value}\n")
    } else if query.services.len() == 1 {
        let stamp = if time.is_empty() { "" } else { " " };
        format!("{time}{stamp}{text}\n")
    } else {
        format!("{time} {service}: {text}\n")
    }
}

/// All lines of these services, or of all, in the order of their times; lines of one service stay in
/// their order.
fn entries(directory: &Path, services: &[ServiceName]) -> Result<Vec<Entry>, ControlError> {
    let mut all = Vec::new();
    for name in names(directory, services)? {
        let path = path_of(directory, &name);
        let older = read_if_there(&path.with_extension("log.1"))?;
        all.extend(parse(&name, &(older + &read_if_there(&path)?)));
    }
    // A clock that was set back does not turn the order within a service.
    if services.len() != 1 {
        all.sort_by(|one, other| one.time.cmp(&other.time));
    }
    Ok(all)
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
        entries.push(Entry {
            service: service.to_owned(),
            time,
            boot: boot.clone(),
            text: text.to_owned(),
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

/// The services that are asked for, or all that have written something.
fn names(directory: &Path, services: &[ServiceName]) -> Result<Vec<String>, ControlError> {
    if !services.is_empty() {
        return Ok(services.iter().map(ToString::to_string).collect());
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
        let folder = logs();
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
