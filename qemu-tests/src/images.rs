//! The two images: the demo's, and the tests', which is the demo with an agent, a key for SSH and
//! services that misbehave when they are started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use cairn::Place;
use cairn::build::{BuildOptions, Built, Plan, build_disk};
use cairn::demo;
use cairn::machine::Machine;
use cairn::packages::PackageSet;
use cairn_system::{CopyMode, EtcEntry, Process, Restart, Service, ServiceKind, ServiceName};

use crate::artefacts;
use crate::blueprint::DirectKernel;

/// A service that ignores SIGTERM; it is not started at boot.
pub const STUBBORN: &str = "stubborn";
/// A service that exits at once, for ever; it is not started at boot.
pub const CRASHING: &str = "crashing";
/// A service that sleeps, and is restarted whatever happens.
pub const SLEEPER: &str = "sleeper";

/// The folder with `cairn`, `cairn-init` and `cairn-test-agent`: that of release builds, unless
/// `CAIRN_PROGRAMS` names another.
#[must_use]
pub fn programs() -> PathBuf {
    if let Some(folder) = env::var_os("CAIRN_PROGRAMS") {
        return PathBuf::from(folder);
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("x86_64-unknown-linux-gnu/release")
}

/// Store and cache in the user's folders, the lock file in the cache.
///
/// # Errors
/// `HOME` is not set.
pub fn options() -> anyhow::Result<BuildOptions> {
    let place = Place::new(None, None)?;
    let lock_file = place.cache.join("demo.lock");
    Ok(BuildOptions {
        place,
        lock_file,
        mirror: None,
        update: false,
        programs: programs(),
    })
}

/// Builds the demo's image, or finds it built.
///
/// # Errors
/// Whatever step fails.
pub fn build_demo(options: &BuildOptions) -> anyhow::Result<Built> {
    demo::build(options)
}

/// Builds the tests' image, or finds it built; its key for SSH is [`ssh_key`].
///
/// # Errors
/// Whatever step fails; or `ssh-keygen` is missing.
pub fn build_test(options: &BuildOptions) -> anyhow::Result<Built> {
    let key = ssh_key()?.with_extension("pub");
    let key = fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?;
    let plan = Plan {
        name: "test",
        packages: &demo::packages(),
        programs: &["cairn", "cairn-init", "cairn-test-agent"],
    };
    build_disk(options, &plan, |packages, lock| {
        let mut machine = demo::machine(packages, lock)?;
        add_test_parts(packages, &mut machine, &key)?;
        Ok(machine)
    })
}

/// The kernel, initrd and command line of a built system, from the store that built it: boots the
/// system without firmware and boot loader. `more` is added to the command line.
///
/// # Errors
/// The toplevel lacks one of them.
pub fn direct_kernel(
    options: &BuildOptions,
    built: &Built,
    more: &str,
) -> anyhow::Result<DirectKernel> {
    let root = &options.place.store;
    let init = format!("{}/init", built.toplevel);
    let toplevel = root.join(built.toplevel.to_string().trim_start_matches('/'));
    let inside = |name: &str| -> anyhow::Result<PathBuf> {
        let mut path = toplevel.join(name);
        // A link in the store names a path below /nix/store, which is not this host's.
        while let Ok(target) = fs::read_link(&path) {
            path = match target.strip_prefix("/") {
                Ok(relative) => root.join(relative),
                Err(_) => path.with_file_name(target),
            };
        }
        anyhow::ensure!(
            path.is_file(),
            "cannot find {name} in {}",
            toplevel.display()
        );
        Ok(path)
    };
    let file = toplevel.join("kernel-params");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(DirectKernel {
        kernel: inside("kernel")?,
        initrd: Some(inside("initrd")?),
        command_line: format!("{words} init={init} {more}"),
    })
}

fn add_test_parts(
    packages: &PackageSet<'_>,
    machine: &mut Machine,
    key: &str,
) -> anyhow::Result<()> {
    let description = &mut machine.description;
    description.kernel_modules.push("virtio_console".to_owned());
    description.etc.push(EtcEntry {
        target: "ssh/authorized_keys.d/root".to_owned(),
        source: packages.text("authorized_keys", key)?,
        // sshd trusts no file in a folder that a group may write to, as the store's is.
        copy: Some(CopyMode {
            mode: 0o444,
            user: "root".try_into()?,
            group: "root".try_into()?,
        }),
    });
    let shell = packages.path("bash", "bin/bash")?;
    let sleep = packages.path("coreutils", "bin/sleep")?;
    let agent = packages.program_of_ours("cairn-test-agent")?;
    let script = |text: String| vec![shell.clone(), "-c".to_owned(), text];
    description.services.extend([
        Service {
            restart: Restart::Always,
            ..service("test-agent", vec![agent])?
        },
        Service {
            restart: Restart::Always,
            ..service(SLEEPER, vec![sleep.clone(), "infinity".to_owned()])?
        },
        Service {
            wanted_at_boot: false,
            stop_timeout_ms: 2_000,
            ..service(
                STUBBORN,
                script(format!("trap '' TERM; while :; do {sleep} 1000; done")),
            )?
        },
        Service {
            wanted_at_boot: false,
            restart: Restart::Always,
            ..service(CRASHING, script("echo about to fail; exit 3".to_owned()))?
        },
    ]);
    Ok(())
}

fn service(name: &str, argv: Vec<String>) -> anyhow::Result<Service> {
    let mut process = Process::new(argv);
    process.environment = [("PATH".to_owned(), "/run/current-system/sw/bin".to_owned())].into();
    let mut service = Service::new(ServiceName::try_from(name)?, ServiceKind::Simple, process);
    service.description = "For tests".to_owned();
    Ok(service)
}

/// The private key that opens test images: made once, so that the image stays the same.
///
/// # Errors
/// `ssh-keygen` is missing or fails.
pub fn ssh_key() -> anyhow::Result<PathBuf> {
    let folder = artefacts::root()?;
    let key = folder.join("ssh-key");
    if key.exists() {
        return Ok(key);
    }
    // Made under another name, so that what exists is whole.
    let temporary = tempfile::tempdir_in(&folder)
        .with_context(|| format!("cannot create a folder in {}", folder.display()))?;
    let made = temporary.path().join("ssh-key");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "cairn tests", "-f"])
        .arg(&made)
        .status()
        .context("cannot run ssh-keygen; install it: apt-get install openssh-client")?;
    if !status.success() {
        bail!("cannot make a key for SSH: ssh-keygen ended with {status}");
    }
    for (from, to) in [
        (made.with_extension("pub"), key.with_extension("pub")),
        (made, key.clone()),
    ] {
        fs::rename(&from, &to).with_context(|| format!("cannot create {}", to.display()))?;
    }
    Ok(key)
}
