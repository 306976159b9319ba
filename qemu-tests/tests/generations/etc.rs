//! `/etc`, users, mounts, swap and sysctls of a running machine follow its generation, and go back
//! with it.

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine};

use crate::guest;

/// What the second generation has: each kind of entry, a user, and what only a running machine has.
const SECOND: &str = r#"{
  system.nixos.label = "second";
  environment.etc."kinds/link".text = "second\n";
  environment.etc."kinds/copy" = { text = "secret\n"; mode = "0400"; user = "alice"; };
  environment.etc."kinds/direct" = { text = "direct\n"; mode = "direct-symlink"; };
  users.users.alice = { isNormalUser = true; expires = "2090-01-01"; };
  fileSystems."/scratch" = { device = "tmpfs"; fsType = "tmpfs"; options = [ "size=1m" ]; };
  swapDevices = [ { device = "/var/swap"; size = 16; } ];
  boot.kernel.sysctl."vm.swappiness" = 7;
}"#;

/// The third: other options of the mount, and a copy that became a link.
const THIRD: &str = r#"{
  system.nixos.label = "third";
  environment.etc."kinds/link".text = "third\n";
  environment.etc."kinds/copy".text = "no secret\n";
  users.users.alice = { isNormalUser = true; };
  fileSystems."/scratch" = { device = "tmpfs"; fsType = "tmpfs"; options = [ "size=2m" "noexec" ]; };
  boot.kernel.sysctl."vm.swappiness" = 7;
}"#;

#[test]
fn etc_users_and_mounts_follow_the_generation() -> anyhow::Result<()> {
    let machine = guest::start("generations-etc", Boot::Bios)?;
    machine.check("second generation", |machine| {
        guest::run(
            machine,
            "echo mine > /etc/own; cat /proc/sys/vm/swappiness > /tmp/swappiness",
        )?;
        activate(machine, SECOND)?;
        says(
            machine,
            "cat /etc/kinds/link /etc/kinds/direct",
            "second\ndirect",
        )?;
        says(machine, "stat -c '%a %U' /etc/kinds/copy", "400 alice")?;
        says(
            machine,
            "readlink /etc/kinds/link",
            "/etc/static/kinds/link",
        )?;
        says(
            machine,
            "readlink /etc/kinds/direct | cut -c1-11",
            "/nix/store/",
        )?;
        says(
            machine,
            "grep -c ' /scratch tmpfs .*size=1024k' /proc/mounts",
            "1",
        )?;
        says(machine, "grep -c '^/var/swap ' /proc/swaps", "1")?;
        says(machine, "cat /proc/sys/vm/swappiness", "7")?;
        says(machine, "grep '^alice:' /etc/shadow | cut -d: -f8", "43830")?;
        says(
            machine,
            "grep -c '^alice:100000:65536$' /etc/subuid /etc/subgid",
            "/etc/subuid:1\n/etc/subgid:1",
        )?;
        clean(machine)
    })?;
    machine.check("third generation", |machine| {
        guest::run(machine, "touch /scratch/kept")?;
        activate(machine, THIRD)?;
        says(
            machine,
            "cat /etc/kinds/link /etc/kinds/copy",
            "third\nno secret",
        )?;
        says(machine, "ls /etc/kinds", "copy\nlink")?;
        // Remounted and not mounted anew: what is in it is still there.
        says(machine, "ls /scratch", "kept")?;
        says(
            machine,
            "grep -c ' /scratch tmpfs .*noexec.*size=2048k' /proc/mounts",
            "1",
        )?;
        says(machine, "grep -c '^/var/swap ' /proc/swaps || true", "0")
    })?;
    machine.check("what is in the way", |machine| {
        let change = "{ environment.etc.own.text = \"not mine\"; }";
        guest::configure(machine, change)?;
        let output = guest::attempt(machine, "cairn test")?;
        ensure!(!output.success(), "a file that is in the way was ignored");
        let said = output.stdout + &output.stderr;
        ensure!(
            said.contains("'/etc/own' is in the way and not Cairn's"),
            "{said}"
        );
        says(machine, "cat /etc/own", "mine")
    })?;
    machine.check("back to the first", |machine| {
        activate(machine, "{ }")?;
        says(machine, "ls /etc/kinds | wc -l", "0")?;
        says(machine, "cat /etc/own", "mine")?;
        says(machine, "grep -c ' /scratch ' /proc/mounts || true", "0")?;
        says(
            machine,
            "cmp /proc/sys/vm/swappiness /tmp/swappiness && echo same",
            "same",
        )?;
        says(
            machine,
            "grep -c '^alice:' /etc/passwd || true; test -d /home/alice && echo kept",
            "0\nkept",
        )?;
        clean(machine)
    })?;
    Ok(())
}

/// Makes the machine the one that `change` says, until its next boot.
fn activate(machine: &Machine, change: &str) -> anyhow::Result<()> {
    guest::configure(machine, change)?;
    let said = guest::run(machine, "cairn test")?;
    eprintln!("{said}");
    Ok(())
}

fn says(machine: &Machine, script: &str, expected: &str) -> anyhow::Result<()> {
    let output = machine.agent().succeed(script)?;
    ensure!(
        output == expected,
        "`{script}`: {output:?}, not {expected:?}"
    );
    Ok(())
}

/// The tools that guard the database find no fault.
fn clean(machine: &Machine) -> anyhow::Result<()> {
    let tools = "passwd=$(grep -o '/nix/store/[^\"]*/bin/passwd' /run/current-system/system.json | head -n 1); \
                 for tool in pwck grpck; do \
                   program=$(find \"${passwd%/bin/passwd}/\" -name $tool -type f); \
                   \"$program\" -r || exit 1; \
                 done";
    guest::run(machine, tools).map(drop)
}
