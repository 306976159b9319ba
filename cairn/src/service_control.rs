//! `cairn status`, `log`, `start`, `stop`, `restart`, `poweroff`, `reboot`, `halt`: the client side
//! of the supervisor's control socket.
//!
//! What is shown is computed by pure functions ([`render_status`], [`render_service`],
//! [`last_lines`]); the others do the I/O.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_system::ServiceName;
use cairn_system::control::{
    LOG_DIRECTORY, RESPONSE_BYTES, Request, Response, SOCKET, ServiceState, ServiceStatus,
};

use crate::assessment::NOTE;

/// How long an answer may take: longer than the supervisor lets a service take.
const PATIENCE: Duration = Duration::from_secs(130);

/// How often a followed log is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// Why the supervisor could not be asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket is not there or not ours.
    #[error("cannot connect to {SOCKET}: {0}; is this a running Cairn system?")]
    Connect(io::Error),
    /// The connection broke.
    #[error("cannot talk to the supervisor: {0}; has it been restarted? try again")]
    Talk(io::Error),
    /// The answer makes no sense.
    #[error(
        "cannot read the supervisor's answer: {0}; is another generation's supervisor running?"
    )]
    Answer(cairn_system::ParseError),
    /// It was another kind of answer.
    #[error("the supervisor gave an answer to something else; is another generation's running?")]
    OtherAnswer,
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
    /// There is no such service.
    #[error("there is no service '{0}'; see cairn status")]
    NoService(ServiceName),
    /// A log cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Asks the running system's supervisor, and waits for its answer.
///
/// # Errors
/// It cannot be reached, or it says that it could not do it.
pub fn ask(request: &Request) -> Result<Response, ControlError> {
    ask_within(request, PATIENCE)
}

/// As [`ask`], with another patience for the answer; some of it there must be.
///
/// # Errors
/// As [`ask`].
pub fn ask_within(request: &Request, patience: Duration) -> Result<Response, ControlError> {
    let stream = UnixStream::connect(SOCKET).map_err(ControlError::Connect)?;
    let answer = exchange(stream, request, patience).map_err(ControlError::Talk)?;
    match Response::parse(&answer).map_err(ControlError::Answer)? {
        Response::Failed { reason } => Err(ControlError::Failed(reason)),
        response => Ok(response),
    }
}

fn exchange(mut stream: UnixStream, request: &Request, patience: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    let limit = u64::try_from(RESPONSE_BYTES).unwrap_or(u64::MAX);
    BufReader::new(stream.take(limit)).read_line(&mut answer)?;
    if answer.ends_with('\n') {
        Ok(answer)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// `start`, `stop`, `restart`, `poweroff`, `reboot`, `halt`: asks, and returns when it is done (for
/// the last three: when it has begun).
///
/// # Errors
/// As [`ask`]; the reason of a service that did not come up is in the message.
pub fn command(request: &Request) -> Result<(), ControlError> {
    match ask(request)? {
        Response::Done => Ok(()),
        _ => Err(ControlError::OtherAnswer),
    }
}

/// How a status is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// The supervisor's answer, one line of JSON a service.
    Json,
}

/// `cairn status [NAME] [--json]`: what to print, and whether all that was asked for is well (a
/// service that has failed, or does not stay up, is not).
///
/// # Errors
/// As [`ask`], or there is no service `name`.
pub fn status(name: Option<&ServiceName>, format: Format) -> Result<(String, bool), ControlError> {
    let Response::Status { toplevel, services } = ask(&Request::Status)? else {
        return Err(ControlError::OtherAnswer);
    };
    let chosen: Vec<ServiceStatus> = services
        .into_iter()
        .filter(|service| name.is_none_or(|name| service.name == *name))
        .collect();
    if let (Some(name), []) = (name, chosen.as_slice()) {
        return Err(ControlError::NoService(name.clone()));
    }
    let well = chosen
        .iter()
        .all(|service| !matches!(service.state, ServiceState::Failed | ServiceState::Backoff));
    let text = match (format, name, chosen.as_slice()) {
        (Format::Json, ..) => render_json(&chosen)?,
        (Format::Text, Some(name), [service]) => {
            // A log that cannot be read is no obstacle: only root may.
            let log = read_log(name, 10).unwrap_or_default();
            render_service(service, &log)
        }
        (Format::Text, ..) => boot_note() + &render_status(&toplevel, &chosen),
    };
    Ok((text, well))
}

/// What the assessment of this boot has to say to people: a line, or nothing.
fn boot_note() -> String {
    // Mostly there is none.
    std::fs::read_to_string(Path::new("/").join(NOTE)).unwrap_or_default()
}

/// All services as a table.
#[must_use]
pub fn render_status(toplevel: &str, services: &[ServiceStatus]) -> String {
    let failed = services
        .iter()
        .filter(|s| matches!(s.state, ServiceState::Failed | ServiceState::Backoff))
        .count();
    let mut text = format!("generation {toplevel}\n");
    let summary = match failed {
        0 => format!("{} services, all well\n", services.len()),
        failed => format!("{} services, {failed} in trouble\n", services.len()),
    };
    text.push_str(&summary);
    let width = services
        .iter()
        .map(|s| s.name.as_str().len())
        .max()
        .unwrap_or(0);
    for service in services {
        let pid = service.pid.map_or_else(String::new, |pid| pid.to_string());
        let line = format!(
            "{mark} {name:width$}  {state:8}  {pid:>7}  {about}",
            mark = mark(service.state),
            name = service.name.as_str(),
            state = state_name(service.state),
            about = about(service),
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One service in detail, with the end of its log.
#[must_use]
pub fn render_service(service: &ServiceStatus, log: &str) -> String {
    let mut lines = vec![format!("{} {}", mark(service.state), service.name)];
    if !service.description.is_empty() {
        lines.push(format!("  {}", service.description));
    }
    let age = service.age_ms.map_or_else(String::new, |age| {
        format!(", started {} ago", duration(age))
    });
    lines.push(format!("  state:     {}{age}", state_name(service.state)));
    if let Some(activity) = &service.activity {
        lines.push(format!("  activity:  {activity}"));
    }
    if let Some(pid) = service.pid {
        lines.push(format!("  process:   {pid}"));
    }
    if service.restarts > 0 {
        lines.push(format!("  restarts:  {}", service.restarts));
    }
    if let Some(exit) = &service.last_exit {
        lines.push(format!("  last exit: {exit}"));
    }
    if let Some(reason) = &service.reason {
        lines.push(format!("  reason:    {reason}"));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    if !log.is_empty() {
        text.push('\n');
        text.push_str(log);
    }
    text
}

fn render_json(services: &[ServiceStatus]) -> Result<String, ControlError> {
    let mut text = String::new();
    for service in services {
        let line = serde_json::to_string(service)
            .map_err(|error| ControlError::Talk(io::Error::from(error)))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

fn mark(state: ServiceState) -> char {
    match state {
        ServiceState::Up => '●',
        ServiceState::Stopped => '○',
        ServiceState::Waiting | ServiceState::Starting | ServiceState::Stopping => '◐',
        ServiceState::Backoff | ServiceState::Failed => '✗',
    }
}

fn state_name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::Waiting => "waiting",
        ServiceState::Starting => "starting",
        ServiceState::Up => "up",
        ServiceState::Stopping => "stopping",
        ServiceState::Backoff => "backoff",
        ServiceState::Failed => "failed",
    }
}

fn about(service: &ServiceStatus) -> String {
    match (service.state, &service.reason, &service.last_exit) {
        (ServiceState::Failed, Some(reason), _) => reason.clone(),
        (ServiceState::Backoff, _, Some(exit)) => {
            format!("ended with {exit}, restarted {} times", service.restarts)
        }
        (ServiceState::Up, ..) if service.activity.is_some() => {
            service.activity.clone().unwrap_or_default()
        }
        (ServiceState::Up, ..) if service.pid.is_none() => "done".to_owned(),
        (ServiceState::Up, ..) => service.age_ms.map_or_else(String::new, duration),
        _ => String::new(),
    }
}

/// The two largest units: `3d 4h`.
fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// The last `count` lines of a service's log, the older file included where it takes both.
///
/// # Errors
/// The log cannot be read; that it does not exist yet is an empty one.
pub fn read_log(name: &ServiceName, count: usize) -> Result<String, ControlError> {
    let path = log_path(name);
    let current = read_if_there(&path)?;
    if current.lines().count() >= count {
        return Ok(last_lines(&current, count));
    }
    let older = read_if_there(&path.with_extension("log.1"))?;
    Ok(last_lines(&(older + &current), count))
}

/// The last `count` lines of `text`, each with its line feed.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(count);
    lines
        .iter()
        .skip(start)
        .fold(String::new(), |mut text, line| {
            // Writing to a string cannot fail.
            if writeln!(text, "{line}").is_err() {
                text.push('\n');
            }
            text
        })
}

/// `cairn log NAME -f`: writes the last `count` lines to `out`, then what comes, until `out` or the
/// log breaks. A rotation is followed.
///
/// # Errors
/// The log cannot be read, or `out` not be written.
pub fn follow_log(
    name: &ServiceName,
    count: usize,
    out: &mut impl Write,
) -> Result<(), ControlError> {
    let path = log_path(name);
    let failed = |source| ControlError::Log {
        path: path.clone(),
        source,
    };
    out.write_all(read_log(name, count)?.as_bytes())
        .map_err(failed)?;
    let mut place = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    loop {
        out.flush().map_err(failed)?;
        std::thread::sleep(FOLLOW);
        place = copy_news(&path, place, out).map_err(failed)?;
    }
}

/// Copies what has come since `place`; a file that is shorter than that is a new one.
fn copy_news(path: &Path, place: u64, out: &mut impl Write) -> io::Result<u64> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let start = if length < place { 0 } else { place };
    file.seek(SeekFrom::Start(start))?;
    Ok(start + io::copy(&mut file, out)?)
}

fn log_path(name: &ServiceName) -> PathBuf {
    Path::new(LOG_DIRECTORY).join(format!("{name}.log"))
}

fn read_if_there(path: &Path) -> Result<String, ControlError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(ControlError::Log {
            path: path.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn service(name: &str, state: ServiceState) -> ServiceStatus {
        ServiceStatus {
            name: ServiceName::try_from(name).unwrap(),
            description: String::new(),
            state,
            pid: None,
            age_ms: None,
            restarts: 0,
            last_exit: None,
            reason: None,
            standing: cairn_system::Standing::default(),
            activity: None,
        }
    }

    #[test]
    fn a_table_of_services() {
        let mut sshd = service("sshd", ServiceState::Up);
        sshd.pid = Some(812);
        sshd.age_ms = Some(3_723_000);
        let setup = service("network-setup", ServiceState::Up);
        let mut web = service("web", ServiceState::Backoff);
        web.last_exit = Some("status 1".to_owned());
        web.restarts = 4;
        let mut broken = service("broken", ServiceState::Failed);
        broken.reason = Some("it requires 'web', which has failed".to_owned());
        let off = service("off", ServiceState::Stopped);
        expect![[r#"
            generation /nix/store/x-system
            5 services, 2 in trouble
            ● sshd           up            812  1h 2m
            ● network-setup  up                 done
            ✗ web            backoff            ended with status 1, restarted 4 times
            ✗ broken         failed             it requires 'web', which has failed
            ○ off            stopped
        "#]]
        .assert_eq(&render_status(
            "/nix/store/x-system",
            &[sshd, setup, web, broken, off],
        ));
    }

    #[test]
    fn one_service_in_detail() {
        let mut sshd = service("sshd", ServiceState::Up);
        sshd.description = "Secure shell".to_owned();
        sshd.pid = Some(812);
        sshd.age_ms = Some(61_000);
        sshd.restarts = 1;
        sshd.last_exit = Some("signal 9".to_owned());
        expect![[r#"
            ● sshd
              Secure shell
              state:     up, started 1m 1s ago
              process:   812
              restarts:  1
              last exit: signal 9

            one
            two
        "#]]
        .assert_eq(&render_service(&sshd, "one\ntwo\n"));
    }

    #[test]
    fn the_end_of_a_log() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last_lines("a\nb", 5), "a\nb\n");
        assert_eq!(last_lines("", 5), "");
    }

    #[test]
    fn durations() {
        let all: Vec<String> = [5, 59_999, 60_000, 86_400_000, 90_061_000]
            .into_iter()
            .map(duration)
            .collect();
        assert_eq!(all, ["5ms", "59s", "1m 0s", "1d 0h", "1d 1h"]);
    }

    #[test]
    fn news_are_copied_and_a_rotation_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let mut out = Vec::new();
        assert_eq!(copy_news(&path, 7, &mut out).unwrap(), 0);
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(copy_news(&path, 0, &mut out).unwrap(), 4);
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(copy_news(&path, 4, &mut out).unwrap(), 2);
        assert_eq!(out, b"one\nx\n");
    }
}
