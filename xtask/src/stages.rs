//! A row of stages of which one that fails does not hide the others.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What has been run so far.
#[derive(Debug)]
pub struct Stages {
    begin: Instant,
    done: Vec<(String, Duration, Result<(), String>)>,
}

impl Stages {
    /// Nothing has been run.
    pub fn new() -> Self {
        Self {
            begin: Instant::now(),
            done: Vec::new(),
        }
    }

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

    /// Runs stages side by side, `lanes` at a time, beginning in their order. What one writes is printed
    /// when it has ended.
    pub fn run_together(&mut self, lanes: usize, stages: Vec<(String, Command)>) {
        let waiting = Mutex::new(VecDeque::from(stages));
        let done = Mutex::new(Vec::new());
        let next = || {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.pop_front()
        };
        thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    while let Some((name, command)) = next() {
                        eprintln!("=== {name}: begun");
                        let begin = Instant::now();
                        let (output, result) = captured(command);
                        let result = result.map_err(|error| format!("{error:#}"));
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        show(&name, &output, result.as_ref().err());
                        done.push((name, begin.elapsed(), result));
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.done.extend(done);
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
        let (word, whole) = (word(failed == 0), self.begin.elapsed().as_secs_f64());
        format!(
            "{rows}\ntest result: {word}. {passed} stages passed; {failed} stages failed; \
             finished in {whole:.2}s"
        )
    }
}

/// Runs a command; all that it writes, and whether it succeeded.
fn captured(mut command: Command) -> (Vec<u8>, anyhow::Result<()>) {
    let mut output = Vec::new();
    let mut run = || {
        let (mut reader, writer) = io::pipe()?;
        command.stdin(std::process::Stdio::null());
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        // It has the pipe's ends for writing as long as it lives: only those of the child may be left.
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        reader.read_to_end(&mut output)?;
        let status = child.wait()?;
        if !status.success() {
            bail!("it ended with {status}");
        }
        Ok(())
    };
    let result = run();
    (output, result)
}

/// Prints what a stage has written, in one piece.
fn show(name: &str, output: &[u8], failure: Option<&String>) {
    let mut text = format!("\n=== {name}\n").into_bytes();
    text.extend_from_slice(output);
    if let Some(failure) = failure {
        text.extend_from_slice(format!("=== {name}: FAILED: {failure}\n").as_bytes());
    }
    // Nobody is left to be told of a terminal that is gone.
    drop(io::stderr().write_all(&text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_hides_no_later_stage() {
        let mut stages = Stages::new();
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
    fn of_stages_run_together_each_is_told_of() {
        let shell = |name: &str, script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            (name.to_owned(), command)
        };
        let mut stages = Stages::new();
        stages.run_together(
            2,
            vec![
                shell("good", "true"),
                shell("bad", "echo why >&2; exit 3"),
                shell("last", "true"),
            ],
        );
        let mut summary: Vec<_> = (stages.done.iter())
            .map(|(name, _, result)| (name.as_str(), result.clone()))
            .collect();
        summary.sort();
        assert_eq!(
            summary,
            [
                ("bad", Err("it ended with exit status: 3".to_owned())),
                ("good", Ok(())),
                ("last", Ok(())),
            ]
        );
        assert_eq!(
            captured(shell("", "echo one; echo two >&2").1).0,
            b"one\ntwo\n"
        );
    }

    #[test]
    fn all_good_is_good() {
        let mut stages = Stages::new();
        stages.run("one", || Ok(()));
        stages.finish().unwrap();
    }
}
