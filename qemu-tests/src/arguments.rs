//! QEMU's arguments for a [`Blueprint`].

use std::path::Path;

use crate::blueprint::{Attached, Blueprint, Boot, Parts};

impl Blueprint {
    /// QEMU's arguments, without the sockets.
    pub(crate) fn arguments(&self, parts: &Parts) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        add(&[
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-vga",
            "std",
        ]);
        // The firmware keeps its keys where the system cannot write.
        if matches!(self.boot, Boot::SecureUefi | Boot::OwnedUefi) {
            let global = "driver=cfi.pflash01,property=secure,value=on";
            add(&["-machine", "q35,smm=on", "-global", global]);
        } else {
            add(&["-machine", "q35"]);
        }
        add(&["-m", &self.memory_mib.to_string()]);
        add(&["-smp", &self.processors.to_string(), "-name", &self.name]);
        add(&parts.accelerator.arguments());
        if let Some(ovmf) = &parts.ovmf {
            let code = format!(
                "if=pflash,format=raw,readonly=on,file={}",
                ovmf.code.display()
            );
            let variables = format!("if=pflash,format=raw,file={}", ovmf.variables.display());
            add(&["-drive", &code, "-drive", &variables]);
        }
        if let Boot::Direct(direct) = &self.boot {
            add(&["-kernel", &direct.kernel.display().to_string()]);
            add(&["-append", &direct.command_line]);
            if let Some(initrd) = &direct.initrd {
                add(&["-initrd", &initrd.display().to_string()]);
            }
        }
        for (index, (disk, attached)) in self.disks.iter().zip(&parts.disks).enumerate() {
            let [option, drive] = drive(index, attached);
            add(&[&option, &drive]);
            for device in disk.bus.devices(index, disk.writes) {
                add(&["-device", &device]);
            }
        }
        // The card's own program is iPXE.
        let card = match &self.boot {
            Boot::Network(_) => "virtio-net-pci,netdev=net0,bootindex=1",
            _ => "virtio-net-pci,netdev=net0,romfile=",
        };
        add(&["-netdev", &self.network(parts), "-device", card]);
        add(&["-device", "virtio-rng-pci"]);
        if self.watchdog {
            add(&["-device", "i6300esb", "-action", "watchdog=reset"]);
        }
        arguments
    }

    /// The network of the machine's card.
    fn network(&self, parts: &Parts) -> String {
        let mut network = vec!["user,id=net0".to_owned()];
        if let Some(program) = &self.metadata {
            network.push("net=169.254.169.0/24,host=169.254.169.1,dns=169.254.169.3".to_owned());
            network.push("dhcpstart=169.254.169.15".to_owned());
            let program = program.display();
            network.push(format!("guestfwd=tcp:169.254.169.254:80-cmd:{program}"));
        }
        if let Boot::Network(folder) = &self.boot {
            let folder = file_name(folder);
            network.push(format!("tftp={folder},bootfile=netboot.ipxe"));
        }
        if let Some(port) = parts.ssh_port {
            network.push(format!("hostfwd=tcp:127.0.0.1:{port}-:22"));
        }
        network.join(",")
    }
}

/// A file name with a comma doubles it.
fn file_name(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// What QEMU calls the format of the image in `file`, by its name.
fn format_of(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("qcow2") => "qcow2",
        Some("vmdk") => "vmdk",
        Some("vdi") => "vdi",
        Some("vhd") => "vpc",
        _ => "raw",
    }
}

/// The backend of a disk. Nothing is flushed to the host's
/// medium: it is gone with the machine, or of no use if the host fails.
fn drive(index: usize, attached: &Attached) -> [String; 2] {
    let file = file_name(&attached.file);
    if let Some(log) = &attached.log {
        let log = file_name(log);
        return [
            "-blockdev".to_owned(),
            format!(
                "driver=blklogwrites,node-name=disk{index},log-sector-size=512,\
                 file.driver=file,file.filename={file},file.cache.no-flush=on,\
                 log.driver=file,log.filename={log},log.cache.no-flush=on"
            ),
        ];
    }
    let format = format_of(&attached.file);
    let snapshot = if attached.snapshot { "on" } else { "off" };
    [
        "-drive".to_owned(),
        format!(
            "file={file},format={format},if=none,id=disk{index},snapshot={snapshot},\
             cache=unsafe,discard=unmap"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::blueprint::DirectKernel;
    use crate::disk::{Bus, Writes};
    use crate::firmware::Ovmf;
    use cairn::vm::Accelerator;

    #[test]
    fn the_arguments_of_a_uefi_machine() {
        let blueprint = Blueprint::new("example", Boot::Uefi)
            .disk(Path::new("a,b.img"))
            .ssh();
        let parts = Parts {
            accelerator: Accelerator::Tcg,
            disks: vec![Attached::discarding(Path::new("a,b.img"))],
            ovmf: Some(Ovmf {
                code: "code.fd".into(),
                variables: "variables.fd".into(),
            }),
            ssh_port: Some(2222),
        };
        expect![[r#"
            -nodefaults
            -no-user-config
            -display
            none
            -vga
            std
            -machine
            q35
            -m
            512
            -smp
            1
            -name
            example
            -accel
            tcg,thread=multi
            -cpu
            max,la57=off
            -drive
            if=pflash,format=raw,readonly=on,file=code.fd
            -drive
            if=pflash,format=raw,file=variables.fd
            -drive
            file=a,,b.img,format=raw,if=none,id=disk0,snapshot=on,cache=unsafe,discard=unmap
            -device
            virtio-blk-pci,drive=disk0,bootindex=1
            -netdev
            user,id=net0,hostfwd=tcp:127.0.0.1:2222-:22
            -device
            virtio-net-pci,netdev=net0,romfile=
            -device
            virtio-rng-pci"#]]
        .assert_eq(&blueprint.arguments(&parts).join("\n"));
    }

    #[test]
    fn a_disk_whose_writes_are_recorded() {
        let attached = Attached {
            file: "copy.img".into(),
            snapshot: false,
            log: Some("disk-0.writes".into()),
        };
        expect!["-blockdev driver=blklogwrites,node-name=disk0,log-sector-size=512,file.driver=file,file.filename=copy.img,file.cache.no-flush=on,log.driver=file,log.filename=disk-0.writes,log.cache.no-flush=on"]
            .assert_eq(&drive(0, &attached).join(" "));
        assert_eq!(
            Bus::VirtioBlk.devices(0, Writes::Recorded),
            ["virtio-blk-pci,drive=disk0,bootindex=1,discard=off,write-zeroes=off"]
        );
    }

    #[test]
    fn the_network_of_a_machine_that_boots_from_it() {
        let parts = Parts {
            accelerator: Accelerator::Tcg,
            disks: Vec::new(),
            ovmf: None,
            ssh_port: None,
        };
        let network = |blueprint: Blueprint| blueprint.network(&parts);
        expect!["user,id=net0,tftp=a,,b,bootfile=netboot.ipxe"].assert_eq(&network(
            Blueprint::new("network", Boot::Network("a,b".into())),
        ));
        expect!["user,id=net0,net=169.254.169.0/24,host=169.254.169.1,dns=169.254.169.3,dhcpstart=169.254.169.15,guestfwd=tcp:169.254.169.254:80-cmd:/metadata"]
            .assert_eq(&network(Blueprint::new("cloud", Boot::Bios).metadata(Path::new("/metadata"))));
    }

    #[test]
    fn a_disk_of_another_format_is_known_by_its_name() {
        let attached = Attached::discarding(Path::new("box.vhd"));
        expect![
            "-drive file=box.vhd,format=vpc,if=none,id=disk0,snapshot=on,cache=unsafe,discard=unmap"
        ]
        .assert_eq(&drive(0, &attached).join(" "));
    }

    #[test]
    fn the_arguments_of_a_direct_boot() {
        let boot = Boot::Direct(DirectKernel {
            kernel: "vmlinuz".into(),
            initrd: Some("initrd".into()),
            command_line: "console=ttyS0".to_owned(),
        });
        let parts = Parts {
            accelerator: Accelerator::Kvm,
            disks: Vec::new(),
            ovmf: None,
            ssh_port: None,
        };
        let arguments = Blueprint::new("direct", boot)
            .memory_mib(256)
            .arguments(&parts);
        expect![[r#"
            -nodefaults
            -no-user-config
            -display
            none
            -vga
            std
            -machine
            q35
            -m
            256
            -smp
            1
            -name
            direct
            -accel
            kvm
            -cpu
            host
            -kernel
            vmlinuz
            -append
            console=ttyS0
            -initrd
            initrd
            -netdev
            user,id=net0
            -device
            virtio-net-pci,netdev=net0,romfile=
            -device
            virtio-rng-pci"#]]
        .assert_eq(&arguments.join("\n"));
    }
}
