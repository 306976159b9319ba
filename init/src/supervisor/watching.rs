//! What a path waits for, by the kernel's events: which folders and files are watched, and what their
//! events mean.
//!
//! Of each path, everything on the way to it is watched for being moved or removed, and the last
//! part that is there for the next one to come. After each event all of that is looked at anew. The
//! queue of events is kept by core: a successor watches the same, and misses nothing.
//!
//! Source: `systemd.path(5)`, `inotify(7)`, `glob(7)`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Component, Path, PathBuf};

use cairn_activate::matching;
use cairn_sys::inotify::{self, Event, Mask};
use cairn_system::ordered;
use cairn_system::{Watch, WatchedPath};

use super::listening::make_directory;

/// It is gone from where it was.
const GONE: Mask = inotify::DELETE_SELF | inotify::MOVE_SELF;

/// The next part of a path may come.
const NEXT: Mask = GONE | inotify::CREATE | inotify::MOVED_TO | inotify::ATTRIBUTES;

/// What is watched now, by its number.
#[derive(Debug, Default)]
pub struct Watching {
    marks: BTreeMap<i32, Vec<Mark>>,
    /// Which of the paths were there when they were last watched.
    there: Vec<bool>,
    /// Nothing has happened to its files since they were looked at.
    pub is_looked_at: bool,
}

/// What a watch is there for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// The path's place in the description.
    path: usize,
    /// It is on the way to this one; none if it is the path itself.
    next: Option<OsString>,
}

impl Watching {
    /// Watches what there is now of all paths. Returns the first that has come or gone since the last
    /// time and counts changes: its folder may have come with it.
    ///
    /// # Errors
    /// No watch is left.
    pub fn renew<'a>(
        &mut self,
        queue: BorrowedFd<'_>,
        watch: &'a Watch,
    ) -> io::Result<Option<&'a str>> {
        let mut all: BTreeSet<i32> = ordered::set(self.marks.keys().copied());
        let mut marks = BTreeMap::new();
        until_known(
            || all_places(watch),
            |places| {
                marks = add(queue, places)?;
                all.extend(marks.keys());
                Ok(())
            },
        )?;
        for old in all.into_iter().filter(|old| !marks.contains_key(old)) {
            inotify::remove(queue, old)?;
        }
        self.marks = marks;
        self.is_looked_at = false;
        let paths = watch.paths.iter();
        let there: Vec<bool> = paths.map(|path| Path::new(path.path()).exists()).collect();
        let before = std::mem::replace(&mut self.there, there.clone());
        let mut paths = watch.paths.iter().zip(before.into_iter().zip(there));
        let other = paths.find(|(path, (before, now))| counts_changes(path) && before != now);
        Ok(other.map(|(path, _)| path.path()))
    }

    /// Whether files are to be looked at, if they are to start something now.
    pub fn is_news(&mut self, listens: bool) -> bool {
        let is_news = listens && !self.is_looked_at;
        self.is_looked_at = listens;
        is_news
    }

    /// The first path of which these events say that it has changed.
    pub fn changed<'a>(&self, watch: &'a Watch, events: &[Event]) -> Option<&'a str> {
        let is_change = |number: usize, event: &Event, next: Option<&OsString>| {
            let path = watch.paths.get(number)?;
            let has_changed = match next {
                None => event.mask & inotify::IGNORED == 0,
                Some(next) => {
                    let comes = event.mask & (inotify::CREATE | inotify::MOVED_TO) != 0;
                    comes && event.name == *next && Path::new(path.path()).exists()
                }
            };
            (has_changed && counts_changes(path)).then_some(path.path())
        };
        events.iter().find_map(|event| {
            if event.watch == inotify::LOST {
                // Anything may have happened.
                let mut paths = watch.paths.iter();
                return paths
                    .find(|path| counts_changes(path))
                    .map(WatchedPath::path);
            }
            let marks = self.marks.get(&event.watch)?;
            marks
                .iter()
                .find_map(|mark| is_change(mark.path, event, mark.next.as_ref()))
        })
    }
}

fn counts_changes(path: &WatchedPath) -> bool {
    matches!(path, WatchedPath::Changed(_) | WatchedPath::Modified(_))
}

/// The first path that is as it waits for, whatever has happened.
pub fn holds(watch: &Watch) -> Option<String> {
    watch.paths.iter().find_map(|path| match path {
        WatchedPath::Exists(path) => Path::new(path.as_str())
            .exists()
            .then(|| path.as_str().to_owned()),
        WatchedPath::ExistsGlob(pattern) => matched(Path::new(pattern.as_str()))
            .first()
            .map(|path| path.display().to_string()),
        WatchedPath::NotEmpty(path) => fs::read_dir(path.as_str())
            .is_ok_and(|mut entries| entries.next().is_some())
            .then(|| path.as_str().to_owned()),
        WatchedPath::Changed(_) | WatchedPath::Modified(_) => None,
    })
}

/// Makes the folders that are waited for, or, of files, those on the way to them.
///
/// # Errors
/// One cannot be made: the message names it.
pub fn make_directories(watch: &Watch) -> io::Result<()> {
    for path in &watch.paths {
        let folder = match path {
            WatchedPath::Exists(_) | WatchedPath::ExistsGlob(_) => continue,
            WatchedPath::Changed(path)
            | WatchedPath::Modified(path)
            | WatchedPath::NotEmpty(path) => Path::new(path.as_str()),
        };
        // A file that is there is watched as it is.
        if !folder.exists() {
            make_directory(folder, watch.directory_mode).map_err(|error| {
                let text = format!("cannot make {}: {error}", folder.display());
                io::Error::new(error.kind(), text)
            })?;
        }
    }
    Ok(())
}

/// So often it is looked again while names come and go. With the last of it come events, and so the next look.
const ROUNDS: usize = 16;

/// Has what is to be watched watched, until that has brought nothing new to light: what came before its folder
/// was watched is in no queue.
///
/// # Errors
/// Those of `watch`.
pub fn until_known<T: PartialEq>(
    look: impl Fn() -> T,
    mut watch: impl FnMut(&T) -> io::Result<()>,
) -> io::Result<()> {
    let mut known = look();
    for _ in 0..ROUNDS {
        watch(&known)?;
        let now = look();
        if now == known {
            break;
        }
        known = now;
    }
    Ok(())
}

/// Something to be watched.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    at: PathBuf,
    mask: Mask,
    mark: Mark,
}

/// What is to be watched for all paths that are waited for.
fn all_places(watch: &Watch) -> Vec<Place> {
    let paths = watch.paths.iter().enumerate();
    let places = paths.flat_map(|(path, watched)| {
        let places = places(watched).into_iter();
        places.map(move |(at, mask, next)| Place {
            at,
            mask,
            mark: Mark { path, next },
        })
    });
    places.collect()
}

/// Watches these places; what each number stands for.
fn add(queue: BorrowedFd<'_>, places: &[Place]) -> io::Result<BTreeMap<i32, Vec<Mark>>> {
    let mut bits_of: BTreeMap<&Path, Mask> = BTreeMap::new();
    for Place { at, mask, .. } in places {
        *bits_of.entry(at).or_default() |= mask;
    }
    let mut marks: BTreeMap<i32, Vec<Mark>> = BTreeMap::new();
    for Place { at, mask, mark } in places {
        let mask = bits_of.get(at.as_path()).unwrap_or(mask);
        match inotify::add(queue, at, *mask) {
            Ok(watch) => marks.entry(watch).or_default().push(mark.clone()),
            // It has gone since: the folder that it was in says so.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let text = format!("cannot watch {}: {error}", at.display());
                return Err(io::Error::new(error.kind(), text));
            }
        }
    }
    Ok(marks)
}

/// What is to be watched for a path: where, for what, and on the way to which part.
fn places(path: &WatchedPath) -> Vec<(PathBuf, Mask, Option<OsString>)> {
    let own = match path {
        WatchedPath::Exists(_) | WatchedPath::ExistsGlob(_) => GONE | inotify::ATTRIBUTES,
        WatchedPath::Changed(_) => {
            NEXT | inotify::CLOSE_WRITE | inotify::DELETE | inotify::MOVED_FROM
        }
        WatchedPath::Modified(_) => {
            NEXT | inotify::CLOSE_WRITE | inotify::DELETE | inotify::MOVED_FROM | inotify::MODIFY
        }
        WatchedPath::NotEmpty(_) => NEXT,
    };
    let mut places: Vec<(PathBuf, Mask, Option<OsString>)> = Vec::new();
    let mut here = vec![PathBuf::from("/")];
    let mut is_pattern = false;
    let parts = Path::new(path.path()).components();
    for name in parts.filter_map(name_of) {
        let is_glob = matches!(path, WatchedPath::ExistsGlob(_));
        is_pattern |= is_glob && name.to_string_lossy().contains(['*', '?', '[']);
        // Of a pattern several may come, in each of several folders.
        let next: Vec<PathBuf> = if is_pattern {
            let patterns = here.iter().map(|place| place.join(name));
            patterns.flat_map(|pattern| matched(&pattern)).collect()
        } else {
            here.iter()
                .map(|place| place.join(name))
                .filter(|path| path.exists())
                .collect()
        };
        let mask = if is_pattern || next.is_empty() {
            NEXT
        } else {
            GONE
        };
        places.extend(
            here.into_iter()
                .map(|place| (place, mask, Some(name.to_owned()))),
        );
        here = next;
    }
    places.extend(here.into_iter().map(|place| (place, own, None)));
    places
}

fn name_of(part: Component<'_>) -> Option<&std::ffi::OsStr> {
    match part {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

/// A folder that cannot be read has nothing that matches.
fn matched(pattern: &Path) -> Vec<PathBuf> {
    matching(Path::new("/"), pattern).unwrap_or_else(|error| {
        log::debug!("{error}");
        Vec::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn watch(paths: &str) -> Watch {
        serde_json::from_str(&format!(r#"{{"service":"x","paths":[{paths}]}}"#)).unwrap()
    }

    /// What is seen of a path after each of these steps.
    fn check(kind: &str, path: &str, steps: &[fn(&Path)]) -> Vec<(bool, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let watch = watch(&format!(r#"{{"{kind}":"{}/{path}"}}"#, root.display()));
        let queue = inotify::open().unwrap();
        let mut watching = Watching::default();
        watching.renew(queue.as_fd(), &watch).unwrap();
        let mut seen = Vec::new();
        for step in steps {
            step(root);
            let mut changed = false;
            loop {
                let events = inotify::read(queue.as_fd()).unwrap();
                if events.is_empty() {
                    break;
                }
                changed |= watching.changed(&watch, &events).is_some();
                changed |= watching.renew(queue.as_fd(), &watch).unwrap().is_some();
            }
            seen.push((changed, holds(&watch).is_some()));
        }
        seen
    }

    fn make(root: &Path) {
        fs::create_dir_all(root.join("a/b")).unwrap();
    }

    fn fill(root: &Path) {
        fs::write(root.join("a/b/c"), "x").unwrap();
    }

    fn empty(root: &Path) {
        fs::remove_file(root.join("a/b/c")).unwrap();
    }

    fn replace(root: &Path) {
        fs::write(root.join("a/b/new"), "y").unwrap();
        fs::rename(root.join("a/b/new"), root.join("a/b/c")).unwrap();
    }

    fn append(root: &Path) {
        use std::io::Write;
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(root.join("a/b/c"))
            .unwrap();
        file.write_all(b"z").unwrap();
        std::mem::forget(file); // it stays open for writing
    }

    fn move_away(root: &Path) {
        fs::rename(root.join("a"), root.join("old")).unwrap();
    }

    #[test]
    fn what_comes_below_folders_that_come() {
        let steps: [fn(&Path); 5] = [make, fill, empty, move_away, make];
        let held = |kind, path| {
            check(kind, path, &steps)
                .into_iter()
                .map(|(_, holds)| holds)
        };
        let all = |kind, path| held(kind, path).collect::<Vec<_>>();
        assert_eq!(all("exists", "a/b/c"), [false, true, false, false, false]);
        assert_eq!(all("exists", "a/b"), [true, true, true, false, true]);
        assert_eq!(
            all("exists-glob", "a/b/?"),
            [false, true, false, false, false]
        );
        assert_eq!(
            all("exists-glob", "*/b/c"),
            [false, true, false, false, false]
        );
        assert_eq!(all("not-empty", "a/b"), [false, true, false, false, false]);
    }

    #[test]
    fn what_goes_and_comes_at_once() {
        let again: fn(&Path) = |root| {
            fs::remove_dir_all(root.join("a")).unwrap();
            make(root);
            fill(root);
        };
        let steps: [fn(&Path); 4] = [make, again, again, empty];
        assert_eq!(
            check("changed", "a/b/c", &steps),
            [(false, false), (true, false), (true, false), (true, false)]
        );
    }

    #[test]
    fn what_comes_while_it_is_looked_at() {
        for _ in 0..300 {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path();
            let watch = watch(&format!(r#"{{"changed":"{}/a/b/c"}}"#, root.display()));
            let queue = inotify::open().unwrap();
            let mut watching = Watching::default();
            watching.renew(queue.as_fd(), &watch).unwrap();
            let mut changes = || {
                let mut changes = false;
                loop {
                    let events = inotify::read(queue.as_fd()).unwrap();
                    if events.is_empty() {
                        return changes;
                    }
                    changes |= watching.changed(&watch, &events).is_some();
                    changes |= watching.renew(queue.as_fd(), &watch).unwrap().is_some();
                }
            };
            std::thread::scope(|scope| {
                let maker = scope.spawn(|| {
                    make(root);
                    fill(root);
                });
                while !maker.is_finished() {
                    changes();
                }
            });
            changes();
            fill(root);
            assert!(changes());
        }
    }

    #[test]
    fn events_that_are_lost_count() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display();
        let lost = |paths: &str| {
            let watch = watch(paths);
            let queue = inotify::open().unwrap();
            let mut watching = Watching::default();
            watching.renew(queue.as_fd(), &watch).unwrap();
            let most = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
            let most: usize = most.trim().parse().unwrap();
            // Each event is of another file than the last: the kernel adds up those that are the same.
            for number in 0..=most {
                let file = folder.path().join((number % 2).to_string());
                fs::write(file, "x").unwrap();
            }
            let mut events = Vec::new();
            loop {
                match inotify::read(queue.as_fd()).unwrap() {
                    new if new.is_empty() => break,
                    new => events = new,
                }
            }
            let last = events.split_off(events.len() - 1);
            assert_eq!(last[0].watch, inotify::LOST);
            watching.changed(&watch, &last).map(str::to_owned)
        };
        let changed = format!(r#"{{"exists":"/nonexistent"}},{{"changed":"{root}"}}"#);
        assert_eq!(lost(&changed), Some(root.to_string()));
    }

    #[test]
    fn what_is_changed() {
        let steps: [fn(&Path); 8] = [make, fill, fill, append, replace, empty, move_away, make];
        let changed = |kind, path| {
            check(kind, path, &steps)
                .into_iter()
                .map(|(changed, _)| changed)
        };
        let all = |kind, path| changed(kind, path).collect::<Vec<_>>();
        let of_file = [false, true, true, false, true, true, false, false];
        assert_eq!(all("changed", "a/b/c"), of_file);
        let of_file = [false, true, true, true, true, true, false, false];
        assert_eq!(all("modified", "a/b/c"), of_file);
        let of_folder = [true, true, true, false, true, true, true, true];
        assert_eq!(all("changed", "a/b"), of_folder);
    }
}
