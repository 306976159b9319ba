//! A live system that comes over the network.

use anyhow::{Context, ensure};
use cairn_qemu_tests::{Blueprint, Boot};
use std::time::Duration;

use super::{image, is_reproducible, runs};

/// The card's own program asks for an address, takes the script, and with it kernel and initrd.
#[test]
fn ipxe_boots_it() -> anyhow::Result<()> {
    let built = image("netboot")?;
    let machine = Blueprint::new("formats-netboot", Boot::Network(built.image.clone()))
        .memory_mib(1536)
        .deadline(Duration::from_mins(12))
        .start()?;
    runs(&machine, &built)?;
    machine.check("live system", |machine| {
        let agent = machine.agent();
        let mounts = agent.succeed("cat /proc/mounts")?;
        let root = mounts
            .lines()
            .find(|line| line.split(' ').nth(1) == Some("/"));
        let root = root.context("no root is mounted")?;
        ensure!(root.starts_with("live-medium / overlay"), "{root}");
        agent.succeed("echo kept > /root/note && grep -q kept /root/note")?;
        let store = agent.run("touch /nix/store/x")?;
        ensure!(!store.success(), "the store is writable");
        agent
            .succeed("cat /nix/store/*/bin/* > /dev/null")
            .map(drop)
    })
}

#[test]
#[ignore = "long: cargo xtask torture media"]
fn it_is_the_same_wherever_it_is_built() -> anyhow::Result<()> {
    is_reproducible("netboot", &["bzImage", "initrd", "netboot.ipxe"])
}
