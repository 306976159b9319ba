//! What a long step shows while it runs: a bar on a screen, a line now and then on a serial port, nothing on
//! what is no terminal.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use cairn_debian::Terminal;
use cairn_store::{Event, Observer};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two lines on a serial port.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Things.
    Things,
    /// Bytes.
    Bytes,
}

/// How far a step is; it is gone when the value is.
pub(crate) struct Meter {
    bar: ProgressBar,
    verb: &'static str,
    unit: Unit,
    /// When the last line was written, where there are lines.
    lines: Option<Mutex<Instant>>,
}

impl Meter {
    /// Nothing yet; `verb` is what is done, `rest` what the bar's line says beside it, in indicatif's words.
    pub fn new(verb: &'static str, rest: &str, unit: Unit) -> Self {
        let terminal = Terminal::of_errors();
        let bar = ProgressBar::no_length();
        if terminal != Terminal::Screen {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template(&format!("{verb} {rest}")) {
            bar.set_style(style);
        }
        Self {
            bar,
            verb,
            unit,
            lines: (terminal == Terminal::Line).then(|| Mutex::new(Instant::now())),
        }
    }

    /// Lets time pass on the screen, even when nothing else happens.
    pub fn tick(&self) {
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }

    /// How much there is to do.
    pub fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }

    /// What is done now.
    pub fn set_message(&self, message: String) {
        self.bar.set_message(message);
    }

    /// So much more is done.
    pub fn advance(&self, more: u64) {
        self.bar.inc(more);
        // Whoever holds the lock writes the line.
        if let Some(mut last) = self.lines.as_ref().and_then(|last| last.try_lock().ok())
            && last.elapsed() >= INTERVAL
        {
            *last = Instant::now();
            eprintln!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        let amount = |count: u64| match self.unit {
            Unit::Things => count.to_string(),
            Unit::Bytes => HumanBytes(count).to_string(),
        };
        let done = amount(self.bar.position());
        let mut line = format!("{}: {done}", self.verb);
        if let Some(length) = self.bar.length() {
            line = format!("{line} of {}", amount(length));
        }
        match self.bar.message() {
            message if message.is_empty() => line,
            message => format!("{line} {message}"),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Derivations that are built.
pub struct BuildProgress {
    meter: Meter,
}

impl BuildProgress {
    /// A bar that is not drawn before the number of builds is known.
    #[must_use]
    pub fn new() -> Self {
        let meter = Meter::new("building", "[{bar:30}] {pos}/{len} {msg}", Unit::Things);
        meter.tick();
        Self { meter }
    }
}

impl Default for BuildProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for BuildProgress {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Planned { builds } => self.meter.set_length(*builds as u64),
            Event::Started { derivation } => {
                self.meter
                    .set_message(derivation.name().trim_end_matches(".drv").to_owned());
            }
            Event::Finished {
                derivation,
                build,
                scan,
                nar_size,
            } => {
                log::debug!(
                    "{derivation}: built in {build:.1?}, scanned {nar_size} bytes in {scan:.1?}"
                );
                self.meter.advance(1);
            }
            Event::Cached { .. } | Event::Failed { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let meter = Meter::new("copying", "{bar}", Unit::Bytes);
        assert_eq!(meter.line(), "copying: 0 B");
        meter.set_length(3 << 20);
        meter.advance(1 << 20);
        meter.set_message("a file".to_owned());
        assert_eq!(meter.line(), "copying: 1.00 MiB of 3.00 MiB a file");
        let meter = Meter::new("removing", "{pos}", Unit::Things);
        meter.advance(12);
        assert_eq!(meter.line(), "removing: 12");
    }
}
