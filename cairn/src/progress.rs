//! What a build shows while it runs.

use std::time::Duration;

use cairn_store::{Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};

/// A bar that counts derivations; on what is no terminal, nothing but errors is shown.
pub struct BuildProgress {
    bar: ProgressBar,
}

impl BuildProgress {
    /// A bar that is not drawn before the number of builds is known.
    #[must_use]
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("building [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
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
            Event::Planned { builds } => self.bar.set_length(*builds as u64),
            Event::Started { derivation } => {
                self.bar
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
                self.bar.inc(1);
            }
            Event::Cached { .. } | Event::Failed { .. } => {}
        }
    }
}

impl Drop for BuildProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
