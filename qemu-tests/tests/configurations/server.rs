//! The server of the examples: what its file says is so.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::ensure;
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Machine};
use cairn_system::boot_mark;

fn built() -> anyhow::Result<Built> {
    images::build(
        "server",
        &images::with_agent("server")?,
        &images::options()?,
    )
}

fn start(name: &str) -> anyhow::Result<Machine> {
    Blueprint::new(name, Boot::Bios)
        .disk(&built()?.image)
        .memory_mib(768)
        .deadline(Duration::from_mins(8))
        .ssh()
        .start()
}

/// One machine for all tests that only look.
fn look(what: &str, body: impl FnOnce(&Machine) -> anyhow::Result<()>) -> anyhow::Result<()> {
    static SHARED: OnceLock<Result<Machine, String>> = OnceLock::new();
    let boot = || {
        let machine = start("server")?;
        machine.check("boot", |machine| {
            machine.console().wait_for(boot_mark::BOOT_DONE)?;
            machine.agent().ready().map(drop)
        })?;
        anyhow::Ok(machine)
    };
    let machine = SHARED
        .get_or_init(|| boot().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    machine.check(what, body)
}

/// Tries `script` in the guest until it succeeds, for a minute.
fn eventually(machine: &Machine, script: &str) -> anyhow::Result<String> {
    let patient = format!(
        "for i in $(seq 120); do if out=$( {script} ); then echo \"$out\"; exit 0; fi; sleep 0.5; \
         done; echo \"$out\"; cairn status; exit 1"
    );
    let output = machine
        .agent()
        .run_within(&patient, Duration::from_mins(3))?;
    ensure!(output.success(), "`{script}`: {output:?}");
    Ok(output.stdout)
}

#[test]
fn all_services_are_well() -> anyhow::Result<()> {
    look("services", |machine| {
        eventually(machine, "cairn status").map(drop)
    })
}

#[test]
fn the_web_server_serves_the_page() -> anyhow::Result<()> {
    look("nginx", |machine| {
        let page = eventually(machine, "curl --silent --fail http://127.0.0.1/")?;
        ensure!(page.contains("It works."), "{page}");
        Ok(())
    })
}

#[test]
fn the_administrator_is_let_in_and_may_act() -> anyhow::Result<()> {
    look("alice", |machine| {
        let agent = machine.agent();
        let id = agent.succeed("id alice")?;
        ensure!(id.contains("(users)") && id.contains("(wheel)"), "{id}");
        let whoami = agent.succeed(
            "setpriv --reuid=alice --regid=users --init-groups -- /run/wrappers/bin/sudo -n id -u",
        )?;
        ensure!(whoami.trim() == "0", "{whoami}");
        let config = agent.succeed("sshd -T")?;
        ensure!(config.contains("permitrootlogin no"), "{config}");
        let keys = agent.succeed("cat /etc/ssh/authorized_keys.d/alice")?;
        ensure!(keys.contains("ssh-ed25519"), "{keys}");
        Ok(())
    })
}

#[test]
fn files_and_settings_are_as_asked_for() -> anyhow::Result<()> {
    look("settings", |machine| {
        let agent = machine.agent();
        for (command, expected) in [
            ("hostname", "web"),
            ("date +%Z", "CE"),
            ("cat /proc/sys/net/core/somaxconn", "1024"),
            ("cat /proc/swaps", "/var/swap"),
            ("stat --format=%U:%G:%a /srv/www", "alice:users:755"),
            ("bash -ic 'alias logs'", "cairn log"),
            (
                "command -v htop vim curl",
                "/run/current-system/sw/bin/htop",
            ),
        ] {
            let output = agent.succeed(command)?;
            ensure!(output.contains(expected), "`{command}`: {output}");
        }
        Ok(())
    })
}

/// The menu is on the serial console; the second entry is the variant.
#[test]
fn the_variant_is_in_the_menu_and_boots() -> anyhow::Result<()> {
    let machine = start("server-variant")?;
    machine.check("menu", |machine| {
        let console = machine.console();
        console.wait_for("specialisation verbose")?;
        console.send(b"\x1b[B")?;
        console.send(b"\r")?;
        console.wait_for(boot_mark::BOOT_DONE)?;
        machine.agent().ready()?;
        let agent = machine.agent();
        let booted = agent.succeed("readlink /run/booted-system")?;
        let variant = format!("{}/specialisation/verbose", built()?.toplevel);
        let expected = agent.succeed(&format!("readlink {variant}"))?;
        ensure!(booted == expected, "{booted} is not {expected}");
        let level = agent.succeed("cat /proc/sys/kernel/printk")?;
        ensure!(level.starts_with('7'), "{level}");
        Ok(())
    })
}
