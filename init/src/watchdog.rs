//! The service `watchdog`: as long as the supervisor answers, a watchdog does not reset the machine.
//!
//! Whoever hangs, the kernel, the supervisor or this process, gives no sign of life. A supervisor that is killed has a
//! successor long before the time is over.
//!
//! ```text
//! each quarter of the time: an answer came in time? -> a sign of life
//! SIGTERM, and the machine goes down -> a last sign of life, for as long as that may take; or where it cannot count
//!     so far, the watchdog is stopped; end
//! SIGTERM otherwise -> the watchdog is stopped, end
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cairn_sys::kmsg;
use cairn_sys::reboot::Ending;
use cairn_sys::signal::Signals;
use cairn_system::control::{Response, SOCKET};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::core::ending::verb;
use crate::guard::Keeper;

/// Runs until somebody stops it. Its device is below `root`, which is `/`. The machine's end may take `ending` seconds,
/// unless that is 0.
pub fn run(seconds: u32, ending: u32, root: &Path) -> ExitCode {
    kmsg::install("watchdog", log::LevelFilter::Info);
    let keep = || -> io::Result<()> {
        let signals = Signals::take_all()?;
        let mut keeper = Keeper::new(&root.join("sys"), &root.join("dev"), seconds)?;
        let period = Duration::from_secs(seconds.into()) / 4;
        loop {
            let begin = Instant::now();
            match answers(period) {
                Ok(()) => keeper.tend(),
                Err(error) => log::warn!("the supervisor does not answer: {error}"),
            }
            if is_told_to_end(&signals, period.saturating_sub(begin.elapsed())) {
                if ending == 0 || !goes_down(period) {
                    keeper.stop();
                } else if let Err(error) = keeper.leave_running(ending) {
                    // What is still to be written then would be lost.
                    log::warn!(
                        "nothing guards the machine's end: {error}; systemd.watchdog.rebootTime is too long"
                    );
                    keeper.stop();
                } else {
                    log::info!("the machine is reset if its end takes longer than {ending} s");
                }
                return Ok(());
            }
        }
    };
    match keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("nobody keeps a watchdog: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the supervisor says something, be it that this was no request.
fn answers(within: Duration) -> io::Result<()> {
    let mut stream = UnixStream::connect(SOCKET)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(b"{}\n")?;
    stream.read_exact(&mut [0])
}

/// Whether the machine switches itself off or restarts. If the supervisor does not say, then it is gone, and so it does.
fn goes_down(within: Duration) -> bool {
    let ask = || -> io::Result<Option<String>> {
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_read_timeout(Some(within))?;
        stream.write_all(b"{\"request\":\"status\"}\n")?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer)?;
        match Response::parse(&answer).map_err(io::Error::other)? {
            Response::Status { ending, .. } => Ok(ending),
            _ => Ok(None),
        }
    };
    match ask() {
        Ok(ending) => [Ending::Reboot, Ending::PowerOff]
            .into_iter()
            .any(|down| ending.as_deref() == Some(verb(down))),
        Err(error) => {
            log::warn!("the supervisor does not say whether the machine goes down: {error}");
            true
        }
    }
}

/// Rests, or until a signal comes; whether it was SIGTERM.
fn is_told_to_end(signals: &Signals, rest: Duration) -> bool {
    let timeout = PollTimeout::try_from(rest).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    if let Err(error) = poll(&mut fds, timeout) {
        log::debug!("cannot wait for signals: {error}");
        std::thread::sleep(rest);
    }
    signals
        .take()
        .into_iter()
        .any(|signal| signal == nix::libc::SIGTERM)
}
