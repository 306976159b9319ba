//! A live system that comes over the network.

use cairn_qemu_tests::{Blueprint, Boot, live};
use std::time::Duration;

use super::{image, runs};

/// The card's own program asks for an address, takes the script, and with it kernel and initrd.
#[test]
fn ipxe_boots_it() -> anyhow::Result<()> {
    let built = image("netboot")?;
    let machine = Blueprint::new("formats-netboot", Boot::Network(built.image.clone()))
        .memory_mib(1536)
        .deadline(Duration::from_mins(12))
        .start()?;
    runs(&machine, &built)?;
    machine.check("live system", |machine| live::check(machine.agent()))
}
