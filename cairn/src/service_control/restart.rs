//! `cairn reboot --soft` and `--kexec`: another generation without the firmware.
//!
//! Invariant: neither tells the new kernel or user space which entry of the boot menu it is, so that no
//! assessment takes it for one that the firmware has started.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::EntryId;
use cairn_sys::kexec;
use cairn_system::control::Request;
use cairn_system::{Bootspec, BootspecV1};

use super::command;
use crate::switch::Machine;

/// Starts user space of this generation, or of the one that boots by default, anew.
///
/// # Errors
/// There is no such generation, or the supervisor refuses.
pub fn user_space(entry: Option<&EntryId>) -> Result<()> {
    let toplevel = toplevel(&Machine::at(Path::new("/")), entry)?;
    let toplevel = toplevel.display().to_string();
    Ok(command(&Request::RestartUserSpace { toplevel })?)
}

/// Executes the kernel of this generation, or of the one that boots by default.
///
/// # Errors
/// There is no such generation, its kernel cannot be loaded, or the supervisor refuses.
pub fn kernel(entry: Option<&EntryId>) -> Result<()> {
    let toplevel = toplevel(&Machine::at(Path::new("/")), entry)?;
    let path = toplevel.join("boot.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let bootspec = Bootspec::parse(&text).with_context(|| path.display().to_string())?;
    load(&bootspec.v1)?;
    Ok(command(&Request::Kexec)?)
}

fn load(bootspec: &BootspecV1) -> Result<()> {
    let open = |path: &str| File::open(path).with_context(|| format!("cannot open {path}"));
    let initrd = bootspec.initrd.as_deref();
    let initrd = open(initrd.context("the generation has no initrd")?)?;
    let kernel = open(&bootspec.kernel)?;
    kexec::load(kernel.as_fd(), initrd.as_fd(), &command_line(bootspec)).with_context(|| {
        format!(
            "cannot load {}; cairn reboot goes through the firmware",
            bootspec.kernel
        )
    })
}

/// What a boot loader would give the kernel, but for what it says of itself.
fn command_line(bootspec: &BootspecV1) -> String {
    let init = format!("init={}", bootspec.init);
    let words = std::iter::once(&init).chain(&bootspec.kernel_params);
    let words: Vec<&str> = words.map(String::as_str).collect();
    words.join(" ")
}

fn toplevel(machine: &Machine, entry: Option<&EntryId>) -> Result<PathBuf> {
    if let Some(entry) = entry {
        return machine.toplevel(entry);
    }
    let generations = machine.generations()?;
    let current = generations.iter().find(|one| one.current);
    let current = current.context("the profile has no current generation; name one with --to")?;
    machine.toplevel(&EntryId::generation(current.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_not_told_which_entry_it_is() {
        let text = r#"{"org.nixos.bootspec.v1":{"init":"/nix/store/t/init","initrd":"/i","kernel":"/k",
            "kernelParams":["quiet","console=ttyS0"],"label":"x","system":"x86_64-linux",
            "toplevel":"/nix/store/t"}}"#;
        let line = command_line(&Bootspec::parse(text).unwrap().v1);
        assert_eq!(line, "init=/nix/store/t/init quiet console=ttyS0");
        assert_eq!(crate::assessment::booted_entry(&line), None);
    }
}
