//! A configuration in a virtual machine, without an image: QEMU is given kernel and initrd, the
//! host's store is the guest's (9p, read-only), and a disk of its own keeps what the guest writes.
//!
//! [`prepare`] goes the whole way from a configuration; [`arguments`] says what QEMU is started with; [`Disk::make`] makes the guest's disk if there is
//! none. The part of the configuration that differs from the machine that it describes is
//! `modules/virtualisation/vm.nix`.

mod accelerator;
mod disk;
mod run;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use accelerator::Accelerator;
pub use disk::Disk;
pub use run::{Options, prepare};

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";

/// The tag by which the guest mounts the host's store.
const STORE_TAG: &str = "nix-store";

/// What the configuration says of the virtual machine: `config.system.build.vmFacts`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Facts {
    /// `networking.hostName`.
    pub host_name: String,
    /// `virtualisation.memorySize`, in MiB.
    pub memory_size: u32,
    /// `virtualisation.cores`.
    pub cores: u32,
    /// `virtualisation.diskSize`, in MiB.
    pub disk_size: u64,
    /// `virtualisation.graphics`: a window, instead of the serial console on the terminal.
    pub graphics: bool,
    /// `virtualisation.forwardPorts`.
    pub forward_ports: Vec<Forward>,
    /// `virtualisation.qemu.options`, each split at blanks.
    pub qemu_options: Vec<String>,
}

/// A port of the host that leads into the guest, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Forward {
    /// `tcp` or `udp`.
    pub proto: Protocol,
    /// Where the host listens.
    pub host: Endpoint,
    /// Where the guest does.
    pub guest: Endpoint,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// An address and a port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// The address; empty for the default: the host's loopback, and the guest's own address.
    pub address: String,
    /// The port.
    pub port: u16,
}

/// A built system, as the host sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// Its initrd.
    pub initrd: PathBuf,
    /// The kernel's command line, `init=` included.
    pub command_line: String,
    /// The folder that has the store's objects.
    pub store: PathBuf,
}

/// Whether the guest's disk keeps what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes {
    /// The file is the disk.
    Kept,
    /// The file stays as it is.
    Discarded,
}

/// QEMU's arguments for `system` with the disk in the file `disk`.
#[must_use]
pub fn arguments(
    facts: &Facts,
    system: &System,
    disk: &Path,
    writes: Writes,
    accelerator: Accelerator,
) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
    add(&["-nodefaults", "-no-user-config", "-machine", "q35"]);
    add(&["-name", &facts.host_name]);
    add(&["-m", &facts.memory_size.to_string()]);
    add(&["-smp", &facts.cores.to_string()]);
    add(&accelerator.arguments());
    add(&["-kernel", &system.kernel.display().to_string()]);
    add(&["-initrd", &system.initrd.display().to_string()]);
    add(&["-append", &system.command_line]);
    let snapshot = match writes {
        Writes::Kept => "off",
        Writes::Discarded => "on",
    };
    add(&[
        "-drive",
        &format!(
            "file={},format=raw,if=virtio,snapshot={snapshot},discard=unmap",
            option_value(disk)
        ),
        "-virtfs",
        &format!(
            "local,path={},security_model=none,mount_tag={STORE_TAG},readonly=on,multidevs=remap",
            option_value(&system.store)
        ),
    ]);
    let forwards: Vec<_> = facts.forward_ports.iter().map(forward).collect();
    let network = format!("user,id=net0{}", forwards.concat());
    add(&["-netdev", &network]);
    add(&["-device", "virtio-net-pci,netdev=net0,romfile="]);
    add(&["-device", "virtio-rng-pci"]);
    if facts.graphics {
        add(&["-vga", "std", "-serial", "mon:stdio"]);
        add(&[
            "-device",
            "qemu-xhci",
            "-device",
            "usb-tablet",
            "-device",
            "usb-kbd",
        ]);
    } else {
        add(&["-display", "none", "-vga", "std", "-serial", "mon:stdio"]);
    }
    for options in &facts.qemu_options {
        arguments.extend(options.split_whitespace().map(str::to_owned));
    }
    arguments
}

/// QEMU ends an option's value at a comma; one that belongs to it is doubled.
fn option_value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn forward(forward: &Forward) -> String {
    let protocol = match forward.proto {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let address = match forward.host.address.as_str() {
        "" => "127.0.0.1",
        address => address,
    };
    format!(
        ",hostfwd={protocol}:{address}:{}-{}:{}",
        forward.host.port, forward.guest.address, forward.guest.port
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn facts(text: &str) -> Facts {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn all_arguments() {
        let facts = facts(
            r#"{"hostName": "box", "memorySize": 1024, "cores": 2, "diskSize": 512,
                "graphics": false, "qemuOptions": ["-device virtio-balloon"],
                "forwardPorts": [{"proto": "tcp", "host": {"address": "", "port": 2222},
                                  "guest": {"address": "", "port": 22}}]}"#,
        );
        let system = System {
            kernel: "vmlinuz".into(),
            initrd: "initrd".into(),
            command_line: "init=/nix/store/x/init".to_owned(),
            store: "/home/me/a,b/nix/store".into(),
        };
        let arguments = arguments(
            &facts,
            &system,
            Path::new("box.img"),
            Writes::Kept,
            Accelerator::Tcg,
        );
        expect![[r#"
            -nodefaults
            -no-user-config
            -machine
            q35
            -name
            box
            -m
            1024
            -smp
            2
            -accel
            tcg,thread=multi
            -cpu
            max,la57=off
            -kernel
            vmlinuz
            -initrd
            initrd
            -append
            init=/nix/store/x/init
            -drive
            file=box.img,format=raw,if=virtio,snapshot=off,discard=unmap
            -virtfs
            local,path=/home/me/a,,b/nix/store,security_model=none,mount_tag=nix-store,readonly=on,multidevs=remap
            -netdev
            user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22
            -device
            virtio-net-pci,netdev=net0,romfile=
            -device
            virtio-rng-pci
            -display
            none
            -vga
            std
            -serial
            mon:stdio
            -device
            virtio-balloon"#]].assert_eq(&arguments.join("\n"));
    }

    #[test]
    fn a_fact_that_is_not_known_is_named() {
        let error = serde_json::from_str::<Endpoint>(r#"{"address": "", "prot": 1}"#);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("unknown field `prot`")
        );
    }
}
