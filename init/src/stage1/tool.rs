//! Programs of the initrd: what they say goes to the log, and what they read comes from here, so that
//! no secret is on a command line.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

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
    /// The last line that it said.
    pub last_line: String,
}

impl Tool<'_> {
    /// Runs it to its end, with `input` on its standard input. Without a deadline: a check that is cut
    /// off can do more harm than a long boot.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn run(&self, input: &[u8]) -> io::Result<Ended> {
        let (mut reader, writer) = io::pipe()?;
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .envs(self.environment.iter().copied())
            .stdin(if input.is_empty() {
                Stdio::null()
            } else {
                Stdio::piped()
            })
            .stdout(writer.try_clone()?)
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
        let mut buffer = [0; 512];
        while self.wait_for_output(&reader)? {
            let count = reader.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            buffer.iter().take(count).for_each(|byte| lines.take(*byte));
        }
        lines.end();
        Ok(Ended {
            status: child.wait()?.code().unwrap_or(-1),
            last_line: lines.last,
        })
    }

    /// Waits until there is something to read, and says now and then that the program goes on.
    fn wait_for_output(&self, reader: &io::PipeReader) -> io::Result<bool> {
        loop {
            let mut sources = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
            match poll(&mut sources, PollTimeout::from(WORD_MILLISECONDS)) {
                Ok(0) => log::warn!("{} goes on", self.work),
                Ok(_) => return Ok(true),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// What a program says, line by line to the log.
struct Lines<'a> {
    program: &'a str,
    line: Vec<u8>,
    last: String,
}

impl<'a> Lines<'a> {
    fn new(program: &'a str) -> Self {
        Self {
            program,
            line: Vec::new(),
            last: String::new(),
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
        if !line.is_empty() {
            log::info!("{}: {line}", self.program);
            self.last = line;
        }
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
            last_line: "two".to_owned(),
        };
        assert_eq!(ended, expected);
    }

    #[test]
    fn input_and_environment_arrive() {
        let ended = shell("read line; echo $line $OF_THE_TEST", b"secret\n");
        assert_eq!(ended.last_line, "secret seen");
        // One that does not read is no error.
        assert_eq!(shell("exec <&-; exit 0", &vec![b'x'; 100_000]).status, 0);
        assert_eq!(shell("kill -KILL $$", b"").status, -1);
    }
}
