//! Generations are listed and removed, and the store of the running system is collected.

use anyhow::ensure;
use cairn_qemu_tests::{Boot, Machine};

use crate::guest;

/// Adds an object that nobody needs when the command has ended; prints its path.
const RUBBISH: &str = "cairn eval --store / --write --raw -E 'builtins.toFile \"rubbish\" \"r\"'";

#[test]
fn what_nobody_needs_goes_and_what_runs_stays() -> anyhow::Result<()> {
    let machine = guest::blueprint("generations-space", Boot::Bios)?.start()?;
    machine.check("boot", guest::up)?;
    machine.check("list", the_booted_generation_is_known)?;
    machine.check("keep", what_boots_is_not_removed)?;
    machine.check("collect", rubbish_goes)?;
    machine.check("names", names_of_nixos_do_it_too)
}

fn the_booted_generation_is_known(machine: &Machine) -> anyhow::Result<()> {
    let table = guest::run(machine, "cairn generations -v")?;
    let row = table.lines().nth(1).unwrap_or_default();
    for word in ["1 ", "booted, current, default"] {
        ensure!(row.contains(word), "{word} is not in: {table}");
    }
    ensure!(table.contains("kernel parameters: "), "{table}");
    let json = guest::run(machine, "cairn generations --json")?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    ensure!(json[0]["generation"] == 1, "{json}");
    let marks = json[0]["marks"].to_string();
    ensure!(
        marks.starts_with("[\"booted\",\"current\",\"default\""),
        "{json}"
    );
    // Nobody but root may read logs of boots: less is known, and all are listed.
    let table = guest::run(machine, "setpriv --reuid 1000 cairn generations")?;
    ensure!(table.contains("booted, current"), "{table}");
    Ok(())
}

fn what_boots_is_not_removed(machine: &Machine) -> anyhow::Result<()> {
    let kept = guest::attempt(machine, "cairn delete-generations 1")?;
    ensure!(!kept.success(), "{kept:?}");
    ensure!(
        kept.stdout
            .starts_with("generation 1 stays: it booted, it runs"),
        "{kept:?}"
    );
    Ok(())
}

fn rubbish_goes(machine: &Machine) -> anyhow::Result<()> {
    let path = guest::run(machine, RUBBISH)?;
    let path = path.trim();
    guest::run(machine, &format!("test -e {path}"))?;
    let plan = guest::run(machine, "cairn gc --dry-run")?;
    ensure!(plan.contains(path), "{path} is not in: {plan}");
    // An image has what boots, and nothing else.
    ensure!(plan.lines().count() == 2, "{plan}");
    let done = guest::run(machine, "cairn gc")?;
    ensure!(done.starts_with("1 path removed, "), "{done}");
    guest::run(machine, &format!("! test -e {path}"))?;
    // The store is as it was for everybody else, and the system runs.
    let refused = guest::attempt(machine, "touch /nix/store/x")?;
    ensure!(
        refused.stderr.contains("Read-only file system"),
        "{refused:?}"
    );
    let again = guest::run(machine, "cairn gc")?;
    ensure!(again == "0 paths removed, 0 B are free\n", "{again}");
    guest::run(
        machine,
        "cairn status steady && ls -L /run/current-system/sw/bin/cairn",
    )
    .map(drop)
}

fn names_of_nixos_do_it_too(machine: &Machine) -> anyhow::Result<()> {
    guest::run(machine, RUBBISH)?;
    let done = guest::run(machine, "nix-collect-garbage -d")?;
    ensure!(done.starts_with("1 path removed, "), "{done}");
    let version = guest::run(machine, "nixos-version")?;
    ensure!(version.ends_with(" (Cairn)\n"), "{version}");
    Ok(())
}
