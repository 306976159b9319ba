//! The running system, from one toplevel to another.
//!
//! ```text
//! services that must not see the change are stopped -> activation -> the supervisor takes the
//! new generation over and starts what is to be started -> everything has settled
//! ```

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cairn_system::control::{Request, Response, ServiceState, ServiceStatus};

use super::tale::Tale;
use crate::service_control::{ControlError, ask};

/// How long services may take to settle; what takes longer is left to itself and reported.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long the supervisor may take to execute its successor.
const SUCCESSION: Duration = Duration::from_secs(30);

/// Why a running system is not what it was to become.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Nothing has been changed: the supervisor does not stop what has to be stopped.
    #[error("cannot change the running services: {0}")]
    NotBegun(ControlError),
    /// The supervisor did not take the generation over.
    #[error("cannot change the running services: {0}")]
    Control(#[from] ControlError),
    /// The new generation's supervisor does not work.
    #[error("the new generation's supervisor gave the services back to {0}; see the kernel's log")]
    GivenBack(String),
    /// Activation could not be run.
    #[error("cannot run '{program}': {source}")]
    Run {
        /// `<toplevel>/activate`.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something in activation failed; it has said what.
    #[error("activation failed: {0}")]
    Activation(ExitStatus),
    /// Services that were well before are not well now.
    #[error("services failed: {}", names(.0))]
    Services(Vec<ServiceStatus>),
}

fn names(services: &[ServiceStatus]) -> String {
    let one = |service: &ServiceStatus| match &service.reason {
        Some(reason) => format!("{} ({reason})", service.name),
        None => service.name.to_string(),
    };
    services.iter().map(one).collect::<Vec<_>>().join(", ")
}

impl LiveError {
    /// The exit status that NixOS's command has for it.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::NotBegun(_) | Self::Control(_) | Self::Services(_) | Self::GivenBack(_) => 4,
            Self::Run { .. } | Self::Activation(_) => 2,
        }
    }
}

/// Makes the running system that of `toplevel`; `tale` is told each step.
///
/// # Errors
/// See [`LiveError`]; the system is then something in between.
pub fn go_live(toplevel: &Path, tale: &mut Tale) -> Result<(), LiveError> {
    let toplevel_text = toplevel.display().to_string();
    let prepare = Request::PrepareSwitch {
        toplevel: toplevel_text.clone(),
    };
    let before = ask(&Request::Status).map_err(LiveError::NotBegun)?;
    let failed_before = failing(&before);
    ask(&prepare)
        .and_then(|answer| done(&answer))
        .map_err(LiveError::NotBegun)?;
    activate(toplevel, tale)?;
    done(&ask(&Request::Switch {
        toplevel: toplevel_text,
    })?)?;
    let settled = settle()?;
    if let Response::Status { toplevel: runs, .. } = ask(&Request::Status)?
        && Path::new(&runs) != toplevel
    {
        // Its own supervisor could not take over and gave the services back.
        return Err(LiveError::GivenBack(runs));
    }
    let failed: Vec<ServiceStatus> = settled
        .into_iter()
        .filter(|service| !failed_before.contains(service.name.as_str()))
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(LiveError::Services(failed))
    }
}

fn done(response: &Response) -> Result<(), ControlError> {
    match response {
        Response::Done => Ok(()),
        _ => Err(ControlError::OtherAnswer),
    }
}

/// The names of services that have failed or do not stay up.
fn failing(response: &Response) -> BTreeSet<String> {
    let Response::Status { services, .. } = response else {
        return BTreeSet::new();
    };
    services
        .iter()
        .filter(|service| matches!(service.state, ServiceState::Failed | ServiceState::Backoff))
        .map(|service| service.name.to_string())
        .collect()
}

/// Waits until nothing is on its way; the supervisor changes meanwhile, and with it the socket.
fn settle() -> Result<Vec<ServiceStatus>, ControlError> {
    let begin = Instant::now();
    loop {
        match ask(&Request::Settle) {
            Ok(Response::Settled { failed }) => return Ok(failed),
            Ok(_) => return Err(ControlError::OtherAnswer),
            Err(ControlError::Connect(_) | ControlError::Talk(_))
                if begin.elapsed() < SUCCESSION => {}
            // The answer took longer than one request may.
            Err(ControlError::Talk(_)) if begin.elapsed() < PATIENCE => {}
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs the toplevel's activation; what it says is told.
fn activate(toplevel: &Path, tale: &mut Tale) -> Result<(), LiveError> {
    let program = toplevel.join("activate");
    let output = Command::new(&program)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LiveError::Run {
            program: program.display().to_string(),
            source,
        })?;
    for text in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(text).lines() {
            tale.say(&format!("  {line}"));
        }
    }
    if output.status.success() {
        Ok(())
    } else {
        Err(LiveError::Activation(output.status))
    }
}
