//! `cairn factory-reset`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use cairn::factory_reset::{Plan, Request, Standing};
use cairn::service_control;
use cairn_system::control;
use clap::Args;

use super::agreement::agreed;
use crate::print;

/// The root of the machine.
const ROOT: &str = "/";

/// `cairn factory-reset`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct FactoryReset {
    /// Ask nobody whether it is right
    #[arg(long, short)]
    pub yes: bool,
    /// Restart the machine at once
    #[arg(long)]
    pub reboot: bool,
    /// Take the request back, as long as the machine has not been restarted
    #[arg(long, conflicts_with_all = ["yes", "reboot", "dry_run"])]
    pub cancel: bool,
    /// Show what would be removed and kept, and ask for nothing
    #[arg(long, short = 'n', conflicts_with_all = ["yes", "reboot"])]
    pub dry_run: bool,
}

impl FactoryReset {
    /// Asks for a factory reset, or no more.
    ///
    /// # Errors
    /// Whatever boots next would not do it, or the request cannot be written.
    pub fn run(&self) -> Result<ExitCode> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "cannot ask for a factory reset: only root may"
        );
        let request = Request::of(Path::new(ROOT));
        if self.cancel {
            eprintln!("cairn: {}", withdrawn(request.withdraw()?));
            return Ok(ExitCode::SUCCESS);
        }
        ensure!(
            cairn::is_system(),
            "cannot ask for a factory reset: this machine runs no Cairn system"
        );
        let plan = Plan::of(Path::new(ROOT))?;
        request.check()?;
        print(&plan.to_string())?;
        let standing = request.standing()?;
        if let Some(told) = already(standing) {
            eprintln!("cairn: {told}; cairn factory-reset --cancel takes it back");
        }
        let is_done = standing != Standing::Nothing && !self.reboot;
        if self.dry_run || is_done {
            return Ok(ExitCode::SUCCESS);
        }
        if !self.yes && !agreed(&host_name()?, "have it done", "nothing is changed")? {
            return Ok(ExitCode::FAILURE);
        }
        request.make()?;
        if self.reboot {
            service_control::command(&control::Request::Reboot)?;
        } else {
            eprintln!(
                "cairn: the next boot does it; until then, cairn factory-reset --cancel takes it back"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is typed to agree.
fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().context("cannot read the host's name")?;
    let name = name.to_string_lossy().trim().to_owned();
    Ok(if name.is_empty() {
        "yes".to_owned()
    } else {
        name
    })
}

/// What is said of a request that is there before.
fn already(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Nothing => None,
        Standing::Asked => Some("it is asked for already"),
        Standing::Begun => {
            Some("one was begun, and did not come to its end: the next boot goes on with it")
        }
    }
}

/// What is said of a request that was taken back.
fn withdrawn(standing: Standing) -> &'static str {
    match standing {
        Standing::Nothing => "no factory reset was asked for",
        Standing::Asked => "the factory reset is called off",
        Standing::Begun => {
            "the factory reset is called off; it was begun, and what it has removed stays away"
        }
    }
}
