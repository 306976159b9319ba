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
        add(&["-machine", "q35", "-m", &self.memory_mib.to_string()]);
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
        let network = match parts.ssh_port {
            Some(port) => format!("user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:22"),
            None => "user,id=net0".to_owned(),
        };
        add(&[
            "-netdev",
            &network,
            "-device",
            "virtio-net-pci,netdev=net0,romfile=",
        ]);
        add(&["-device", "virtio-rng-pci"]);
        if self.watchdog {
            add(&["-device", "i6300esb", "-action", "watchdog=reset"]);
        }
        arguments
    }
}

/// The backend of a disk. A file name with a comma doubles it. Nothing is flushed to the host's
/// medium: it is gone with the machine, or of no use if the host fails.
fn drive(index: usize, attached: &Attached) -> [String; 2] {
    let name = |path: &Path| path.display().to_string().replace(',', ",,");
    let file = name(&attached.file);
    if let Some(log) = &attached.log {
        let log = name(log);
        return [
            "-blockdev".to_owned(),
            format!(
                "driver=blklogwrites,node-name=disk{index},log-sector-size=512,\
                 file.driver=file,file.filename={file},file.cache.no-flush=on,\
                 log.driver=file,log.filename={log},log.cache.no-flush=on"
            ),
        ];
    }
    let snapshot = if attached.snapshot { "on" } else { "off" };
    [
        "-drive".to_owned(),
        format!(
            "file={file},format=raw,if=none,id=disk{index},snapshot={snapshot},\
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
