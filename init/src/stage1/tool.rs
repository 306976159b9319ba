//! Programs of the initrd: what they say goes to the log, and what they read comes from here, so that
//! no secret is on a command line.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use cairn_sys::secret::wipe;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How often the console hears that a program goes on, in milliseconds.
const WORD_MILLISECONDS: u16 = 30_000;

/// A program to run.
#[derive(Debug, Clone, Copy)]
pub struct Tool<'a> {
    /// Its path.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Beside what stage 1's own environment is.
    pub environment: &'a [(&'a str, &'a str)],
    /// What it is doing, for people: "the check of /dev/vda2".
    pub work: &'a str,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; -1 if a signal ended it.
    pub status: i32,
    /// The last lines that it said.
    pub said: String,
}

impl Ended {
    /// The last line that it said.
    #[must_use]
    pub fn last_line(&self) -> &str {
        self.said.lines().last().unwrap_or_default()
    }
}

impl Tool<'_> {
    /// Runs it to its end, with `input` on its standard input. Without a deadline: a check that is cut
    /// off can do more harm than a long boot.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, input: &[u8]) -> io::Result<Ended> {
        self.run_with(input, None)
    }

    /// As [`Self::run`]; its standard output goes to `take`, and not to the log. It is overwritten here.
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, input: &[u8], take: Taker<'_>) -> io::Result<Ended> {
        self.run_with(input, Some(take))
    }

    fn run_with(&self, input: &[u8], mut take: Option<Taker<'_>>) -> io::Result<Ended> {
        let (complaints, writer) = io::pipe()?;
        let output = take.is_some().then(io::pipe).transpose()?;
        let (output, output_writer) = output.unzip();
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .envs(self.environment.iter().copied())
            .stdin(if input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(match output_writer {
                Some(output) => output,
                None => writer.try_clone()?,
            })
            .stderr(writer);
        let mut child = command.spawn()?;
        drop(command); // with our ends of the pipe: its end is the program's end
        if let Some(mut pipe) = child.stdin.take()
            && let Err(error) = pipe.write_all(input)
        {
            log::debug!("{} did not read all: {error}", self.work);
        }
        let name = self.program.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let mut lines = Lines::new(&name);
        let mut log = |bytes: &[u8]| bytes.iter().for_each(|byte| lines.take(*byte));
        let mut sources: Vec<Source<'_>> = vec![(complaints, &mut log)];
        let mut forward = |bytes: &[u8]| take.iter_mut().for_each(|take| take(bytes));
        sources.extend(output.map(|output| (output, &mut forward as _)));
        self.read_all(sources)?;
        lines.end();
        Ok(Ended {
            status: child.wait()?.code().unwrap_or(-1),
            said: lines.said,
        })
    }

    /// Reads until all of them have ended, and says now and then that the program goes on.
    fn read_all(&self, mut sources: Vec<Source<'_>>) -> io::Result<()> {
        let mut buffer = [0; 512];
        while !sources.is_empty() {
            let mut ready: Vec<_> = sources
                .iter()
                .map(|(pipe, _)| PollFd::new(pipe.as_fd(), PollFlags::POLLIN))
                .collect();
            match poll(&mut ready, PollTimeout::from(WORD_MILLISECONDS)) {
                Ok(0) => log::warn!("{} goes on", self.work),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let mut ready = ready
                .iter()
                .map(|source| source.any().unwrap_or_default())
                .collect::<Vec<_>>()
                .into_iter();
            let mut failure = None;
            sources.retain_mut(|(pipe, take)| {
                if !ready.next().unwrap_or_default() {
                    return true;
                }
                let count = pipe.read(&mut buffer).unwrap_or_else(|error| {
                    failure = Some(error);
                    0
                });
                take(buffer.get(..count).unwrap_or_default());
                count > 0
            });
            wipe(&mut buffer);
            failure.map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}

/// Who takes what is read.
type Taker<'a> = &'a mut dyn FnMut(&[u8]);
/// Where something is read, and who takes it.
type Source<'a> = (io::PipeReader, Taker<'a>);

/// How much of what a program says is kept, in bytes.
const KEPT: usize = 4096;

/// What a program says, line by line to the log.
struct Lines<'a> {
    program: &'a str,
    line: Vec<u8>,
    said: String,
}

impl<'a> Lines<'a> {
    fn new(program: &'a str) -> Self {
        Self {
            program,
            line: Vec::new(),
            said: String::new(),
        }
    }

    fn take(&mut self, byte: u8) {
        if matches!(byte, b'\n' | b'\r') {
            self.end();
        } else {
            self.line.push(byte);
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        self.line.clear();
        if line.is_empty() {
            return;
        }
        log::info!("{}: {line}", self.program);
        if self.said.len() > KEPT {
            self.said.clear();
        }
        self.said.push_str(&line);
        self.said.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, input: &[u8]) -> Ended {
        let tool = Tool {
            program: Path::new("/bin/sh"),
            arguments: &["-c", script],
            environment: &[("OF_THE_TEST", "seen")],
            work: "the test",
        };
        tool.run(input).unwrap()
    }

    #[test]
    fn output_is_read_to_the_end() {
        let ended = shell("echo one; printf 'two\\r\\n\\n' >&2; exit 3", b"");
        let expected = Ended {
            status: 3,
            said: "one\ntwo\n".to_owned(),
        };
        assert_eq!(ended, expected);
    }

    #[test]
    fn output_is_taken_apart_from_complaints() {
        let tool = Tool {
            program: Path::new("/bin/sh"),
            arguments: &[
                "-c",
                "echo one >&2; head -c 100000 /dev/zero; cat; echo two >&2",
            ],
            environment: &[],
            work: "the test",
        };
        let mut output = Vec::new();
        let ended = tool.read(b"secret", &mut |bytes| output.extend_from_slice(bytes));
        let expected = Ended {
            status: 0,
            said: "one\ntwo\n".to_owned(),
        };
        assert_eq!(ended.unwrap(), expected);
        assert_eq!(output, [vec![0; 100_000].as_slice(), b"secret"].concat());
    }

    #[test]
    fn input_and_environment_arrive() {
        let ended = shell("read line; echo $line $OF_THE_TEST", b"secret\n");
        assert_eq!(ended.last_line(), "secret seen");
        // One that does not read is no error.
        assert_eq!(shell("exec <&-; exit 0", &vec![b'x'; 100_000]).status, 0);
        assert_eq!(shell("kill -KILL $$", b"").status, -1);
    }
}
