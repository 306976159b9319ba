//! OpenSSH's server, with host keys made at the first start.

use anyhow::Result;
use cairn_system::{Group, Restart, ServiceKind, SystemDescription};

use super::parts::{directory, link, service, system_user};
use crate::packages::PackageSet;

const CONFIG: &str = "\
Port 22
AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
PrintMotd no
StrictModes yes
Subsystem sftp internal-sftp
SetEnv PATH=/run/wrappers/bin:/run/current-system/sw/bin
";

/// `ssh-keygen -A` would make keys of all kinds, for seconds. The key appears under its name when it
/// is whole, after its public half.
const KEYGEN: &str = r#"set -eu
key=/etc/ssh/ssh_host_ed25519_key
if [ -s "$key" ]; then exit; fi
rm -f "$key.new" "$key.new.pub"
ssh-keygen -q -t ed25519 -N "" -C "root@$HOSTNAME" -f "$key.new"
sync "$key.new" "$key.new.pub"
mv "$key.new.pub" "$key.pub"
mv "$key.new" "$key"
"#;

/// Adds `sshd`, and the service that makes its host key if there is none.
///
/// # Errors
/// A package is not in the set, or the store cannot be written.
pub fn add_ssh(packages: &PackageSet<'_>, description: &mut SystemDescription) -> Result<()> {
    description
        .users
        .push(system_user("sshd", "SSH privilege separation")?);
    description.groups.push(Group {
        name: "sshd".try_into()?,
        gid: None,
        members: Vec::new(),
    });
    description.directories.push(directory("/run/sshd", 0o755)?);
    description.etc.push(link(
        "ssh/sshd_config",
        packages.text("sshd_config", CONFIG)?,
    ));

    let search_path = ["coreutils", "openssh-client"]
        .map(|name| packages.package(name).map(|path| format!("{path}/bin")))
        .into_iter()
        .collect::<Result<Vec<_>>>()?
        .join(":");
    let keys = service(
        "sshd-keygen",
        "SSH host key",
        ServiceKind::Oneshot,
        vec![
            packages.path("bash", "bin/bash")?,
            packages.text("sshd-keygen", &format!("PATH={search_path}\n{KEYGEN}"))?,
        ],
    )?;
    let sshd = packages.path("openssh-server", "bin/sshd")?;
    let argv = vec![
        sshd,
        "-D".into(),
        "-e".into(),
        "-f".into(),
        "/etc/ssh/sshd_config".into(),
    ];
    let mut sshd = service("sshd", "SSH server", ServiceKind::Simple, argv)?;
    sshd.requires.push("sshd-keygen".try_into()?);
    sshd.restart = Restart::Always;
    description.services.extend([keys, sshd]);
    Ok(())
}
