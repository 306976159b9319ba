//! Real GRUB on real images, under SeaBIOS and OVMF: the menu's text, and torn slots.
//!
//! The guest has no kernel: GRUB's own script commands write to the serial port what it saw, and
//! the last line of the test's configuration powers the machine off.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail by panicking, as the test does"
)]

mod oracle;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cairn_bootloader::{
    BootFiles, CoreImage, Generation, Menu, Options, Platform, Root, STUB, Sequence, Serial, Slot,
    SlotFiles, early_config, entries,
};
use cairn_image_builder::{
    BiosBoot, Content, Disk, Identifiers, Manifest, Node, ROOT_PARTITION, plan, write,
};
use cairn_system::Bootspec;
use oracle::{e2fsck, fsck_vfat, sgdisk_verify};

const SEED: [u8; 32] = [42; 32];
/// A guest takes some three seconds where the processor is emulated.
const DEADLINE: Duration = Duration::from_mins(5);

fn file(text: impl Into<Vec<u8>>) -> Node {
    Node::new(0o644, Content::Bytes(text.into()))
}

fn core(platform: Platform, scratch: &Path) -> Vec<u8> {
    let uuid = Identifiers::from_seed(&SEED).root_file_system.to_string();
    let root = match platform {
        Platform::Bios => Root::OnBootDisk {
            partition: ROOT_PARTITION,
        },
        Platform::Uefi => Root::WithUuid(&uuid),
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

/// A disk with GRUB for both firmwares and these files below `/boot`.
fn image(boot: &BTreeMap<String, Node>, scratch: &Path) -> PathBuf {
    let mut root = Manifest::new();
    for (path, node) in boot {
        let path = Path::new("boot").join(path);
        root.insert_directories(path.parent().unwrap()).unwrap();
        root.insert(path, node.clone()).unwrap();
    }
    let mut esp = Manifest::new();
    esp.insert_directories(Path::new("EFI/BOOT")).unwrap();
    esp.insert("EFI/BOOT/BOOTX64.EFI", file(core(Platform::Uefi, scratch)))
        .unwrap();
    let boot_img = "/usr/lib/grub/i386-pc/boot.img";
    let bios = BiosBoot {
        boot_img: fs::read(boot_img)
            .unwrap_or_else(|error| panic!("{boot_img}: {error}; apt-get install grub-pc-bin")),
        core_img: core(Platform::Bios, scratch),
    };
    let disk = Disk {
        root: &root,
        esp: &esp,
        boot: &bios,
        root_label: "root",
        identifiers: Identifiers::from_seed(&SEED),
        free_space: 0,
        epoch: 1,
    };
    let output = scratch.join("disk.img");
    let layout = plan(&disk).unwrap();
    write(&disk, &layout, &output, &mut |_| {}).unwrap();
    sgdisk_verify(&output);
    e2fsck(&output, layout.root());
    fsck_vfat(&output, layout.esp(), scratch);
    output
}

/// A guest that is killed when the test ends.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Boots `image` and gives back what GRUB wrote to the serial port up to `last`.
fn boot(image: &Path, platform: Platform, last: &str, scratch: &Path) -> String {
    let log = scratch.join("serial.log");
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ])
    .args(["-machine", "q35,accel=tcg", "-m", "256", "-net", "none"])
    .arg("-serial")
    .arg(format!("file:{}", log.display()))
    .arg("-drive")
    .arg(format!("file={},format=raw,if=virtio", image.display()))
    .stdin(Stdio::null())
    .stdout(Stdio::null());
    if platform == Platform::Uefi {
        let firmware = "/usr/share/OVMF/OVMF_CODE_4M.fd";
        assert!(
            Path::new(firmware).exists(),
            "{firmware}: apt-get install ovmf"
        );
        let variables = scratch.join("vars.fd");
        fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).unwrap();
        qemu.arg("-drive")
            .arg(format!("if=pflash,format=raw,readonly=on,file={firmware}"))
            .arg("-drive")
            .arg(format!("if=pflash,format=raw,file={}", variables.display()));
    }
    let child = qemu
        .spawn()
        .unwrap_or_else(|error| panic!("qemu: {error}; apt-get install qemu-system-x86"));
    let mut guest = Guest(child);
    let start = Instant::now();
    loop {
        let text = fs::read(&log).unwrap_or_default();
        let text = plain(&String::from_utf8_lossy(&text));
        if text.contains(last) {
            return text;
        }
        let ended = guest.0.try_wait().unwrap();
        assert!(ended.is_none(), "the guest ended, {ended:?}: {text}");
        assert!(start.elapsed() < DEADLINE, "no {last:?} in: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `text` without the terminal's escape sequences and carriage returns.
fn plain(text: &str) -> String {
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

fn generation(number: u64, label: &str, params: &[&str]) -> Generation {
    let params: Vec<_> = params.iter().map(|param| format!("{param:?}")).collect();
    let bootspec = Bootspec::parse(&format!(
        r#"{{"org.nixos.bootspec.v1": {{"init": "/nix/store/x/init", "kernel": "/k",
            "kernelParams": [{}], "label": {label:?}, "system": "x86_64-linux",
            "toplevel": "/nix/store/x"}}}}"#,
        params.join(",")
    ))
    .unwrap();
    let files = BootFiles {
        kernel: "/boot/kernels/no-such-kernel".to_owned(),
        initrd: None,
    };
    Generation::new(number, 0, "6.1.0", &bootspec, files, &BTreeMap::new()).unwrap()
}

/// GRUB's commands that tell which slot the stub chose, instead of showing its menu.
const REPORT: &str = "echo \"CHOSEN $cairn_case $cairn_slot $cairn_newest $cairn_ran.\"\n";

/// A menu whose function only says that it ran, whole.
fn probe(number: u32) -> String {
    let filler: String = (0..12)
        .map(|line| format!("menuentry 'entry {line}' {{\n  echo 'it''s {line}'\n}}\n"))
        .collect::<Vec<_>>()
        .concat();
    format!("set cairn_ran=begun-{number}\n{filler}set cairn_ran=whole-{number}\n")
}

fn slot(slot: Slot, number: u32) -> [(String, Vec<u8>); 2] {
    let menu = Menu {
        text: probe(number),
        generations: String::new(),
    };
    let files = SlotFiles::new(slot, Sequence::new(number).unwrap(), &menu);
    let [_, _, entries, checksum] = files.files();
    [entries, checksum].map(|(name, text)| (name, text.as_bytes().to_vec()))
}

/// What the stub must do with slots A (number 6) and B (number 7) when B is torn in some way.
struct Case {
    files: Vec<(String, Vec<u8>)>,
    wanted: &'static str,
}

const A: &str = "a 6 whole-6";
const B: &str = "b 7 whole-7";

fn cases(with_checksum: bool) -> Vec<Case> {
    let a = slot(Slot::A, 6);
    let b = slot(Slot::B, 7);
    let old_b = slot(Slot::B, 5);
    let [(b_name, b_text), (sum_name, sum)] = b.clone();
    let with = |text: Vec<u8>, sum: Vec<u8>, wanted| {
        let mut files = a.to_vec();
        files.push((b_name.clone(), text));
        files.push((sum_name.clone(), sum));
        Case { files, wanted }
    };
    let mut cases = vec![
        with(b_text.clone(), sum.clone(), B),
        Case {
            files: a.to_vec(),
            wanted: A,
        },
        Case {
            files: b.to_vec(),
            wanted: B,
        },
        Case {
            files: Vec::new(),
            wanted: "none 0 ",
        },
        Case {
            files: [a.clone(), old_b.clone()].concat(),
            wanted: A,
        },
        with(Vec::new(), sum.clone(), A),
    ];
    // Cut off after each of many lengths, the last ones byte by byte; the checksum is the new one,
    // as if its write had come first. Without its final newline the file is still all there.
    let length = b_text.len();
    let cuts = (1..length).filter(|cut| *cut + 24 > length || cut % 97 == 1);
    for cut in cuts {
        let wanted = if cut + 1 == length && !with_checksum {
            B
        } else {
            A
        };
        cases.push(with(b_text[..cut].to_vec(), sum.clone(), wanted));
    }
    if with_checksum {
        // The checksum file of the old text, missing, empty, cut off.
        cases.push(with(b_text.clone(), old_b[1].1.clone(), A));
        cases.push(with(b_text.clone(), Vec::new(), A));
        for cut in (1..sum.len() - 1).filter(|cut| cut % 16 == 0 || cut + 5 > sum.len()) {
            cases.push(with(b_text.clone(), sum[..cut].to_vec(), A));
        }
        // Pages that are zero, or left from the old text.
        for start in (0..length).step_by(160) {
            let end = (start + 160).min(length);
            let mut zeros = b_text.clone();
            zeros[start..end].fill(0);
            cases.push(with(zeros, sum.clone(), A));
            let mut old = b_text.clone();
            old[start..end].copy_from_slice(&old_b[0].1[start..end]);
            let wanted = if old == b_text { B } else { A };
            cases.push(with(old, sum.clone(), wanted));
        }
    }
    cases
}

/// Runs the stub in one guest on each case, with the checksums and (as Debian's signed GRUB, which
/// has no `hashsum`) without.
#[test]
fn a_torn_slot_never_boots() {
    let scratch = tempfile::tempdir().unwrap();
    let mut boot_files = BTreeMap::new();
    // The screen is slow where every call of the BIOS is emulated.
    let mut script = "terminal_output serial\n".to_owned();
    let mut wanted = Vec::new();
    for with_checksum in [true, false] {
        for case in cases(with_checksum) {
            let number = wanted.len();
            for (name, text) in case.files {
                boot_files.insert(format!("case/{number}/{name}"), file(text));
            }
            let hashsum = if with_checksum { "yes" } else { "no" };
            script.push_str("set cairn_ran=\n");
            let case_script = format!(
                "set cairn_case={number}\nset cairn_hashsum={hashsum}\n\
                 set prefix=($root)/boot/case/{number}\nsource ($root)/boot/stub.cfg\n{REPORT}"
            );
            script.push_str(&case_script);
            wanted.push(case.wanted);
        }
    }
    script += "echo ALL DONE.\nhalt\n";
    boot_files.insert("stub.cfg".to_owned(), file(STUB));
    boot_files.insert("grub/grub.cfg".to_owned(), file(script));
    let image = image(&boot_files, scratch.path());
    let text = boot(&image, Platform::Bios, "ALL DONE.", scratch.path());
    assert!(wanted.len() > 80, "only {} cases", wanted.len());
    let mut wrong = Vec::new();
    for (number, wanted) in wanted.iter().enumerate() {
        let line = format!("CHOSEN {number} {wanted}.");
        if !text.contains(&line) {
            let prefix = format!("CHOSEN {number} ");
            let found = text.lines().find(|line| line.starts_with(&prefix));
            wrong.push(format!("wanted {line:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
}

/// The menu of the newest slot, with hostile labels, is shown and run under both firmwares.
#[test]
fn the_menu_is_shown_on_the_serial_port() {
    let label = "it's ${root} $(x) \"q\" ; } {";
    let options = Options {
        serial: Some(Serial::COM1),
        ..Options::default()
    };
    let generations = [
        generation(1, "old", &["quiet"]),
        generation(2, label, &["a=$b", "c={;}", "d=\"e f\""]),
    ];
    let text = entries(&generations, &options);
    let files = SlotFiles::new(Slot::A, Sequence::FIRST, &text);
    let mut boot_files: BTreeMap<_, _> = files
        .files()
        .into_iter()
        .map(|(name, text)| (format!("grub/{name}"), file(text)))
        .collect();
    boot_files.insert("grub/grub.cfg".to_owned(), file(STUB));
    for platform in [Platform::Bios, Platform::Uefi] {
        let scratch = tempfile::tempdir().unwrap();
        let image = image(&boot_files, scratch.path());
        let text = boot(
            &image,
            platform,
            "no-such-kernel' not found",
            scratch.path(),
        );
        for title in [
            format!("Cairn, generation 2 ({label})"),
            "Cairn, all generations".into(),
        ] {
            assert!(
                text.contains(&title),
                "{platform:?}: no {title:?} in {text}"
            );
        }
    }
}
