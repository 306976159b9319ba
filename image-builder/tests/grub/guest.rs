//! An image with GRUB, and the guest that boots it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use cairn_bootloader::{CoreImage, PartitionTable, Platform, Root, Serial, early_config};
use cairn_image_builder::{
    BiosBoot, Content, Disk, Identifiers, Manifest, Node, Partition, ROOT_PARTITION, SectorSize,
    plan, write,
};

use crate::oracle::{debugfs_cat, e2fsck, fsck_vfat, sgdisk_verify};

const SEED: [u8; 32] = [42; 32];
/// A guest takes some three seconds where the processor is emulated; many times that where others
/// want it too.
const DEADLINE: Duration = Duration::from_mins(8);

pub fn file(text: impl Into<Vec<u8>>) -> Node {
    Node::new(0o644, Content::Bytes(text.into()))
}

fn core(platform: Platform, scratch: &Path) -> Vec<u8> {
    let uuid = Identifiers::from_seed(&SEED).root_file_system.to_string();
    let root = match platform {
        Platform::Bios => Root::OnBootDisk {
            table: PartitionTable::Gpt,
            partition: ROOT_PARTITION,
        },
        Platform::Uefi => Root::WithUuid(&uuid),
        Platform::BiosDisc | Platform::UefiDisc => panic!("these guests boot from disks"),
    };
    let image = CoreImage {
        platform,
        early_config: early_config(root, Some(Serial::COM1)),
    };
    let [config, output] = ["early.cfg", "core.img"].map(|name| scratch.join(name));
    fs::write(&config, &image.early_config).unwrap();
    let modules = format!("/usr/lib/grub/{}", platform.grub_name());
    let made = Command::new("grub-mkimage")
        .args(image.args(&modules, config.to_str().unwrap(), output.to_str().unwrap()))
        .output()
        .unwrap_or_else(|error| {
            panic!("{error}; apt-get install grub-common grub-pc-bin grub-efi-amd64-bin")
        });
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    fs::read(&output).unwrap()
}

/// A disk with GRUB for both firmwares, in a folder that goes when the test ends.
pub struct Image {
    pub disk: PathBuf,
    pub root: Partition,
    pub scratch: tempfile::TempDir,
}

impl Image {
    /// A disk with these files below `/boot`.
    pub fn new(boot: &BTreeMap<String, Node>) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut root = Manifest::new();
        for (path, node) in boot {
            let path = Path::new("boot").join(path);
            root.insert_directories(path.parent().unwrap()).unwrap();
            root.insert(path, node.clone()).unwrap();
        }
        let mut esp = Manifest::new();
        esp.insert_directories(Path::new("EFI/BOOT")).unwrap();
        let uefi = core(Platform::Uefi, scratch.path());
        esp.insert("EFI/BOOT/BOOTX64.EFI", file(uefi)).unwrap();
        let boot_img = "/usr/lib/grub/i386-pc/boot.img";
        let bios = BiosBoot {
            boot_img: fs::read(boot_img)
                .unwrap_or_else(|error| panic!("{boot_img}: {error}; apt-get install grub-pc-bin")),
            core_img: core(Platform::Bios, scratch.path()),
        };
        let disk = Disk {
            root: &root,
            esp: Some(&esp),
            sector_size: SectorSize::Bytes512,
            boot: Some(&bios),
            boot_files: None,
            swap: None,
            root_label: "root",
            identifiers: Identifiers::from_seed(&SEED),
            free_space: 0,
            size: None,
            epoch: 1,
        };
        let output = scratch.path().join("disk.img");
        let layout = plan(&disk).unwrap();
        write(&disk, &layout, &output, &mut |_| {}).unwrap();
        sgdisk_verify(&output);
        e2fsck(&output, &layout.root);
        fsck_vfat(&output, layout.esp.as_ref().unwrap(), scratch.path());
        Self {
            disk: output,
            root: layout.root.clone(),
            scratch,
        }
    }

    /// The content of a file as it is on the disk now.
    pub fn read(&self, path: &str) -> Vec<u8> {
        debugfs_cat(&self.disk, &self.root, path, self.scratch.path())
    }
}

/// A guest that is killed when the test ends.
pub struct Guest {
    qemu: Child,
    serial: Receiver<Vec<u8>>,
    raw: Vec<u8>,
    start: Instant,
    monitor: PathBuf,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.qemu.kill().unwrap();
        self.qemu.wait().unwrap();
    }
}

/// Whether the guest may write to its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

impl Guest {
    /// Boots the disk of `image`.
    pub fn start(image: &Image, platform: Platform, access: Access) -> Self {
        let mut qemu = Command::new("qemu-system-x86_64");
        let monitor = image.scratch.path().join("monitor");
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-vga", "std", "-monitor"])
            .arg(format!("unix:{},server,nowait", monitor.display()))
            .args(["-machine", "q35,accel=tcg", "-m", "256", "-net", "none"])
            .args(["-chardev", "stdio,id=serial,signal=off"])
            .args(["-serial", "chardev:serial", "-drive"])
            .arg(format!(
                "file={},format=raw,if=virtio,readonly={}",
                image.disk.display(),
                if access == Access::ReadOnly {
                    "on"
                } else {
                    "off"
                }
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if platform == Platform::Uefi {
            let firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";
            assert!(
                Path::new(firmware).exists(),
                "{firmware}: apt-get install ovmf"
            );
            let variables = image.scratch.path().join("vars.fd");
            fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
            qemu.arg("-drive")
                .arg(format!("if=pflash,format=raw,readonly=on,file={firmware}"))
                .arg("-drive")
                .arg(format!("if=pflash,format=raw,file={}", variables.display()));
        }
        let mut qemu = qemu
            .spawn()
            .unwrap_or_else(|error| panic!("qemu: {error}; apt-get install qemu-system-x86"));
        let mut output = qemu.stdout.take().unwrap();
        let (sender, serial) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Ends when the guest does, or the test no longer listens.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            qemu,
            serial,
            raw: Vec::new(),
            start: Instant::now(),
            monitor,
        }
    }

    /// What the guest has written to the serial port when `enough` of it is there.
    pub fn text_when(&mut self, what: &str, enough: impl Fn(&str) -> bool) -> String {
        loop {
            let text = plain(&String::from_utf8_lossy(&self.raw));
            if enough(&text) {
                return text;
            }
            let left = DEADLINE.saturating_sub(self.start.elapsed());
            match self.serial.recv_timeout(left) {
                Ok(bytes) => self.raw.extend(bytes),
                Err(RecvTimeoutError::Timeout) => panic!("no {what} in: {text}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the guest ended, no {what} in: {text}")
                }
            }
        }
    }

    /// What the guest has written up to `last`, and some of what follows it.
    pub fn text_up_to(&mut self, last: &str) -> String {
        self.text_when(last, |text| text.contains(last))
    }

    /// Forgets what was written before: the next text is a later one.
    pub fn forget(&mut self) {
        self.raw.clear();
    }

    /// Gives commands to QEMU's monitor, and waits until each is done.
    pub fn monitor(&mut self, commands: &[&str]) {
        use std::io::{BufRead, BufReader, Write};
        use std::os::unix::net::UnixStream;
        let mut stream = UnixStream::connect(&self.monitor).unwrap();
        let mut answers = BufReader::new(stream.try_clone().unwrap());
        let mut prompt = || {
            let mut answer = Vec::new();
            while !answer.ends_with(b"(qemu) ") {
                let read = answers.read_until(b' ', &mut answer).unwrap();
                assert!(read > 0, "QEMU's monitor is gone");
            }
        };
        prompt();
        for command in commands {
            writeln!(stream, "{command}").unwrap();
            prompt();
        }
    }

    /// A picture of the screen: its width, and three bytes for each pixel.
    pub fn picture(&mut self, image: &Image) -> (usize, Vec<u8>) {
        let file = image.scratch.path().join("screen.ppm");
        self.monitor(&[&format!("screendump {}", file.display())]);
        let bytes = fs::read(&file).unwrap();
        // "P6", width and height, the greatest value; a line each.
        let mut parts = bytes.splitn(4, |&byte| byte == b'\n');
        let size = String::from_utf8(parts.nth(1).unwrap().to_vec()).unwrap();
        let width = size.split(' ').next().unwrap().parse().unwrap();
        (width, parts.nth(1).unwrap().to_vec())
    }

    /// Presses keys on the serial port.
    pub fn press(&mut self, keys: &str) {
        use std::io::Write;
        let input = self.qemu.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }
}

/// `text` without the terminal's escape sequences and carriage returns.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                rest.find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            c => plain.push(c),
        }
    }
    plain
}
