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

    /// In the words of Rust's test runner, which people and machines know.
    fn summary(&self) -> String {
        let word = |good: bool| if good { "ok" } else { "FAILED" };
        let rows = self.done.iter().map(|(name, took, result)| {
            let (word, took) = (word(result.is_ok()), took.as_secs_f64());
            format!("stage {name} ... {word} ({took:.1} s)\n")
        });
        let rows: String = rows.collect();
        let good = self.done.iter().filter(|(_, _, result)| result.is_ok());
        let passed = good.count();
        let failed = self.done.len() - passed;
        let whole: Duration = self.done.iter().map(|(_, took, _)| *took).sum();
        let (word, whole) = (word(failed == 0), whole.as_secs_f64());
        format!(
            "{rows}\ntest result: {word}. {passed} stages passed; {failed} stages failed; \
             finished in {whole:.2}s"
        )
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
