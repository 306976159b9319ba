//! `cairn switch` and its kin on a running machine.

use anyhow::ensure;
use cairn_qemu_tests::Boot;

use crate::guest;

#[test]
fn a_new_generation_boots() -> anyhow::Result<()> {
    let machine = guest::start("generations-boot", Boot::Bios)?;
    machine.check("cairn boot", |machine| {
        guest::configure(machine, "{ system.nixos.label = \"second\"; environment.etc.news.text = \"new\"; }")?;
        let out = guest::run(machine, "time cairn boot; ls -l /boot/kernels /nix/var/nix/profiles; head -c 300 /boot/grub/grubenv; time cairn boot; ls /nix/store | wc -l")?;
        eprintln!("{out}");
        ensure!(out.contains("cairn_trial=2"), "{out}");
        Ok(())
    })
}
