//! A row of stages of which one that fails does not hide the others.

use std::time::{Duration, Instant};

use anyhow::bail;

/// What has been run so far.
#[derive(Debug, Default)]
pub struct Stages {
    done: Vec<(String, Duration, Result<(), String>)>,
}

impl Stages {
    /// Runs one stage; tells its name before and its failure after.
    pub fn run(&mut self, name: &str, stage: impl FnOnce() -> anyhow::Result<()>) -> bool {
        eprintln!("\n=== {name}");
        let begin = Instant::now();
        let result = stage().map_err(|error| format!("{error:#}"));
        if let Err(error) = &result {
            eprintln!("=== {name}: FAILED: {error}");
        }
        let good = result.is_ok();
        self.done.push((name.to_owned(), begin.elapsed(), result));
        good
    }

    /// Prints the summary.
    pub fn finish(self) -> anyhow::Result<()> {
        eprintln!("\n{}", self.summary());
        let failed = self
            .done
            .iter()
            .filter(|(_, _, result)| result.is_err())
            .count();
        if failed > 0 {
            bail!("{failed} of {} stages failed", self.done.len());
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let lines = self.done.iter().map(|(name, took, result)| {
            let word = if result.is_ok() { "ok" } else { "FAILED" };
            format!("{name:<44}{word:<8}{:>8.1} s\n", took.as_secs_f64())
        });
        lines.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_hides_no_later_stage() {
        let mut stages = Stages::default();
        assert!(!stages.run("one", || bail!("no")));
        assert!(stages.run("two", || Ok(())));
        let summary = stages.summary();
        assert!(summary.contains("one") && summary.contains("FAILED"));
        assert!(summary.lines().nth(1).unwrap().contains("ok"));
        assert_eq!(
            stages.finish().unwrap_err().to_string(),
            "1 of 2 stages failed"
        );
    }

    #[test]
    fn all_good_is_good() {
        let mut stages = Stages::default();
        stages.run("one", || Ok(()));
        stages.finish().unwrap();
    }
}
