//! `cairn switch` and its kin on a running machine.

use anyhow::ensure;
use cairn_qemu_tests::Boot;

use crate::guest;

#[test]
fn the_machine_has_its_configuration() -> anyhow::Result<()> {
    let machine = guest::start("generations-switch", Boot::Bios)?;
    machine.check("configuration", |machine| {
        guest::configure(machine, "{ system.nixos.label = \"second\"; }")?;
        let files = guest::run(
            machine,
            "cat /etc/nixos/configuration.nix /etc/nixos/cairn.lock | wc -l",
        )?;
        ensure!(files.trim().parse::<u32>()? > 1000, "{files}");
        Ok(())
    })
}
