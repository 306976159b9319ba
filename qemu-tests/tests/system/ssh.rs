//! SSH from the host, with a key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use cairn_qemu_tests::{Machine, images};

use crate::look;

/// Runs a command as root, over SSH from the host.
pub fn ssh(machine: &Machine, known_hosts: &Path, command: &str) -> anyhow::Result<String> {
    let key = images::ssh_key()?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let port = machine
        .ssh_port()
        .context("the machine has no forwarded port")?;
    let output = Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=accept-new",
        ])
        .args([
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "ConnectTimeout=60",
            "-p",
            &port.to_string(),
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(&key)
        .args(["root@127.0.0.1", command])
        .stdin(Stdio::null())
        .output()
        .context("cannot run ssh; install it: apt-get install openssh-client")?;
    if !output.status.success() {
        bail!(
            "ssh ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn ssh_from_the_host_with_a_key() -> anyhow::Result<()> {
    look("ssh", |machine| {
        let folder = tempfile::tempdir()?;
        let known_hosts = folder.path().join("known_hosts");
        let output = ssh(
            machine,
            &known_hosts,
            "id -un; hostname; readlink /run/current-system",
        )?;
        let lines: Vec<_> = output.lines().collect();
        ensure!(
            lines.first() == Some(&"root") && lines.get(1) == Some(&"cairn"),
            "{output}"
        );
        ensure!(
            lines
                .get(2)
                .is_some_and(|path| path.starts_with("/nix/store/")),
            "{output}"
        );
        Ok(())
    })
}
