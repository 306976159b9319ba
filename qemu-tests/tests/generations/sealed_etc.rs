//! A read-only `/etc`: from the first boot on, through switches, and back.

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine, Writes, guest};

use crate::menu::{Key, Terminal, built, chosen, start};

#[test]
fn a_read_only_etc_changes_with_the_generation() -> anyhow::Result<()> {
    let machine = start("sealed-etc", Boot::Bios, &built()?.image, Writes::Discarded)?;
    machine.check("boot", |machine| {
        chosen(machine, "Cairn, generation 1 (")?;
        Terminal::Serial.press(machine, Key::Down)?;
        chosen(machine, "Cairn, specialisation sealed, generation 1")?;
        Terminal::Serial.press(machine, Key::Enter)?;
        guest::up(machine)
    })?;
    machine.check("what boots", |machine| {
        is_sealed(machine)?;
        says(machine, "cat /etc/of-sealed", "one")?;
        says(
            machine,
            "grep -c ^alice: /etc/passwd /etc/shadow",
            "/etc/passwd:1\n/etc/shadow:1",
        )?;
        says(
            machine,
            "echo mine > /etc/nixos/note; cat /etc/nixos/note",
            "mine",
        )
    })?;
    machine.check("from one to another", |machine| {
        // Whoever reads meanwhile sees the one or the other, and always a file.
        guest::run(
            machine,
            "(until [ -e /tmp/stop ]; do cat /etc/of-sealed 2>&1; done | uniq > /tmp/seen; touch /tmp/over) \
               > /dev/null 2>&1 < /dev/null &",
        )?;
        guest::run(machine, "cairn switch --to 1 --specialisation sealed-again")?;
        says(
            machine,
            "touch /tmp/stop; until [ -e /tmp/over ]; do sleep 0.1; done; cat /tmp/seen",
            "one\ntwo",
        )?;
        says(machine, "grep -c ^alice: /etc/passwd || true", "0")?;
        is_sealed(machine)
    })?;
    machine.check("to one that can be written to", |machine| {
        guest::run(machine, "cairn switch --to 1")?;
        says(machine, "grep -c ' /etc ' /proc/self/mounts || true", "0")?;
        says(
            machine,
            "echo own > /etc/own; cat /etc/own /etc/nixos/note",
            "own\nmine",
        )?;
        says(machine, "test -e /etc/of-sealed || echo gone", "gone")
    })?;
    machine.check("and back", |machine| {
        guest::run(machine, "cairn switch --to 1 --specialisation sealed")?;
        is_sealed(machine)?;
        says(machine, "cat /etc/own /etc/of-sealed", "own\none")?;
        says(machine, "grep -c ' /etc ' /proc/self/mounts", "1")
    })
}

/// Not even the superuser adds, changes, replaces or removes anything.
fn is_sealed(machine: &Machine) -> anyhow::Result<()> {
    for script in [
        "touch /etc/new",
        "echo x >> /etc/passwd",
        "mv /etc/passwd /etc/group",
        "rm /etc/of-sealed",
        "ln -sfn /nowhere /etc/static",
    ] {
        let output = guest::attempt(machine, script)?;
        ensure!(
            !output.success() && output.stderr.contains("Read-only file system"),
            "`{script}`: {output:?}"
        );
    }
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
