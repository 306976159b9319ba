//! `cairn switch` and its kin on a running machine.

use anyhow::{Context, bail, ensure};
use cairn_qemu_tests::{Boot, Machine};

use crate::guest;

/// What the first change brings: a file, a changed service and a new one.
const SECOND: &str = r#"{
  system.nixos.label = "second";
  environment.etc."news".text = "of the second";
  system.services.changing.process.argv = [ "${pkgs.coreutils}/bin/sleep" "2000" ];
  system.services.added.process.argv = [ "${pkgs.coreutils}/bin/sleep" "infinity" ];
}"#;

/// What comes before it: a service that will be changed and one that will be gone.
const FIRST: &str = r#"{
  system.services.changing.process.argv = [ "${pkgs.coreutils}/bin/sleep" "1000" ];
  system.services.going.process.argv = [ "${pkgs.coreutils}/bin/sleep" "infinity" ];
}"#;

/// A service that does not come up.
const BROKEN: &str = r#"{
  environment.etc."news".text = "of the broken";
  system.services.broken = {
    kind = "oneshot";
    process.argv = [ "${pkgs.coreutils}/bin/false" ];
  };
}"#;

/// One machine through the life of an operator.
#[test]
fn a_running_system_is_changed_and_changed_back() -> anyhow::Result<()> {
    let machine = guest::start("generations-switch", Boot::Bios)?;
    machine.check("first switch", |machine| {
        guest::configure(machine, FIRST)?;
        guest::run(machine, "cairn switch").map(drop)
    })?;
    machine.check("dry run", dry_run_changes_nothing)?;
    machine.check("switch", only_what_changed_is_touched)?;
    machine.check("again", a_second_switch_does_nothing)?;
    machine.check("failure", a_failure_goes_back)?;
    machine.check("test", a_test_is_no_generation)?;
    machine.check("rollback", a_rollback_goes_back)?;
    machine.check("lock", the_second_caller_is_told)
}

/// The main process of a service.
fn pid(machine: &Machine, service: &str) -> anyhow::Result<String> {
    let status = guest::run(machine, &format!("cairn status --json {service}"))?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    let pid = status.get("pid").context("it has no process")?;
    Ok(pid.to_string())
}

fn generation(machine: &Machine) -> anyhow::Result<String> {
    let link = guest::run(machine, "readlink /nix/var/nix/profiles/system")?;
    Ok(link.trim().to_owned())
}

fn dry_run_changes_nothing(machine: &Machine) -> anyhow::Result<()> {
    guest::configure(machine, SECOND)?;
    let state = "readlink /run/current-system /nix/var/nix/profiles/*; ls -R /boot /etc; \
                 cat /boot/grub/grubenv; cairn status --json | grep -v boot-assessment | \
                 grep -o '\"name\":.*\"pid\":[0-9]*'";
    let before = guest::run(machine, state)?;
    let said = guest::run(machine, "cairn dry-run")?;
    for line in ["changing", "added", "going", "/etc/news"] {
        ensure!(said.contains(line), "{line} is not in: {said}");
    }
    ensure!(!said.contains("steady"), "{said}");
    let after = guest::run(machine, state)?;
    if before != after {
        let services = guest::attempt(
            machine,
            "cairn status; tail -n 20 /var/log/cairn/*.log; uptime",
        )?;
        bail!("{before}\n--- and ---\n{after}\n--- with ---\n{services:?}");
    }
    Ok(())
}

fn only_what_changed_is_touched(machine: &Machine) -> anyhow::Result<()> {
    let (steady, changing) = (pid(machine, "steady")?, pid(machine, "changing")?);
    let plan = guest::run(machine, "cairn dry-run --json")?;
    let plan: serde_json::Value = serde_json::from_str(plan.lines().last().unwrap_or_default())?;
    let said = guest::run(machine, "cairn switch")?;
    let planned = plan["services"].as_array().context("no plan")?;
    for line in planned.iter().filter_map(serde_json::Value::as_str) {
        ensure!(
            said.contains(line),
            "planned was '{line}', done was: {said}"
        );
    }
    ensure!(pid(machine, "steady")? == steady, "steady was restarted");
    ensure!(pid(machine, "changing")? != changing, "changing goes on");
    let added = guest::run(machine, "cairn status added")?;
    ensure!(added.contains("up"), "{added}");
    let going = guest::attempt(machine, "cairn status going")?;
    ensure!(!going.success(), "{going:?}");
    ensure!(
        guest::run(machine, "cat /etc/news")? == "of the second",
        "/etc is the old one"
    );
    ensure!(generation(machine)? == "system-3-link", "not the third");
    let state = guest::run(machine, "head -n 4 /boot/grub/grubenv")?;
    ensure!(state.contains("cairn_trial=3"), "{state}");
    Ok(())
}

fn a_second_switch_does_nothing(machine: &Machine) -> anyhow::Result<()> {
    let before = guest::run(machine, "cat /boot/grub/entries-*.cfg /boot/grub/grubenv")?;
    let changing = pid(machine, "changing")?;
    guest::run(machine, "cairn switch")?;
    ensure!(generation(machine)? == "system-3-link", "a fourth was made");
    ensure!(pid(machine, "changing")? == changing, "it was restarted");
    let after = guest::run(machine, "cat /boot/grub/entries-*.cfg /boot/grub/grubenv")?;
    ensure!(before == after, "{before}\n--- and ---\n{after}");
    // What is logged belongs to what is remembered.
    guest::run(machine, "CAIRN_LOG=info cairn switch")?;
    let said = guest::run(machine, "CAIRN_LOG=info cairn switch")?;
    ensure!(said.contains("the evaluation is remembered"), "{said}");
    Ok(())
}

fn a_failure_goes_back(machine: &Machine) -> anyhow::Result<()> {
    guest::configure(machine, BROKEN)?;
    let state = guest::run(machine, "head -n 4 /boot/grub/grubenv")?;
    let failed = guest::attempt(machine, "cairn switch; echo status $?")?;
    let said = format!("{}{}", failed.stdout, failed.stderr);
    ensure!(said.contains("status 4"), "{said}");
    ensure!(said.contains("broken"), "{said}");
    ensure!(
        guest::run(machine, "cat /etc/news")? == "of the second",
        "/etc is that of the broken one: {said}"
    );
    guest::run(machine, "cairn status added && cairn status changing")?;
    ensure!(
        generation(machine)? == "system-3-link",
        "the broken one boots"
    );
    let after = guest::run(machine, "head -n 4 /boot/grub/grubenv")?;
    ensure!(state == after, "{state}\n--- and ---\n{after}");
    Ok(())
}

fn a_test_is_no_generation(machine: &Machine) -> anyhow::Result<()> {
    guest::configure(
        machine,
        "{ environment.etc.\"news\".text = \"of a test\"; }",
    )?;
    guest::run(machine, "nixos-rebuild test")?;
    ensure!(guest::run(machine, "cat /etc/news")? == "of a test");
    ensure!(
        generation(machine)? == "system-3-link",
        "it is a generation"
    );
    Ok(())
}

fn a_rollback_goes_back(machine: &Machine) -> anyhow::Result<()> {
    guest::run(machine, "nixos-rebuild switch --rollback")?;
    ensure!(generation(machine)? == "system-2-link", "not the second");
    let news = guest::attempt(machine, "cat /etc/news")?;
    ensure!(!news.success(), "{news:?}");
    guest::run(machine, "cairn status going")?;
    guest::run(machine, "cairn switch --to 3")?;
    ensure!(guest::run(machine, "cat /etc/news")? == "of the second");
    let none = guest::attempt(machine, "cairn switch --to 99")?;
    ensure!(
        none.stderr.contains("there is no generation 99"),
        "{none:?}"
    );
    Ok(())
}

fn the_second_caller_is_told(machine: &Machine) -> anyhow::Result<()> {
    let said = guest::attempt(
        machine,
        "exec 9<>/run/cairn/switch.lock; flock 9; cairn switch --to 3",
    )?;
    ensure!(
        said.stderr.contains("cannot change the system now"),
        "{said:?}"
    );
    Ok(())
}
