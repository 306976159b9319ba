//! One case of the suite, run as the suite's own script `lang.sh` runs it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bstr::ByteSlice as _;

/// No case takes long; one that does hangs.
const DEADLINE: Duration = Duration::from_mins(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ParseFail,
    ParseOkay,
    EvalFail,
    EvalOkay,
}

const KINDS: [(&str, Kind); 4] = [
    ("parse-fail-", Kind::ParseFail),
    ("parse-okay-", Kind::ParseOkay),
    ("eval-fail-", Kind::EvalFail),
    ("eval-okay-", Kind::EvalOkay),
];

pub struct Case {
    pub name: String,
    kind: Kind,
    file: PathBuf,
}

pub enum Outcome {
    Passed,
    Failed(String),
}

/// What a run gave.
struct Run {
    success: bool,
    output: Vec<u8>,
    errors: String,
}

impl Case {
    /// All cases in the folder, sorted by name.
    pub fn all(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
        let mut cases: Vec<Self> = entries
            .filter_map(|entry| {
                let file = entry.unwrap().path();
                let name = file.file_name()?.to_str()?.strip_suffix(".nix")?.to_owned();
                let (_, kind) = KINDS.iter().find(|(prefix, _)| name.starts_with(prefix))?;
                Some(Self {
                    name,
                    kind: *kind,
                    file,
                })
            })
            .collect();
        cases.sort_by(|one, other| one.name.cmp(&other.name));
        cases
    }

    pub fn run(&self, program: &Path, suite: &Path, home: &Path) -> Outcome {
        let newer = crate::is_newer(suite);
        let nix = |words: &[&str]| self.invoke(program, suite, home, words);
        let relative = format!("lang/{}.nix", self.name);
        match self.kind {
            Kind::ParseFail => fails(&nix(&["--parse", "-"])),
            Kind::ParseOkay => {
                let run = nix(&["--parse", "-"]);
                match self.expected("exp") {
                    Some(expected) if newer => gives(&run, &expected),
                    _ => succeeds(&run),
                }
            }
            Kind::EvalFail => {
                let flags = self.flags();
                let mut words: Vec<&str> = flags.iter().map(String::as_str).collect();
                if !newer {
                    words.push("--eval");
                } else if words.is_empty() {
                    words.extend(["--eval", "--strict", "--show-trace"]);
                }
                words.push(&relative);
                fails(&nix(&words))
            }
            Kind::EvalOkay => self.evaluates(&relative, &nix),
        }
    }

    fn evaluates(&self, relative: &str, nix: &dyn Fn(&[&str]) -> Run) -> Outcome {
        let flags = self.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        if let Some(expected) = self.expected("exp") {
            let words = [flags.as_slice(), &["--eval", "--strict", relative]].concat();
            if let failed @ Outcome::Failed(_) = gives(&nix(&words), &expected) {
                return failed;
            }
        }
        if let Some(expected) = self.expected("exp.xml") {
            let words = ["--eval", "--xml", "--no-location", "--strict", relative];
            return gives(&nix(&words), &expected);
        }
        Outcome::Passed
    }

    fn expected(&self, extension: &str) -> Option<Vec<u8>> {
        fs::read(self.file.with_extension(extension)).ok()
    }

    fn flags(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file.with_extension("flags")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split('#').next());
        lines
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    }

    fn invoke(&self, program: &Path, suite: &Path, home: &Path, words: &[&str]) -> Run {
        let newer = crate::is_newer(suite);
        let reads = words.contains(&"-");
        let input = if reads {
            Stdio::from(File::open(&self.file).unwrap())
        } else {
            Stdio::null()
        };
        let (mut output, mut errors) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut child = Command::new(program)
            .args(words)
            .current_dir(suite)
            .stdin(input)
            .stdout(output.try_clone().unwrap())
            .stderr(errors.try_clone().unwrap())
            .env("HOME", if newer { Path::new("/fake-home") } else { home })
            .env("TEST_VAR", "foo")
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_PATH", "lang/dir3:lang/dir4")
            .spawn()
            .unwrap();
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if begin.elapsed() > DEADLINE {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut run = Run {
            success: status == Some(0),
            output: Vec::new(),
            errors: String::new(),
        };
        output.rewind().unwrap();
        output.read_to_end(&mut run.output).unwrap();
        if newer {
            // Places are told as if the suite lay there.
            let folder = suite.to_str().unwrap();
            run.output = run.output.replace(folder, "/pwd");
        }
        errors.rewind().unwrap();
        let mut bytes = Vec::new();
        errors.read_to_end(&mut bytes).unwrap();
        run.errors = String::from_utf8_lossy(&bytes).into_owned();
        // A failure is one error with its own status, not a crash or a case that hangs.
        assert!(
            matches!(status, Some(0 | 1)),
            "{}: ended with {status:?}\n{}",
            self.name,
            run.errors
        );
        run
    }
}

fn succeeds(run: &Run) -> Outcome {
    if run.success {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("should succeed:\n{}", run.errors))
    }
}

fn fails(run: &Run) -> Outcome {
    if !run.success {
        return Outcome::Passed;
    }
    Outcome::Failed(format!(
        "should fail, but gives:\n{}\n{}",
        String::from_utf8_lossy(&run.output),
        run.errors
    ))
}

fn gives(run: &Run, expected: &[u8]) -> Outcome {
    if let failed @ Outcome::Failed(_) = succeeds(run) {
        return failed;
    }
    if run.output == expected {
        return Outcome::Passed;
    }
    let shown = |bytes: &[u8]| -> String {
        let text = String::from_utf8_lossy(bytes);
        text.chars().take(2000).collect()
    };
    Outcome::Failed(format!(
        "expected:\n{}\ngot:\n{}\n{}",
        shown(expected),
        shown(&run.output),
        run.errors
    ))
}
