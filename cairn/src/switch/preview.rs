//! What a change would do, computed the way that the change computes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use cairn_system::control::{Request, Response};
use cairn_system::{Service, ServiceChanges, ServiceName, Standing};
use indicatif::HumanBytes;
use serde::Serialize;

use super::action::Action;
use super::machine::Machine;
use super::menu::bootspec_of;
use super::target::Target;
use crate::boot_loader;
use crate::service_control::{ControlError, ask};

/// The steps of a change, as lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The system that it leads to.
    pub toplevel: String,
    /// Files that `/boot` gets, with their sizes.
    pub boot_files: Vec<String>,
    /// Where GRUB itself is written.
    pub boot_loader: Vec<String>,
    /// What becomes of services.
    pub services: Vec<String>,
    /// What activation does.
    pub activation: Vec<String>,
}

impl Preview {
    /// What `action` would do with `target` on `machine`.
    ///
    /// # Errors
    /// Something that it depends on cannot be read.
    pub fn new(machine: &Machine, action: Action, target: &Target) -> Result<Self> {
        let live = target.live(machine.store()?)?;
        let mut preview = Self {
            toplevel: live.display().to_string(),
            boot_files: Vec::new(),
            boot_loader: Vec::new(),
            services: Vec::new(),
            activation: Vec::new(),
        };
        if action.is_kept() {
            preview.boot_files = boot_files(machine, target)?;
            if let Some(facts) = &target.boot_loader {
                let plan = boot_loader::Plan::new(machine.root(), machine.store()?, facts)?;
                preview.boot_loader = plan.steps.iter().map(ToString::to_string).collect();
            }
        }
        if action.is_live() {
            let changes = service_changes(machine, &live)?;
            preview.services = changes.iter().map(ToString::to_string).collect();
            preview.activation = activation(&live)?;
        }
        Ok(preview)
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.toplevel)?;
        for (head, lines) in [
            ("would be copied", &self.boot_files),
            ("boot loader", &self.boot_loader),
            ("services", &self.services),
            ("activation", &self.activation),
        ] {
            if !lines.is_empty() {
                writeln!(f, "{head}:")?;
                lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
            }
        }
        Ok(())
    }
}

/// The menu of a generation that does not exist yet is not known; its files are.
fn boot_files(machine: &Machine, target: &Target) -> Result<Vec<String>> {
    let Some(bootspec) = bootspec_of(machine.store()?, &target.toplevel)? else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    for folder in machine.boot_folders() {
        let missing = super::menu::missing_files(machine.store()?, &folder, &bootspec)?;
        let line =
            |(path, size): (PathBuf, u64)| format!("{}: {}", path.display(), HumanBytes(size));
        lines.extend(missing.into_iter().map(line));
    }
    Ok(lines)
}

/// What the supervisor would do to services.
///
/// # Errors
/// The supervisor cannot be asked, or a description cannot be read.
pub fn service_changes(machine: &Machine, live: &Path) -> Result<ServiceChanges> {
    let running = match ask(&Request::Status) {
        Ok(Response::Status { services, .. }) => services,
        Ok(_) => return Err(ControlError::OtherAnswer.into()),
        Err(error) => return Err(error.into()),
    };
    let before = match machine.running() {
        Some(toplevel) => described(&toplevel)?,
        None => Vec::new(),
    };
    let standing = |name: &ServiceName| {
        let found = running.iter().find(|service| service.name == *name);
        found.map_or(Standing::Idle, |service| service.standing)
    };
    Ok(ServiceChanges::between(
        &before,
        &described(live)?,
        standing,
    ))
}

fn described(toplevel: &Path) -> Result<Vec<Service>> {
    Ok(cairn_activate::read_description(Path::new("/"), toplevel)?.services)
}

fn activation(live: &Path) -> Result<Vec<String>> {
    let program = live.join("activate");
    let output = Command::new(&program)
        .arg("--dry-run")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run '{}'", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}
