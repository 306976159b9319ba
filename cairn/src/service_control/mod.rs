//! The client side of the supervisor's control socket: `cairn status`, `why`, `blame`, `start`, `stop`,
//! `poweroff` and their kin; and `cairn log`, which reads the supervisor's files.
//!
//! What is shown is computed by pure functions; [`ask`], [`status()`], [`why()`] and [`timing()`] do the I/O.

pub mod chart;
mod follow;
mod graph;
pub mod log;
pub mod restart;
pub mod since;
mod status;
pub mod timing;
mod tree;
pub mod usage;
mod why;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use cairn_system::ServiceName;
use cairn_system::control::{
    LOG_DIRECTORY, RESPONSE_BYTES, Request, Response, SOCKET, ServiceState, ServiceStatus,
};

use crate::assessment::NOTE;
use crate::generations::local_date;
use crate::time_zone;
use graph::Graph;
pub use status::{Format, Shown};
use timing::Timing;

/// How long an answer may take: longer than the supervisor lets a service take.
const PATIENCE: Duration = Duration::from_secs(130);

/// Where the caller's own supervisor listens and logs.
struct User {
    socket: PathBuf,
    logs: PathBuf,
}

static USER: OnceLock<User> = OnceLock::new();

/// From now on this process speaks to the supervisor of its user, and reads that one's logs.
pub fn speak_to_users_own() {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let runtime = variable("XDG_RUNTIME_DIR")
        .unwrap_or_else(|| format!("/run/user/{}", nix::unistd::geteuid()).into());
    let home = variable("HOME").unwrap_or_else(|| "/".into());
    USER.get_or_init(|| User {
        socket: runtime.join("cairn/control"),
        logs: home.join(".local/state/cairn/log"),
    });
}

/// Where logs are.
fn logs() -> &'static Path {
    USER.get()
        .map_or(Path::new(LOG_DIRECTORY), |user| &user.logs)
}

/// Why the supervisor could not be asked, or did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket is not there or not ours.
    #[error("cannot connect to {SOCKET}: {0}; is this a running Cairn system?")]
    Connect(io::Error),
    /// The caller has no supervisor.
    #[error(
        "cannot connect to {path}: {source}; the services of users (systemd.user) run while you are logged in: is user@NAME up?",
        path = path.display()
    )]
    ConnectUser {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
    /// The logs have nothing of that boot.
    #[error("the logs have no boot {0}; cairn log --boot 1 is the first that they have")]
    NoBoot(i64),
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
    let stream = match USER.get() {
        None => UnixStream::connect(SOCKET).map_err(ControlError::Connect)?,
        Some(user) => UnixStream::connect(&user.socket).map_err(|source| {
            let path = user.socket.clone();
            ControlError::ConnectUser { path, source }
        })?,
    };
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

/// `cairn status [NAME] [--json]`: what to print, and whether all that was asked for is well (a
/// service that has failed, or does not stay up, is not).
///
/// # Errors
/// As [`ask`], or there is no service `name`.
pub fn status(name: Option<&ServiceName>, format: Format) -> Result<(String, bool), ControlError> {
    let root = Path::new("/");
    let (toplevel, services) = services()?;
    if let Some(name) = name
        && !services.iter().any(|service| service.name == *name)
    {
        return Err(ControlError::NoService(name.clone()));
    }
    let graph = Graph::read(root, Path::new(&toplevel));
    let usage = |name: &str| usage::of(root, name);
    let shown = |service| Shown::new(service, &graph, usage);
    let chosen = || {
        let all = services.iter();
        all.filter(|service| name.is_none_or(|name| service.name == *name))
    };
    let well = chosen()
        .all(|service| !matches!(service.state, ServiceState::Failed | ServiceState::Backoff));
    let text = match (format, name) {
        (Format::Json, _) => status::json(chosen().map(shown))?,
        (Format::Text, Some(name)) => {
            // A log that cannot be read is no obstacle: only root may.
            let log = log::last_lines(name, 10).unwrap_or_default();
            let zone = time_zone::machines();
            let date = |wait: u64| {
                let time = time_zone::since_epoch() + Duration::from_millis(wait);
                local_date(&zone, i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
            };
            let one = |service| status::one(&shown(service), &log, date);
            chosen().map(one).collect()
        }
        (Format::Text, None) => boot_note() + &status::all(&toplevel, &services, &graph, usage),
    };
    Ok((text, well))
}

/// `cairn why NAME`: what keeps it from being up, or brings it about that it is.
///
/// # Errors
/// As [`ask`], or there is no such service.
pub fn why(name: &ServiceName) -> Result<String, ControlError> {
    let (toplevel, services) = services()?;
    if !services.iter().any(|service| service.name == *name) {
        return Err(ControlError::NoService(name.clone()));
    }
    let graph = Graph::read(Path::new("/"), Path::new(&toplevel));
    let log = |name: &str, lines| {
        let name = ServiceName::try_from(name).ok();
        let log = name.map(|name| log::last_lines(&name, lines));
        // Only root may read it.
        log.and_then(Result::ok).unwrap_or_default()
    };
    Ok(why::explain(name.as_str(), &services, &graph, log))
}

/// What each part of the boot and each service's start took.
///
/// # Errors
/// As [`ask`].
pub fn timing() -> Result<Timing, ControlError> {
    let (_, services) = services()?;
    // Nobody has noted it in a container without stages.
    let stages = std::fs::read_to_string(cairn_system::control::STAGE_TIMES).unwrap_or_default();
    Ok(Timing::of(&stages, &services))
}

/// The generation that runs, and its services.
fn services() -> Result<(String, Vec<ServiceStatus>), ControlError> {
    match ask(&Request::Status)? {
        Response::Status {
            toplevel, services, ..
        } => Ok((toplevel, services)),
        _ => Err(ControlError::OtherAnswer),
    }
}

/// What the assessment of this boot has to say to people: a line, or nothing.
fn boot_note() -> String {
    // Mostly there is none.
    std::fs::read_to_string(Path::new("/").join(NOTE)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service in this state.
    pub fn service(name: &str, state: ServiceState) -> ServiceStatus {
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
            started_ms: None,
            up_ms: None,
            next_run_ms: None,
            disabled: false,
            frozen: false,
        }
    }
}
