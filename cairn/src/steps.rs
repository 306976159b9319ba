//! How long the steps of a build take.

use std::time::{Duration, Instant};

use anyhow::Result;

/// The steps that were taken, in their order.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    taken: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Takes the step called `name`.
    ///
    /// # Errors
    /// Those of the step.
    pub fn time<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let result = step();
        let duration = start.elapsed();
        log::info!("{name}: {duration:.2?}");
        self.taken.push((name, duration));
        result
    }

    /// Each step and how long it took.
    #[must_use]
    pub fn taken(self) -> Vec<(&'static str, Duration)> {
        self.taken
    }
}
