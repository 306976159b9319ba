//! The supervisor, as the assessment asks it: behind a trait, so that the judgement is tested
//! without one.

use std::time::{Duration, Instant};

use cairn_system::ServiceName;
use cairn_system::control::{Request, Response, ServiceStatus};

use crate::service_control::{ControlError, ask_within};

/// Pause before a question is asked again, to a supervisor that is being replaced.
const AGAIN: Duration = Duration::from_millis(500);

/// What the assessment needs of a supervisor. Each question has an end: `patience`.
pub trait Supervisor: Sync {
    /// Comes back when nothing is on its way any more; an error says that it did not come to that.
    ///
    /// # Errors
    /// There is no answer in time.
    fn settle(&self, patience: Duration) -> Result<(), String>;

    /// Every service.
    ///
    /// # Errors
    /// There is no answer.
    fn status(&self, patience: Duration) -> Result<Vec<ServiceStatus>, String>;

    /// Starts a service; comes back when it is up, or done.
    ///
    /// # Errors
    /// Why it failed.
    fn start(&self, name: &ServiceName, patience: Duration) -> Result<(), String>;

    /// Time on the machine goes on.
    fn sleep(&self, time: Duration);

    /// Time since the kernel started.
    fn uptime(&self) -> Duration;
}

/// The running system's.
#[derive(Debug)]
pub struct Running;

impl Running {
    /// Asks until there is an answer: connections end when the supervisor is replaced.
    fn ask(request: &Request, patience: Duration) -> Result<Response, String> {
        let start = Instant::now();
        loop {
            let rest = patience.saturating_sub(start.elapsed());
            if rest.is_zero() {
                return Err(format!(
                    "the supervisor gave no answer within {} s",
                    patience.as_secs()
                ));
            }
            match ask_within(request, rest) {
                Ok(response) => return Ok(response),
                Err(ControlError::Connect(error) | ControlError::Talk(error)) => {
                    log::debug!("asking the supervisor again: {error}");
                    std::thread::sleep(AGAIN.min(rest));
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Supervisor for Running {
    fn settle(&self, patience: Duration) -> Result<(), String> {
        Self::ask(&Request::Settle, patience).map(drop)
    }

    fn status(&self, patience: Duration) -> Result<Vec<ServiceStatus>, String> {
        match Self::ask(&Request::Status, patience)? {
            Response::Status { services, .. } => Ok(services),
            _ => Err(ControlError::OtherAnswer.to_string()),
        }
    }

    fn start(&self, name: &ServiceName, patience: Duration) -> Result<(), String> {
        let name = name.clone();
        Self::ask(&Request::Start { name }, patience).map(drop)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn uptime(&self) -> Duration {
        // It cannot fail on Linux; 0 leaves a judgement all its time, and the guard ends it.
        nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .map_or(Duration::ZERO, Into::into)
    }
}
