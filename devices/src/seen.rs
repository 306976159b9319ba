//! What others see of the whole: `/run/udev/queue`, which is there while something is to be done, and the word that
//! devices are ready.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::path::named;

/// Whoever waits for devices waits so long for all that were there at the start.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many devices are named that have not answered.
const NAMED: usize = 8;

pub(crate) struct Seen {
    queue: PathBuf,
    ready: Box<dyn Fn()>,
    /// When it is said to be ready though something has not answered; none once it was said.
    ready_by: Option<Instant>,
    /// Whether it was said that nobody can see the queue.
    is_told: bool,
}

impl Seen {
    pub(crate) fn new(queue: PathBuf, ready: Box<dyn Fn()>) -> Self {
        Self {
            queue,
            ready,
            ready_by: Some(Instant::now() + PATIENCE),
            is_told: false,
        }
    }

    /// Whether there is something to do. That it cannot be said, as on a full file system, is no reason to do nothing.
    pub(crate) fn say(&mut self, is_quiet: bool) {
        let said = match is_quiet {
            true => fs::remove_file(&self.queue),
            false if self.queue.exists() => Ok(()),
            false => fs::write(&self.queue, ""),
        };
        match said {
            Err(error) if error.kind() != io::ErrorKind::NotFound || !is_quiet => {
                if !self.is_told {
                    let error = named(&self.queue, &error);
                    log::warn!("nobody can wait for devices to be handled: {error}");
                }
                self.is_told = true;
            }
            _ => self.is_told = false,
        }
    }

    /// Says once that devices are ready: those that have not answered in time, `open`, are named.
    pub(crate) fn say_ready<'a>(&mut self, is_quiet: bool, open: impl Iterator<Item = &'a str>) {
        let Some(by) = self.ready_by else { return };
        if !is_quiet && Instant::now() < by {
            return;
        }
        self.ready_by = None;
        if !is_quiet {
            let names = open.take(NAMED).collect::<Vec<_>>().join(", ");
            log::warn!("devices count as ready, though these have not answered: {names}");
        }
        (self.ready)();
    }

    /// When it is to be said at the latest; none once it was said.
    pub(crate) fn ready_by(&self) -> Option<Instant> {
        self.ready_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[test]
    fn it_is_ready_once_and_does_not_wait_forever() {
        let folder = tempfile::tempdir().unwrap();
        let seen = || {
            let count = Rc::new(Cell::new(0));
            let counted = Rc::clone(&count);
            let ready = Box::new(move || counted.set(counted.get() + 1));
            (Seen::new(folder.path().join("queue"), ready), count)
        };
        let (mut quiet, count) = seen();
        quiet.say_ready(false, ["/devices/x"].into_iter());
        assert_eq!(count.get(), 0);
        quiet.say_ready(true, std::iter::empty());
        quiet.say_ready(true, std::iter::empty());
        assert_eq!((count.get(), quiet.ready_by()), (1, None));
        let (mut hung, count) = seen();
        hung.ready_by = Some(Instant::now());
        hung.say_ready(false, ["/devices/x"].into_iter());
        assert_eq!(count.get(), 1);
    }

    #[test]
    fn the_queue_is_a_file_and_no_reason_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("state/queue");
        let mut seen = Seen::new(queue.clone(), Box::new(|| {}));
        seen.say(false);
        assert!(seen.is_told);
        fs::create_dir(folder.path().join("state")).unwrap();
        for is_quiet in [false, false, true, true] {
            seen.say(is_quiet);
            assert_eq!((queue.exists(), seen.is_told), (!is_quiet, false));
        }
    }
}
