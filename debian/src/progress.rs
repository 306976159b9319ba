//! How far downloads are: a bar on a screen, else a line every few seconds, or nothing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::Terminal;

/// Time between two lines where there is no screen.
const INTERVAL: Duration = Duration::from_secs(5);

/// Whether progress is shown on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// A bar on a screen, else lines.
    #[default]
    Progress,
    /// Nothing.
    Nothing,
}

/// The progress of a set of downloads; threads share it.
pub(crate) struct Progress {
    what: String,
    total: u64,
    done: AtomicU64,
    display: Display,
}

enum Display {
    Bar(ProgressBar),
    Lines(Mutex<Instant>),
    Nothing,
}

impl Progress {
    /// For `total` bytes of `what`.
    pub(crate) fn new(what: String, total: u64, show: Show) -> Self {
        let display = if show == Show::Nothing {
            Display::Nothing
        } else if Terminal::of_errors() == Terminal::Screen {
            let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
            let style = ProgressStyle::with_template(template);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            Display::Bar(
                ProgressBar::new(total)
                    .with_style(style)
                    .with_message(what.clone()),
            )
        } else {
            Display::Lines(Mutex::new(Instant::now()))
        };
        Self {
            what,
            total,
            done: AtomicU64::new(0),
            display,
        }
    }

    /// Nothing is shown.
    pub(crate) fn hidden() -> Self {
        Self::new(String::new(), 0, Show::Nothing)
    }

    pub(crate) fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.show(done);
    }

    /// Takes back what has to be fetched again.
    pub(crate) fn retreat(&self, bytes: u64) {
        let done = self
            .done
            .fetch_sub(bytes, Ordering::Relaxed)
            .saturating_sub(bytes);
        self.show(done);
    }

    pub(crate) fn finish(&self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }

    fn show(&self, done: u64) {
        match &self.display {
            Display::Bar(bar) => bar.set_position(done),
            Display::Lines(last) => {
                // Whoever holds the lock writes the line.
                let Ok(mut last) = last.try_lock() else {
                    return;
                };
                if last.elapsed() >= INTERVAL {
                    *last = Instant::now();
                    let mib = |bytes: u64| bytes >> 20;
                    eprintln!("{}: {} of {} MiB", self.what, mib(done), mib(self.total));
                }
            }
            Display::Nothing => {}
        }
    }
}
